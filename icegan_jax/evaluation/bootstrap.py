"""Bootstrap intervals of the scores over subjects, and the scores of recognizers that ignore the face.

Clips of one subject resemble one another, so whole subjects are resampled, never clips.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.evaluation import metrics

NUM_DRAWS = 1000
LEVEL = 0.95  # docs/design.md, "Evaluation rules", rule 4: "a subject-bootstrap 95% interval"
NEGATIVE = 0  # the majority class of every database of MEGC2019 (docs/databases.md, "MEGC2019 clips")

Interval = tuple[float, float]


@dataclass(frozen=True)
class Intervals:
    """The 95% intervals of UF1, UAR and accuracy, each (low, high)."""

    uf1: Interval
    uar: Interval
    accuracy: Interval


class Floor(TypedDict):
    """The scores of a recognizer that ignores the face."""

    uf1: float
    uar: float


def subject_bootstrap(
    labels: Sequence[int] | npt.NDArray[np.integer],
    predictions: Sequence[int] | npt.NDArray[np.integer],
    groups: Iterable[Hashable],
    *,
    num_classes: int = metrics.NUM_CLASSES,
    draws: int = NUM_DRAWS,
    seed: int = 0,
) -> Intervals | None:
    """Return percentile intervals over resampled subjects (Efron and Tibshirani 1993, chapter 13).

    Each draw takes as many (dataset, subject) groups as there are, with replacement, pools their
    counts and scores them. A class that a draw misses is left out of that draw's mean. The model
    is not trained again: the interval covers the choice of test subjects, not the training seed.

    Args:
      labels: int[n], the true classes.
      predictions: int[n], the predicted classes, clip for clip.
      groups: n keys, (dataset, subject) for each clip.
      num_classes: number of classes.
      draws: number of resamples.
      seed: of the resampling; the same seed gives the same interval.

    Returns:
      The intervals, or None for a single subject, which cannot be resampled.
    """
    drawn = _resampled(labels, [predictions], groups, num_classes, draws, seed)
    return None if drawn is None else _intervals(drawn[0])


def paired_differences(
    labels: Sequence[int] | npt.NDArray[np.integer],
    first: Sequence[int] | npt.NDArray[np.integer],
    second: Sequence[int] | npt.NDArray[np.integer],
    groups: Iterable[Hashable],
    *,
    num_classes: int = metrics.NUM_CLASSES,
    draws: int = NUM_DRAWS,
    seed: int = 0,
) -> Intervals | None:
    """Return percentile intervals of the first recognizer's scores less the second's, on the same drawn subjects.

    A subject that is hard for one recognizer is often hard for the other, so the paired difference varies less than
    the difference of two scores on different subjects.

    Args:
      labels: int[n], the true classes.
      first: int[n], predictions of the first recognizer, clip for clip.
      second: int[n], predictions of the second recognizer.
      groups: n keys, (dataset, subject) for each clip.
      num_classes: number of classes.
      draws: number of resamples.
      seed: of the resampling.

    Returns:
      The intervals, or None for a single subject.
    """
    drawn = _resampled(labels, [first, second], groups, num_classes, draws, seed)
    return None if drawn is None else _intervals(drawn[0] - drawn[1])


def floors(
    labels: Sequence[int] | npt.NDArray[np.integer],
    classes: Sequence[str] = EXPRESSIONS,
    *,
    draws: int = NUM_DRAWS,
    seed: int = 0,
) -> dict[str, Floor]:
    """Return the scores of two recognizers that ignore the face.

    "always_negative" predicts the majority class of micro-expression databases. With other classes, "always_<class>"
    predicts the most frequent class of `labels` (of several, the first): no constant prediction has a higher UF1, and
    all have the same UAR. "prior_random" draws each prediction from the class frequencies of `labels`; the score is
    the mean UF1 and the mean UAR of `draws` seeded simulations (for UAR the exact expectation is 1 / classes).

    Args:
      labels: int[n], the true classes.
      classes: names of the classes, in label order.
      draws: number of simulations.
      seed: of the simulations.

    Returns:
      {"always_negative": Floor, "prior_random": Floor}, or another class in place of negative.

    Raises:
      ValueError: there is not one clip.
    """
    truth = np.asarray(labels, dtype=np.int64)
    constant = NEGATIVE
    if tuple(classes) != EXPRESSIONS:
        constant = int(np.argmax(np.bincount(truth, minlength=len(classes))))
    majority = metrics.confusion(truth, np.full_like(truth, constant), len(classes))
    always = Floor(uf1=metrics.uf1(majority), uar=metrics.uar(majority))

    # Random predictions ignore the face: each row of a simulated confusion matrix is one multinomial draw.
    clips = majority.sum(axis=1)
    random = np.random.default_rng(seed)
    rows = [random.multinomial(count, clips / clips.sum(), size=draws) for count in clips]
    simulated = np.stack(rows, axis=1)
    prior = Floor(
        uf1=float(np.nanmean(metrics.f1_per_class(simulated), axis=-1).mean()),
        uar=float(np.nanmean(metrics.recall_per_class(simulated), axis=-1).mean()),
    )
    return {f"always_{classes[constant]}": always, "prior_random": prior}


def _resampled(
    labels: Sequence[int] | npt.NDArray[np.integer],
    predictions: Sequence[Sequence[int] | npt.NDArray[np.integer]],
    groups: Iterable[Hashable],
    num_classes: int,
    draws: int,
    seed: int,
) -> list[npt.NDArray[np.float64]] | None:
    """Return UF1, UAR and accuracy of every draw, float64[draws, 3], for each of the predictions."""
    group = metrics.group_ids(groups)
    num_groups = len(np.unique(group))
    if num_groups < 2:
        return None
    times_drawn = draw_groups(num_groups, draws, seed)
    scores = []
    for predicted in predictions:
        per_group = np.zeros((num_groups, num_classes, num_classes), np.int64)
        np.add.at(per_group, (group, np.asarray(labels), np.asarray(predicted)), 1)
        scores.append(metrics.score_all(np.einsum("ng,gtp->ntp", times_drawn, per_group)))
    return scores


def _intervals(scores: npt.NDArray[np.float64]) -> Intervals:
    return Intervals(*(percentile_interval(column) for column in scores.T))


def draw_groups(number: int, draws: int = NUM_DRAWS, seed: int = 0) -> npt.NDArray[np.int64]:
    """Draw `number` groups with replacement, `draws` times; return how often each is drawn, int64[draws, number]."""
    return np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), size=draws)


def percentile_interval(scores: npt.NDArray[np.float64]) -> Interval:
    """Return the interval that holds the middle 95% of the scores float64[draws]."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(scores, [tail, 1 - tail])
    return float(low), float(high)
