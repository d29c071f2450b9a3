"""The lock on a run directory, between real processes."""

import errno
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from icegan_jax import locks
from icegan_jax.errors import UserError
from icegan_jax.locks import process_identity, run_lock

ROOT = Path(__file__).parents[1]
BEGIN = (
    "import os, sys, time; from pathlib import Path; from icegan_jax.locks import run_lock; run = Path(sys.argv[1]); "
)
HOLD = (
    BEGIN
    + "context = run_lock(run, run / 'lock'); context.__enter__(); {}; print('held', flush=True); sys.stdin.read()"
)
ALONE = "pass"
# A child that shares the parent's open files, as multiprocessing and subprocess make them.
FORKED = "child = os.fork(); child or time.sleep(600); print(child, end=' ')"
STARTED = "import subprocess; print(subprocess.Popen(['sleep', '600'], close_fds=False).pid, end=' ')"
RACE = (
    BEGIN
    + """
print("ready", flush=True)
sys.stdin.read()
try:
    with run_lock(run, run / "processes" / "lock"):
        print("held", flush=True)
        time.sleep(600)
except Exception as error:
    print(error, flush=True)
"""
)


def start(script: str, run_dir: Path) -> "subprocess.Popen[str]":
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", script, str(run_dir)], cwd=ROOT, stdin=pipe, stdout=pipe, text=True
    )


def hold_lock(run_dir: Path, child: str = ALONE) -> "tuple[subprocess.Popen[str], list[str]]":
    """Start a process that holds the lock; return the process and its output."""
    process = start(HOLD.format(child), run_dir)
    assert process.stdout
    return process, process.stdout.readline().split()


def refusal(run_dir: Path) -> str:
    with pytest.raises(UserError) as caught, run_lock(run_dir, run_dir / "lock"):
        pass
    return str(caught.value)


@pytest.mark.parametrize("child", [ALONE, FORKED, STARTED], ids=["alone", "forked child", "started child"])
def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path: Path, child: str) -> None:
    process, output = hold_lock(tmp_path, child)
    with process:
        began = time.monotonic()
        message = refusal(tmp_path)
        assert time.monotonic() - began < locks._LOCK_WAIT_S / 2
        who = rf"process 0 on {re.escape(socket.gethostname())}, pid {process.pid}, since \d\d:\d\d"
        assert re.fullmatch(rf"{tmp_path}: a run is active there \({who}\); .*choose another --workdir", message)
        process.kill()
        process.wait()
        try:
            with run_lock(tmp_path, tmp_path / "lock"):
                for number in output[:-1]:
                    os.kill(int(number), 0)  # the child is still there
        finally:
            for number in output[:-1]:
                os.kill(int(number), signal.SIGKILL)
    assert output[-1] == "held" and len(output) == (1 if child == ALONE else 2)


def test_of_many_simultaneous_starts_one_gets_the_lock(tmp_path: Path) -> None:
    processes = [start(RACE, tmp_path / "new" / "run") for _ in range(6)]
    for process in processes:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.close()
    output = [process.stdout.readline() for process in processes if process.stdout]
    for process in processes:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()
    assert output.count("held\n") == 1
    (winner,) = (process.pid for process, words in zip(processes, output, strict=True) if words == "held\n")
    assert all(f"pid {winner}, since" in words for words in output if words != "held\n"), output


def test_runs_one_after_another_in_one_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    for _ in range(2):
        with pytest.raises(KeyError), run_lock(tmp_path, path):
            content = json.loads(path.read_text())
            assert (
                content.items() >= process_identity().items() and content["command"] and content["since"] <= time.time()
            )
            assert f"pid {os.getpid()}" in refusal(tmp_path)
            raise KeyError
        assert path.read_text() == ""
    assert not locks._held_locks


@pytest.fixture
def foreign(tmp_path: Path) -> Any:
    """The lock, held by a process that has not written its description."""
    descriptor = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("stale", [False, True], ids=["nothing there", "an ended process there"])
def test_a_holder_that_is_just_starting(tmp_path: Path, foreign: int, stale: bool) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    left = json.dumps({**process_identity(), "pid": ended.pid}) if stale else ""
    os.pwrite(foreign, left.encode(), 0)
    now = json.dumps({"host": "node7", "pid": 4711, "since": time.time()}).ljust(len(left))
    writing = threading.Timer(0.2, os.pwrite, (foreign, now.encode(), 0))
    writing.start()
    assert "(process 0 on node7, pid 4711, since " in refusal(tmp_path)
    writing.join()


def test_a_holder_without_description(tmp_path: Path, foreign: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_LOCK_WAIT_S", 0.1)
    assert "a run is active there (its process is unknown)" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("since", "words"),
    [
        (time.mktime((2026, 11, 1, 9, 5, 0, 0, 0, -1)), "pid 4711, since 2026-11-01 09:05)"),
        ("soon", "pid 4711)"),
        (1e300, "pid 4711)"),
    ],
)
def test_the_start_time_of_the_holder(tmp_path: Path, foreign: int, since: object, words: str) -> None:
    os.pwrite(foreign, json.dumps({"host": "node7", "pid": 4711, "since": since}).encode(), 0)
    assert words in refusal(tmp_path)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with run_lock(tmp_path, tmp_path / "lock"), run_lock(tmp_path, tmp_path / "lock"):
        assert (tmp_path / "lock").read_text() == ""


@pytest.mark.parametrize(
    ("module", "name", "number", "words"),
    [
        (os, "open", errno.EROFS, "Read-only file system); make it writable, or"),
        (os, "open", errno.EACCES, "Permission denied); make it writable, or"),
        (os, "pwrite", errno.ENOSPC, "No space left on device); free some space, or"),
        (fcntl, "flock", errno.EIO, "Input/output error); "),
    ],
)
def test_a_folder_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, number: int, words: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as full:
        full.setattr(module, name, refuse)
        message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path}: cannot be written ({words}") and "choose another --workdir" in message
    with run_lock(tmp_path, tmp_path / "lock"):  # nothing is held by the failed one
        pass


def test_a_run_directory_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    message = refusal(tmp_path / "file" / "run")
    assert message == f"{tmp_path}/file/run: cannot be written (Not a directory); choose another --workdir"
