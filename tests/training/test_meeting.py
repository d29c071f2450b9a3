"""What processes tell each other through the run directory: folds dealt out, losses noticed, nobody in two runs."""

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from icegan_jax.errors import UserError
from icegan_jax.training import meeting
from icegan_jax.training.meeting import Meeting, take
from icegan_jax.training.processes import Processes

FIRST, SECOND = Processes(0, 2), Processes(1, 2)
LONG = 60.0  # seconds that no test waits for
SHORT = 0.5


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meeting, "_BEAT_S", 0.02)
    monkeypatch.setattr(meeting, "_POLL_S", 0.01)
    monkeypatch.setattr(meeting, "_STILL_S", SHORT)


def sign(run_dir: Path, index: int) -> Path:
    return run_dir / "processes" / f"{index}.json"


def leave_sign(run_dir: Path, index: int, state: str = "running", note: str = "1") -> None:
    """As a process that is no more left it."""
    sign(run_dir, index).parent.mkdir(parents=True, exist_ok=True)
    sign(run_dir, index).write_text(json.dumps({"state": state, "note": note, "host": "away", "pid": 4711}))


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
        with Meeting(tmp_path, SECOND, LONG) as its:
            got.append(its.wait_for_deal())

    take(tmp_path)
    with Meeting(tmp_path, FIRST, LONG) as mine:
        other = threading.Thread(target=second)
        other.start()
        until(lambda: sign(tmp_path, 1).is_file())
        assert not got
        assert mine.deal(["a", "b", "c"]) == ["a"]
        other.join(LONG)
    assert got == [["b", "c"]]
    assert (state_of(tmp_path, 0), state_of(tmp_path, 1)) == ("finished", "finished")


def test_leaving_by_an_error_tells_why(tmp_path: Path) -> None:
    take(tmp_path)
    with pytest.raises(UserError), Meeting(tmp_path, FIRST, LONG):
        raise UserError("data/none: no prepared pairs;\n prepare them")
    with Meeting(tmp_path, SECOND, LONG) as its, pytest.raises(UserError) as caught:
        its.wait_for_deal()
    assert str(caught.value) == "process 0 stopped: data/none: no prepared pairs; prepare them"


def test_a_workdir_that_is_not_shared(tmp_path: Path) -> None:
    with Meeting(tmp_path, SECOND, SHORT) as its, pytest.raises(UserError, match="one folder that all processes share"):
        its.wait_for_deal()


def test_a_run_at_work_is_not_disturbed(tmp_path: Path) -> None:
    take(tmp_path)
    with Meeting(tmp_path, FIRST, LONG):
        until(sign(tmp_path, 0).is_file)
        before = (tmp_path / "processes" / "run.json").read_text()
        with pytest.raises(UserError, match=rf"a run is at work there \(process 0 on .*, pid {os.getpid()}\)"):
            take(tmp_path)
        assert (tmp_path / "processes" / "run.json").read_text() == before


def test_what_a_killed_run_left_is_taken_over(tmp_path: Path) -> None:
    for index in range(12):
        leave_sign(tmp_path, index)
    take(tmp_path)
    assert [path.name for path in (tmp_path / "processes").iterdir()] == ["run.json"]


@pytest.mark.parametrize("state", ["finished", "stopped"])
def test_nobody_waits_for_a_run_that_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    leave_sign(tmp_path, 0, state)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("there is nothing to wait for"))
    take(tmp_path)
    assert not sign(tmp_path, 0).exists()


def test_a_run_that_was_taken_over_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It was suspended, say: so long that its signs of life stood still."""
    ended = threading.Event()

    def end(code: int) -> None:
        assert code == 1
        ended.set()

    monkeypatch.setattr(os, "_exit", end)
    take(tmp_path)
    with Meeting(tmp_path, FIRST, LONG) as mine:
        mine.deal(["a"])
        assert not ended.wait(0.1)
        (tmp_path / "processes" / "run.json").write_text(json.dumps({"token": "another", "folds": None}))
        assert ended.wait(LONG)
    assert f"error: {tmp_path}: taken over by a later run" in capfd.readouterr().err


def test_gathering_waits_for_the_others_folds(tmp_path: Path) -> None:
    missing = ["c", "d"]
    take(tmp_path)
    with Meeting(tmp_path, FIRST, LONG) as mine, Meeting(tmp_path, SECOND, LONG):
        finish = threading.Timer(0.1, missing.clear)
        finish.start()
        mine.gather(lambda: list(missing))
        assert not missing
        finish.join()


@pytest.mark.parametrize(("state", "word"), [("running", "lost"), ("stopped", "stopped"), ("finished", "finished")])
def test_a_lost_process_is_named_with_its_folds(tmp_path: Path, state: str, word: str) -> None:
    take(tmp_path)
    leave_sign(tmp_path, 1, state)
    with Meeting(tmp_path, FIRST, SHORT) as mine, pytest.raises(UserError) as caught:
        mine.gather(lambda: ["c", "d"])
    why = "trained by nobody" if word == "finished" else f"process 1 {word}"
    assert str(caught.value).startswith(f"2 folds missing ({why}): c, d; the same command")


def test_a_process_lost_after_its_last_fold_is_no_loss(tmp_path: Path) -> None:
    take(tmp_path)
    leave_sign(tmp_path, 1)
    with Meeting(tmp_path, FIRST, SHORT) as mine:
        mine.gather(list)


def test_leaving_while_process_0_is_there(tmp_path: Path) -> None:
    take(tmp_path)
    with Meeting(tmp_path, FIRST, LONG), Meeting(tmp_path, SECOND, LONG) as its:
        its.leave(lambda: ["a"])
    with Meeting(tmp_path, SECOND, LONG) as its:  # it has finished
        its.leave(list)


@pytest.mark.parametrize(
    ("unfinished", "message"),
    [
        (["b", "d"], "1 fold missing (process 0 lost): b; the same command"),
        ([], "process 0 lost before the results were gathered; the same command gathers them"),
    ],
)
def test_the_loss_of_process_0_is_said_by_the_others(tmp_path: Path, unfinished: list[str], message: str) -> None:
    take(tmp_path)
    with Meeting(tmp_path, FIRST, LONG) as mine:
        mine.deal(["a", "b", "c", "d"])
    leave_sign(tmp_path, 0)
    with Meeting(tmp_path, SECOND, SHORT) as its, pytest.raises(UserError) as caught:
        its.leave(lambda: unfinished)
    assert str(caught.value).startswith(message)
