"""Which evaluation of a fold is reported: chosen on inner validation people or, not validly, on the test clips.

Source: docs/design.md, "Evaluation rules", rule 2.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from icegan_jax.evaluation import metrics
from icegan_jax.evaluation.predictions import Prediction

_DIGITS = 12  # of a score; beyond them, equal ones may differ by rounding
Labels = npt.NDArray[np.integer]


class Evaluation(NamedTuple):
    """What a fold's network made of its clips at some step of the training.

    Attributes:
      step: updates until then.
      test: float64[n, k], capsule lengths of the test clips.
      inner: float64[m, k], of the inner validation clips; m is 0 where there are none.
    """

    step: int
    test: npt.NDArray[np.float64]
    inner: npt.NDArray[np.float64]


def best_on_inner(evaluations: Sequence[Evaluation], labels: Labels) -> Evaluation:
    """The evaluation with the highest UF1 on the fold's inner clips.

    Of equal ones that with the highest mean score of the true class, and of those the latest. The test clips have no
    part in it.

    Args:
      evaluations: of one fold, at least one, by rising step.
      labels: int[m], the classes of its inner clips, at least one.
    """

    def merit(index: int) -> tuple[float, float, int]:
        inner = evaluations[index].inner
        sure = float(inner[np.arange(len(labels)), labels].mean())
        return round(metrics.uf1(_counts(inner, labels)), _DIGITS), sure, index

    return evaluations[max(range(len(evaluations)), key=merit)]


def best_on_test(
    evaluations: Sequence[Evaluation], labels: Labels, score: Callable[[metrics.Counts], float]
) -> Evaluation:
    """The evaluation with the highest score on the fold's own test clips: not a valid choice.

    Of equal ones the earliest, as ``guessing.apply_rules`` lets its guessers choose.

    Args:
      evaluations: of one fold, at least one, by rising step.
      labels: int[n], the classes of its test clips.
      score: ``metrics.uf1`` or ``metrics.uar``.
    """
    return max(evaluations, key=lambda evaluation: round(score(_counts(evaluation.test, labels)), _DIGITS))


def best_test_epoch(folds: Sequence[tuple[Sequence[Evaluation], Labels]]) -> dict[str, float]:
    """UF1 and UAR where each fold takes the best of its test evaluations, for each score separately.

    Published logs report it (docs/design.md, "Evaluation rules", rule 2); the counts are pooled as everywhere. It is
    not a valid score: the test clips chose the evaluation.

    Args:
      folds: of each fold its evaluations, and the classes int[n] of its test clips.

    Returns:
      {"uf1", "uar"}; each from another choice.
    """

    def pooled(score: Callable[[metrics.Counts], float]) -> float:
        chosen = [(best_on_test(evaluations, labels, score), labels) for evaluations, labels in folds]
        return score(np.sum([_counts(evaluation.test, labels) for evaluation, labels in chosen], axis=0))

    return {"uf1": pooled(metrics.uf1), "uar": pooled(metrics.uar)}


def predictions_at(rows: Sequence[Prediction], evaluation: Evaluation) -> list[Prediction]:
    """A fold's predictions of its last step, turned into those of an evaluation of the same test clips."""
    return [
        dataclasses.replace(row, prediction=int(np.argmax(lengths)), scores=tuple(lengths.tolist()))
        for row, lengths in zip(rows, evaluation.test, strict=True)
    ]


def _counts(lengths: npt.NDArray[np.float64], labels: Labels) -> metrics.Counts:
    """Confusion int64[k, k]: the class of the longest capsule is the prediction."""
    return metrics.confusion(labels, np.argmax(lengths, axis=1), lengths.shape[1])
