"""Atomic files and folders, and checksums."""

import errno
import hashlib
import json
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from icegan_jax import io
from icegan_jax.errors import UserError
from icegan_jax.io import (
    CACHE_DIR,
    atomic_dir,
    check_output_dir,
    checksum_of,
    read_json,
    read_json_with_checksum,
    sha256_of,
    write_arrays,
    write_json,
    write_json_with_checksum,
    write_text,
)

MARKER = "prepared.json"
NOISE = np.random.default_rng(0).integers(256, size=10**6, dtype=np.uint8)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "write", [lambda path: write_text(path, "x" * 10**6), lambda path: write_arrays(path, a=NOISE)]
)
def test_a_write_without_space_leaves_the_old_file_and_names_it(tmp_path: Path, write: Callable[[Path], None]) -> None:
    path = tmp_path / "sub" / "file"
    write_text(path, "old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (70000, before[1]))  # a write then fails as on a full disk
    try:
        with pytest.raises(OSError) as caught:
            write(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
    assert path.read_text() == "old" and names(path.parent) == ["file"]
    write(path)
    assert path.stat().st_size > 70000


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_every_step_of_a_write_may_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "something", None, "else")

    path = tmp_path / "file"
    write_text(path, "old")
    monkeypatch.setattr(io.os, step, fail)
    with pytest.raises(OSError, match=f"No space left on device: '{path}'$"):
        write_text(path, "new")
    assert path.read_text() == "old" and names(tmp_path) == ["file"]


def test_the_bytes_are_on_the_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []
    fsync, replace = os.fsync, os.replace

    def syncing(descriptor: int) -> None:
        done.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(io.os, "fsync", syncing)
    monkeypatch.setattr(io.os, "replace", lambda *paths: (done.append("replace"), replace(*paths)))
    (tmp_path / ".file.tmp").write_text("left by a killed process")
    write_text(tmp_path / "file", "new")
    assert done == [str(tmp_path / ".file.tmp"), "replace", str(tmp_path)]
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{\n  oops", ":2: not JSON"),
        ("[1]", ": expected a JSON object, found list"),
        ("", ":1: not JSON"),
        ("[" * 100000, ": not JSON .RecursionError"),
    ],
)
def test_damaged_json_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(UserError, match=f"{path}{message}"):
        read_json(path)


def test_json_has_no_nan(tmp_path: Path) -> None:
    for write in (write_json, write_json_with_checksum):
        with pytest.raises(ValueError):
            write(tmp_path / "x.json", {"loss": float("nan")})
    assert not names(tmp_path)


def test_the_checksum_is_sha256_of_the_sorted_content(tmp_path: Path) -> None:
    content = {"b": [1, 2.5, None], "a": {"ü": True}}
    written = r'{"a":{"\u00fc":true},"b":[1,2.5,null]}'
    assert checksum_of(content) == hashlib.sha256(written.encode()).hexdigest()
    write_json_with_checksum(tmp_path / "x", content | {"checksum": "an earlier one"})
    stored = json.loads((tmp_path / "x").read_text())
    assert stored == {**content, "checksum": checksum_of(content)}
    (tmp_path / "x").write_text(json.dumps(dict(reversed(stored.items())), ensure_ascii=False), encoding="utf-8")
    assert read_json_with_checksum(tmp_path / "x") == content, "another order and other spaces are no damage"
    write_json_with_checksum(tmp_path / "x", {"steps": {10: "a", 9: "b"}, "people": (("a", "1"),)})
    assert read_json_with_checksum(tmp_path / "x") == {"steps": {"10": "a", "9": "b"}, "people": [["a", "1"]]}


