"""Selection of a fold's evaluation, on numbers small enough to check by eye."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score

from experiments import guessing_study
from icegan_jax.evaluation import metrics
from icegan_jax.evaluation.predictions import Prediction
from icegan_jax.evaluation.selection import Evaluation, best_on_inner, best_on_test, best_test_epoch, predictions_at

NONE = np.empty((0, 3))


def lengths(guesses, strength=0.9):
    """Capsules of which the guessed class's has this length, the others 0.1."""
    return np.where(np.arange(3) == np.array(guesses)[:, None], strength, 0.1)


def inner(step, guesses, strength=0.9):
    return Evaluation(step, NONE, lengths(guesses, strength))


def on_test(step, guesses):
    return Evaluation(step, lengths(guesses), NONE)


LABELS = np.array([0, 0, 1, 2])


def test_inner_takes_the_highest_uf1_not_the_most_correct():
    most_correct = inner(1, [0, 0, 1, 0])  # 3 right; F1 0.8, 1, 0: UF1 0.6
    fewer = inner(2, [0, 1, 1, 2])  # 3 right; F1 2/3, 2/3, 1: UF1 0.78
    fewest = inner(3, [2, 1, 1, 2])  # 2 right; F1 0, 2/3, 2/3
    assert best_on_inner([most_correct, fewer, fewest], LABELS).step == 2


def test_ties_go_to_longer_capsules_and_then_to_the_latest():
    guesses = [0, 0, 1, 0]
    assert best_on_inner([inner(1, guesses, 0.7), inner(2, guesses, 0.8), inner(3, guesses, 0.6)], LABELS).step == 2
    assert best_on_inner([inner(1, guesses), inner(2, guesses), inner(3, [1, 1, 0, 0])], LABELS).step == 2


def test_inner_selection_ignores_the_test_clips():
    rng = np.random.default_rng(0)
    history = [Evaluation(step, rng.random((5, 3)), rng.random((4, 3))) for step in range(1, 9)]
    chosen = best_on_inner(history, LABELS).step
    for _ in range(5):
        other = [evaluation._replace(test=rng.random((5, 3))) for evaluation in history]
        assert best_on_inner(other, LABELS).step == chosen


def test_uf1_and_uar_may_choose_different_evaluations():
    labels = np.array([0] * 4 + [1] * 2)
    by_f1 = on_test(1, [0, 0, 0, 0, 1, 0])  # F1 8/9, 2/3: 0.78; recall 1, 0.5: 0.75
    by_recall = on_test(2, [0, 0, 0, 1, 1, 1])  # F1 6/7, 0.8: 0.83; recall 0.75, 1: 0.875
    third = on_test(3, [0, 0, 0, 2, 1, 1])  # F1 6/7, 1, 0: 0.62; recall 0.75, 1: 0.875
    history = [third, by_f1, by_recall]
    assert best_on_test(history, labels, metrics.uf1) is by_recall
    assert best_on_test([by_f1, third], labels, metrics.uf1) is by_f1
    assert best_on_test([by_f1, third], labels, metrics.uar) is third


def test_ties_on_the_test_clips_go_to_the_earliest_even_if_fewer_are_correct():
    labels = np.array([0, 0, 0, 1])
    worst, three, one = [2, 2, 2, 2], [0, 0, 0, 0], [1, 1, 1, 1]  # correct; recalls 1 and 0, or 0 and 1
    history = [on_test(step, guesses) for step, guesses in enumerate((worst, one, three, three))]
    assert best_on_test(history, labels, metrics.uar).step == 1


def test_the_best_test_epoch_is_the_rule_of_the_guessers():
    rng = np.random.default_rng(6)
    guesses = rng.integers(0, 3, (8, 40))  # evaluations, clips
    labels, fold = np.tile([0, 1, 1, 2, 0], 8), np.repeat(np.arange(10), 4)
    by = dict(guessing_study.apply_rules(guessing_study.count_guesses(labels, fold, guesses, 3)))
    histories = [
        ([on_test(step, row) for step, row in enumerate(guesses[:, fold == person])], labels[fold == person])
        for person in range(10)
    ]
    uf1, uar, _ = by["best test epoch per fold, each score by itself"]
    assert best_test_epoch(histories) == {"uf1": pytest.approx(uf1), "uar": pytest.approx(uar)}


def test_the_best_test_epoch_is_pooled_over_folds_for_each_score():
    """Compare with scikit-learn over every evaluation of every fold."""
    rng = np.random.default_rng(3)
    folds, chosen = [], {"uf1": ([], []), "uar": ([], [])}
    for size in (1, 2, 9, 14):
        labels = np.concatenate([[0, 1, 2], rng.integers(0, 3, size)])[:size]
        history = [on_test(step, rng.integers(0, 3, size)) for step in range(1, 6)]
        folds.append((history, labels))
        for name, score in (("uf1", f1_score), ("uar", recall_score)):
            result = []
            for evaluation in history:
                guesses = evaluation.test.argmax(axis=1)
                occurring = np.unique(labels if name == "uar" else [*labels, *guesses])
                value = score(labels, guesses, average="macro", labels=occurring, zero_division=0)
                result.append((round(value, 9), -evaluation.step))
            best = history[result.index(max(result))]
            chosen[name][0].extend(labels)
            chosen[name][1].extend(best.test.argmax(axis=1))
    scores = best_test_epoch(folds)
    assert scores["uf1"] == pytest.approx(f1_score(*chosen["uf1"], average="macro"))
    assert scores["uar"] == pytest.approx(recall_score(*chosen["uar"], average="macro"))
    last = [(history[-1:], labels) for history, labels in folds]
    assert best_test_epoch(last)["uar"] < scores["uar"]


def test_predictions_of_another_evaluation():
    rows = [Prediction("d", "s", f"c{n}", n, 0, (0.5, 0.2, 0.1)) for n in range(2)]
    result = predictions_at(rows, Evaluation(4, np.array([[0.1, 0.2, 0.7], [0.3, 0.9, 0.0]]), NONE))
    assert result == [
        Prediction("d", "s", "c0", 0, 2, (0.1, 0.2, 0.7)),
        Prediction("d", "s", "c1", 1, 1, (0.3, 0.9, 0.0)),
    ]
    with pytest.raises(ValueError):
        predictions_at(rows, Evaluation(4, np.ones((3, 3)), NONE))
