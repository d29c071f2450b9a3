"""Scores of several seeds with resampled subjects: the mean over seeds of the score of each seed."""

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
    """Return for each run the confusion counts of each held-out subject over the selected predictions.

    Raises:
      UserError: a run has no selected prediction.
    """
    tables = []
    for run in runs:
        table = count_rows([run / "predictions.csv"], keep)
        if not table:
            raise UserError(f"{run}: no prediction to score; give data with clips of every requested database")
        tables.append(table)
    return tables


def count_rows(
    files: Sequence[Path], keep: Callable[[Prediction], bool] = lambda _: True
) -> dict[Person, metrics.Counts]:
    """Return the confusion counts of each subject, summed over several predictions.csv."""
    table: dict[Person, metrics.Counts] = {}
    for file in files:
        classes, rows = read_predictions(file)
        for row in filter(keep, rows):
            counts = table.setdefault((row.dataset, row.subject), np.zeros((len(classes),) * 2, np.int64))
            counts[row.label, row.prediction] += 1
    return table


def seed_scores(tables: Sequence[dict[Person, metrics.Counts]], name: str) -> Values:
    """Return ``uf1`` or ``uar`` of the pooled counts of each seed, float64[s]."""
    return np.array([float(nan_mean(RATIOS[name](np.sum(list(table.values()), axis=0)))) for table in tables])


def draw_scores(tables: Sequence[dict[Person, metrics.Counts]], name: str, subjects: Sequence[Person]) -> Values:
    """Return the mean over seeds of ``uf1`` or ``uar`` for each draw of resampled subjects, float64[draws].

    Equal lists of subjects give equal draws. A seed that held out no subject of a draw is left out of the mean.
    """
    zero = np.zeros_like(next(iter(tables[0].values())))
    counts = np.stack([[table.get(person, zero) for person in subjects] for table in tables])
    return nan_mean(nan_mean(RATIOS[name](np.einsum("ng,sgtp->nstp", draw_groups(len(subjects)), counts))))


def list_people(*tables: dict[Person, metrics.Counts]) -> list[Person]:
    """Return the subjects who are held out in any of the tables, sorted."""
    return sorted(set().union(*tables))


def nan_mean(values: Values) -> Values:
    """Return the mean over the last axis without NaN, or NaN where all values are NaN."""
    valid = ~np.isnan(values)
    count = valid.sum(axis=-1)
    return np.divide(np.where(valid, values, 0).sum(axis=-1), count, out=np.full(count.shape, np.nan), where=count > 0)
