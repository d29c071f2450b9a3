"""Checkpoints restore every byte; damaged ones are never used; a group resumes at the newest step that all have."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from icegan_jax.data.pipeline import fold_batches
from icegan_jax.errors import UserError
from icegan_jax.io import write_json_with_checksum
from icegan_jax.training import checkpoint
from icegan_jax.training.checkpoint import DamagedCheckpoint, FoldCheckpoints, newest_common_checkpoint
from icegan_jax.training.state import TrainState, fold_key
from tests.training import tiny

PAIRS = tiny.pairs()
PROGRESS = {"iterator": {"next": 1}, "wall_s": 1.5}
NAMES = ("a", "b")


def state_at(step: int) -> TrainState:
    """Return a training state of random numbers."""
    rng = np.random.default_rng(step)

    def params() -> dict[str, Any]:
        shape = (4, 4, 2, 3)
        return {"layer": {"kernel": jnp.asarray(rng.normal(size=shape), jnp.float32), "bias": jnp.zeros(3)}}

    g, d = params(), params()
    return TrainState(
        step=jnp.int32(step),
        key=fold_key(0, "a"),
        g_params=g,
        g_stats={"spectral": {"layer": {"direction": jnp.asarray(rng.normal(size=3), jnp.float32)}}},
        g_opt_state=optax.adam(1e-3).init(g),
        d_params=d,
        d_stats={},
        d_opt_state=optax.adam(optax.cosine_decay_schedule(1e-3, 10)).init(d),
    )


def assert_equal_states(actual: TrainState, expected: TrainState) -> None:
    """Compare every byte."""
    chex.assert_trees_all_equal_shapes_and_dtypes(actual.replace(key=None), expected.replace(key=None))
    for one, other in zip(*(jax.tree.leaves(s.replace(key=None)) for s in (actual, expected)), strict=True):
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()
    chex.assert_trees_all_equal(*(jax.random.key_data(s.key) for s in (actual, expected)))


def save(run: Path, steps: dict[str, Sequence[int]], run_id: str = "run") -> None:
    for name, own in steps.items():
        with FoldCheckpoints(run / name, run_id) as store:
            for step in own:
                store.save(state_at(step), {"fold": name, "step": step})


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50])


def test_state_and_iterator_are_restored(tmp_path: Path) -> None:
    def iterator() -> Any:
        return fold_batches(PAIRS, np.flatnonzero(PAIRS.subject != "s0"), batch_size=5, seed=7, mirror=True)

    batches = iterator()
    for _ in range(3):
        next(batches)
    state = state_at(12)
    with FoldCheckpoints(tmp_path) as store:
        store.save(state, batches.get_state())
    expected = next(batches)

    with FoldCheckpoints(tmp_path) as store:
        assert store.steps() == {12}
        restored, position = store.restore(12, state_at(0))
    assert_equal_states(restored, state)
    resumed = iterator()
    resumed.set_state(position)
    chex.assert_trees_all_equal(next(resumed), expected)


def test_steps_follow_every_change(tmp_path: Path) -> None:
    with FoldCheckpoints(tmp_path) as store:
        assert store.steps() == set()
        for step in (2, 4, 6):
            store.save(state_at(step), PROGRESS)
        with pytest.raises(ValueError, match="step 6 already"):
            store.save(state_at(6), PROGRESS)
        store.keep_newest(2)
        assert store.steps() == {4, 6}
        for name in ("6", "6.1"):
            assert store.move_to_damaged(6) == tmp_path / "damaged_checkpoints" / name
            store.save(state_at(5).replace(step=jnp.int32(6)), PROGRESS)  # other content, the same step
            assert_equal_states(store.restore(6, state_at(0))[0], state_at(5).replace(step=jnp.int32(6)))
        store.delete_after(4)
        assert store.steps() == {4}
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["4"]


@pytest.mark.slow
def test_killed_at_every_file_operation(tmp_path: Path) -> None:
    """SIGKILL while a checkpoint is saved and older ones are deleted; see ``kill_saves``."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "tests.training.kill_saves", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (lambda step: flip(step / "state" / "manifest.ocdbt"), "state/manifest.ocdbt was changed"),
    (lambda step: truncate(step / "state" / "manifest.ocdbt"), "state/manifest.ocdbt was changed"),
    (lambda step: (step / "progress" / "metadata").unlink(), "progress/metadata is missing"),
    (lambda step: flip(step / "progress" / "metadata"), "progress/metadata was changed"),
    (lambda step: shutil.rmtree(step / "state"), "the file state/.* is missing"),
    (lambda step: (step / "manifest.json").unlink(), "not completely saved"),
    (lambda step: flip(step / "manifest.json"), "manifest.json"),
    (lambda step: write_json_with_checksum(step / "manifest.json", {"seed": 1}), "KeyError"),
    (lambda step: (shutil.rmtree(step), step.mkdir()), "not completely saved"),
    (lambda step: (shutil.rmtree(step), (step.parent / "2").rename(step)), "another run, fold or step"),
    (lambda step: (shutil.rmtree(step), shutil.copytree(step.parents[2] / "b/checkpoints/4", step)), "another run"),
]


