from dataclasses import replace

import numpy as np
import pytest

from icegan_jax.data.folds import (
    Fold,
    all_subjects_fold,
    build_folds,
    hold_out_inner,
    leave_one_subject_out,
    subject_split,
)
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


def test_no_pair_of_the_held_out_subject_is_trained_on() -> None:
    people = list(zip(PAIRS.dataset, PAIRS.subject, strict=True))
    for fold in leave_one_subject_out(PAIRS):
        (person,) = fold.people
        assert person not in {people[i] for i in fold.train}
        assert {people[i] for i in fold.test} == {person}
        assert fold.name == "_".join(person)
        assert not len(fold.inner)
        assert len(fold.train) == 48 - 8  # everybody else, neighbors included
        assert fold.train.dtype == fold.test.dtype == np.int64


def test_each_clip_is_tested_once_by_its_apex() -> None:
    tested = np.concatenate([f.test for f in leave_one_subject_out(PAIRS)])
    assert sorted(tested) == np.flatnonzero(PAIRS.shift == 0).tolist()


def test_invalid_folds_raise() -> None:
    with pytest.raises(UserError, match="fold d_s: nobody is left to train on"):
        leave_one_subject_out(pairs_of([record("d", "s", "c", 0, 0)]))
    with pytest.raises(UserError, match="fold d_t: no apex to test"):
        leave_one_subject_out(pairs_of([record("d", "s", "c", 0, 0), record("d", "t", "c", 0, 1)]))
    with pytest.raises(UserError, match="two subjects would share the folder a_b_c"):
        leave_one_subject_out(pairs_of([record("a_b", "c", "x", 0, 0), record("a", "b_c", "x", 0, 0)]))


@pytest.mark.parametrize("field", ["onset", "apex", "rest"])
def test_a_face_of_two_subjects_raises(field: str) -> None:
    records = [record("d", subject, f"clip {subject}", 0, shift) for subject in "stu" for shift in (0, 1)]
    records[3] = replace(records[3], **{field: records[4].onset})  # a neighbor of t's apex, and u's onset
    message = "fold d_u: clip d/u/clip u shows a face of d/t/clip t, on which the fold is trained; give one person one"
    with pytest.raises(UserError, match=message):
        build_folds(pairs_of(records), protocol="loso", share=0, inner_share=0, seed=0)
    assert build_folds(pairs_of(records), protocol="all", share=0, inner_share=0, seed=0)


def people(indices: np.ndarray) -> set[tuple[str, str]]:
    return {(str(PAIRS.dataset[i]), str(PAIRS.subject[i])) for i in indices}


def test_a_split_holds_people_out_whatever_their_dataset() -> None:
    drawn = []
    for seed in range(12):
        (fold,) = subject_split(PAIRS, 2 / 6, seed)
        assert fold.name == f"split_{seed}"
        assert people(fold.test) == set(fold.people)
        assert len(fold.people) == 2
        assert people(fold.train) & people(fold.test) == set()
        assert len(fold.train) == 4 * 8  # neighbors included
        assert fold.test.tolist() == [i for i in fold.test if PAIRS.shift[i] == 0]
        assert len(fold.test) == 2 * 2
        drawn.append(fold.people)
        assert subject_split(PAIRS, 2 / 6, seed)[0].people == fold.people
    assert len(set(drawn)) > 5  # of 15 pairs of people
    assert {person for pair in drawn for person in pair} == people(np.arange(48))


@pytest.mark.parametrize(("share", "number"), [(0.0, 1), (0.1, 1), (0.5, 3), (0.75, 4), (1.0, 5)])
def test_a_split_tests_somebody_and_trains_on_somebody(share: float, number: int) -> None:
    assert len(subject_split(PAIRS, share, 0)[0].people) == number


def test_the_share_of_the_paper() -> None:
    many = pairs_of([record("d", f"{n:02}", "c", n % 3, 0) for n in range(68)])
    assert len(subject_split(many, 20 / 68, 0)[0].people) == 20


def test_invalid_splits_raise() -> None:
    with pytest.raises(UserError, match="at least two subjects"):
        subject_split(pairs_of([record("d", "s", "c", 0, 0)]), 0.5, 0)
    with pytest.raises(UserError, match="fold split_0: no apex to test"):
        subject_split(pairs_of([record("d", s, "c", 0, 1) for s in "st"]), 0.5, 0)
    only_one_is_surprised = pairs_of([record("d", s, "c", 2 if s == "t" else 0, 0) for s in "st"])
    with pytest.raises(UserError, match="shows surprise; choose another config.seed or a smaller config.split_share"):
        for seed in range(20):
            subject_split(only_one_is_surprised, 0.5, seed)


