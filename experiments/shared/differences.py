"""Difference in UF1 between two kinds of run over the same clips, with an interval and the value of each seed."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.shared.seeds import count_people, draw_scores, list_people, seed_scores
from icegan_jax.evaluation.bootstrap import percentile_interval

_EQUAL = 0.005  # of UF1; a table's last digit, rounded up


class Difference(NamedTuple):
    """UF1 of the first kind of run minus UF1 of the second.

    Attributes:
      mean: mean over the seeds.
      low, high: 95% interval of the mean when subjects are resampled, the same subjects for both.
      seeds: the difference of each seed.
    """

    mean: float
    low: float
    high: float
    seeds: list[float]


def uf1_difference(first: Sequence[Path], second: Sequence[Path]) -> Difference:
    """Return the difference of two kinds of run with the same held-out subjects and the same seeds, in one order."""
    tables = [count_people(runs, lambda _: True) for runs in (first, second)]
    everybody = list_people(*tables[0], *tables[1])
    seeds = seed_scores(tables[0], "uf1") - seed_scores(tables[1], "uf1")
    drawn = [draw_scores(table, "uf1", everybody) for table in tables]
    changes = drawn[0] - drawn[1]
    return Difference(float(seeds.mean()), *percentile_interval(changes[~np.isnan(changes)]), seeds.tolist())


def difference_note(name: str, first: Sequence[Path], second: Sequence[Path]) -> str:
    """Return a sentence with the difference, and a result that is certain only where subjects and all seeds agree.

    The interval over subjects alone is too narrow, as the subjects of a split share one network.
    """
    difference = uf1_difference(first, second)
    result = "equal" if abs(difference.mean) < _EQUAL else "better" if difference.mean > 0 else "worse"
    one_sign = all(seed > 0 for seed in difference.seeds) or all(seed < 0 for seed in difference.seeds)
    if result != "equal" and (difference.low <= 0 <= difference.high or not one_sign):
        result += " on the mean, but other subjects or seeds could reverse the sign"
    seeds = ", ".join(f"{seed:+.3f}" for seed in difference.seeds)
    interval = f"[{difference.low:+.3f}, {difference.high:+.3f}]"
    return f"{name}: UF1 {difference.mean:+.3f} {interval}, by seed {seeds}: {result}."
