"""Coordination of processes in the run directory: assignment, lost processes, and one run at a time."""

import errno
import fcntl
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from icegan_jax import locks as locks_module
from icegan_jax.errors import UserError
from icegan_jax.locks import process_identity
from icegan_jax.training import distributed
from icegan_jax.training.distributed import Coordination, Processes, acquire_run_dir

FIRST, SECOND = Processes(0, 2), Processes(1, 2)
LONG = 60.0  # seconds; longer than any test
SHORT = 0.5


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "_STATUS_PERIOD_S", 0.02)
    monkeypatch.setattr(locks_module, "POLL_S", 0.01)
    monkeypatch.setattr(distributed, "_EARLIER_RUN_LOST_S", SHORT)


def status_file(run_dir: Path, index: int) -> Path:
    return run_dir / "processes" / f"{index}.json"


AWAY = {"host": "away", "pid": 4711}


def write_status(
    run_dir: Path, index: int, state: str = "running", note: str = "1", identity: dict[str, Any] = AWAY
) -> None:
    """Write the status file of a process that does not run."""
    status_file(run_dir, index).parent.mkdir(parents=True, exist_ok=True)
    status_file(run_dir, index).write_text(json.dumps({"state": state, "note": note, **identity}))


def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)


def state_of(run_dir: Path, index: int) -> Any:
    return json.loads(status_file(run_dir, index).read_text())["state"]


def wait_until(holds: Callable[[], bool]) -> None:
    stop = time.monotonic() + LONG
    while not holds():
        assert time.monotonic() < stop
        time.sleep(0.01)


def test_process_0_assigns_folds_and_the_others_wait(tmp_path: Path) -> None:
    received: list[list[str]] = []

    def second() -> None:
        with Coordination(tmp_path, SECOND, LONG) as second:
            received.append(second.wait_for_assignment())

    with acquire_run_dir(tmp_path) as token, Coordination(tmp_path, FIRST, LONG, token) as first:
        other = threading.Thread(target=second)
        other.start()
        wait_until(lambda: status_file(tmp_path, 1).is_file())
        assert not received
        assert first.assign(["a", "b", "c"]) == ["a"]
        other.join(LONG)
    assert received == [["b", "c"]]
    assert (state_of(tmp_path, 0), state_of(tmp_path, 1)) == ("finished", "finished")


def test_the_reason_of_an_error_is_passed_on(tmp_path: Path) -> None:
    with pytest.raises(ValueError), acquire_run_dir(tmp_path) as token, Coordination(tmp_path, FIRST, LONG, token):
        raise ValueError("data/none: no prepared pairs;\n prepare them")
    with Coordination(tmp_path, SECOND, LONG) as second, pytest.raises(UserError) as caught:
        second.wait_for_assignment()
    assert str(caught.value) == "process 0 stopped: data/none: no prepared pairs; prepare them"


def test_a_workdir_that_is_not_shared(tmp_path: Path) -> None:
    with (
        Coordination(tmp_path, SECOND, SHORT) as second,
        pytest.raises(UserError, match="one folder that all processes share"),
    ):
        second.wait_for_assignment()


@pytest.mark.parametrize("locks", [True, False])
def test_an_active_run_is_not_disturbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locks: bool) -> None:
    """It is detected by its lock at once; without locks or on another machine, by its status files."""
    if not locks:
        without_locks(monkeypatch)
    with acquire_run_dir(tmp_path) as token, Coordination(tmp_path, FIRST, LONG, token):
        wait_until(status_file(tmp_path, 0).is_file)
        before = (tmp_path / "processes" / "run.json").read_text()
        name = rf"process 0 on .*, pid {os.getpid()}" + r", since \d\d:\d\d" * locks
        with pytest.raises(UserError, match=rf"a run is active there \({name}\)"), acquire_run_dir(tmp_path):
            pass
        assert (tmp_path / "processes" / "run.json").read_text() == before


def test_a_run_that_ended_leaves_the_folder_to_the_next(tmp_path: Path) -> None:
    for _ in range(2):
        with (
            pytest.raises(KeyError),
            acquire_run_dir(tmp_path),
        ):  # before the coordination, as when a process does not start
            raise KeyError
        with acquire_run_dir(tmp_path) as token, Coordination(tmp_path, FIRST, LONG, token) as first:
            assert first.assign(["a", "b"]) == ["a"]


def test_the_directory_of_a_killed_run_is_taken_over(tmp_path: Path) -> None:
    for index in range(12):
        write_status(tmp_path, index)
    with acquire_run_dir(tmp_path) as token:
        assert {path.name for path in (tmp_path / "processes").iterdir()} == {"lock", "run.json"}
        assert json.loads((tmp_path / "processes" / "run.json").read_text()) == {"token": token, "folds": None}


@pytest.mark.parametrize("state", ["finished", "stopped", "killed"])
def test_a_run_that_ended_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    if state == "killed":  # on this machine, where that is certain
        ended = subprocess.Popen(["true"])
        ended.wait()
        write_status(tmp_path, 0, identity={**process_identity(), "pid": ended.pid})
    else:
        write_status(tmp_path, 0, state)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("waits without need"))
    with acquire_run_dir(tmp_path):
        assert not status_file(tmp_path, 0).exists()


