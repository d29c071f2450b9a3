from pathlib import Path

import pytest

from icegan_jax.errors import UserError
from icegan_jax.evaluation.published_predictions import read_published_predictions, read_text_log

PATH = Path("log.txt")
LOG = """\
training on 2 subjects: 68 folds
Subject: sub01
Epoch 3 loss [0.25]
Predicted    : [1, 1]
Best Predicted    : [0, 2]
Ground Truth : [0, 1]
Evaluation until this subject:
UF1: 0.5 | UAR: 0.25
evaluating
Subject: 007
evaluating
predicted tensor([2., 0, 1
   1]) ground truth tensor([2 0 1 0])
"""


def test_lists_of_each_subject():
    datasets, subjects, truth, predicted = read_text_log(PATH, LOG)
    assert datasets is None
    assert subjects == ["sub01"] * 2 + ["007"] * 4
    assert truth == list("01" + "2010")
    assert predicted == list("02" + "2011")  # of two lists of predictions the last


def test_datasets_are_read_and_a_log_is_distinguished_from_a_csv(tmp_path):
    text = "".join(
        f"Dataset: {name} Subject: 1\npred [{guess}]\nlabels [0]\n" for name, guess in (("casme2", 0), ("samm", 2))
    )
    text = "seed 1, folds 2, epochs 3\n" + text  # commas do not make it a table
    path = tmp_path / "published"
    path.write_text(text)
    result = read_published_predictions(path)
    assert (result.dataset, result.subject, result.clip) == (["casme2", "samm"], ["1", "1"], None)
    assert (result.label, result.prediction) == (["0", "0"], ["0", "2"])


def lists(head: str, guess: int = 0) -> str:
    return f"{head}\npredicted [{guess}]\nground truth [1]\n"


def test_words_on_a_line_are_no_subjects_where_subjects_are_named():
    text = lists("Subject: sub01\nevaluating") + lists("Subject: sub02\nsubject independent", 2)
    assert read_text_log(PATH, text) == (None, ["sub01", "sub02"], ["1", "1"], ["0", "2"])


@pytest.mark.parametrize("first", ["sub01", "subject sub01", "== Subject sub01 =="])
def test_bare_subjects_where_none_is_named(first):
    assert read_text_log(PATH, lists(first) + lists("007", 2)) == (None, ["sub01", "007"], ["1", "1"], ["0", "2"])
    assert read_text_log(PATH, lists(first) + lists("sub01", 2))[1:] == (
        ["sub01"],
        ["1"],
        ["2"],
    )  # the last epoch counts


@pytest.mark.parametrize(
    "text,message",
    [
        ("nothing here", "log.txt: neither a CSV nor a log"),
        ("a line of words\npredicted [1]", "log.txt:2: a list before any subject"),
        (
            lists("sub01\nevaluating") + lists("sub02\nevaluating"),
            "log.txt:6: 'evaluating' again, after 'sub02': is it a subject. put a line 'Subject: NAME' above",
        ),
        (lists("a") + lists("b") + lists("a"), "log.txt:7: 'a' again, after 'b'"),
        ("subject: a\npredicted [1, 2]\ntruth [1]", "subject a has 2 predictions and 1 true classes"),
        ("subject: a\npredicted [1, 2]", "subject a has 2 predictions and 0 true classes"),
        ("subject: a\npredicted [1, x]", "log.txt:2: 'x' in the list is not a whole number"),
        ("subject: a\npredicted [0.5]", "log.txt:2: '0.5' in the list is not a whole number"),
        ("subject: a\npredicted [-1]", "log.txt:2: '-1' in the list is not a whole number"),
    ],
)
def test_damaged_log_is_named(text, message):
    with pytest.raises(UserError, match=message):
        read_text_log(PATH, text)
