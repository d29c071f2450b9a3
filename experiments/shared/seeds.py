"""Scores of several seeds when people are resampled: each seed is scored by itself, then they are averaged."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icegan_jax.errors import UserError
from icegan_jax.evaluation import metrics
from icegan_jax.evaluation.bootstrap import draw_groups
from icegan_jax.evaluation.predictions import Prediction, read_predictions

Person = tuple[str, str]
Values = NDArray[np.float64]
RATIOS = {"uf1": metrics.f1_per_class, "uar": metrics.recall_per_class}


def count_people(runs: Sequence[Path], keep: Callable[[Prediction], bool]) -> list[dict[Person, metrics.Counts]]:
    """For each run the confusion counts of each of its held-out people, of the predictions to be kept.

    Raises:
      UserError: a run has no prediction to keep.
    """
    found = []
    for run in runs:
        table = count_rows([run / "predictions.csv"], keep)
        if not table:
            raise UserError(f"{run}: no prediction to score; give data with clips of every database asked for")
        found.append(table)
    return found


def count_rows(
    files: Sequence[Path], keep: Callable[[Prediction], bool] = lambda _: True
) -> dict[Person, metrics.Counts]:
    """The confusion counts of each person in some predictions.csv, together."""
    table: dict[Person, metrics.Counts] = {}
    for file in files:
        classes, rows = read_predictions(file)
        for row in filter(keep, rows):
            counts = table.setdefault((row.dataset, row.subject), np.zeros((len(classes),) * 2, np.int64))
            counts[row.label, row.prediction] += 1
    return table


def seed_scores(tables: Sequence[dict[Person, metrics.Counts]], name: str) -> Values:
    """``uf1`` or ``uar`` of each seed's pooled counts, float64[s]."""
    return np.array([float(nan_mean(RATIOS[name](np.sum(list(table.values()), axis=0)))) for table in tables])


def draw_scores(tables: Sequence[dict[Person, metrics.Counts]], name: str, everybody: Sequence[Person]) -> Values:
    """The mean over seeds of ``uf1`` or ``uar``, float64[draws], each draw with people resampled from ``everybody``.

    The same list of people gives the same draws. A seed that held out nobody of a draw is left out of its mean.
    """
    nothing = np.zeros_like(next(iter(tables[0].values())))
    counts = np.stack([[table.get(person, nothing) for person in everybody] for table in tables])
    return nan_mean(nan_mean(RATIOS[name](np.einsum("ng,sgtp->nstp", draw_groups(len(everybody)), counts))))


def list_people(*tables: dict[Person, metrics.Counts]) -> list[Person]:
    """Everybody who is held out in one of them, sorted."""
    return sorted(set().union(*tables))


def nan_mean(values: Values) -> Values:
    """Over the last axis, of what is a number; NaN where nothing is."""
    there = ~np.isnan(values)
    count = there.sum(axis=-1)
    return np.divide(np.where(there, values, 0).sum(axis=-1), count, out=np.full(count.shape, np.nan), where=count > 0)
