from pathlib import Path

import numpy as np
import pytest

from icegan_jax.errors import UserError
from icegan_jax.evaluation.compare import match_clips
from icegan_jax.evaluation.published_predictions import PublishedPredictions


def published(rows, name="a.csv", fields="dsc"):
    """Rows of (dataset, subject, clip, label); a letter of `fields` for each column that is there."""
    datasets, subjects, clips, labels = (list(column) for column in zip(*rows, strict=True))
    named = PublishedPredictions(
        Path(name), datasets if "d" in fields else None, subjects, clips if "c" in fields else None, [], None, None
    )
    return named, np.array(labels)


FIRST = [("casme2", "1", "a", 0), ("casme2", "1", "b", 1), ("samm", "2", "a", 2), ("casme2", "1", "c", 0)]
ORDER = [2, 3, 0, 1]
SECOND = [FIRST[place] for place in ORDER]


def matched(first, second, first_fields="dsc", second_fields="dsc", common=False):
    one, labels = published(first, "ours.csv", first_fields)
    two, others = published(second, "theirs.csv", second_fields)
    return match_clips(one, two, labels, others, common)


@pytest.mark.parametrize("fields", ["dsc", "sc"])
def test_by_name(fields):
    result = matched(FIRST, SECOND, "dsc", fields)
    assert result.first.tolist() == [0, 1, 2, 3]
    assert [ORDER[at] for at in result.second] == [0, 1, 2, 3]
    assert (result.left_out, result.by_order) == ((0, 0), False)


def test_databases_in_any_case():
    result = matched(FIRST, [(dataset.upper(), *rest) for dataset, *rest in FIRST])
    assert result.second.tolist() == [0, 1, 2, 3]


def test_by_order_within_subject_and_class():
    result = matched(FIRST, SECOND, "dsc", "s")
    # Of subject 1's two clips of class 0, c comes before a in the second file: a is matched with c.
    assert [SECOND[at][2] for at in result.second] == ["c", "b", "a", "a"]
    assert [SECOND[at][3] for at in result.second] == [0, 1, 2, 0]
    assert result.by_order


def test_other_clips_raise_or_are_left_out():
    extra = [*SECOND, ("samm", "9", "z", 1), ("samm", "9", "y", 1)]
    with pytest.raises(UserError, match="theirs.csv: 1 clips are only in ours.csv and 3 only here, such as casme2 1 a"):
        matched(FIRST, extra[:2] + extra[3:] + [("x", "x", "x", 0)])
    result = matched(FIRST, [row for row in extra if row[2] != "b"], common=True)
    assert (result.first.tolist(), result.left_out) == ([0, 2, 3], (1, 2))
    # By order, the class of a subject whose clips cannot be distinguished is left out as a whole.
    result = matched(FIRST, SECOND[1:], "dsc", "s", common=True)
    assert (result.first.tolist(), result.left_out) == ([0, 1, 3], (1, 0))
    with pytest.raises(UserError, match=r"such as 1 .class 0.: give --common to compare the 2"):
        matched(FIRST, [SECOND[0], *SECOND[2:]], "dsc", "s")


TWINS = [("casme2", "1", "a", 0), ("samm", "1", "a", 0), ("samm", "1", "b", 0)]


@pytest.mark.parametrize(
    "first,second,fields,message",
    [
        (TWINS, TWINS, "sc", "ours.csv: 1 a is in two datasets, and the other file names no dataset"),
        (TWINS[::2], TWINS[::2], "s", "ours.csv: 1 is in two datasets"),
        (TWINS, [*TWINS, TWINS[0]], "dsc", "theirs.csv: two lines of the clip casme2 1 a: keep one"),
        (TWINS, [("x", "y", "z", 0)], "dsc", "no clip of ours.csv is in it .there 'casme2 1 a', here 'x y z'."),
    ],
)
def test_refuses(first, second, fields, message):
    with pytest.raises(UserError, match=message):
        matched(first, second, "dsc", fields)


def test_one_subject_name_in_two_datasets_is_matched_where_clips_differ():
    assert matched(TWINS[::2], TWINS[::2], "dsc", "sc").second.tolist() == [0, 1]
