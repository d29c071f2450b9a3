"""Runs that are killed by SIGKILL end like an uninterrupted one, and the comparison finds differences."""

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest

from tests.interruption.compare import contents, differences, leftovers
from tests.interruption.conftest import UninterruptedRun
from tests.interruption.kill_and_resume import Failed, check_log
from tests.interruption.kill_points import TARGETS, KillPoint, common_step, steps, wait_for
from tests.interruption.run import draw_kill_points, kill_all, small


def test_two_kills_change_nothing(
    uninterrupted: UninterruptedRun, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """One kill while a checkpoint is written, and one at any time."""
    good = kill_all(2, 0, tmp_path, small(), uninterrupted.run_dir, uninterrupted.timing)
    output = capfd.readouterr().out
    assert good == 2, output
    lines = [line for line in output.splitlines() if line.startswith("kill ")]
    assert len(lines) == 2
    assert sum("(a checkpoint is being written)" in line and "temporary: proc" in line for line in lines) == 1, output


def test_twenty_kills_have_every_kind_of_kill_point() -> None:
    drawn = draw_kill_points(20, Random(0), folds=8, checkpoints=3)
    kinds = [point.kind for point in drawn]
    assert len(kinds) == 20 and set(TARGETS) < set(kinds) and kinds.count("any time") == 6
    assert drawn == draw_kill_points(20, Random(0), folds=8, checkpoints=3)
    assert TARGETS[3] not in {point.kind for point in draw_kill_points(20, Random(0), folds=8, checkpoints=2)}


def flip_prediction(run_dir: Path) -> None:
    path = run_dir / "folds" / "procedural_p02" / "predictions.csv"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def change_face(run_dir: Path) -> None:
    path = run_dir / "folds" / "procedural_p01" / "synthesis.npz"
    with np.load(path) as sheet:
        arrays = {name: sheet[name] for name in sheet.files}
    arrays["synthetic"][0, 0, 5, 5] ^= 1
    np.savez_compressed(path, **arrays)


def other_parameters(run_dir: Path) -> None:
    """Replace the checkpoint by that of the other fold."""
    folders = [run_dir / "folds" / f"procedural_p0{number}" / "checkpoints" for number in (1, 2)]
    step = str(max(steps(folders[0].parent)))
    shutil.rmtree(folders[0] / step)
    shutil.copytree(folders[1] / step, folders[0] / step)


def double_line(run_dir: Path) -> None:
    path = run_dir / "folds" / "procedural_p01" / "metrics.jsonl"
    path.write_text(path.read_text() + path.read_text().splitlines()[-1] + "\n")


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (flip_prediction, "procedural_p02/predictions.csv"),
        (change_face, "procedural_p01/synthetic"),
        (other_parameters, "procedural_p01/state g_opt_state"),
        (double_line, "procedural_p01/metrics.jsonl"),
    ],
)
def test_a_difference_is_found(
    uninterrupted: UninterruptedRun, tmp_path: Path, damage: Callable[[Path], None], what: str
) -> None:
    shutil.copytree(uninterrupted.run_dir, tmp_path / "run")
    expected = contents(uninterrupted.run_dir)
    assert differences(contents(tmp_path / "run"), expected) == []
    damage(tmp_path / "run")
    actual = differences(contents(tmp_path / "run"), expected)
    assert any(name.startswith(what) for name in actual), actual


def test_leftovers_are_found(uninterrupted: UninterruptedRun, tmp_path: Path) -> None:
    assert leftovers(uninterrupted.run_dir) == []
    (tmp_path / "folds" / "p1" / "checkpoints" / "4.orbax-checkpoint-tmp").mkdir(parents=True)
    (tmp_path / ".data.partial").mkdir()
    assert leftovers(tmp_path) == [".data.partial", "p1/4.orbax-checkpoint-tmp"]


def test_a_traceback_is_found(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("step 3\nTraceback (most recent call last):\n")
    with pytest.raises(Failed, match="a traceback"):
        check_log(log)


def test_files_of_the_previous_start_are_no_kill_point(tmp_path: Path) -> None:
    """A temporary checkpoint counts after an earlier one has disappeared."""
    half = tmp_path / "folds" / "p1" / "checkpoints" / "4.orbax-checkpoint-tmp"
    half.mkdir(parents=True)
    point = KillPoint(TARGETS[1], 0.0)
    assert not wait_for(point, tmp_path, lambda: False, 0.05, 1.0)
    polls = iter(range(1000))

    def ended() -> bool:
        poll = next(polls)
        if poll == 3:
            half.rmdir()
        if poll == 6:
            half.mkdir()
        return False

    assert wait_for(point, tmp_path, ended, 20.0, 1.0)
    assert next(polls) > 6


def test_the_step_that_all_folds_have(tmp_path: Path) -> None:
    for fold, actual in (("p1", (4, 8)), ("p2", (4,)), ("p3", ())):
        for step in actual:
            (tmp_path / "folds" / fold / "checkpoints" / str(step)).mkdir(parents=True)
    assert common_step(tmp_path) == 4
    (tmp_path / "folds" / "p3").mkdir()
    assert common_step(tmp_path) == 0
    (tmp_path / "folds" / "p3" / "result.json").write_text("{}")
    assert common_step(tmp_path) == 4
