"""Means over clips, with intervals from resampling people."""

from collections.abc import Hashable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icegan_jax.evaluation import bootstrap, metrics


class Mean(NamedTuple):
    """A mean over clips; NaN where no clip has a value.

    Attributes:
      mean: of the values.
      low: lower end of the 95% interval, None where fewer than two people have a value.
      high: upper end, likewise.
      n: how many values there were.
    """

    mean: float
    low: float | None
    high: float | None
    n: int


def mean_over_people(
    values: NDArray[np.floating],
    people: Iterable[Hashable],
    *,
    draws: int = bootstrap.NUM_DRAWS,
    seed: int = 0,
) -> Mean:
    """The mean of the values, and its percentile interval over resampled people (as ``subject_bootstrap``).

    Each draw takes as many people as there are, with replacement, each with all clips; a clip's weight is its
    person's count. NaN is a clip without a value: it is left out.

    Args:
      values: float[n], one per clip.
      people: n keys, such as (dataset, subject).
      draws: how many resamples.
      seed: of the resampling.
    """
    values = np.asarray(values, np.float64)
    owner = metrics.group_ids(people)
    if len(owner) != len(values):
        raise ValueError(f"{len(values)} values of {len(owner)} clips")
    there = ~np.isnan(values)
    values, owner = values[there], owner[there]
    if not len(values):
        return Mean(float("nan"), None, None, 0)
    _, owner = np.unique(owner, return_inverse=True)
    mean, number = float(values.mean()), int(owner.max()) + 1
    if number < 2:
        return Mean(mean, None, None, len(values))
    sums, counts = np.bincount(owner, values), np.bincount(owner)
    drawn = bootstrap.draw_groups(number, draws, seed)
    return Mean(mean, *bootstrap.interval((drawn @ sums) / (drawn @ counts)), len(values))
