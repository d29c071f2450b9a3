import numpy as np
import pytest

from icegan_jax.evaluation import bootstrap, metrics


def predictions(seed: int = 0, subjects: int = 20, each: int = 6):
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, subjects * each)
    guess = np.where(random.random(truth.size) < 0.7, truth, random.integers(0, 3, truth.size))
    return truth, guess, np.repeat(np.arange(subjects), each)


def slow_bootstrap(truth, guess, groups, draws, seed):
    """Resample row by row, as the definition does."""
    random = np.random.default_rng(seed)
    names = np.unique(groups)
    scores = []
    for _ in range(draws):
        drawn = random.choice(names, len(names))
        rows = np.concatenate([np.flatnonzero(groups == name) for name in drawn])
        counts = metrics.confusion(truth[rows], guess[rows])
        scores.append((metrics.uf1(counts), metrics.uar(counts)))
    return np.quantile(scores, [0.025, 0.975], axis=0)


def test_agrees_with_row_by_row_resampling():
    truth, guess, groups = predictions()
    fast = bootstrap.subject_bootstrap(truth, guess, groups, draws=3000)
    slow = slow_bootstrap(truth, guess, groups, draws=1500, seed=7)
    np.testing.assert_allclose(fast.uf1, slow[:, 0], atol=0.015)
    np.testing.assert_allclose(fast.uar, slow[:, 1], atol=0.015)


def test_paired_differences_agree_with_row_by_row_resampling():
    truth, first, groups = predictions()
    second = np.where(np.random.default_rng(9).random(truth.size) < 0.3, 0, first)
    result = bootstrap.paired_differences(truth, first, second, groups, draws=3000)
    random = np.random.default_rng(7)
    differences = []
    for _ in range(1500):
        drawn = random.integers(0, 20, 20)
        rows = np.concatenate([np.flatnonzero(groups == name) for name in drawn])
        one, two = (metrics.confusion(truth[rows], guess[rows]) for guess in (first, second))
        differences.append([score(one) - score(two) for score in (metrics.uf1, metrics.uar, metrics.accuracy)])
    slow = np.quantile(differences, [0.025, 0.975], axis=0)
    for number, interval in enumerate((result.uf1, result.uar, result.accuracy)):
        np.testing.assert_allclose(interval, slow[:, number], atol=0.015)


def test_paired_differences_of_equal_predictions():
    truth, guess, groups = predictions()
    same = bootstrap.paired_differences(truth, guess, guess, groups)
    assert same.uf1 == same.uar == same.accuracy == (0.0, 0.0)
    assert bootstrap.paired_differences([0, 1], [0, 0], [0, 1], ["a", "a"]) is None


def test_interval_holds_the_score_and_repeats():
    truth, guess, groups = predictions(1)
    first = bootstrap.subject_bootstrap(truth, guess, groups)
    counts = metrics.confusion(truth, guess)
    assert first.uf1[0] < metrics.uf1(counts) < first.uf1[1]
    assert first.uar[0] < metrics.uar(counts) < first.uar[1]
    assert first.accuracy[0] < metrics.accuracy(counts) < first.accuracy[1]
    assert first == bootstrap.subject_bootstrap(truth, guess, groups)
    assert first != bootstrap.subject_bootstrap(truth, guess, groups, seed=1)


def test_whole_subjects_are_drawn():
    # Ten subjects, each all right or all wrong: clips drawn singly would give a far narrower interval.
    truth = np.tile([0, 1, 2], 100)
    groups = np.repeat(np.arange(10), 30)
    guess = np.where(groups < 5, truth, (truth + 1) % 3)
    by_subject = bootstrap.subject_bootstrap(truth, guess, groups)
    by_clip = bootstrap.subject_bootstrap(truth, guess, np.arange(300))
    assert by_subject.uar[1] - by_subject.uar[0] > 3 * (by_clip.uar[1] - by_clip.uar[0])


def test_one_subject_has_no_interval():
    assert bootstrap.subject_bootstrap([0, 1], [0, 0], [("a", "1"), ("a", "1")]) is None


def test_subjects_without_a_class_are_fine():
    result = bootstrap.subject_bootstrap([0, 1, 2], [0, 1, 0], ["a", "b", "c"], draws=50)
    assert np.isfinite([*result.uf1, *result.uar]).all()


def test_always_negative_by_hand():
    # The counts of MEGC2019 (docs/databases.md, "MEGC2019 clips"): 250 negative, 109 positive, 83 surprise.
    floors = bootstrap.floors(np.repeat([0, 1, 2], [250, 109, 83]))
    f1 = 2 * 250 / (2 * 250 + 192)
    assert floors["always_negative"] == {
        "uf1": pytest.approx(f1 / 3),
        "uar": pytest.approx(1 / 3),
    }


def test_prior_random_is_the_expected_score():
    labels = np.repeat([0, 1, 2], [250, 109, 83])
    floor = bootstrap.floors(labels)["prior_random"]
    assert floor["uar"] == pytest.approx(1 / 3, abs=0.005)
    random = np.random.default_rng(3)
    guesses = random.choice(3, size=(400, 442), p=np.bincount(labels) / 442)
    scores = [metrics.uf1(metrics.confusion(labels, guess)) for guess in guesses]
    assert floor["uf1"] == pytest.approx(np.mean(scores), abs=0.005)


def test_constant_prediction_of_other_classes_is_the_most_frequent_class():
    classes = ("happiness", "disgust", "repression", "tense face", "nothing")
    labels = np.repeat([0, 1, 2, 3], [3, 6, 2, 6])
    floors = bootstrap.floors(labels, classes)
    assert list(floors) == ["always_disgust", "prior_random"]  # of the two with six, the first
    f1 = 2 * 6 / (2 * 6 + 11)
    assert floors["always_disgust"] == {"uf1": pytest.approx(f1 / 4), "uar": pytest.approx(1 / 4)}  # four occur
    assert floors["prior_random"]["uar"] == pytest.approx(1 / 4, abs=0.02)
    scores = [metrics.uf1(metrics.confusion(labels, np.full(17, label), 5)) for label in range(5)]
    assert max(scores) == floors["always_disgust"]["uf1"]


def test_one_class_has_floors_and_an_interval():
    assert bootstrap.floors([0, 0], ("face",)) == {
        "always_face": {"uf1": 1.0, "uar": 1.0},
        "prior_random": {"uf1": 1.0, "uar": 1.0},
    }
    assert bootstrap.subject_bootstrap([0, 0], [0, 0], ["a", "b"], num_classes=1).uf1 == (1.0, 1.0)


def test_five_classes_agree_with_row_by_row_resampling(monkeypatch):
    random = np.random.default_rng(5)
    truth = random.choice([0, 1, 2, 4], 120)  # class 3 has no clip
    guess = np.where(random.random(120) < 0.6, truth, random.integers(0, 5, 120))
    groups = np.repeat(np.arange(20), 6)
    fast = bootstrap.subject_bootstrap(truth, guess, groups, num_classes=5, draws=3000)
    confusion = metrics.confusion
    monkeypatch.setattr(metrics, "confusion", lambda labels, guesses: confusion(labels, guesses, 5))
    slow = slow_bootstrap(truth, guess, groups, draws=1500, seed=7)
    np.testing.assert_allclose(fast.uf1, slow[:, 0], atol=0.02)
    np.testing.assert_allclose(fast.uar, slow[:, 1], atol=0.02)


def test_floors_of_no_clip():
    with pytest.raises(ValueError, match="not one clip"):
        bootstrap.floors([])
