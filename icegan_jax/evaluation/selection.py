"""Selection of the evaluation of a fold that is reported: by inner validation or, not validly, by the test clips.

Source: docs/design.md, "Evaluation rules", rule 2.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from icegan_jax.evaluation import metrics
from icegan_jax.evaluation.predictions import Prediction

_DIGITS = 12  # of a score; beyond these digits, equal scores may differ by rounding

Labels = npt.NDArray[np.integer]


class Evaluation(NamedTuple):
    """Capsule lengths of a fold's clips at one step of the training.

    Attributes:
      step: number of updates so far.
      test: float64[n, k], capsule lengths of the test clips.
      inner: float64[m, k], capsule lengths of the inner validation clips; m is 0 where there are none.
    """

    step: int
    test: npt.NDArray[np.float64]
    inner: npt.NDArray[np.float64]


def best_on_inner(evaluations: Sequence[Evaluation], labels: Labels) -> Evaluation:
    """Return the evaluation with the highest UF1 on the fold's inner validation clips.

    Ties are broken by the highest mean capsule length of the true class, then by the latest step. The test clips are
    not used.

    Args:
      evaluations: of one fold, at least one, by rising step.
      labels: int[m], the classes of the fold's inner validation clips, at least one.
    """

    def rank(index: int) -> tuple[float, float, int]:
        inner = evaluations[index].inner
        mean_length = float(inner[np.arange(len(labels)), labels].mean())
        return round(metrics.uf1(_counts(inner, labels)), _DIGITS), mean_length, index

    return evaluations[max(range(len(evaluations)), key=rank)]


def best_on_test(
    evaluations: Sequence[Evaluation], labels: Labels, score: Callable[[metrics.Counts], float]
) -> Evaluation:
    """Return the evaluation with the highest score on the fold's own test clips, which is not a valid selection.

    Ties are broken by the earliest step, as in ``experiments/guessing_study.py``.

    Args:
      evaluations: of one fold, at least one, by rising step.
      labels: int[n], the classes of the fold's test clips.
      score: ``metrics.uf1`` or ``metrics.uar``.
    """
    return max(evaluations, key=lambda evaluation: round(score(_counts(evaluation.test, labels)), _DIGITS))


def best_test_epoch(folds: Sequence[tuple[Sequence[Evaluation], Labels]]) -> dict[str, float]:
    """Return UF1 and UAR where each fold takes the best of its test evaluations, for each score separately.

    Some published logs report this number (docs/design.md, "Evaluation rules", rule 2). Counts are pooled over folds.
    The number is not a valid score, as the test clips select the evaluation.

    Args:
      folds: the evaluations of each fold, and the classes int[n] of the fold's test clips.

    Returns:
      {"uf1", "uar"}, each with its own selection.
    """

    def pooled(score: Callable[[metrics.Counts], float]) -> float:
        chosen = [(best_on_test(evaluations, labels, score), labels) for evaluations, labels in folds]
        return score(np.sum([_counts(evaluation.test, labels) for evaluation, labels in chosen], axis=0))

    return {"uf1": pooled(metrics.uf1), "uar": pooled(metrics.uar)}


def predictions_at(rows: Sequence[Prediction], evaluation: Evaluation) -> list[Prediction]:
    """Return a fold's predictions at an evaluation, given the predictions of the same test clips at the last step."""
    return [
        dataclasses.replace(row, prediction=int(np.argmax(lengths)), scores=tuple(lengths.tolist()))
        for row, lengths in zip(rows, evaluation.test, strict=True)
    ]


def _counts(lengths: npt.NDArray[np.float64], labels: Labels) -> metrics.Counts:
    """Return the confusion matrix int64[k, k]; the class of the longest capsule is the prediction."""
    return metrics.confusion(labels, np.argmax(lengths, axis=1), lengths.shape[1])
