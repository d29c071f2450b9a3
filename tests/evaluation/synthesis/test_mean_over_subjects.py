import itertools

import numpy as np
import pytest

from icegan_jax.evaluation.synthesis.scores import mean_over_subjects


def test_interval_is_that_of_all_equally_likely_draws():
    """Three people: 27 draws, each as likely; the percentiles of many random ones are theirs."""
    values, people = np.array([1.0, 3.0, 4.0, 9.0]), ["a", "a", "b", "c"]
    mine = {person: values[[p == person for p in people]] for person in "abc"}
    means = [np.concatenate([mine[p] for p in draw]).mean() for draw in itertools.product("abc", repeat=3)]
    found = mean_over_subjects(values, people, draws=4000)
    assert found.mean == pytest.approx(values.mean()) and found.n == 4
    low, high = np.quantile(np.repeat(means, 200), [0.025, 0.975])
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_clips_without_a_value_are_left_out():
    values = np.array([1.0, np.nan, 5.0, np.nan])
    found = mean_over_subjects(values, [("d", "1"), ("d", "1"), ("d", "2"), ("d", "3")])
    assert found == mean_over_subjects(np.array([1.0, 5.0]), ["a", "b"])
    assert (found.mean, found.low, found.high, found.n) == (3, 1, 5, 2)


def test_one_person_has_no_interval_and_nobody_no_mean():
    assert mean_over_subjects(np.array([1.0, 2.0]), ["a", "a"]) == (1.5, None, None, 2)
    found = mean_over_subjects(np.array([np.nan]), ["a"])
    assert np.isnan(found.mean) and found[1:] == (None, None, 0)
    with pytest.raises(ValueError, match="2 values of 1 clips"):
        mean_over_subjects(np.ones(2), ["a"])
