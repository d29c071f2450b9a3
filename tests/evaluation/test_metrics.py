import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score

from icegan_jax.evaluation import metrics


def random_predictions(seed: int, size: int = 200) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.choice(3, size=size, p=[0.57, 0.25, 0.18])
    guess = np.where(random.random(size) < 0.6, truth, random.integers(0, 3, size))
    return truth, guess


def test_confusion_by_hand():
    counts = metrics.confusion([0, 0, 1, 2, 2], [0, 1, 1, 0, 2])
    np.testing.assert_array_equal(counts, [[1, 1, 0], [0, 1, 0], [1, 0, 1]])
    assert counts.dtype == np.int64


def test_scores_by_hand():
    counts = np.array([[6, 2, 0], [1, 3, 0], [1, 0, 2]])
    # F1: 2*6/(8+8), 2*3/(4+5), 2*2/(3+2); recall: 6/8, 3/4, 2/3
    np.testing.assert_allclose(metrics.f1_per_class(counts), [12 / 16, 6 / 9, 4 / 5])
    np.testing.assert_allclose(metrics.recall_per_class(counts), [6 / 8, 3 / 4, 2 / 3])
    assert metrics.uf1(counts) == pytest.approx((12 / 16 + 6 / 9 + 4 / 5) / 3)
    assert metrics.uar(counts) == pytest.approx((6 / 8 + 3 / 4 + 2 / 3) / 3)
    assert metrics.accuracy(counts) == pytest.approx(11 / 15)


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_scikit_learn(seed):
    truth, guess = random_predictions(seed)
    counts = metrics.confusion(truth, guess)
    np.testing.assert_array_equal(counts, confusion_matrix(truth, guess, labels=[0, 1, 2]))
    assert metrics.uf1(counts) == pytest.approx(f1_score(truth, guess, average="macro"))
    assert metrics.uar(counts) == pytest.approx(recall_score(truth, guess, average="macro"))
    assert metrics.accuracy(counts) == pytest.approx(accuracy_score(truth, guess))


@pytest.mark.parametrize("truth,guess", [([0, 0, 1], [0, 1, 1]), ([0, 0, 1], [0, 2, 1])])
def test_absent_classes_leave_the_mean(truth, guess):
    counts = metrics.confusion(truth, guess)
    assert metrics.uf1(counts) == pytest.approx(f1_score(truth, guess, average="macro"))
    assert metrics.uar(counts) == pytest.approx(3 / 4)


def test_absent_class_is_nan_per_class():
    counts = metrics.confusion([0, 1], [0, 1])
    np.testing.assert_array_equal(np.isnan(metrics.f1_per_class(counts)), [False, False, True])
    np.testing.assert_array_equal(np.isnan(metrics.recall_per_class(counts)), [False, False, True])


def test_leading_axes_are_scored_one_by_one():
    stack = np.stack([metrics.confusion(*random_predictions(seed)) for seed in range(4)])
    expected = [metrics.f1_per_class(counts) for counts in stack]
    np.testing.assert_allclose(metrics.f1_per_class(stack), expected)


def test_pooled_is_not_the_mean_over_folds():
    folds = [([0, 0, 0, 1], [0, 0, 0, 0]), ([1], [1]), ([2, 0], [2, 2])]
    per_fold = [metrics.confusion(truth, guess) for truth, guess in folds]
    pooled = metrics.uf1(np.sum(per_fold, axis=0))
    # pooled: F1 = 2*3/(4+4), 2*1/(2+1), 2*1/(1+2)
    assert pooled == pytest.approx((3 / 4 + 2 / 3 + 2 / 3) / 3)
    mean = np.mean([metrics.uf1(counts) for counts in per_fold])
    assert abs(pooled - mean) > 0.1


@pytest.mark.parametrize(
    "truth,guess,words",
    [([0, 1], [0], "two lists"), ([0, 3], [0, 1], "label"), ([0, 1], [0, -1], "prediction")],
)
def test_confusion_refuses(truth, guess, words):
    with pytest.raises(ValueError, match=words):
        metrics.confusion(truth, guess)


@pytest.mark.parametrize("metric", [metrics.uf1, metrics.uar, metrics.accuracy])
def test_no_clip_has_no_score(metric):
    with pytest.raises(ValueError, match="not one clip"):
        metric(np.zeros((3, 3), np.int64))


def test_subjects_of_two_databases_stay_apart():
    ids = metrics.group_ids([("casme2", "1"), ("samm", "1"), ("casme2", "1")])
    np.testing.assert_array_equal(ids, [0, 1, 0])


def test_scores_of_many_confusions_are_those_of_each():
    counts = np.random.default_rng(0).integers(0, 4, (5, 3, 3))
    counts[0] = [[0, 0, 0], [0, 2, 1], [0, 0, 0]]  # a class absent, another only predicted
    expected = [[metrics.uf1(each), metrics.uar(each), metrics.accuracy(each)] for each in counts]
    np.testing.assert_allclose(metrics.score_all(counts), expected)
