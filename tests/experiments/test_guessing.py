import functools
import itertools
import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score

from experiments import guessing_study
from icegan_jax.errors import UserError

EVEN = np.full(3, 1 / 3)
EACH = "best test epoch per fold, each score by itself"
FOLD_BEST = "mean over folds of each fold's best"


def scores(truth, guess):
    return scored(tuple(truth), tuple(guess))


@functools.cache
def scored(truth, guess):
    return np.array(
        [
            f1_score(truth, guess, average="macro", zero_division=0),
            recall_score(truth, guess, labels=sorted(set(truth)), average="macro", zero_division=0),
            accuracy_score(truth, guess),
        ]
    )


def by_hand(folds, answers):
    """The rules, read aloud; `folds` has the truth of each, `answers[epoch][fold]` the guesses."""
    own = np.array([[scores(t, g) for t, g in zip(folds, epoch, strict=True)] for epoch in answers])
    every = [label for fold in folds for label in fold]
    pooled = [scores(every, [g for fold in epoch for g in fold]) for epoch in answers]

    def chosen(by):
        picks = [max(range(len(answers)), key=lambda e, f=f: own[e, f, by]) for f in range(len(folds))]
        return scores(every, [g for f, e in enumerate(picks) for g in answers[e][f]])

    return {
        "last epoch": pooled[-1],
        "best common epoch": np.max(pooled, axis=0),
        "best test epoch per fold, by accuracy": chosen(2),
        "best test epoch per fold, by UF1": chosen(0),
        EACH: np.array([chosen(by)[by] for by in range(3)]),
        "mean over folds, last epoch": own[-1].mean(axis=0),
        FOLD_BEST: own.max(axis=0).mean(axis=0),
    }


def flat(folds):
    return np.array([x for fold in folds for x in fold]), np.repeat(np.arange(len(folds)), [len(f) for f in folds])


def test_rules_against_scikit_learn():
    random = np.random.default_rng(1)
    folds = [[0, 0, 1], [2], [1, 1, 0, 2], [0, 0]]
    labels, fold = flat(folds)
    for _ in range(5):
        answers = [[list(random.integers(0, 3, len(f))) for f in folds] for _ in range(4)]
        guesses = np.array([[g for f in epoch for g in f] for epoch in answers])
        found = dict(guessing_study.apply_rules(guessing_study.count_guesses(labels, fold, guesses, 3)))
        expected = by_hand(folds, answers)
        assert list(found) == list(expected) == list(guessing_study.RULES)
        for rule in expected:
            np.testing.assert_allclose(found[rule], expected[rule], err_msg=rule)


def test_expectation_by_enumeration():
    """Two folds of one clip and of two, two epochs: 27 * 27 equally probable answers."""
    folds = [[0], [1, 2]]
    every = [by_hand(folds, [[g[:1], g[1:3]], [g[3:4], g[4:]]]) for g in itertools.product(range(3), repeat=6)]
    labels, fold = flat(folds)
    found = guessing_study.simulate_guessing(labels, fold, EVEN, epochs=2, draws=4000)
    for rule in guessing_study.RULES:
        expected = np.mean([one[rule] for one in every], axis=0)
        means = [found[rule][name].mean for name in guessing_study.SCORES]
        np.testing.assert_allclose(means, expected, atol=0.025, err_msg=rule)


def test_one_clip_by_hand():
    found = guessing_study.simulate_guessing(np.array([0]), ["a"], EVEN, epochs=2, draws=4000)
    assert found["last epoch"]["uf1"].mean == pytest.approx(1 / 3, abs=0.025)
    assert found[EACH]["uf1"].mean == pytest.approx(1 - (2 / 3) ** 2, abs=0.025)
    assert (found[EACH]["uf1"].low, found[EACH]["uf1"].high) == (0, 1)


def test_more_epochs_to_choose_from_never_hurt():
    labels, fold = np.tile([0, 1, 2, 0], 10), np.repeat(np.arange(10), 4)
    found = [guessing_study.simulate_guessing(labels, fold, EVEN, epochs=epochs, draws=20) for epochs in (1, 4, 30)]
    for rule in (EACH, "best common epoch", FOLD_BEST):
        uf1 = [table[rule]["uf1"].mean for table in found]
        assert uf1[0] < uf1[1] < uf1[2], rule
    assert len({table["uf1"].mean for rule, table in found[0].items() if not rule.startswith("mean")}) == 1
    assert found[2]["last epoch"]["uf1"].mean == pytest.approx(found[0]["last epoch"]["uf1"].mean, abs=0.06)


def test_answers_are_carried_over():
    random = np.random.default_rng(0)
    for correlation in (0.0, 0.75, 1.0):
        guesses = guessing_study.draw_guesses(random, 500, EVEN, 40, correlation)
        same = (guesses[1:] == guesses[:-1]).mean()
        assert same == pytest.approx(correlation + (1 - correlation) / 3, abs=0.02)
    labels, fold = np.array([0, 1, 2, 0]), np.array([0, 0, 1, 1])
    found = guessing_study.simulate_guessing(labels, fold, EVEN, epochs=9, draws=10, correlation=1.0)
    assert found["best common epoch"] == found["last epoch"] == found[EACH]


def test_answers_are_as_frequent_as_asked():
    guesses = guessing_study.draw_guesses(np.random.default_rng(0), 1000, np.array([0.5, 0.0, 0.2, 0.3]), 30, 0.5)
    np.testing.assert_allclose(np.bincount(guesses.ravel()) / guesses.size, [0.5, 0, 0.2, 0.3], atol=0.02)


def test_the_seed_decides():
    labels = np.array([0, 1, 2, 0])
    one, two, other = (
        guessing_study.simulate_guessing(labels, "aabb", EVEN, epochs=3, draws=5, seed=seed) for seed in (1, 1, 2)
    )
    assert one == two != other


@pytest.mark.parametrize(
    "options,message",
    [
        ({"epochs": 0}, "--epochs=0 --draws=2: give at least one"),
        ({"draws": 0}, "--epochs=2 --draws=0: give at least one"),
        ({"correlation": 1.5}, "--correlation=1.5: it is a share"),
        ({"correlation": float("nan")}, "--correlation=nan: it is a share"),
        ({"epochs": 5_000_001}, "--epochs=5000001: 2 clips allow 5000000"),  # memory is bounded
    ],
)
def test_refuses(options, message):
    with pytest.raises(UserError, match=message):
        guessing_study.simulate_guessing(np.array([0, 1]), "ab", EVEN, **{"epochs": 2, "draws": 2} | options)


def test_memory_does_not_grow_with_draws():
    labels, fold = np.tile([0, 1, 2, 0], 25), np.repeat(np.arange(20), 5)
    peaks = []
    for draws in (2, 60):
        tracemalloc.start()
        guessing_study.simulate_guessing(labels, fold, EVEN, epochs=50, draws=draws)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]
