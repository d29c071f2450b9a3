"""Atomic files and checksums."""

import contextlib
import errno
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from icegan_jax import io
from icegan_jax.errors import UserError
from icegan_jax.io import (
    checksum_of,
    read_json,
    read_json_with_checksum,
    sha256_of,
    temporary_files,
    write_arrays,
    write_json,
    write_json_with_checksum,
    write_text,
)


@contextlib.contextmanager
def file_size_limit(size):
    """Limit the size of files of this process: a write then fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    write_json(path, {"old": 1})

    def fail(source, target):
        raise OSError("disk gone")

    monkeypatch.setattr(io.os, "replace", fail)
    with pytest.raises(OSError, match="disk gone"):
        write_json(path, {"new": 2})
    assert read_json(path) == {"old": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


NOISE = np.random.default_rng(0).integers(256, size=10**6, dtype=np.uint8)
WRITERS = {
    "text": lambda path: write_text(path, "x" * 10**6),
    "json": lambda path: write_json_with_checksum(path, {"x": "x" * 10**6}),
    "arrays": lambda path: write_arrays(path, a=NOISE, b=np.arange(3)),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_write_without_space_leaves_the_old_file_and_names_it(tmp_path, kind):
    path = tmp_path / "sub" / "file"
    write_text(path, "old")
    with file_size_limit(70000), pytest.raises(OSError) as caught:
        WRITERS[kind](path)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
    assert str(path) in str(caught.value) and ".tmp" not in str(caught.value)
    assert path.read_text() == "old"
    assert [file.name for file in path.parent.iterdir()] == ["file"]
    WRITERS[kind](path)
    assert path.stat().st_size > 70000


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_every_step_of_a_write_may_fail(tmp_path, monkeypatch, step):
    path = tmp_path / "file"
    write_text(path, "old")

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "something", None, "else")

    monkeypatch.setattr(io.os, step, fail)
    with pytest.raises(OSError, match=f"No space left on device: '{path}'$"):
        write_text(path, "new")
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError) as caught:
        write_text(tmp_path / "file" / "x", "new")
    assert (caught.value.filename, caught.value.strerror) == (str(tmp_path / "file"), "is not a folder")


def test_the_bytes_are_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    path = tmp_path / "file"
    done = []
    fsync, replace = os.fsync, os.replace

    def syncing(descriptor):
        done.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        done.append(path.exists())
        fsync(descriptor)

    monkeypatch.setattr(io.os, "fsync", syncing)
    monkeypatch.setattr(io.os, "replace", lambda *names: (done.append("replace"), replace(*names)))
    write_text(path, "new")
    temporary, *rest = done
    assert temporary.startswith(str(tmp_path / ".file.")) and temporary.endswith(".tmp")
    assert rest == [False, "replace", str(tmp_path), True]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_without_fsync_is_accepted(tmp_path, monkeypatch, number):
    def fail(descriptor):
        raise OSError(number, "not here")

    monkeypatch.setattr(io.os, "fsync", fail)
    write_text(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new"


def test_a_killed_writer_leaves_a_complete_file(tmp_path):
    """SIGKILL at a random time of continuous writing; only temporary files remain next to the file."""
    path = tmp_path / "result.json"
    code = (
        "import sys, itertools, pathlib; from icegan_jax.io import write_json_with_checksum\n"
        "for n in itertools.count(): write_json_with_checksum(pathlib.Path(sys.argv[1]), {'n': n, 'x': 'x' * 10**6})"
    )
    rng = np.random.default_rng(0)
    for _ in range(3):
        path.unlink(missing_ok=True)
        writer = subprocess.Popen([sys.executable, "-c", code, str(path)])
        while not path.exists():
            assert writer.poll() is None
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.1))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        assert len(read_json_with_checksum(path)["x"]) == 10**6
        for left in temporary_files(path):
            left.unlink()
        assert list(tmp_path.iterdir()) == [path]


def test_temporary_files_are_those_of_one_file(tmp_path):
    for name in (".a[1].json.12.tmp", ".a1.json.12.tmp", "a[1].json", ".a[1].json"):
        (tmp_path / name).write_text("")
    assert [path.name for path in temporary_files(tmp_path / "a[1].json")] == [".a[1].json.12.tmp"]


@pytest.mark.parametrize(
    "text,message",
    [
        ("{\n  oops", ":2: not JSON"),
        ("[1]", "expected a JSON object, found list"),
        ("", ":1: not JSON"),
        ("[" * 100000, "not JSON .RecursionError"),
        ('{"a": ' + "9" * 5000 + "}", "not JSON .ValueError"),
    ],
)
def test_damaged_json_is_named(tmp_path, text, message):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(UserError, match=f"{path}.*{message}|{path}{message}"):
        read_json(path)


def test_json_has_no_nan(tmp_path):
    for write in (write_json, write_json_with_checksum):
        with pytest.raises(ValueError):
            write(tmp_path / "x.json", {"loss": float("nan")})
    assert not list(tmp_path.iterdir())


def test_the_checksum_is_sha256_of_the_sorted_content(tmp_path):
    content = {"b": [1, 2.5, None], "a": {"ü": True}}
    written = r'{"a":{"\u00fc":true},"b":[1,2.5,null]}'
    assert checksum_of(content) == hashlib.sha256(written.encode()).hexdigest()
    write_json_with_checksum(tmp_path / "x", content)
    assert read_json_with_checksum(tmp_path / "x") == content
    stored = json.loads((tmp_path / "x").read_text())
    assert stored == {**content, "checksum": checksum_of(content)}
    (tmp_path / "x").write_text(json.dumps(dict(reversed(stored.items())), ensure_ascii=False), encoding="utf-8")
    assert read_json_with_checksum(tmp_path / "x") == content, "another order and other spaces are no damage"


def test_the_checksum_is_of_the_content_as_json_gives_it_back(tmp_path):
    write_json_with_checksum(
        tmp_path / "x", {"steps": {10: "a", 9: "b"}, "people": (("a", "1"),), "checksum": "an earlier one"}
    )
    actual = read_json_with_checksum(tmp_path / "x")
    assert actual == {"steps": {"10": "a", "9": "b"}, "people": [["a", "1"]]}


@pytest.mark.parametrize(
    "change,message",
    [
        (lambda text: text.replace("1.5", "1.4"), "the checksum does not match: damaged, or changed by hand"),
        (lambda text: text.replace("1.5", "NaN"), "the checksum does not match"),
        (lambda text: text.replace("loss", "lost"), "the checksum does not match"),
        (lambda text: text.replace('"checksum": "', '"checksum": "0'), "the checksum does not match"),
        (lambda text: text.replace("checksum", "sealed"), "has no checksum: damaged, or of an older version"),
        (lambda text: text[:-3], "not JSON"),
    ],
)
def test_a_change_does_not_match_the_checksum(tmp_path, change, message):
    path = tmp_path / "x.json"
    write_json_with_checksum(path, {"loss": 1.5})
    path.write_text(change(path.read_text()))
    with pytest.raises(UserError, match=f"{path}:.*{message}"):
        read_json_with_checksum(path)


def test_arrays_come_back_and_are_the_same_bytes_each_time(tmp_path, monkeypatch):
    arrays = {"face": NOISE[:3000].reshape(10, 20, 15), "clip": np.array(["a", "ü"]), "label": np.arange(2)}
    write_arrays(tmp_path / "a.npz", **arrays)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    write_arrays(tmp_path / "b.npz", **arrays)
    assert sha256_of(tmp_path / "a.npz") == sha256_of(tmp_path / "b.npz")
    with np.load(tmp_path / "a.npz") as actual:
        assert set(actual) == set(arrays)
        for name, values in arrays.items():
            np.testing.assert_array_equal(actual[name], values)
