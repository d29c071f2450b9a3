import csv

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score

from icegan_jax.compare import main
from icegan_jax.evaluation import compare
from icegan_jax.evaluation.predictions import Prediction, write_predictions

SCORES = (0.1, 0.2, 0.3)


def fabricate(seed, share):
    """24 clips of 8 subjects in two databases; about `share` of the predictions are correct."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(24):
        label = number % 3
        guess = label if random.random() < share else int(random.integers(3))
        rows.append(Prediction("ab"[number // 12], f"s{number // 3}", f"c{number % 3}", label, guess, SCORES))
    return rows


@pytest.fixture
def files(tmp_path):
    ours, theirs = fabricate(0, 0.8), fabricate(1, 0.3)
    write_predictions(tmp_path / "ours" / "predictions.csv", ours)
    lines = [f"{row.subject},{row.clip},{row.label},{row.prediction}" for row in theirs[::-1]]
    (tmp_path / "theirs.csv").write_text("\n".join(["Subject,Filename,GT,Pred", *lines]))
    return tmp_path / "ours", tmp_path / "theirs.csv", ours, theirs


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_scores_of_both_and_their_difference(files, tmp_path, capsys):
    first, second, ours, theirs = files
    assert main([str(first), str(second), f"--out={tmp_path / 'out'}"]) == 0
    printed = capsys.readouterr().out
    table = {(row["dataset"], row["who"]): row for row in rows(tmp_path / "out" / "comparison.csv")}
    assert list(table) == [(name, who) for name in ("all", "a", "b") for who in compare.ROWS]
    for name in ("all", "a", "b"):
        part = [i for i, row in enumerate(ours) if name in ("all", row.dataset)]
        truth = [ours[i].label for i in part]
        values = []
        for predictions in (ours, theirs):
            guess = [predictions[i].prediction for i in part]
            f1 = f1_score(truth, guess, average="macro")
            values.append([f1, recall_score(truth, guess, average="macro"), accuracy_score(truth, guess)])
        for who, expected in zip(compare.ROWS, (*values, np.subtract(*values)), strict=True):
            row = table[name, who]
            result = [float(row[score]) for score in ("uf1", "uar", "accuracy")]
            np.testing.assert_allclose(result, expected, atol=1e-6)
            assert float(row["uf1_low"]) <= result[0] <= float(row["uf1_high"])
    only_ours = sum(a.prediction == a.label != b.prediction for a, b in zip(ours, theirs, strict=True))
    only_theirs = sum(b.prediction == b.label != a.prediction for a, b in zip(ours, theirs, strict=True))
    assert f"only OURS right b = {only_ours}, only THEIRS right c = {only_theirs}, exact p " in printed
    differing = [a.subject + a.clip for a, b in zip(ours, theirs, strict=True) if a.prediction != b.prediction]
    listed = rows(tmp_path / "out" / "differing_clips.csv")
    assert [row["subject"] + row["clip"] for row in listed] == differing
    assert {row["ours"] for row in listed} <= {"negative", "positive", "surprise"}
    assert f"the predictions differ on {len(differing)} of 24 clips" in printed


def test_equal_predictions_have_zero_differences(files, tmp_path, capsys):
    first, *_ = files
    assert main([str(first), str(first), f"--out={tmp_path / 'out'}"]) == 0
    for row in rows(tmp_path / "out" / "comparison.csv"):
        if row["who"] == "difference":
            assert {float(row[name]) for name in compare.COLUMNS[2:]} == {0.0}
    assert "b = 0, only THEIRS right c = 0, exact p = 1.0000, mid-p = 1.0000" in capsys.readouterr().out


def test_small_probabilities_are_not_printed_as_zero():
    assert [compare._format_probability(p) for p in (1.0, 0.00012, 0.00001)] == ["= 1.0000", "= 0.0001", "< 0.0001"]


def test_a_log_is_matched_by_order(files, tmp_path, capsys):
    first, _, _, theirs = files
    text = ""
    for subject in sorted({row.subject for row in theirs}):
        own = [row for row in theirs if row.subject == subject]
        text += f"Subject: {subject}\npredicted {[r.prediction for r in own]}\nground truth {[r.label for r in own]}\n"
    (tmp_path / "log.txt").write_text(text)
    assert main([str(first), str(tmp_path / "log.txt"), f"--out={tmp_path / 'log'}"]) == 0
    assert "matched by their order within a subject's class" in capsys.readouterr().out
    main([str(first), str(files[1]), f"--out={tmp_path / 'csv'}"])
    written = [(tmp_path / name / "differing_clips.csv").read_text() for name in ("log", "csv")]
    assert written[0] == written[1]  # each subject has one clip of a class: the order does not matter


def test_one_subject_has_no_interval(tmp_path, capsys):
    (tmp_path / "one.csv").write_text("subject,clip,label,prediction\ns,a,happy,sad\ns,b,sad,sad\n")
    assert main([str(tmp_path / "one.csv")] * 2) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    # UF1: negative 2/3, positive 0. UAR: one of two.
    assert ["OURS", "0.333", "0.500", "0.500"] in lines
    assert ["difference", "0.000", "0.000", "0.000"] in lines


def fails(capsys, *argv):
    assert main([str(argument) for argument in argv]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ") and message.count("\n") == 1
    return message


def test_refuses(files, tmp_path, capsys):
    first, second, *_ = files
    text = second.read_text()
    second.write_text("\n".join(text.splitlines()[:-2]))
    assert "2 clips are only in" in fails(capsys, first, second)
    assert main([str(first), str(second), "--common"]) == 0
    assert "left out: 2 clips that only OURS has, 0 of THEIRS" in capsys.readouterr().out
    second.write_text(text.replace("s0,c0,0,", "s0,c0,1,"))
    assert "the clip s0 c0 is positive, but negative in" in fails(capsys, first, second)
    second.write_text(text.replace("Pred", "Other"))
    assert "theirs.csv: no column of predictions" in fails(capsys, first, second)
    assert "class 'a' is there twice" in fails(capsys, first, second, "--classes=a,a")
    assert "no such file" in fails(capsys, first, tmp_path / "absent.csv")


def test_classes_name_the_numbers(files, capsys):
    first, second, *_ = files
    lines = [line.split(",") for line in second.read_text().splitlines()]
    reversed_lines = [lines[0]] + [[s, c, str(2 - int(t)), str(2 - int(p))] for s, c, t, p in lines[1:]]
    assert main([str(first), str(second)]) == 0
    before = capsys.readouterr().out
    second.write_text("\n".join(",".join(line) for line in reversed_lines))
    assert main([str(first), str(second), "--classes=surprise,positive,negative"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if "McNemar" in line] == [
        line for line in before.splitlines() if "McNemar" in line
    ]
