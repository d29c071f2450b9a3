"""SIGTERM and Ctrl-C: the current step is saved, and the same command continues from it."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.interruption.compare import contents, differences, folds, leftovers
from tests.interruption.kill_and_resume import check_log, run_uninterrupted, small, start_run, wait_and_kill


def newest_steps(run_dir: Path) -> tuple[list[int], list[int]]:
    """Return the newest logged step and the newest checkpoint of each fold; 0 for none."""
    lines = [[line for line in (folder / "metrics.jsonl").read_text().splitlines()] for folder in folds(run_dir)]
    logged = [json.loads(rows[-1])["step"] if rows else 0 for rows in lines]
    saved = [max(int(path.name) for path in (folder / "checkpoints").iterdir()) for folder in folds(run_dir)]
    return logged, saved


def stop(run_dir: Path, log: Path, number: signal.Signals) -> tuple[int, str]:
    """Start the run, send the signal to its process group after one more step; return exit code and last line."""
    process = start_run(run_dir, small(), log)
    first, end = run_dir / "folds" / "procedural_p01" / "metrics.jsonl", time.monotonic() + 240
    before = first.stat().st_size if first.exists() else 0
    while process.poll() is None and time.monotonic() < end:
        if first.exists() and first.stat().st_size > before:
            break
        time.sleep(0.001)
    os.killpg(process.pid, number)
    wait_and_kill(process, 120)
    check_log(log)
    lines = [line.strip() for line in log.read_text().replace("\r", "\n").splitlines()]
    return process.returncode, [line for line in lines if line and not line.startswith("operations")][-1]


@pytest.mark.slow
def test_a_run_that_was_stopped_twice_ends_like_an_uninterrupted_one(tmp_path: Path) -> None:
    run_dir, log, reached = tmp_path / "run", tmp_path / "log", 0
    for number, code, words in ((signal.SIGTERM, 143, "stopped by SIGTERM"), (signal.SIGINT, 130, "interrupted")):
        ended, line = stop(run_dir, log, number)
        assert ended == code, line
        assert line.removeprefix("error: ").startswith(words) and "the same command continues" in line
        logged, saved = newest_steps(run_dir)
        assert saved == logged and reached < saved[0] < 12, "the run ended before the signal came: give it more steps"
        assert leftovers(run_dir) == []
        reached = saved[0]
    run_uninterrupted(run_dir, small(), log)
    run_uninterrupted(tmp_path / "uninterrupted", small(), tmp_path / "uninterrupted.log")
    assert differences(contents(run_dir), contents(tmp_path / "uninterrupted")) == []
