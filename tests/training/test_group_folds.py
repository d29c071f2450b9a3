"""Groups of folds after an interruption: nobody who has come far waits for somebody who has not begun."""

from pathlib import Path

import numpy as np
import pytest

from icegan_jax.data.folds import Fold
from icegan_jax.training.loop import group_folds

NOTHING = np.empty(0, np.int64)


def kept(step: int) -> set[int]:
    """The newest two checkpoints of a fold that has come to ``step``, one every ten."""
    return {saved for saved in (step - 10, step) if saved > 0}


def folds_at(run_dir: Path, steps: list[int]) -> list[Fold]:
    folds = [Fold(f"f{index}", (), NOTHING, NOTHING) for index in range(len(steps))]
    for fold, step in zip(folds, steps, strict=True):
        for saved in kept(step):
            (run_dir / "folds" / fold.name / "checkpoints" / str(saved)).mkdir(parents=True)
    return folds


def grouped(run_dir: Path, steps: list[int], size: int) -> list[list[int]]:
    groups = group_folds(folds_at(run_dir, steps), run_dir, size, 70)
    return [[int(fold.name[1:]) for fold in group] for group in groups]


@pytest.mark.parametrize(
    ("steps", "size", "expected"),
    [
        ([0] * 5, 2, [[0, 1], [2, 3], [4]]),  # a fresh run: in order, the last group the smallest
        ([], 3, []),
        ([70, 70, 0, 0, 0, 0], 4, [[0, 1], [2, 3, 4, 5]]),  # two were to be evaluated only
        ([0, 0, 50, 50], 2, [[2, 3], [0, 1]]),
        ([50, 50, 40, 40], 4, [[0, 1, 2, 3]]),  # killed between the checkpoints of a group: they stay together
        ([50, 0, 0], 4, [[0, 1, 2]]),  # 70 steps for all three; apart, 20 more
        ([20, 50, 50, 50], 4, [[1, 2, 3], [0]]),  # no checkpoint in common: together, all would begin again
        ([70, 0, 0], 4, [[0], [1, 2]]),  # the same steps either way: the finished one keeps what it has
    ],
)
def test_groups(tmp_path: Path, steps: list[int], size: int, expected: list[list[int]]) -> None:
    assert grouped(tmp_path, steps, size) == expected