@pytest.mark.parametrize(("old", "new"), [("1.5", "1.4"), ("1.5", "NaN"), ("loss", "lost"), ("checksum", "sum")])
def test_a_change_does_not_match_the_checksum(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "x.json"
    write_json_with_checksum(path, {"loss": 1.5})
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(UserError, match=f"{path}: the checksum does not match"):
        read_json_with_checksum(path)


def test_equal_arrays_give_equal_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = {"face": NOISE[:3000].reshape(10, 20, 15), "clip": np.array(["a", "ü"]), "label": np.arange(2)}
    write_arrays(tmp_path / "a.npz", **arrays)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    write_arrays(tmp_path / "b.npz", **arrays)
    assert sha256_of(tmp_path / "a.npz") == sha256_of(tmp_path / "b.npz")
    with np.load(tmp_path / "a.npz") as actual:
        for name, values in arrays.items():
            np.testing.assert_array_equal(actual[name], values)


def write_dir(out: Path, text: str) -> None:
    with atomic_dir(out, MARKER, "prepare") as staging:
        (staging / MARKER).write_text(text)


def test_a_folder_is_complete_and_replaces_the_earlier_one(tmp_path: Path) -> None:
    out = tmp_path / "new" / "data"
    write_dir(out, "1")
    (out / "extra.txt").touch()
    write_dir(out, "2")
    assert names(out) == [MARKER] and (out / MARKER).read_text() == "2"
    assert names(out.parent) == ["data"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_leaves_the_earlier_folder_and_the_cache(tmp_path: Path, error: type[BaseException]) -> None:
    out = tmp_path / "data"
    write_dir(out, "1")
    with pytest.raises(error), atomic_dir(out, MARKER, "prepare") as staging:
        (staging / "folder").mkdir()
        (staging / CACHE_DIR).mkdir()
        (staging / CACHE_DIR / "clip").write_text("done")
        raise error
    assert names(tmp_path) == [".data.partial", "data"] and (out / MARKER).read_text() == "1"
    assert names(tmp_path / ".data.partial") == [CACHE_DIR]
    with atomic_dir(out, MARKER, "prepare") as staging:
        assert names(staging) == [CACHE_DIR] and (staging / CACHE_DIR / "clip").read_text() == "done"
        (staging / MARKER).touch()
    assert names(tmp_path) == ["data"] and names(out) == [CACHE_DIR, MARKER]


def test_files_of_killed_processes_are_used_or_removed(tmp_path: Path) -> None:
    out = tmp_path / "data"
    write_dir(out, "1")
    (tmp_path / ".data.partial").mkdir()
    (tmp_path / ".data.partial" / MARKER).write_text("not yet")
    (tmp_path / ".data.lock").touch()
    out.rename(tmp_path / ".data.replaced")  # killed between the two renames
    with pytest.raises(RuntimeError), atomic_dir(out, MARKER, "prepare") as staging:
        assert (out / MARKER).read_text() == "1" and not names(staging)
        raise RuntimeError
    assert names(tmp_path) == ["data"]
    (tmp_path / ".data.replaced").mkdir()  # killed while it removed the earlier one
    write_dir(out, "2")
    assert names(tmp_path) == ["data"] and (out / MARKER).read_text() == "2"


def test_one_process_at_a_time_writes_a_folder(tmp_path: Path) -> None:
    with atomic_dir(tmp_path / "data", MARKER, "prepare") as staging:
        (staging / MARKER).write_text("first")
        with pytest.raises(UserError, match="data: .*another process.*; wait"):
            write_dir(tmp_path / "data", "second")
        write_dir(tmp_path / "other", "another folder")
    assert (tmp_path / "data" / MARKER).read_text() == "first"
    write_dir(tmp_path / "data", "third")
    assert names(tmp_path) == ["data", "other"]


def test_a_failed_rename_leaves_the_earlier_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "data"
    write_dir(out, "1")
    rename = Path.rename

    def fails(self: Path, target: Path) -> Path:
        if self.suffix == ".partial":
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(UserError, match=r"data: Input/output error; check the disk, or choose another --out"):
        write_dir(out, "2")
    assert names(tmp_path) == ["data"] and (out / MARKER).read_text() == "1"


def test_other_folders_and_files_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    for refused in (write_dir, lambda out, _: check_output_dir(out, MARKER, "prepare")):
        with pytest.raises(UserError, match="other files in it, which prepare will not replace"):
            refused(tmp_path, "1")
        with pytest.raises(UserError, match=r"photo\.jpg: is a file"):
            refused(tmp_path / "photo.jpg", "1")
    with pytest.raises(UserError, match=r"photo.jpg.*; move it away, or choose another --out"):
        write_dir(tmp_path / "photo.jpg" / "deeper" / "data", "1")
    assert names(tmp_path) == ["photo.jpg"]
