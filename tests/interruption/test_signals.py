"""SIGTERM and Ctrl-C: the step at which they come is saved, a line says where to go on, and nothing is lost."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.interruption.compare import contents, differences, leftovers
from tests.interruption.conftest import Whole
from tests.interruption.kill_and_resume import begin, check_log, kill
from tests.interruption.kill_points import common_step, folds, steps
from tests.interruption.run import small

FIRST = "folds/procedural_p01/metrics.jsonl"


class Stop(NamedTuple):
    """How a stopped run ended, and what it left; ``logged`` and ``saved``: newest steps of each fold."""

    code: int
    last_line: str
    logged: list[int]
    saved: list[int]
    left: list[str]


def logged(path: Path) -> int:
    """The newest step in a log."""
    try:
        lines = path.read_text().splitlines()
        return int(json.loads(lines[-1])["step"]) if lines else 0
    except (FileNotFoundError, ValueError):  # not begun; a line half written
        return 0


def stop(run_dir: Path, log: Path, number: signal.Signals, everybody: bool) -> Stop:
    """Starts the run, and sends the signal once it has made a step; to all of its processes, as a terminal does."""
    before = common_step(run_dir)
    process = begin(run_dir, small(), log)
    try:
        end = time.monotonic() + 240
        while logged(run_dir / FIRST) <= before and process.poll() is None and time.monotonic() < end:
            time.sleep(0.001)
        (os.killpg if everybody else os.kill)(process.pid, number)
        process.wait(timeout=120)
    finally:
        kill(process)
    check_log(log)
    lines = [line.strip() for line in log.read_text().replace("\r", "\n").splitlines()]
    return Stop(
        process.returncode,
        [line for line in lines if line][-1],
        [logged(folder / "metrics.jsonl") for folder in folds(run_dir)],
        [max(steps(folder), default=0) for folder in folds(run_dir)],
        leftovers(run_dir),
    )


class Stopped(NamedTuple):
    """A run stopped by SIGTERM, then by Ctrl-C, then ended."""

    run_dir: Path
    stops: list[Stop]
    code: int


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Stopped:
    folder = tmp_path_factory.mktemp("stopped")
    run_dir, log = folder / "run", folder / "log"
    stops = [stop(run_dir, log, signal.SIGTERM, everybody=False), stop(run_dir, log, signal.SIGINT, everybody=True)]
    process = begin(run_dir, small(), log)
    try:
        process.wait(timeout=240)
    except subprocess.TimeoutExpired:
        pytest.fail(log.read_text()[-2000:])
    finally:
        kill(process)
    check_log(log)
    return Stopped(run_dir, stops, process.returncode)


@pytest.mark.parametrize(("index", "code", "words"), [(0, 143, "stopped by SIGTERM"), (1, 130, "interrupted")])
def test_a_stopped_run_says_where_to_go_on(stopped: Stopped, index: int, code: int, words: str) -> None:
    end = stopped.stops[index]
    assert end.code == code, end
    assert end.last_line.startswith(words), end
    assert "the same command continues" in end.last_line, end


@pytest.mark.parametrize("index", [0, 1], ids=["SIGTERM", "Ctrl-C"])
def test_the_step_at_which_it_stopped_is_saved(stopped: Stopped, index: int) -> None:
    """All that was trained and logged, in every fold; checkpoints are due every 4 steps, and it stopped in between."""
    end = stopped.stops[index]
    assert len(end.saved) == 2
    assert end.saved == end.logged
    assert 0 < end.saved[0] < 12, "the run ended before the signal came: give it more steps"
    assert end.left == []


def test_the_second_start_went_on_from_the_first(stopped: Stopped) -> None:
    first, second = stopped.stops
    assert second.saved[0] > first.saved[0]


def test_a_run_that_was_stopped_twice_ends_like_one_that_was_not(stopped: Stopped, whole: Whole) -> None:
    assert stopped.code == 0
    assert differences(contents(stopped.run_dir), contents(whole.run_dir)) == []
    assert leftovers(stopped.run_dir) == []
