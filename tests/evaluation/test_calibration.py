"""The threshold of "no expression", close calls and the reliability of capsule lengths, on made-up lengths."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from icegan_jax.errors import UserError
from icegan_jax.evaluation.calibration import (
    Calibration,
    calibrate,
    find_close_call,
    measure_reliability,
    optimal_threshold,
    read_calibration,
    write_calibration,
)
from icegan_jax.evaluation.predictions import Prediction
from icegan_jax.evaluation.resting import RestingPrediction


def calibration(longest: Sequence[float], resting: Sequence[float]) -> Calibration:
    """Calibrate with clips of class 0 and resting pairs whose longest capsule is the second; each of its own person."""
    clips = [Prediction("a", str(n), "x", 0, 0, (length, 0.1, 0.1)) for n, length in enumerate(longest)]
    pairs = [RestingPrediction("a", str(n), "x", 0, 1, (0.05, length, 0.1)) for n, length in enumerate(resting)]
    return calibrate(clips, pairs)


def test_the_threshold_is_in_the_middle_of_a_gap() -> None:
    assert optimal_threshold(np.array([0.1, 0.3]), np.array([0.7, 0.9])) == pytest.approx(0.5)


def test_one_resting_pair_in_twenty_may_exceed_the_threshold() -> None:
    """Even where a lower threshold would miss fewer clips."""
    resting = np.arange(1, 41) / 50
    assert (resting > optimal_threshold(resting, np.array([0.3, 0.77, 0.77]))).sum() == 2
    assert (resting > optimal_threshold(resting, np.full(5, 0.5))).sum() == 0


def test_false_alarms_and_missed_clips_are_those_of_the_thresholds_of_other_people() -> None:
    threshold = calibration([0.9, 0.95, 0.7], [0.2, 0.3, 0.75]).threshold
    assert threshold.length == pytest.approx(0.825)
    assert threshold.resting == (0, 3, 0) and threshold.resting_by_length == (0, 0, 1, 1, 0, 0, 0, 1, 0, 0)
    assert threshold.clips == (3, 0, 0)
    # The first two people set the third one's threshold, which is in the middle between 0.3 and 0.9.
    assert threshold.false_alarms == (0, 1, 0) and threshold.missed == (0, 0, 0)


def test_answers_are_close_up_to_the_margin_at_which_wrong_ones_prevail() -> None:
    margins = np.array([0.01, 0.02, 0.03, 0.04, 0.2, 0.3, 0.4])
    close = find_close_call(margins, np.array([0, 1, 0, 0, 1, 0, 1], bool))
    assert (close.margin, close.answers, close.right) == (0.04, 4, 1)
    none = find_close_call(margins, np.ones(7, bool))
    assert (none.margin, none.answers, none.right) == (0.0, 0, 0)
    equal = find_close_call(np.array([0.1, 0.1, 0.5]), np.array([0, 1, 1], bool))
    assert equal.margin == 0.0


def test_the_expected_calibration_error() -> None:
    found = measure_reliability(np.array([0.92, 0.98, 0.55, 1.0]), np.array([1, 0, 1, 1], bool))
    assert found.clips == (0, 0, 0, 0, 0, 1, 0, 0, 0, 3) and found.accuracy[9] == pytest.approx(2 / 3)
    assert found.expected_error == pytest.approx((abs(0.55 - 1) + abs(0.92 + 0.98 + 1.0 - 2)) / 4)


def test_the_file(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    assert read_calibration(path) is None
    written = calibration([0.8, 0.9], [0.2])
    write_calibration(path, written)
    assert read_calibration(path) == written
    path.write_text(path.read_text().replace("0.9", "0.8"))
    with pytest.raises(UserError, match=r"calibration\.json: .*start the command that trained the run again"):
        read_calibration(path)
    path.write_text("{}")
    with pytest.raises(UserError, match="calibration.json"):
        read_calibration(path)
