"""A checkpoint that cannot be written ends in one line, and earlier checkpoints are intact."""

import errno
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from icegan_jax.errors import UserError
from icegan_jax.training.checkpoint import MAX_TO_KEEP, FoldCheckpoints
from icegan_jax.training.state import TrainState
from tests.training.test_checkpoint import PROGRESS, assert_equal_states, state_at

SIZE_MB = 4  # of the full disk


def large(step: int) -> TrainState:
    """Return a state of 6 MB that does not compress, in eight arrays, so that several fail at once."""
    rng = np.random.default_rng(step)
    return state_at(step).replace(d_stats={str(i): rng.integers(0, 255, 750_000, dtype=np.uint8) for i in range(8)})


def mount(folder: Path, *options: str) -> None:
    """Mount a file system; skip the test without the permission."""
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting is not permitted: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system."""
    if not sys.platform.startswith("linux"):
        pytest.skip("Linux only")
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        mount(folder, "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs")
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def intact(folder: Path, steps: set[int]) -> None:
    """Check that exactly these checkpoints are in the folder, and can be restored."""
    with FoldCheckpoints(folder, "me") as store:
        assert store.steps() == steps
        for step in steps:
            restored, progress = store.restore(step, state_at(0))
            assert_equal_states(restored, state_at(step))
            assert progress == PROGRESS
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {str(step) for step in steps}


def test_a_full_file_system(disk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with FoldCheckpoints(disk, "me") as store:
        with pytest.raises(UserError) as first:
            store.save(large(2), PROGRESS)
        assert "the same command continues from the start" in str(first.value)
        for step in (2, 4, 6):
            store.save(state_at(step), PROGRESS)
            store.keep_newest(MAX_TO_KEEP)
        with pytest.raises(UserError) as caught:
            store.save(large(8), PROGRESS)
        assert str(caught.value) == (
            f"{disk / 'checkpoints'}: cannot be written (No space left on device); free some space, "
            "the same command continues from step 6"
        )
        assert {path.name for path in (disk / "checkpoints").iterdir()} == {"4", "6"}
        store.save(state_at(8), PROGRESS)  # there is room for this one: what the failed save left is gone
        store.keep_newest(MAX_TO_KEEP)
    intact(disk, {6, 8})
    assert capfd.readouterr() == ("", "")


def test_a_file_system_full_to_the_last_byte(disk: Path) -> None:
    """Not even a folder can be made."""
    with FoldCheckpoints(disk, "me") as store:
        store.save(state_at(2), PROGRESS)
    (disk / "filler").write_bytes(b"x" * (SIZE_MB * 2**20 - 300_000))
    with (disk / "filler").open("ab", buffering=0) as filler, pytest.raises(OSError):
        while True:
            filler.write(b"x" * 4096)
    with FoldCheckpoints(disk, "me") as store, pytest.raises(UserError, match="No space left.*from step 2"):
        store.save(state_at(4), PROGRESS)
    intact(disk, {2})
    (disk / "filler").unlink()
    with FoldCheckpoints(disk, "me") as store:
        store.save(state_at(4), PROGRESS)
    intact(disk, {2, 4})


def test_a_read_only_file_system(disk: Path) -> None:
    with FoldCheckpoints(disk, "me") as store:
        store.save(state_at(2), PROGRESS)
        mount(disk, "-o", "remount,ro")
        with pytest.raises(UserError, match=r"Read-only file system\); make it writable, .* from step 2$"):
            store.save(state_at(4), PROGRESS)
        with pytest.raises(UserError, match="Read-only file system"):
            store.move_to_damaged(2)
        with pytest.raises(UserError, match="Read-only file system"):
            store.delete_after(0)
    with pytest.raises(UserError, match="cannot be written .Read-only file system.; make it writable, .* start"):
        FoldCheckpoints(disk / "new", "me")
    intact(disk, {2})


def test_files_may_not_grow(tmp_path: Path) -> None:
    """A test without permissions: the process may not write files of more than 64 kB."""
    script = f"""
        import resource, signal
        from pathlib import Path
        from icegan_jax.errors import UserError
        from icegan_jax.training.checkpoint import FoldCheckpoints
        from tests.training.test_checkpoint import PROGRESS, state_at
        from tests.training.test_full_disk import large

        with FoldCheckpoints(Path({str(tmp_path)!r}), "me") as store:
            for step in (2, 4):
                store.save(state_at(step), PROGRESS)
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (65536, resource.RLIM_INFINITY))
            try:
                store.save(large(6), PROGRESS)
            except UserError as error:
                print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert done.stderr == ""
    assert done.stdout == (
        f"{tmp_path / 'checkpoints'}: cannot be written (File too large); allow larger files (ulimit -f), "
        "the same command continues from step 4\n"
    )
    intact(tmp_path, {2, 4})


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO])
def test_the_last_moment_of_a_save(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Network drives report a full disk or quota only when a file is flushed."""

    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    with FoldCheckpoints(tmp_path, "me") as store:
        store.save(state_at(2), PROGRESS)
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", fail)
            with pytest.raises(UserError, match=f"{os.strerror(number)}.; .* continues from step 2$"):
                store.save(state_at(4), PROGRESS)
    intact(tmp_path, {2})


def test_an_unknown_error_is_raised_and_temporary_files_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("unknown")

    with FoldCheckpoints(tmp_path, "me") as store:
        store.save(state_at(2), PROGRESS)
        with monkeypatch.context() as patched:
            patched.setattr("icegan_jax.training.checkpoint.write_json_with_checksum", fail)
            with pytest.raises(RuntimeError, match="unknown"):
                store.save(state_at(4), PROGRESS)
    intact(tmp_path, {2})


def test_an_old_checkpoint_is_deleted_only_when_the_new_one_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name of the files: each of the new one, and the list of checkpoints, is flushed while the old is there."""
    flushed, real = set(), os.fsync

    def record(descriptor: int) -> None:
        if (tmp_path / "checkpoints" / "2").exists():
            flushed.add(os.fstat(descriptor).st_ino)
        real(descriptor)

    with FoldCheckpoints(tmp_path, "me") as store:
        store.save(state_at(2), PROGRESS)
        store.save(state_at(4), PROGRESS)
        monkeypatch.setattr(os, "fsync", record)
        store.save(state_at(6), PROGRESS)
        store.keep_newest(MAX_TO_KEEP)
        assert store.steps() == {4, 6}
    new = tmp_path / "checkpoints" / "6"
    needed = {path.stat().st_ino for path in (new, new.parent, *new.rglob("*"))}
    assert len(needed) > 8 and needed <= flushed
