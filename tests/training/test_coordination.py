"""What processes tell each other through the run directory: folds dealt out, losses noticed, nobody in two runs."""

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
LONG = 60.0  # seconds that no test waits for
SHORT = 0.5


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "_STATUS_PERIOD_S", 0.02)
    monkeypatch.setattr(locks_module, "POLL_S", 0.01)
    monkeypatch.setattr(distributed, "_EARLIER_RUN_LOST_S", SHORT)


def sign(run_dir: Path, index: int) -> Path:
    return run_dir / "processes" / f"{index}.json"


AWAY = {"host": "away", "pid": 4711}


def leave_sign(run_dir: Path, index: int, state: str = "running", note: str = "1", who: dict[str, Any] = AWAY) -> None:
    """As a process that is no more left it."""
    sign(run_dir, index).parent.mkdir(parents=True, exist_ok=True)
    sign(run_dir, index).write_text(json.dumps({"state": state, "note": note, **who}))


def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)


def state_of(run_dir: Path, index: int) -> Any:
    return json.loads(sign(run_dir, index).read_text())["state"]


def until(holds: Callable[[], bool]) -> None:
    stop = time.monotonic() + LONG
    while not holds():
        assert time.monotonic() < stop
        time.sleep(0.01)


def test_process_0_deals_and_the_others_wait(tmp_path: Path) -> None:
    got: list[list[str]] = []

    def second() -> None:
        with Coordination(tmp_path, SECOND, LONG) as its:
            got.append(its.wait_for_assignment())

    with acquire_run_dir(tmp_path) as token, Coordination(tmp_path, FIRST, LONG, token) as mine:
        other = threading.Thread(target=second)
        other.start()
        until(lambda: sign(tmp_path, 1).is_file())
        assert not got
        assert mine.assign(["a", "b", "c"]) == ["a"]
        other.join(LONG)
    assert got == [["b", "c"]]
    assert (state_of(tmp_path, 0), state_of(tmp_path, 1)) == ("finished", "finished")


def test_leaving_by_an_error_tells_why(tmp_path: Path) -> None:
    with pytest.raises(ValueError), acquire_run_dir(tmp_path) as token, Coordination(tmp_path, FIRST, LONG, token):
        raise ValueError("data/none: no prepared pairs;\n prepare them")
    with Coordination(tmp_path, SECOND, LONG) as its, pytest.raises(UserError) as caught:
        its.wait_for_assignment()
    assert str(caught.value) == "process 0 stopped: data/none: no prepared pairs; prepare them"


def test_a_workdir_that_is_not_shared(tmp_path: Path) -> None:
    with (
        Coordination(tmp_path, SECOND, SHORT) as its,
        pytest.raises(UserError, match="one folder that all processes share"),
    ):
        its.wait_for_assignment()


@pytest.mark.parametrize("locks", [True, False])
def test_a_run_at_work_is_not_disturbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locks: bool) -> None:
    """Told by the lock at once; elsewhere, as on another machine, by its signs of life."""
    if not locks:
        without_locks(monkeypatch)
    with acquire_run_dir(tmp_path) as token, Coordination(tmp_path, FIRST, LONG, token):
        until(sign(tmp_path, 0).is_file)
        before = (tmp_path / "processes" / "run.json").read_text()
        who = rf"process 0 on .*, pid {os.getpid()}" + r", since \d\d:\d\d" * locks
        with pytest.raises(UserError, match=rf"a run is active there \({who}\)"), acquire_run_dir(tmp_path):
            pass
        assert (tmp_path / "processes" / "run.json").read_text() == before


def test_a_run_that_ended_leaves_the_folder_to_the_next(tmp_path: Path) -> None:
    for _ in range(2):
        with (
            pytest.raises(KeyError),
            acquire_run_dir(tmp_path),
        ):  # before the meeting, as when the processes do not come together
            raise KeyError
        with acquire_run_dir(tmp_path) as token, Coordination(tmp_path, FIRST, LONG, token) as mine:
            assert mine.assign(["a", "b"]) == ["a"]


def test_what_a_killed_run_left_is_taken_over(tmp_path: Path) -> None:
    for index in range(12):
        leave_sign(tmp_path, index)
    with acquire_run_dir(tmp_path) as token:
        assert {path.name for path in (tmp_path / "processes").iterdir()} == {"lock", "run.json"}
        assert json.loads((tmp_path / "processes" / "run.json").read_text()) == {"token": token, "folds": None}


@pytest.mark.parametrize("state", ["finished", "stopped", "killed"])
def test_nobody_waits_for_a_run_that_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    if state == "killed":  # on this machine, where that is certain
        gone = subprocess.Popen(["true"])
        gone.wait()
        leave_sign(tmp_path, 0, who={**process_identity(), "pid": gone.pid})
    else:
        leave_sign(tmp_path, 0, state)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("there is nothing to wait for"))
    with acquire_run_dir(tmp_path):
        assert not sign(tmp_path, 0).exists()


