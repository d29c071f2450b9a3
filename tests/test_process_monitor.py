"""Status files and the detection of processes that have ended, on real processes."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from icegan_jax import locks
from icegan_jax.locks import FINISHED, LOST, RUNNING, ProcessMonitor, has_ended, process_identity

ROOT = Path(__file__).parents[1]
PRINT_IDENTITY = (
    "import json, sys; from icegan_jax.locks import process_identity; "
    "print(json.dumps(process_identity()), flush=True); "
)
NEVER_S = 10.0**9


class Process:
    """A process that prints its identity, then waits."""

    def __init__(self) -> None:
        self.start_s = uptime_s()
        self.popen = subprocess.Popen(
            [sys.executable, "-c", PRINT_IDENTITY + "sys.stdin.read()"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.popen.stdout
        self.identity: dict[str, Any] = json.loads(self.popen.stdout.readline())

    def end(self) -> None:
        self.popen.kill()
        self.popen.communicate()


def uptime_s() -> float:
    return float(Path("/proc/uptime").read_text().split()[0])


@pytest.fixture
def process() -> Iterator[Process]:
    began = Process()
    yield began
    began.end()


def test_the_identity_of_a_process(process: Process) -> None:
    identity = process.identity
    assert (identity["host"], identity["pid"]) == (socket.gethostname(), process.popen.pid)
    assert identity["pid_space"] == process_identity()["pid_space"]
    assert abs(identity["start_ticks"] / os.sysconf("SC_CLK_TCK") - process.start_s) < 10


def test_a_killed_process_is_dead_and_a_living_one_is_not(process: Process) -> None:
    assert not has_ended(process.identity) and not has_ended(process_identity())
    process.popen.kill()
    os.waitid(
        os.P_PID, process.popen.pid, os.WEXITED | os.WNOWAIT
    )  # it has ended, and its parent has not waited for it
    assert has_ended(process.identity)
    process.end()
    assert has_ended(process.identity)


@pytest.mark.parametrize(
    "other",
    [
        {"host": "node7"},
        {"pid_space": "another start of the machine pid:[4026531836]"},
        {"pid_space": ""},
        {"pid": 0},
        {"pid": -1},
        {"pid": 2**70},
        {"pid": "4711"},
        {"pid": None},
    ],
    ids=str,
)
def test_other_processes_are_not_known_to_have_ended(process: Process, other: dict[str, Any]) -> None:
    process.end()
    assert has_ended(process.identity)
    assert not has_ended(process.identity | other)


def test_a_pid_that_was_used_again() -> None:
    assert has_ended(process_identity() | {"start_ticks": process_identity()["start_ticks"] - 1})


def test_a_name_with_parentheses(tmp_path: Path) -> None:
    """The second field of /proc/PID/stat is the name of the program."""
    program = tmp_path / "a) Z 1 (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "100"]) as sleeping:
        deadline = time.monotonic() + 20
        while ") Z 1 (" not in Path(f"/proc/{sleeping.pid}/stat").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        actual = locks._stat(sleeping.pid)
        sleeping.kill()
    assert actual and actual.state != "Z" and abs(actual.start_ticks / os.sysconf("SC_CLK_TCK") - uptime_s()) < 10


@pytest.mark.parametrize("self_link", [None, "1234567890"], ids=["no /proc", "/proc of another namespace"])
def test_without_proc_no_process_is_known_to_have_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, process: Process, self_link: str | None
) -> None:
    monkeypatch.setattr(locks, "_PROC", tmp_path)
    if self_link:
        (tmp_path / "self").symlink_to(self_link)
    assert process_identity().keys() == {"host", "pid"}
    process.end()
    assert not has_ended(process.identity)


def write_status(path: Path, **content: Any) -> None:
    path.write_text(json.dumps({"state": RUNNING, "note": "1", **content}))


def test_a_dead_process_is_lost_immediately(tmp_path: Path, process: Process) -> None:
    path = tmp_path / "0.json"
    write_status(path, **process.identity)
    monitor = ProcessMonitor(path, NEVER_S)
    assert monitor.poll() == RUNNING
    process.end()
    assert monitor.poll() == LOST
    assert not monitor.changed


def test_the_final_status_of_an_ended_process_counts(
    tmp_path: Path, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process writes that it has finished, and ends, while its status is read."""
    path = tmp_path / "0.json"
    write_status(path, **process.identity)
    monitor = ProcessMonitor(path, NEVER_S)

    def end(content: dict[str, Any]) -> bool:
        write_status(path, **process.identity, state=FINISHED)
        process.end()
        return has_ended(content)

    monkeypatch.setattr(locks, "has_ended", end)
    assert monitor.poll() == FINISHED


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "[" * 9999, '{"state": 7, "note": null}', '{"state": ["x"]}'], ids=len
)
def test_a_damaged_status_counts_as_running(tmp_path: Path, text: str) -> None:
    path = tmp_path / "0.json"
    path.write_text(text)
    assert ProcessMonitor(path, NEVER_S).poll() == RUNNING