def test_a_running_process_of_a_killed_run(tmp_path: Path) -> None:
    """Of several processes only the first was killed: the lock is free, but folds are still being trained."""
    write_status(tmp_path, 0)
    with Coordination(tmp_path, SECOND, LONG):
        wait_until(status_file(tmp_path, 1).is_file)
        with (
            pytest.raises(UserError, match=rf"active there \(process 1 on .*, pid {os.getpid()}\)"),
            acquire_run_dir(tmp_path),
        ):
            pass


def test_an_assignment_that_cannot_be_written(tmp_path: Path) -> None:
    with acquire_run_dir(tmp_path) as token, Coordination(tmp_path, FIRST, LONG, token) as first:
        (tmp_path / "processes/run.json").unlink()
        (tmp_path / "processes/run.json").mkdir()
        with pytest.raises(UserError) as caught:
            first.assign(["a", "b"])
    assert str(caught.value) == f"{tmp_path}: cannot be written (Is a directory); choose another --workdir"


def test_a_status_that_cannot_be_written_does_not_end_the_training(tmp_path: Path) -> None:
    (tmp_path / "processes/.0.json.tmp").mkdir(parents=True)
    with acquire_run_dir(tmp_path) as token, Coordination(tmp_path, FIRST, LONG, token) as first:
        assert first.assign(["a", "b"]) == ["a"]
    assert not status_file(tmp_path, 0).exists()


@pytest.mark.parametrize("simultaneous", [False, True], ids=["suspended", "started at the same moment"])
def test_a_run_that_was_taken_over_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], simultaneous: bool
) -> None:
    """It was suspended for too long, or, without locks, the other run started a moment later."""
    ended = threading.Event()

    def end(code: int) -> None:
        assert code == 1
        ended.set()

    monkeypatch.setattr(os, "_exit", end)
    without_locks(monkeypatch)
    with acquire_run_dir(tmp_path) as token:
        if simultaneous:
            with acquire_run_dir(tmp_path):
                pass
        with Coordination(tmp_path, FIRST, LONG, token) as first:
            if not simultaneous:
                first.assign(["a"])
                assert not ended.wait(0.1)
                with acquire_run_dir(tmp_path / "elsewhere"):
                    os.replace(tmp_path / "elsewhere/processes/run.json", tmp_path / "processes/run.json")
            assert ended.wait(LONG)
    assert f"error: {tmp_path}: taken over by a later run" in capfd.readouterr().err


def test_process_0_waits_for_the_other_folds(tmp_path: Path) -> None:
    missing = ["c", "d"]
    with (
        acquire_run_dir(tmp_path),
        Coordination(tmp_path, FIRST, LONG) as first,
        Coordination(tmp_path, SECOND, LONG),
    ):
        finish = threading.Timer(0.1, missing.clear)
        finish.start()
        first.wait_for_other_folds(lambda: list(missing))
        assert not missing
        finish.join()


@pytest.mark.parametrize(("state", "word"), [("running", "lost"), ("stopped", "stopped"), ("finished", "finished")])
def test_a_lost_process_is_named_with_its_folds(tmp_path: Path, state: str, word: str) -> None:
    with acquire_run_dir(tmp_path), pytest.raises(UserError) as caught:
        write_status(tmp_path, 1, state)
        with Coordination(tmp_path, FIRST, SHORT) as first:
            first.wait_for_other_folds(lambda: ["c", "d"])
    why = "trained by no process" if word == "finished" else f"process 1 {word}"
    assert str(caught.value).startswith(f"2 folds missing ({why}): c, d; the same command")


def test_a_process_that_is_lost_after_its_last_fold(tmp_path: Path) -> None:
    with acquire_run_dir(tmp_path), Coordination(tmp_path, FIRST, SHORT) as first:
        write_status(tmp_path, 1)
        first.wait_for_other_folds(list)


def test_the_other_processes_end_while_process_0_runs(tmp_path: Path) -> None:
    with (
        acquire_run_dir(tmp_path),
        Coordination(tmp_path, FIRST, LONG),
        Coordination(tmp_path, SECOND, LONG) as second,
    ):
        second.wait_for_process_0(lambda: ["a"])
    with Coordination(tmp_path, SECOND, LONG) as second:  # it has finished
        second.wait_for_process_0(list)


@pytest.mark.parametrize(
    ("unfinished", "message"),
    [
        (["b", "d"], "1 fold missing (process 0 lost): b; the same command"),
        ([], "process 0 lost before the results were gathered; the same command gathers them"),
    ],
)
def test_the_other_processes_report_the_loss_of_process_0(tmp_path: Path, unfinished: list[str], message: str) -> None:
    with acquire_run_dir(tmp_path), Coordination(tmp_path, FIRST, LONG) as first:
        first.assign(["a", "b", "c", "d"])
    write_status(tmp_path, 0)
    with Coordination(tmp_path, SECOND, SHORT) as second, pytest.raises(UserError) as caught:
        second.wait_for_process_0(lambda: unfinished)
    assert str(caught.value).startswith(message)