def test_a_process_that_a_killed_run_left_at_work(tmp_path: Path) -> None:
    """Of several processes only the first was killed: the lock is free, but folds are still being trained."""
    leave_sign(tmp_path, 0)
    with Coordination(tmp_path, SECOND, LONG):
        until(sign(tmp_path, 1).is_file)
        with (
            pytest.raises(UserError, match=rf"active there \(process 1 on .*, pid {os.getpid()}\)"),
            acquire_run_dir(tmp_path),
        ):
            pass


def test_folds_that_cannot_be_dealt_out(tmp_path: Path) -> None:
    with acquire_run_dir(tmp_path) as token, Coordination(tmp_path, FIRST, LONG, token) as mine:
        (tmp_path / "processes/run.json").unlink()
        (tmp_path / "processes/run.json").mkdir()
        with pytest.raises(UserError) as caught:
            mine.assign(["a", "b"])
    assert str(caught.value) == f"{tmp_path}: cannot be written (Is a directory); choose another --workdir"


def test_a_sign_of_life_that_cannot_be_written_ends_no_training(tmp_path: Path) -> None:
    (tmp_path / "processes/.0.json.tmp").mkdir(parents=True)
    with acquire_run_dir(tmp_path) as token, Coordination(tmp_path, FIRST, LONG, token) as mine:
        assert mine.assign(["a", "b"]) == ["a"]
    assert not sign(tmp_path, 0).exists()


@pytest.mark.parametrize("at_once", [False, True], ids=["suspended", "started at the same moment"])
def test_a_run_that_was_taken_over_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], at_once: bool
) -> None:
    """It was suspended so long that its signs of life stood still; or, without locks, the other came second."""
    ended = threading.Event()

    def end(code: int) -> None:
        assert code == 1
        ended.set()

    monkeypatch.setattr(os, "_exit", end)
    without_locks(monkeypatch)
    with acquire_run_dir(tmp_path) as token:
        if at_once:
            with acquire_run_dir(tmp_path):
                pass
        with Coordination(tmp_path, FIRST, LONG, token) as mine:
            if not at_once:
                mine.assign(["a"])
                assert not ended.wait(0.1)
                with acquire_run_dir(tmp_path / "elsewhere"):
                    os.replace(tmp_path / "elsewhere/processes/run.json", tmp_path / "processes/run.json")
            assert ended.wait(LONG)
    assert f"error: {tmp_path}: taken over by a later run" in capfd.readouterr().err


def test_gathering_waits_for_the_others_folds(tmp_path: Path) -> None:
    missing = ["c", "d"]
    with acquire_run_dir(tmp_path), Coordination(tmp_path, FIRST, LONG) as mine, Coordination(tmp_path, SECOND, LONG):
        finish = threading.Timer(0.1, missing.clear)
        finish.start()
        mine.wait_for_other_folds(lambda: list(missing))
        assert not missing
        finish.join()


@pytest.mark.parametrize(("state", "word"), [("running", "lost"), ("stopped", "stopped"), ("finished", "finished")])
def test_a_lost_process_is_named_with_its_folds(tmp_path: Path, state: str, word: str) -> None:
    with acquire_run_dir(tmp_path), pytest.raises(UserError) as caught:
        leave_sign(tmp_path, 1, state)
        with Coordination(tmp_path, FIRST, SHORT) as mine:
            mine.wait_for_other_folds(lambda: ["c", "d"])
    why = "trained by no process" if word == "finished" else f"process 1 {word}"
    assert str(caught.value).startswith(f"2 folds missing ({why}): c, d; the same command")


def test_a_process_lost_after_its_last_fold_is_no_loss(tmp_path: Path) -> None:
    with acquire_run_dir(tmp_path), Coordination(tmp_path, FIRST, SHORT) as mine:
        leave_sign(tmp_path, 1)
        mine.wait_for_other_folds(list)


def test_leaving_while_process_0_is_there(tmp_path: Path) -> None:
    with acquire_run_dir(tmp_path), Coordination(tmp_path, FIRST, LONG), Coordination(tmp_path, SECOND, LONG) as its:
        its.wait_for_process_0(lambda: ["a"])
    with Coordination(tmp_path, SECOND, LONG) as its:  # it has finished
        its.wait_for_process_0(list)


@pytest.mark.parametrize(
    ("unfinished", "message"),
    [
        (["b", "d"], "1 fold missing (process 0 lost): b; the same command"),
        ([], "process 0 lost before the results were gathered; the same command gathers them"),
    ],
)
def test_the_loss_of_process_0_is_said_by_the_others(tmp_path: Path, unfinished: list[str], message: str) -> None:
    with acquire_run_dir(tmp_path), Coordination(tmp_path, FIRST, LONG) as mine:
        mine.assign(["a", "b", "c", "d"])
    leave_sign(tmp_path, 0)
    with Coordination(tmp_path, SECOND, SHORT) as its, pytest.raises(UserError) as caught:
        its.wait_for_process_0(lambda: unfinished)
    assert str(caught.value).startswith(message)
