from math import comb

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score

from icegan_jax.compare import main
from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.evaluation import compare
from icegan_jax.evaluation.compare import McNemar, mcnemar
from icegan_jax.evaluation.predictions import Prediction, write_predictions


def fabricate(seed, share):
    """24 clips of 8 subjects in two databases; about `share` of the predictions are correct."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(24):
        label = number % 3
        guess = label if random.random() < share else int(random.integers(3))
        rows.append(Prediction("ab"[number // 12], f"s{number // 3}", f"c{number % 3}", label, guess, (0.1, 0.2, 0.3)))
    return rows


@pytest.fixture
def files(tmp_path):
    """A run, and the five columns of another recognizer in another order."""
    ours, theirs = fabricate(0, 0.8), fabricate(1, 0.3)
    write_predictions(tmp_path / "ours" / "predictions.csv", ours)
    words = [(r.subject, r.clip, EXPRESSIONS[r.prediction], EXPRESSIONS[r.label], r.dataset) for r in theirs[::-1]]
    table = pd.DataFrame(words, columns=["subject", "clip", "prediction", "label", "dataset"])
    table.to_csv(tmp_path / "theirs.csv", index=False)
    return tmp_path / "ours", tmp_path / "theirs.csv", ours, theirs


def test_scores_of_both_and_their_difference(files, tmp_path, capsys):
    first, second, ours, theirs = files
    assert main([str(first), str(second), f"--out={tmp_path / 'out'}"]) == 0
    printed = capsys.readouterr().out
    table = pd.read_csv(tmp_path / "out" / "comparison.csv").set_index(["dataset", "who"])
    assert list(table.index) == [(name, who) for name in ("all", "a", "b") for who in compare.ROWS]
    for name in ("all", "a", "b"):
        part = [i for i, row in enumerate(ours) if name in ("all", row.dataset)]
        truth = [ours[i].label for i in part]
        values = []
        for predictions in (ours, theirs):
            guess = [predictions[i].prediction for i in part]
            f1 = f1_score(truth, guess, average="macro")
            values.append([f1, recall_score(truth, guess, average="macro"), accuracy_score(truth, guess)])
        for who, expected in zip(compare.ROWS, (*values, np.subtract(*values)), strict=True):
            row = table.loc[(name, who)]
            np.testing.assert_allclose(row[list(compare.SCORES)], expected, atol=1e-6)
            assert row["uf1_low"] <= row["uf1"] <= row["uf1_high"]
    only_ours = sum(a.prediction == a.label != b.prediction for a, b in zip(ours, theirs, strict=True))
    only_theirs = sum(b.prediction == b.label != a.prediction for a, b in zip(ours, theirs, strict=True))
    assert f"only OURS right b = {only_ours}, only THEIRS right c = {only_theirs}, exact p " in printed
    differing = [a.subject + a.clip for a, b in zip(ours, theirs, strict=True) if a.prediction != b.prediction]
    listed = pd.read_csv(tmp_path / "out" / "differing_clips.csv")
    assert list(listed["subject"] + listed["clip"]) == differing
    assert list(listed.columns) == ["dataset", "subject", "clip", "label", "ours", "theirs"]
    assert f"the predictions differ on {len(differing)} of 24 clips" in printed


def test_one_subject_has_no_interval(tmp_path, capsys):
    text = "dataset,subject,clip,label,prediction\nd,s,a,positive,negative\nd,s,b,negative,negative\n"
    (tmp_path / "one.csv").write_text(text)
    assert main([str(tmp_path / "one.csv")] * 2) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    # UF1: negative 2/3, positive 0. UAR: one of two.
    assert ["OURS", "0.333", "0.500", "0.500"] in lines
    assert ["difference", "0.000", "0.000", "0.000"] in lines


def test_refuses(files, tmp_path, capsys):
    def fails(*argv):
        assert main([str(argument) for argument in argv]) == 2
        message = capsys.readouterr().err
        assert message.startswith("error: ") and message.count("\n") == 1
        return message

    first, second, *_ = files
    text = second.read_text()
    lines = text.splitlines(keepends=True)
    second.write_text("".join(lines[:-2]))
    assert "theirs.csv: 2 clips are only in" in fails(first, second)
    assert main([str(first), str(second), "--common"]) == 0
    assert "left out: 2 clips that only OURS has, 0 of THEIRS" in capsys.readouterr().out
    second.write_text(text.replace(",b\n", ",x\n").replace(",a\n", ",y\n"))
    assert "name datasets, subjects and clips alike" in fails(first, second, "--common")
    second.write_text(text.replace(",negative,a", ",surprise,a"))
    assert "the clip a s0 c0 is surprise, but negative in" in fails(first, second)
    second.write_text(text + lines[1])
    assert "theirs.csv: two lines of the clip b s7 c2" in fails(first, second)
    second.write_text(text.replace("prediction", "other"))
    assert "theirs.csv: no column prediction" in fails(first, second)
    second.write_text('a,"')
    assert "theirs.csv: " in fails(first, second)
    assert "no such file" in fails(first, tmp_path / "absent.csv")


@pytest.mark.parametrize("only_first,only_second", [(1, 0), (3, 3), (9, 2), (0, 5), (4, 7)])
def test_mcnemar_against_the_binomial_written_out(only_first, only_second):
    right = np.repeat([[1, 1], [1, 0], [0, 1], [0, 0]], [4, only_first, only_second, 3], axis=0)
    truth = np.arange(len(right)) % 3
    first, second = ((truth + 1 - right[:, i]) % 3 for i in range(2))
    total, less = only_first + only_second, min(only_first, only_second)
    tail = sum(comb(total, i) for i in range(less + 1)) / 2**total
    result = mcnemar(truth, first, second)
    assert (result.only_first, result.only_second) == (only_first, only_second)
    assert result.p == pytest.approx(min(1.0, 2 * tail))
    assert result.mid_p == pytest.approx(min(1.0, 2 * tail - comb(total, less) / 2**total))


def test_mcnemar_published_example_and_no_difference():
    """Fagerland, Lydersen, Laake (2013): b = 1 and c = 7 give 0.0703 exact, 0.0391 mid-p."""
    truth = np.zeros(8, int)
    result = mcnemar(truth, np.array([0] + [1] * 7), np.array([1] + [0] * 7))
    assert (round(result.p, 4), round(result.mid_p, 4)) == (0.0703, 0.0391)
    assert mcnemar(np.array([0, 1]), np.array([0, 2]), np.array([0, 0])) == McNemar(0, 0, 1.0, 1.0)
