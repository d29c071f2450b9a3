"""The scores of a run's predictions: UF1, UAR and accuracy with intervals, and what a guess would score."""

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, TypedDict

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.errors import UserError
from icegan_jax.evaluation import bootstrap, metrics
from icegan_jax.evaluation.predictions import Prediction, require_unique


class Score(TypedDict):
    """One block of results.json; the intervals are None for a single subject."""

    uf1: float
    uar: float
    accuracy: float
    uf1_ci95: list[float] | None
    uar_ci95: list[float] | None
    confusion: list[list[int]]


def score(
    labels: Sequence[int],
    predictions: Sequence[int],
    groups: Sequence[Hashable],
    num_classes: int = metrics.NUM_CLASSES,
) -> Score:
    """Score clips from their pooled counts (docs/design.md, "Evaluation rules", rules 3 and 4).

    Args:
      labels: int[n], the true classes.
      predictions: int[n], clip for clip.
      groups: n keys, (dataset, subject) of each clip.
      num_classes: how many classes there are.

    Raises:
      ValueError: there is not one clip.
    """
    counts = metrics.confusion(labels, predictions, num_classes)
    intervals = bootstrap.subject_bootstrap(labels, predictions, groups, num_classes=num_classes)
    return {
        "uf1": metrics.uf1(counts),
        "uar": metrics.uar(counts),
        "accuracy": metrics.accuracy(counts),
        "uf1_ci95": None if intervals is None else list(intervals.uf1),
        "uar_ci95": None if intervals is None else list(intervals.uar),
        "confusion": counts.tolist(),
    }


def summarise(predictions: Sequence[Prediction], classes: Sequence[str] = EXPRESSIONS) -> dict[str, Any]:
    """Score a run's predictions, together and database by database.

    Args:
      predictions: one per clip, all folds.
      classes: names of the classes, in label order.

    Returns:
      `overall` (Score), `datasets` {name: Score}, `floors` {name: {uf1, uar}} as docs/design.md,
      "Results file" has them, and `dataset_floors` {dataset: floors}: the class frequencies differ.

    Raises:
      UserError: no prediction, or two of one clip.
    """
    if not predictions:
        raise UserError("no predictions to score: train at least one fold")
    require_unique(Path("predictions"), predictions)
    parts = {
        name: [row for row in predictions if row.dataset == name]
        for name in sorted({row.dataset for row in predictions})
    }
    return {
        "overall": _score_rows(predictions, len(classes)),
        "datasets": {name: _score_rows(rows, len(classes)) for name, rows in parts.items()},
        "floors": bootstrap.floors([row.label for row in predictions], classes),
        "dataset_floors": {
            name: bootstrap.floors([row.label for row in rows], classes) for name, rows in parts.items()
        },
    }


def _score_rows(rows: Sequence[Prediction], num_classes: int) -> Score:
    return score(
        [row.label for row in rows],
        [row.prediction for row in rows],
        [(row.dataset, row.subject) for row in rows],
        num_classes,
    )
