"""The selection rules against scikit-learn, the guessers against enumeration, and the table of the command."""

import functools
import itertools

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score

from experiments import guessing_study
from icegan_jax.evaluation import metrics
from icegan_jax.evaluation.predictions import Prediction, write_predictions

EVEN = np.full(3, 1 / 3)
EACH = "best test epoch per fold, each score by itself"


def scores(truth, guess):
    return cached_scores(tuple(truth), tuple(guess))


@functools.cache
def cached_scores(truth, guess):
    f1 = f1_score(truth, guess, average="macro", zero_division=0)
    recall = recall_score(truth, guess, labels=sorted(set(truth)), average="macro", zero_division=0)
    return np.array([f1, recall, accuracy_score(truth, guess)])


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
        "mean over folds of each fold's best": own.max(axis=0).mean(axis=0),
    }


def test_rules_against_scikit_learn():
    random = np.random.default_rng(1)
    folds = [[0, 0, 1], [2], [1, 1, 0, 2], [0, 0]]
    labels, fold = np.concatenate(folds), np.repeat(np.arange(4), [3, 1, 4, 2])
    for _ in range(3):
        answers = [[list(random.integers(0, 3, len(f))) for f in folds] for _ in range(4)]
        guesses = np.array([[g for f in epoch for g in f] for epoch in answers])
        found = dict(guessing_study.apply_rules(guessing_study.count_guesses(labels, fold, guesses, 3)))
        expected = by_hand(folds, answers)
        assert list(found) == list(expected) == list(guessing_study.RULES)
        for rule in expected:
            np.testing.assert_allclose(found[rule], expected[rule], err_msg=rule)


def test_expectation_by_enumeration():
    """Two folds of one clip, two epochs: 9 * 9 equally probable answers."""
    folds = [[0], [1]]
    every = [by_hand(folds, [[g[:1], g[1:2]], [g[2:3], g[3:]]]) for g in itertools.product(range(3), repeat=4)]
    found = guessing_study.simulate_guessing(np.array([0, 1]), np.arange(2), EVEN, epochs=2, draws=1000)
    for rule in guessing_study.RULES:
        expected = np.mean([one[rule] for one in every], axis=0)
        means = [found[rule][name].mean for name in guessing_study.SCORES]
        np.testing.assert_allclose(means, expected, atol=0.05, err_msg=rule)


def test_answers_are_carried_over():
    random = np.random.default_rng(0)
    for correlation in (0.0, 0.75, 1.0):
        guesses = guessing_study.draw_guesses(random, 500, np.array([0.5, 0.2, 0.3]), 40, correlation)
        same = (guesses[1:] == guesses[:-1]).mean()
        assert same == pytest.approx(correlation + (1 - correlation) * 0.38, abs=0.03)


def test_table_of_a_clips_csv(tmp_path, capsys):
    lines = ["dataset,subject,clip,label,frames,onset,apex,offset"]
    for number, word in enumerate(("disgust", "happiness", "surprise", "disgust", "sadness", "happy")):
        lines.append(f"own,{number // 2},{number},{word},folder,1,,9")
    (tmp_path / "clips.csv").write_text("\n".join(lines))
    assert guessing_study.main([str(tmp_path / "clips.csv"), "--epochs=5", "--draws=4", f"--out={tmp_path}"]) == 0
    assert "6 clips in 3 folds (3 negative, 2 positive, 1 surprise)." in capsys.readouterr().out
    rows = pd.read_csv(tmp_path / "guessing_study.csv")
    labels, folds = np.array([0, 1, 2, 0, 0, 1]), [0, 0, 1, 1, 2, 2]
    for guesser, chances in (("prior random", np.array([3, 2, 1]) / 6), ("uniform", EVEN)):
        expected = guessing_study.simulate_guessing(labels, folds, chances, epochs=5, draws=4)
        of_guesser = rows[rows["guesser"] == guesser].set_index("rule")
        for rule, ranges in expected.items():
            assert of_guesser.loc[rule, "uf1"] == pytest.approx(ranges["uf1"].mean, abs=1e-6)


def test_predictions_stand_beside_the_guessers(tmp_path, capsys):
    rows = [Prediction("a", str(n // 3), str(n), n % 3, (n % 3 + (n > 6)) % 3, (0.1, 0.2, 0.3)) for n in range(12)]
    write_predictions(tmp_path / "predictions.csv", rows)
    assert guessing_study.main([str(tmp_path), "--epochs=5", "--draws=4"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    counts = metrics.confusion([row.label for row in rows], [row.prediction for row in rows])
    uf1, uar, accuracy = metrics.uf1(counts), metrics.uar(counts), metrics.accuracy(counts)
    assert f"pooled over the folds {uf1:.3f} {uar:.3f} {accuracy:.3f}" in lines


@pytest.mark.parametrize(
    "options,message",
    [
        (["--epochs=0"], "--epochs=0 --draws=200: give at least one of each"),
        (["--correlation=-1"], "--correlation=-1.0: it is a share"),
        (["--epochs=9999999"], "2 clips allow 5000000: give fewer"),
        (["--seed=-1"], "--seed=-1: give a number from 0"),
    ],
)
def test_refuses(tmp_path, capsys, options, message):
    (tmp_path / "a.csv").write_text("dataset,subject,label\n" + "d,s,happy\n" * 2)
    assert guessing_study.main([str(tmp_path / "a.csv"), *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1
    assert guessing_study.main([str(tmp_path / "absent.csv")]) == 2
    assert "absent.csv: no such file" in capsys.readouterr().err
