import numpy as np
import pytest

from icegan_jax.data.folds import leave_one_subject_out
from icegan_jax.errors import UserError
from tests.data.conftest import pairs_of, record

# Subject ids collide across the two datasets, and clip names across subjects.
PAIRS = pairs_of(
    [
        record(dataset, subject, clip, 0, shift)
        for dataset in ("samm", "casme2")
        for subject in ("02", "01", "11")
        for clip in ("a", "b")
        for shift in (-2, -1, 0, 1)
    ]
)


def test_a_fold_per_person_of_each_dataset_sorted() -> None:
    folds = leave_one_subject_out(PAIRS)
    assert [f.name for f in folds] == [
        "casme2_01", "casme2_02", "casme2_11", "samm_01", "samm_02", "samm_11",
    ]  # fmt: skip


def test_nothing_of_the_held_out_person_is_trained_on() -> None:
    people = list(zip(PAIRS.dataset, PAIRS.subject, strict=True))
    for fold in leave_one_subject_out(PAIRS):
        person = (fold.dataset, fold.subject)
        assert person not in {people[i] for i in fold.train}
        assert {people[i] for i in fold.test} == {person}
        assert len(fold.train) == 48 - 8  # everybody else, neighbours included
        assert fold.train.dtype == fold.test.dtype == np.int64


def test_each_clip_is_tested_once_by_its_apex() -> None:
    tested = np.concatenate([f.test for f in leave_one_subject_out(PAIRS)])
    assert sorted(tested) == np.flatnonzero(PAIRS.shift == 0).tolist()


def test_folds_that_cannot_be() -> None:
    with pytest.raises(UserError, match="fold d_s: nobody is left to train on"):
        leave_one_subject_out(pairs_of([record("d", "s", "c", 0, 0)]))
    with pytest.raises(UserError, match="fold d_t: no apex to test"):
        leave_one_subject_out(pairs_of([record("d", "s", "c", 0, 0), record("d", "t", "c", 0, 1)]))
    with pytest.raises(UserError, match="two subjects would share the folder a_b_c"):
        leave_one_subject_out(pairs_of([record("a_b", "c", "x", 0, 0), record("a", "b_c", "x", 0, 0)]))