@pytest.mark.parametrize(("damage", "reason"), DAMAGES, ids=[f"{i} {reason}" for i, (_, reason) in enumerate(DAMAGES)])
def test_a_damaged_checkpoint_is_refused(damage: Callable[[Path], object], reason: str, tmp_path: Path) -> None:
    save(tmp_path, {"a": (2, 4), "b": (4,)})
    damage(tmp_path / "a" / "checkpoints" / "4")
    with FoldCheckpoints(tmp_path / "a", "run") as store, pytest.raises(DamagedCheckpoint, match=reason) as caught:
        store.restore(4, state_at(0))
    assert "\n" not in str(caught.value) and str(tmp_path) not in str(caught.value)


def test_every_file_counts(tmp_path: Path) -> None:
    save(tmp_path, {"a": (4,)})
    files = [path for path in (tmp_path / "a/checkpoints/4").rglob("*") if path.stat().st_size and path.is_file()]
    assert len(files) > 5
    with FoldCheckpoints(tmp_path / "a", "run") as store:
        for path in files:
            content = path.read_bytes()
            flip(path)
            with pytest.raises(DamagedCheckpoint, match=path.name):
                store.restore(4, state_at(0))
            path.write_bytes(content)
        assert_equal_states(store.restore(4, state_at(0))[0], state_at(4))


@pytest.mark.parametrize("changes", [{"d_params": {"layer": {"bias": jnp.zeros(5)}}}, {"d_stats": {"a": jnp.zeros(2)}}])
def test_a_checkpoint_of_other_networks_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    save(tmp_path, {"a": (4,)})
    like = state_at(0)
    like = like.replace(**changes, d_opt_state=like.d_opt_state)
    with FoldCheckpoints(tmp_path / "a", "run") as store, pytest.raises(DamagedCheckpoint):
        store.restore(4, like)
    with FoldCheckpoints(tmp_path / "a", "another run") as store, pytest.raises(DamagedCheckpoint, match="another run"):
        store.restore(4, state_at(0))


@pytest.mark.parametrize("error", [PermissionError(errno.EACCES, "Permission denied"), MemoryError()])
def test_a_file_that_cannot_be_read_now_is_not_damaged(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> str:
        raise error

    save(tmp_path, {"a": (2, 4), "b": (2, 4)})
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "sha256_of", fail)
        with pytest.raises(UserError if isinstance(error, OSError) else MemoryError):
            resume(tmp_path)
    assert resume(tmp_path) == (4, [], {"a": {2, 4}, "b": {2, 4}})