def test_inner_validation_people_are_neither_trained_on_nor_tested() -> None:
    inner_of: dict[str, set[tuple[str, str]]] = {}
    for fold in [*leave_one_subject_out(PAIRS), *subject_split(PAIRS, 1 / 6, 3)]:
        kept = hold_out_inner(fold, PAIRS, 0.4, seed=0)
        assert (kept.name, kept.people, kept.test.tolist()) == (fold.name, fold.people, fold.test.tolist())
        inner_of[fold.name] = people(kept.inner)
        assert len(inner_of[fold.name]) == 2  # of five
        groups = [people(kept.train), inner_of[fold.name], people(kept.test)]
        assert sum(map(len, groups)) == len(set.union(*groups)) == 6
        assert len(kept.train) == 3 * 8
        assert PAIRS.shift[kept.inner].tolist() == [0] * 4
        assert people(hold_out_inner(fold, PAIRS, 0.4, seed=0).inner) == inner_of[fold.name]
    assert len({frozenset(names) for names in inner_of.values()}) > 1  # the fold's name is drawn from
    (fold, *_) = leave_one_subject_out(PAIRS)
    assert len({frozenset(people(hold_out_inner(fold, PAIRS, 0.4, seed).inner)) for seed in range(8)}) > 1


def test_invalid_inner_validation_raises() -> None:
    def first(pairs: list, share: float) -> Fold:
        data = pairs_of(pairs)
        return hold_out_inner(leave_one_subject_out(data)[0], data, share, 0)

    two = [record("d", s, "c", 0, 0) for s in "st"]
    with pytest.raises(
        UserError, match="fold d_s: 1 of its 1 training people .* nobody to train on; lower config.eval"
    ):
        first(two, 0.1)
    with pytest.raises(UserError, match="3 of its 3 training people"):
        first([record("d", s, "c", 0, 0) for s in "stuv"], 1.0)
    one_is_surprised = [record("d", s, "c", 2 if s == "t" else 0, 0) for s in "stuv"]
    with pytest.raises(
        UserError, match="fold d_s: .* shows surprise; choose another config.seed or a smaller config.evaluation.inner_"
    ):
        first(one_is_surprised, 0.67)  # two of three
    assert len(first([record("d", s, "c", 2 if s == "s" else 0, 0) for s in "stuv"], 0.67).train) == 1  # never had it
    # t and u have no apex: they cannot be tested, so the fold is a split's.
    data = pairs_of([record("d", s, "c", 0, s in "tu") for s in "stu"])
    fold = next(f for seed in range(20) for f in _tested(data, seed) if f.people == (("d", "s"),))
    with pytest.raises(UserError, match="no apex for inner validation"):
        hold_out_inner(fold, data, 0.5, 0)


def test_the_fold_all_trains_on_all_subjects() -> None:
    (fold,) = build_folds(PAIRS, protocol="all", share=0.5, inner_share=0.0, seed=0)
    assert (fold.name, fold.people, fold.scored) == ("all", (), False)
    assert fold.train.tolist() == list(range(48)) and people(fold.train) == people(np.arange(48))
    assert fold.test.tolist() == np.flatnonzero(PAIRS.shift == 0).tolist()
    assert fold.train.dtype == fold.test.dtype == np.int64 and not len(fold.inner)
    assert build_folds(pairs_of([record("d", "s", "c", 0, 0)]), protocol="all", share=0.5, inner_share=0.0, seed=0)
    with pytest.raises(UserError, match="fold all: no clip has an apex; prepare the dataset again"):
        all_subjects_fold(pairs_of([record("d", "s", "c", 0, 1)]))


def test_inner_subjects_are_not_trained_on_in_the_fold_all() -> None:
    """Nor among those whose fit is shown."""
    (fold,) = build_folds(PAIRS, protocol="all", share=0.5, inner_share=0.4, seed=0)
    assert len(people(fold.inner)) == 2
    assert people(fold.train) == people(fold.test) == people(np.arange(48)) - people(fold.inner)
    assert len(fold.train) == 4 * 8 and PAIRS.shift[fold.test].tolist() == [0] * 8
    data = pairs_of([record("d", subject, "c", 0, subject == "t") for subject in "st"])
    with pytest.raises(UserError, match="fold all: no apex (of those trained on|for inner validation); prepare the"):
        hold_out_inner(all_subjects_fold(data), data, 0.5, 0)


def _tested(data, seed: int) -> list[Fold]:
    try:
        return subject_split(data, 1 / 3, seed)
    except UserError:
        return []


def test_the_folds_of_a_run() -> None:
    def names(**changes: object) -> list[str]:
        return [f.name for f in build_folds(PAIRS, **{**plain, **changes})]

    plain = {"protocol": "loso", "share": 0.5, "inner_share": 0.0, "seed": 4}
    assert names() == [f.name for f in leave_one_subject_out(PAIRS)]
    assert names(protocol="split") == ["split_4"]
    assert not any(len(f.inner) for f in build_folds(PAIRS, **plain))
    for protocol in ("loso", "split"):
        assert all(len(f.inner) for f in build_folds(PAIRS, **{**plain, "protocol": protocol, "inner_share": 0.4}))
    with pytest.raises(ValueError, match="protocol 'lopo'"):
        names(protocol="lopo")
