"""Is one kind of run better than another? The difference over the same clips, with its interval and seed by seed."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.shared.seeds import count_people, draw_scores, list_people, seed_scores
from icegan_jax.evaluation.bootstrap import percentile_interval

_EQUAL = 0.005  # of UF1; a table's last digit, rounded up


class Difference(NamedTuple):
    """UF1 of the first less that of the second.

    Attributes:
      mean: over the seeds.
      low, high: 95% interval of the mean when people are resampled, the same for both.
      seeds: of each seed.
    """

    mean: float
    low: float
    high: float
    seeds: list[float]


def uf1_difference(first: Sequence[Path], second: Sequence[Path]) -> Difference:
    """The difference of two kinds of run that held out the same people with the same seeds, in this order."""
    tables = [count_people(runs, lambda _: True) for runs in (first, second)]
    everybody = list_people(*tables[0], *tables[1])
    seeds = seed_scores(tables[0], "uf1") - seed_scores(tables[1], "uf1")
    drawn = [draw_scores(table, "uf1", everybody) for table in tables]
    changes = drawn[0] - drawn[1]
    return Difference(float(seeds.mean()), *percentile_interval(changes[~np.isnan(changes)]), seeds.tolist())


def difference_note(name: str, first: Sequence[Path], second: Sequence[Path]) -> str:
    """A sentence with the difference, and a verdict that is sure only where people and all seeds agree.

    The interval alone would say too much: the people of a split share one network and its luck.
    """
    found = uf1_difference(first, second)
    verdict = "equal" if abs(found.mean) < _EQUAL else "better" if found.mean > 0 else "worse"
    one_sign = all(seed > 0 for seed in found.seeds) or all(seed < 0 for seed in found.seeds)
    if verdict != "equal" and (found.low <= 0 <= found.high or not one_sign):
        verdict += " on the mean, but other people or seeds could turn it round"
    seeds = ", ".join(f"{seed:+.3f}" for seed in found.seeds)
    return f"{name}: UF1 {found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}], by seed {seeds}: {verdict}."
