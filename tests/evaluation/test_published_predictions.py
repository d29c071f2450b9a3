import numpy as np
import pytest

from icegan_jax.errors import UserError
from icegan_jax.evaluation.predictions import write_predictions
from icegan_jax.evaluation.published_predictions import class_indices, infer_classes, read_published_predictions
from tests.evaluation.example_predictions import FIVE, five_rows

EXPRESSIONS = ("negative", "positive", "surprise")


def write(tmp_path, text, name="theirs.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_run_directory_is_read(tmp_path):
    write_predictions(tmp_path / "predictions.csv", five_rows(), FIVE)
    result = read_published_predictions(tmp_path)
    assert result.classes == FIVE == infer_classes([result])
    assert class_indices(result.path, result.label, FIVE).tolist() == [row.label for row in five_rows()]
    assert class_indices(result.path, result.prediction, FIVE).tolist() == [row.prediction for row in five_rows()]
    assert result.subject_keys == [(row.dataset, row.subject) for row in five_rows()]


def test_other_names_of_columns_and_a_semicolon(tmp_path):
    result = read_published_predictions(
        write(tmp_path, "\ufeffFilename;Subject;GT;Pred;note\na;s1;0;2;x\n\nb;s2;1;1;\n")
    )
    assert (result.dataset, result.clip, result.subject) == (None, ["a", "b"], ["s1", "s2"])
    assert (result.label, result.prediction, result.classes) == (["0", "1"], ["2", "1"], None)
    assert result.subject_keys == [("", "s1"), ("", "s2")]


def test_own_columns_with_another_column_are_a_table(tmp_path):
    result = read_published_predictions(
        write(tmp_path, "dataset,subject,clip,label,prediction,confidence\na,1,x,happy,angry,0.5\n")
    )
    assert (result.label, result.classes) == (["happy"], None)


@pytest.mark.parametrize(
    "labels,classes,numbers",
    [
        (["disgust", "Happiness", "surprise"], EXPRESSIONS, [0, 1, 2]),
        (["2", "0"], EXPRESSIONS, [2, 0]),
        (["3", "0"], ("0", "1", "2", "3"), [3, 0]),
        (["1", "3", "2"], ("1", "2", "3"), [0, 2, 1]),
        (["1", "2", "01"], ("1", "2"), [0, 1, 0]),
        (["2", "3"], ("0", "1", "2", "3"), [2, 3]),
        (["2", "1", "disgust"], EXPRESSIONS, [2, 1, 0]),
        (["others", "happiness"], ("happiness", "others"), [1, 0]),
    ],
)
def test_classes_that_the_words_stand_for(tmp_path, labels, classes, numbers):
    lines = "".join(f"s,{label}\n" for label in labels)
    result = read_published_predictions(write(tmp_path, "subject,label\n" + lines))
    assert infer_classes([result]) == classes
    np.testing.assert_array_equal(class_indices(result.path, result.label, classes), numbers)


def test_a_zero_among_the_predictions_makes_numbers_count_from_0(tmp_path):
    result = read_published_predictions(write(tmp_path, "subject,label,prediction\ns,1,0\ns,3,1\n"))
    assert infer_classes([result]) == ("0", "1", "2", "3")


def test_given_names_count(tmp_path):
    result = read_published_predictions(write(tmp_path, "subject,label\ns,1\n"))
    assert infer_classes([result], ["b", "a"]) == ("b", "a")
    with pytest.raises(UserError, match="theirs.csv: class 1 is not in 0..0 .a.: give --classes"):
        class_indices(result.path, result.label, ["a"])
    with pytest.raises(UserError, match="theirs.csv: label 'c' has no class"):
        class_indices(result.path, ["c"], ["a", "b"])


@pytest.mark.parametrize(
    "text,message",
    [
        ("", "the file is empty"),
        ("subject,label\ns," + "x" * 200_000, "field larger than field limit .131072.: write the file again"),
        ("subject,clip\ns,a\n", "no column label among subject, clip: name it label or truth"),
        ("clip,label\ns,a\n", "no column subject among"),
        ("subject,label\n", "not one clip"),
        ("subject,label\ns,happy,x\n", "theirs.csv:2: 3 cells where 2 columns are expected"),
        ("subject,label\ns,happy\n ,happy\n", "theirs.csv:3: the subject is empty"),
    ],
)
def test_damaged_table_is_named(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read_published_predictions(write(tmp_path, text))
