import errno
import os
from pathlib import Path

import pytest

from icegan_jax.data.dataset import SUMMARY_FILE
from icegan_jax.errors import UserError
from icegan_jax.io import CACHE_DIR, atomic_dir, check_output_dir


def _write(out: Path, text: str) -> None:
    with atomic_dir(out, SUMMARY_FILE, "prepare") as staging:
        (staging / SUMMARY_FILE).write_text(text)


def _names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_the_folder_is_complete_and_replaces_the_earlier_one(tmp_path: Path) -> None:
    out = tmp_path / "new" / "data"
    _write(out, "1")
    (out / "extra.txt").touch()
    _write(out, "2")
    assert [p.name for p in out.iterdir()] == [SUMMARY_FILE]
    assert (out / SUMMARY_FILE).read_text() == "2"
    assert [p.name for p in out.parent.iterdir()] == ["data"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_run_leaves_the_earlier_folder_and_the_cache(tmp_path: Path, error: type[BaseException]) -> None:
    out = tmp_path / "data"
    _write(out, "1")
    for kept in (False, True):
        with pytest.raises(error), atomic_dir(out, SUMMARY_FILE, "prepare") as staging:
            (staging / "half").touch()
            (staging / "folder").mkdir()
            if kept:
                (staging / CACHE_DIR).mkdir()
                (staging / CACHE_DIR / "clip").write_text("done")
            raise error
        assert _names(tmp_path) == ([".data.partial", "data"] if kept else ["data"])
        assert (out / SUMMARY_FILE).read_text() == "1"
    assert _names(tmp_path / ".data.partial") == [CACHE_DIR]
    with atomic_dir(out, SUMMARY_FILE, "prepare") as staging:
        assert _names(staging) == [CACHE_DIR] and (staging / CACHE_DIR / "clip").read_text() == "done"
        (staging / SUMMARY_FILE).touch()
    assert _names(tmp_path) == ["data"]
    assert _names(out) == [CACHE_DIR, SUMMARY_FILE]


def test_files_of_killed_processes_are_used_or_removed(tmp_path: Path) -> None:
    out = tmp_path / "data"
    _write(out, "1")
    staging = tmp_path / ".data.partial"
    (staging / CACHE_DIR).mkdir(parents=True)
    (staging / SUMMARY_FILE).write_text("not yet")
    (tmp_path / ".data.lock").write_text("process 1 on elsewhere")
    out.rename(tmp_path / ".data.replaced")  # killed between the two steps of the swap
    with pytest.raises(RuntimeError), atomic_dir(out, SUMMARY_FILE, "prepare") as staging:
        assert (out / SUMMARY_FILE).read_text() == "1"
        assert _names(staging) == []
        raise RuntimeError
    assert _names(tmp_path) == ["data"]
    (tmp_path / ".data.replaced").mkdir()  # killed while it removed the earlier one
    (tmp_path / ".data.replaced" / "rest").touch()
    _write(out, "2")
    assert _names(tmp_path) == ["data"] and (out / SUMMARY_FILE).read_text() == "2"


def test_one_process_at_a_time(tmp_path: Path) -> None:
    out = tmp_path / "data"
    with atomic_dir(out, SUMMARY_FILE, "prepare") as staging:
        (staging / SUMMARY_FILE).write_text("first")
        with pytest.raises(UserError, match=f"data: is being written by process {os.getpid()} on .*; wait for it"):
            _write(out, "second")
        _write(tmp_path / "other", "another folder")
    assert (out / SUMMARY_FILE).read_text() == "first"
    _write(out, "third")
    assert _names(tmp_path) == ["data", "other"]


def test_a_file_system_without_locks_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(file: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", unsupported)
    _write(tmp_path / "data", "1")
    assert _names(tmp_path) == ["data"]


def test_a_failed_swap_leaves_the_earlier_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "data"
    _write(out, "1")
    rename = Path.rename

    def fails(self: Path, target: Path) -> Path:
        if self.suffix == ".partial":
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(UserError, match=r"data: cannot be written \(Input/output error\); choose another --out"):
        _write(out, "2")
    assert _names(tmp_path) == ["data"] and (out / SUMMARY_FILE).read_text() == "1"


def test_refuses_other_folders_and_files(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    for refused in (_write, lambda out, _: check_output_dir(out, SUMMARY_FILE, "prepare")):
        with pytest.raises(UserError, match="other files in it, which prepare will not replace"):
            refused(tmp_path, "1")
        with pytest.raises(UserError, match=r"photo\.jpg: is a file"):
            refused(tmp_path / "photo.jpg", "1")
    with pytest.raises(UserError, match=r"data: cannot be written \(Not a directory|File exists"):
        _write(tmp_path / "photo.jpg" / "deeper" / "data", "1")
    assert _names(tmp_path) == ["photo.jpg"]
    (tmp_path / "one").symlink_to(tmp_path / "other")
    (tmp_path / "other").symlink_to(tmp_path / "one")
    with pytest.raises(UserError, match="choose another --out"):
        _write(tmp_path / "one", "1")


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path, *args: object) -> int:
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(UserError, match=rf"data: cannot be written \({os.strerror(code)} at .*; choose another --out"):
        _write(tmp_path / "data", "1")
