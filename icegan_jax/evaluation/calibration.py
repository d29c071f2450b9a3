"""Calibration of a run from the capsule lengths of people whom its networks were not trained on.

The lengths are those after the last step of each fold, as the networks that ``predict`` uses are of that step: of the
held-out clips (an expression each), and of pairs of two pictures of the same people at rest. Three results are
computed: the threshold of the answer "no expression", the margin of a close call, and the reliability of the lengths
as probabilities (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017).
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icegan_jax.errors import UserError
from icegan_jax.evaluation.metrics import group_ids
from icegan_jax.evaluation.predictions import Prediction
from icegan_jax.evaluation.resting import RestingPrediction
from icegan_jax.evaluation.results import RERUN_HINT
from icegan_jax.io import read_json_with_checksum, write_json_with_checksum

NO_EXPRESSION = "no expression"  # the answer for a pair whose longest capsule does not exceed the threshold
MAX_FALSE_ALARMS = 0.05  # the share of the held-out resting pairs that may exceed the threshold
NUM_BINS = 10  # of equal width between 0 and 1

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Threshold:
    """The threshold of the answer "no expression", and how often this answer and its opposite are wrong.

    The counts are of people whose own pairs and clips did not set the threshold that they are compared with, where
    there are at least two people.

    Attributes:
      length: a pair whose longest capsule is no longer shows no expression.
      resting: the number of resting pairs by the class of their longest capsule.
      resting_by_length: the number of resting pairs in ``NUM_BINS`` bins of their longest capsule.
      false_alarms: the number of resting pairs that are longer than the threshold, by class.
      clips: the number of clips by their true class.
      missed: the number of clips that are no longer than the threshold, by true class.
    """

    length: float
    resting: tuple[int, ...]
    resting_by_length: tuple[int, ...]
    false_alarms: tuple[int, ...]
    clips: tuple[int, ...]
    missed: tuple[int, ...]


@dataclass(frozen=True)
class CloseCall:
    """The margin up to which answers are mostly wrong.

    Attributes:
      margin: the difference of the two longest capsules; 0 where no margin is that unreliable.
      answers: the number of held-out clips with at most this margin.
      right: the number of those whose longest capsule is that of the true class.
    """

    margin: float
    answers: int
    right: int


@dataclass(frozen=True)
class Reliability:
    """The held-out clips in ``NUM_BINS`` bins of their longest capsule.

    Attributes:
      clips: the number of clips of each bin.
      length: the mean length of the longest capsule of each bin; 0 without clips.
      accuracy: the share of the clips of each bin that are right; 0 without clips.
      expected_error: the mean of |length - accuracy| over the clips, the expected calibration error.
    """

    clips: tuple[int, ...]
    length: tuple[float, ...]
    accuracy: tuple[float, ...]
    expected_error: float


@dataclass(frozen=True)
class Calibration:
    """The content of calibration.json."""

    threshold: Threshold
    close_call: CloseCall
    reliability: Reliability


def calibrate(clips: Sequence[Prediction], resting: Sequence[RestingPrediction]) -> Calibration:
    """Calibrate a run.

    Args:
      clips: the predictions of the held-out clips after the last step, at least one.
      resting: those of the resting pairs of the held-out subjects, at least one.
    """
    lengths, labels = np.array([row.scores for row in clips]), np.array([row.label for row in clips])
    subjects, resting_subjects = ([(row.dataset, row.subject) for row in rows] for rows in (clips, resting))
    threshold = set_threshold(lengths, labels, subjects, np.array([row.scores for row in resting]), resting_subjects)
    is_right = np.argmax(lengths, axis=1) == labels
    second, first = np.sort(np.pad(lengths, ((0, 0), (1, 0))), axis=1)[:, -2:].T  # of a single class the second is 0
    return Calibration(threshold, find_close_call(first - second, is_right), measure_reliability(first, is_right))


def set_threshold(
    lengths: Floats,
    labels: NDArray[np.integer],
    subjects: Sequence[Hashable],
    resting_lengths: Floats,
    resting_subjects: Sequence[Hashable],
) -> Threshold:
    """Set the threshold by everybody's pairs and clips, and count the errors of those that the other people set.

    Args:
      lengths: float64[n, k], the capsule lengths of the clips.
      labels: int[n], their true classes.
      subjects: n keys, the person of each clip.
      resting_lengths: float64[m, k], the capsule lengths of the resting pairs.
      resting_subjects: m keys.
    """
    longest, resting = lengths.max(axis=1), resting_lengths.max(axis=1)
    of_subject = group_ids([*subjects, *resting_subjects])
    clip_of, pair_of = of_subject[: len(longest)], of_subject[len(longest) :]
    is_missed, is_alarm = np.zeros(len(longest), bool), np.zeros(len(resting), bool)
    for subject in np.unique(of_subject):
        others, resting_others = longest[clip_of != subject], resting[pair_of != subject]
        if not len(others) or not len(resting_others):
            others, resting_others = longest, resting
        length = optimal_threshold(resting_others, others)
        is_missed[clip_of == subject] = longest[clip_of == subject] <= length
        is_alarm[pair_of == subject] = resting[pair_of == subject] > length

    def count(classes: NDArray[np.integer]) -> tuple[int, ...]:
        return tuple(np.bincount(classes, minlength=lengths.shape[1]).tolist())

    answers = np.argmax(resting_lengths, axis=1)
    return Threshold(
        optimal_threshold(resting, longest),
        count(answers),
        tuple(np.bincount(_bins(resting), minlength=NUM_BINS).tolist()),
        count(answers[is_alarm]),
        count(labels),
        count(labels[is_missed]),
    )


def optimal_threshold(resting: Floats, longest: Floats) -> float:
    """Return the length that separates pairs at rest from clips with an expression.

    At most ``MAX_FALSE_ALARMS`` of the resting pairs are longer. Among the lengths of which this is true, the share of
    false alarms plus that of missed clips is smallest at the returned one: where the two do not overlap, it is in the
    middle of the gap, and where they do, nearly all rests are recognized at the cost of the clips.

    Args:
      resting: float64[m], the longest capsule of each resting pair, m > 0.
      longest: float64[n], the longest capsule of each clip, n > 0.
    """
    lengths = np.unique(np.concatenate([resting, longest]))
    alarms = len(resting) - np.searchsorted(np.sort(resting), lengths, "right")
    missed = np.searchsorted(np.sort(longest), lengths, "right")
    is_allowed = alarms <= MAX_FALSE_ALARMS * len(resting)
    best = int(np.argmin(np.where(is_allowed, alarms / len(resting) + missed / len(longest), np.inf)))
    return float(lengths[best : best + 2].mean())  # the next length is the first that counts otherwise


def find_close_call(margins: Floats, is_right: NDArray[np.bool_]) -> CloseCall:
    """Return the margin up to which answers are mostly wrong.

    An isotonic regression of ``is_right`` on the margins falls below 1/2 up to the margin at which the number of wrong
    answers exceeds that of right ones by most.

    Args:
      margins: float64[n], the differences between the two longest capsules.
      is_right: bool[n].
    """
    values, group = np.unique(margins, return_inverse=True)
    excess = np.cumsum(np.bincount(group, weights=np.where(is_right, -1, 1)))
    margin = float(values[np.argmax(excess)]) if excess.max() > 0 else 0.0
    is_close = margins <= margin
    return CloseCall(margin, int(is_close.sum()), int(is_right[is_close].sum()))


def measure_reliability(longest: Floats, is_right: NDArray[np.bool_]) -> Reliability:
    """Compare the longest capsules float64[n], between 0 and 1, with the accuracy of the answers bool[n]."""
    bins = _bins(longest)
    clips, sums, right = (np.bincount(bins, weights, NUM_BINS) for weights in (None, longest, is_right))
    length, accuracy = sums / np.maximum(clips, 1), right / np.maximum(clips, 1)
    error = float((clips * np.abs(length - accuracy)).sum() / clips.sum())
    return Reliability(tuple(clips.tolist()), tuple(length.tolist()), tuple(accuracy.tolist()), error)


def _bins(longest: Floats) -> NDArray[np.int64]:
    return np.clip((longest * NUM_BINS).astype(np.int64), 0, NUM_BINS - 1)


def describe_threshold(threshold: Threshold, classes: Sequence[str]) -> str:
    """Return a line on the answers for held-out people: false alarms by class, and missed clips."""
    alarms = ", ".join(f"{name} {count}" for name, count in zip(classes, threshold.false_alarms, strict=True) if count)
    return (
        f"{sum(threshold.false_alarms)} of {sum(threshold.resting)} pairs at rest get a class"
        f"{f' ({alarms})' if alarms else ''}, {sum(threshold.missed)} of {sum(threshold.clips)} clips are answered "
        f"{NO_EXPRESSION}"
    )


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Write calibration.json with a checksum."""
    write_json_with_checksum(path, asdict(calibration))


def read_calibration(path: Path) -> Calibration | None:
    """Read calibration.json; return None where there is none, as of a run that held nobody out.

    Raises:
      UserError: the file is damaged or of another version.
    """
    if not path.exists():
        return None
    try:
        content = read_json_with_checksum(path)
        return Calibration(
            Threshold(**_with_tuples(content["threshold"])),
            CloseCall(**content["close_call"]),
            Reliability(**_with_tuples(content["reliability"])),
        )
    except UserError as error:
        raise UserError(f"{error}; remove the file and {RERUN_HINT}") from None
    except (KeyError, TypeError, AttributeError):
        raise UserError(
            f"{path}: not the calibration of a run by this version; remove the file and {RERUN_HINT}"
        ) from None


def _with_tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
