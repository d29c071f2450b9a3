import dataclasses

import pytest

from icegan_jax.errors import UserError
from icegan_jax.evaluation.predictions import read_predictions, write_predictions
from tests.evaluation.example_predictions import FIVE, five_rows, rows

HEADER = "dataset,subject,clip,label,prediction,negative,positive,surprise"


def test_predictions_come_back(tmp_path):
    path = tmp_path / "deep" / "predictions.csv"
    write_predictions(path, rows())
    assert read_predictions(path) == (("negative", "positive", "surprise"), rows())
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == HEADER
    assert lines[1] == "casme2,1,a,negative,negative,0.900000,0.100000,0.250000"
    assert [file.name for file in path.parent.iterdir()] == ["predictions.csv"]


def test_predictions_of_other_classes_come_back(tmp_path):
    path = tmp_path / "predictions.csv"
    write_predictions(path, five_rows(), FIVE)
    assert read_predictions(path) == (FIVE, five_rows())
    first = path.read_text().splitlines()[0]
    assert first == 'dataset,subject,clip,label,prediction,happiness,disgust,repression,surprise,"so, what"'
    with pytest.raises(ValueError, match="clip0: 5 scores for 3 classes"):
        write_predictions(path, five_rows())


@pytest.mark.parametrize(
    "line,message",
    [
        ("casme2,2,b,negative,positive,0.1", "predictions.csv:3: 6 cells where 8 columns"),
        ("casme2,2,b,angry,positive,0.1,0.2,0.3", ":3: label 'angry' is none of negative, pos"),
        ("casme2,2,b,negative,1,0.1,0.2,0.3", ":3: prediction '1' is none of negative"),
        ("casme2,2,b,negative,positive,0.1,x,0.3", ":3: '0.1,x,0.3' are not all numbers"),
        ("casme2,2,b,negative,positive,0.1,nan,0.3", ":3: a capsule length is not a finite"),
        ("casme2,1,a,negative,positive,0.1,0.2,0.3", "two predictions of the clip casme2 1 a"),
    ],
)
def test_damaged_line_is_named(tmp_path, line, message):
    path = tmp_path / "predictions.csv"
    path.write_text(f"{HEADER}\ncasme2,1,a,negative,negative,0.9,0.1,0.2\n{line}\n")
    with pytest.raises(UserError) as caught:
        read_predictions(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content,message",
    [
        (None, "no such file"),
        (b"", "expected the header dataset,subject"),
        (b"a,b\n", "expected the header dataset,subject"),
        (b"dataset,subject,clip,label,prediction\n", "prediction, then each class once"),
        (b"dataset,subject,clip,label,prediction,a,a\n", "prediction, then each class once"),
        (HEADER.encode() + b"\n", "not one prediction"),
        (b"\xff\xfe", "not UTF-8 text"),
    ],
)
def test_damaged_file_is_named(tmp_path, content, message):
    path = tmp_path / "predictions.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_predictions(path)
    assert str(path) in str(caught.value)


def test_diverged_training_is_not_written(tmp_path):
    broken = dataclasses.replace(rows()[0], scores=(float("nan"), 0.0, 0.0))
    with pytest.raises(UserError, match="casme2 1 a: .* diverged, lower the learning rate"):
        write_predictions(tmp_path / "predictions.csv", [broken])
    assert not list(tmp_path.iterdir())
