"""SIGTERM and Ctrl-C: the current step is saved, and the same command continues from it."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.interruption.compare import contents, differences, leftovers
from tests.interruption.conftest import UninterruptedRun
from tests.interruption.kill_and_resume import check_log, kill, start_run
from tests.interruption.kill_points import common_step, folds, steps
from tests.interruption.run import small

FIRST = "folds/procedural_p01/metrics.jsonl"


class Stop(NamedTuple):
    """Exit code, last line and files of a stopped run; ``logged`` and ``saved`` are the newest steps of each fold."""

    code: int
    last_line: str
    logged: list[int]
    saved: list[int]
    temporary: list[str]


def logged(path: Path) -> int:
    """Return the newest step in a log."""
    try:
        lines = path.read_text().splitlines()
        return int(json.loads(lines[-1])["step"]) if lines else 0
    except (FileNotFoundError, ValueError):  # not started; an incomplete line
        return 0


def stop(run_dir: Path, log: Path, number: signal.Signals, all_processes: bool) -> Stop:
    """Start the run, and send the signal after a step; to all of its processes as terminals do, or to the first."""
    before = common_step(run_dir)
    process = start_run(run_dir, small(), log)
    try:
        end = time.monotonic() + 240
        while logged(run_dir / FIRST) <= before and process.poll() is None and time.monotonic() < end:
            time.sleep(0.001)
        (os.killpg if all_processes else os.kill)(process.pid, number)
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
    stops = [
        stop(run_dir, log, signal.SIGTERM, all_processes=False),
        stop(run_dir, log, signal.SIGINT, all_processes=True),
    ]
    process = start_run(run_dir, small(), log)
    try:
        process.wait(timeout=240)
    except subprocess.TimeoutExpired:
        pytest.fail(log.read_text()[-2000:])
    finally:
        kill(process)
    check_log(log)
    return Stopped(run_dir, stops, process.returncode)


@pytest.mark.parametrize(("index", "code", "words"), [(0, 143, "stopped by SIGTERM"), (1, 130, "interrupted")])
def test_a_stopped_run_prints_how_to_continue(stopped: Stopped, index: int, code: int, words: str) -> None:
    end = stopped.stops[index]
    assert end.code == code, end
    assert end.last_line.startswith(words), end
    assert "the same command continues" in end.last_line, end


@pytest.mark.parametrize("index", [0, 1], ids=["SIGTERM", "Ctrl-C"])
def test_the_step_at_which_it_stopped_is_saved(stopped: Stopped, index: int) -> None:
    """In every fold the newest logged step is saved, which is between two regular checkpoints (every 4 steps)."""
    end = stopped.stops[index]
    assert len(end.saved) == 2
    assert end.saved == end.logged
    assert 0 < end.saved[0] < 12, "the run ended before the signal came: give it more steps"
    assert end.temporary == []


def test_the_second_start_continued_from_the_first(stopped: Stopped) -> None:
    first, second = stopped.stops
    assert second.saved[0] > first.saved[0]


def test_a_run_that_was_stopped_twice_ends_like_an_uninterrupted_one(
    stopped: Stopped, uninterrupted: UninterruptedRun
) -> None:
    assert stopped.code == 0
    assert differences(contents(stopped.run_dir), contents(uninterrupted.run_dir)) == []
    assert leftovers(stopped.run_dir) == []