def resume(run: Path) -> tuple[int, list[str], dict[str, set[int]]]:
    """Resume, check the restored states, and return the step, the warnings and the remaining steps."""
    warnings: list[str] = []
    with FoldCheckpoints(run / "a", "run") as a, FoldCheckpoints(run / "b", "run") as b:
        step, restored = newest_common_checkpoint([a, b], NAMES, [state_at(0), state_at(0)], warnings.append)
        assert len(restored) == (2 if step else 0)
        for name, (state, progress) in zip(NAMES, restored, strict=False):
            assert_equal_states(state, state_at(step))
            assert progress == {"fold": name, "step": step}
        assert all("\n" not in line for line in warnings)
        return step, warnings, {"a": a.steps(), "b": b.steps()}


def test_a_group_resumes_at_the_newest_step_of_all(tmp_path: Path) -> None:
    """A later checkpoint of one fold does not matter: it is not read, and is deleted."""
    assert resume(tmp_path) == (0, [], {"a": set(), "b": set()})
    save(tmp_path, {"a": (4, 6), "b": (2, 4)})
    truncate(tmp_path / "a/checkpoints/6/state/manifest.ocdbt")
    assert resume(tmp_path) == (4, [], {"a": {4}, "b": {2, 4}})


def test_a_group_goes_back_before_a_damaged_checkpoint(tmp_path: Path) -> None:
    save(tmp_path, {"a": (2, 4), "b": (2, 4)})
    truncate(tmp_path / "b/checkpoints/4/state/manifest.ocdbt")
    step, warnings, left = resume(tmp_path)
    place = tmp_path / "b" / "damaged_checkpoints" / "4"
    reason = "the file state/manifest.ocdbt was changed"
    assert warnings == [f"fold b: the checkpoint of step 4 is damaged: {reason}; moved to {place}"]
    assert (step, left) == (2, {"a": {2}, "b": {2}})
    assert (place / "manifest.json").exists()
    assert resume(tmp_path) == (2, [], {"a": {2}, "b": {2}})  # reported once


def test_a_group_without_a_common_checkpoint_starts_anew(tmp_path: Path) -> None:
    save(tmp_path, {"a": (2, 4), "b": (2, 4)})
    truncate(tmp_path / "b/checkpoints/4/state/manifest.ocdbt")
    truncate(tmp_path / "a/checkpoints/2/state/manifest.ocdbt")
    step, warnings, left = resume(tmp_path)
    assert (step, left) == (0, {"a": set(), "b": set()})
    assert len(warnings) == 3 and "a, b: " in warnings[2] and "start anew" in warnings[2]
    assert {path.name for path in tmp_path.glob("*/damaged_checkpoints/*")} == {"2", "4"}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB, where the permission to mount one is given."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting is not permitted")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_is_full_or_read_only(disk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    large = {"array": np.zeros(6_000_000, np.uint8)}
    save(disk, {"a": (2, 4)})
    with FoldCheckpoints(disk / "a", "run") as store:
        with pytest.raises(UserError, match=r"checkpoints: cannot be written \(No space left.*; free some space, "):
            store.save(state_at(6).replace(d_stats=large), PROGRESS)
        store.save(state_at(6), {"fold": "a", "step": 6})  # the failed save left no files
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(UserError, match=r"Read-only file system\); make it writable"):
            store.save(state_at(8), PROGRESS)
        with pytest.raises(UserError, match="Read-only file system"):
            store.move_to_damaged(6)
        for step in (2, 4, 6):
            assert_equal_states(store.restore(step, state_at(0))[0], state_at(step))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("number", [errno.EDQUOT, errno.EACCES])
def test_an_error_at_the_last_moment_of_a_save(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Network drives report a full disk or quota only when a file is flushed: the manifest is missing then."""

    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    save(tmp_path, {"a": (2,), "b": (2, 4)})
    with FoldCheckpoints(tmp_path / "a", "run") as store, monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(UserError, match=f"{os.strerror(number)}.; "):
            store.save(state_at(4), PROGRESS)
    step, (warning,), _ = resume(tmp_path)
    assert step == 2 and "the checkpoint of step 4 is damaged: it was not completely saved" in warning
