"""What is concluded from signs of life, checked on real processes."""

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
SAY = (
    "import json, sys; from icegan_jax.locks import process_identity; "
    "print(json.dumps(process_identity()), flush=True); "
)
AGES = 10.0**9  # seconds


class Process:
    """A process that said who it is, then waits."""

    def __init__(self) -> None:
        self.began_s = uptime_s()
        self.popen = subprocess.Popen(
            [sys.executable, "-c", SAY + "sys.stdin.read()"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.popen.stdout
        self.sign: dict[str, Any] = json.loads(self.popen.stdout.readline())

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


def test_a_process_says_who_it_is(process: Process) -> None:
    sign = process.sign
    assert (sign["host"], sign["pid"]) == (socket.gethostname(), process.popen.pid)
    assert sign["pid_space"] == process_identity()["pid_space"]
    assert abs(sign["start_ticks"] / os.sysconf("SC_CLK_TCK") - process.began_s) < 10


def test_a_killed_process_is_dead_and_a_living_one_is_not(process: Process) -> None:
    assert not has_ended(process.sign) and not has_ended(process_identity())
    process.popen.kill()
    os.waitid(os.P_PID, process.popen.pid, os.WEXITED | os.WNOWAIT)  # it has ended; nobody has noticed yet
    assert has_ended(process.sign)
    process.end()
    assert has_ended(process.sign)


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
def test_nothing_is_certain_about_others(process: Process, other: dict[str, Any]) -> None:
    process.end()
    assert has_ended(process.sign)
    assert not has_ended(process.sign | other)


def test_a_pid_that_was_given_out_again() -> None:
    assert has_ended(process_identity() | {"start_ticks": process_identity()["start_ticks"] - 1})


def test_a_name_with_brackets(tmp_path: Path) -> None:
    """The second field of /proc/PID/stat is what the program calls itself."""
    program = tmp_path / "a) Z 1 (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "100"]) as sleeping:
        deadline = time.monotonic() + 20
        while ") Z 1 (" not in Path(f"/proc/{sleeping.pid}/stat").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        found = locks._stat(sleeping.pid)
        sleeping.kill()
    assert found and found.state != "Z" and abs(found.start_ticks / os.sysconf("SC_CLK_TCK") - uptime_s()) < 10


@pytest.mark.parametrize("self_link", [None, "1234567890"], ids=["no /proc", "/proc of another namespace"])
def test_without_proc_nothing_is_certain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, process: Process, self_link: str | None
) -> None:
    monkeypatch.setattr(locks, "_PROC", tmp_path)
    if self_link:
        (tmp_path / "self").symlink_to(self_link)
    assert process_identity().keys() == {"host", "pid"}
    process.end()
    assert not has_ended(process.sign)


def leave(path: Path, **content: Any) -> None:
    path.write_text(json.dumps({"state": RUNNING, "note": "1", **content}))


def test_a_dead_process_is_lost_at_once(tmp_path: Path, process: Process) -> None:
    path = tmp_path / "0.json"
    leave(path, **process.sign)
    monitor = ProcessMonitor(path, AGES)
    assert monitor.poll() == RUNNING
    process.end()
    assert monitor.poll() == LOST
    assert not monitor.changed


def test_the_last_word_of_a_dead_process_counts(
    tmp_path: Path, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that it has finished and ends, just when it is looked at."""
    path = tmp_path / "0.json"
    leave(path, **process.sign)
    monitor = ProcessMonitor(path, AGES)

    def end(content: dict[str, Any]) -> bool:
        leave(path, **process.sign, state=FINISHED)
        process.end()
        return has_ended(content)

    monkeypatch.setattr(locks, "has_ended", end)
    assert monitor.poll() == FINISHED


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", "[" * 9999, '{"state": 7, "note": null}', '{"state": ["x"]}'], ids=len
)
def test_a_damaged_sign_is_that_of_a_running_process(tmp_path: Path, text: str) -> None:
    path = tmp_path / "0.json"
    path.write_text(text)
    assert ProcessMonitor(path, AGES).poll() == RUNNING
