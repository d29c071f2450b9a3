"""Folds of any data: no person is in two parts of a fold, and each person is tested once."""

from hypothesis import given, settings
from hypothesis import strategies as st

from icegan_jax.data.folds import hold_out_inner, leave_one_subject_out
from tests.data.conftest import pairs_of, record

PEOPLE = st.lists(st.tuples(st.sampled_from("de"), st.sampled_from("123")), min_size=4, max_size=12)  # of each clip


@settings(max_examples=30)
@given(PEOPLE, st.integers(0, 99))
def test_nobody_is_trained_on_and_tested(keys: list[tuple[str, str]], seed: int) -> None:
    rows = [record(*key, f"c{n}", 0, shift) for n, key in enumerate(keys) for shift in (0, 1)]
    people = set(keys)
    pairs = pairs_of(rows)
    if len(people) < 3:
        return
    folds = [hold_out_inner(fold, pairs, 0.4, seed) for fold in leave_one_subject_out(pairs)]
    tested = [person for fold in folds for person in fold.people]
    assert sorted(tested) == sorted(people)
    for fold in folds:
        train, inner, test = (
            {(pairs.dataset[row], pairs.subject[row]) for row in part} for part in (fold.train, fold.inner, fold.test)
        )
        assert test == set(fold.people) and inner and train
        assert not train & test and not train & inner and not inner & test
        assert not pairs.shift[fold.test].any() and not pairs.shift[fold.inner].any()
