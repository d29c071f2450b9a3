import itertools

import numpy as np
import pytest

from icegan_jax.evaluation.synthesis.scores import mean_over_subjects


def test_interval_is_that_of_all_equally_likely_draws():
    """Three subjects have 27 equally likely draws, whose percentiles those of many random draws approach."""
    values, subjects = np.array([1.0, 3.0, 4.0, 9.0]), ["a", "a", "b", "c"]
    values_of = {person: values[[p == person for p in subjects]] for person in "abc"}
    means = [np.concatenate([values_of[p] for p in draw]).mean() for draw in itertools.product("abc", repeat=3)]
    result = mean_over_subjects(values, subjects, draws=4000)
    assert result.mean == pytest.approx(values.mean()) and result.n == 4
    low, high = np.quantile(np.repeat(means, 200), [0.025, 0.975])
    assert (result.low, result.high) == (pytest.approx(low), pytest.approx(high))


def test_clips_without_a_value_are_left_out():
    values = np.array([1.0, np.nan, 5.0, np.nan])
    result = mean_over_subjects(values, [("d", "1"), ("d", "1"), ("d", "2"), ("d", "3")])
    assert result == mean_over_subjects(np.array([1.0, 5.0]), ["a", "b"])
    assert (result.mean, result.low, result.high, result.n) == (3, 1, 5, 2)


def test_one_subject_has_no_interval_and_no_value_has_no_mean():
    assert mean_over_subjects(np.array([1.0, 2.0]), ["a", "a"]) == (1.5, None, None, 2)
    result = mean_over_subjects(np.array([np.nan]), ["a"])
    assert np.isnan(result.mean) and result[1:] == (None, None, 0)
    with pytest.raises(ValueError, match="2 values of 1 clips"):
        mean_over_subjects(np.ones(2), ["a"])
