import re
from pathlib import Path

import pytest

from icegan_jax.errors import UserError
from icegan_jax.inference.ensemble import choose_folds
from icegan_jax.training.fold_result import write_result
from tests.damage.runs import FOLDS, STEPS


def fake(run: Path, name: str, people: list[tuple[str, str]], step: int = 4) -> None:
    """A finished fold, without networks."""
    folder = run / "folds" / name
    (folder / "checkpoints" / str(step)).mkdir(parents=True)
    (folder / "predictions.csv").write_text("")
    write_result(folder, {"people": people, "steps": step, "wall_s": 1.0, "compile_s": 0.0})


def names(run: Path, **options: str) -> list[str]:
    return [fold.name for fold in choose_folds(run, **options)]


def test_all_finished_folds_answer_for_a_stranger(run_dir: Path) -> None:
    folds = choose_folds(run_dir)
    assert tuple(fold.name for fold in folds) == FOLDS
    assert {fold.step for fold in folds} == {STEPS}
    assert [fold.people for fold in folds] == [(("tiny", f"s{number}"),) for number in range(3)]


@pytest.mark.parametrize("person", ["s1", "tiny/s1"])
def test_only_those_that_never_saw_a_person_answer_for_them(run_dir: Path, person: str) -> None:
    assert names(run_dir, exclude_subject=person) == ["tiny_s1"]
    assert names(run_dir, exclude_subject=person, fold="tiny_s1") == ["tiny_s1"]


def test_a_split_held_several_people_out(tmp_path: Path) -> None:
    fake(tmp_path, "split_0", [("a", "s1"), ("b", "s2")])
    assert names(tmp_path, exclude_subject="s2") == ["split_0"]


def test_one_fold(run_dir: Path) -> None:
    assert names(run_dir, fold="tiny_s2") == ["tiny_s2"]


def test_the_newest_checkpoint_counts(tmp_path: Path) -> None:
    fake(tmp_path, "a_s1", [("a", "s1")], step=9)
    (tmp_path / "folds" / "a_s1" / "checkpoints" / "10").mkdir()
    assert [fold.step for fold in choose_folds(tmp_path)] == [10]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fold": "tiny_s4"}, "--fold=tiny_s4: .* no finished fold of that name; did you mean tiny_s"),
        ({"fold": "?"}, r"--fold=\?: .*; there are tiny_s0, tiny_s1, tiny_s2$"),
        (
            {"exclude_subject": "tiny/s5"},
            "--exclude_subject=tiny/s5: .* nobody of that name; did you mean tiny/s.*stranger",
        ),
        ({"fold": "tiny_s0", "exclude_subject": "s1"}, "fold tiny_s0 was trained on this person; leave --fold out"),
    ],
)
def test_a_wrong_choice_is_named_with_the_right_one(run_dir: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        choose_folds(run_dir, **options)
    assert "\n" not in str(caught.value)


def test_equal_subjects_of_two_datasets_are_told_apart(tmp_path: Path) -> None:
    for dataset in ("casme2", "samm"):
        fake(tmp_path, f"{dataset}_s1", [(dataset, "s1")])
    with pytest.raises(UserError, match="several of that name; give casme2/s1 or samm/s1"):
        choose_folds(tmp_path, exclude_subject="s1")
    assert names(tmp_path, exclude_subject="samm/s1") == ["samm_s1"]


def test_a_run_on_everybody_held_nobody_out(tmp_path: Path) -> None:
    fake(tmp_path, "all", [])
    assert names(tmp_path) == ["all"]
    with pytest.raises(UserError, match="trained on everybody and held nobody out"):
        choose_folds(tmp_path, exclude_subject="s1")


def test_no_fold_is_finished(tmp_path: Path) -> None:
    (tmp_path / "folds" / "a_s1" / "checkpoints" / "4").mkdir(parents=True)
    with pytest.raises(UserError, match=f"{re.escape(str(tmp_path))}: no fold is finished yet; start the training"):
        choose_folds(tmp_path)


def test_a_result_without_checkpoint(tmp_path: Path) -> None:
    fake(tmp_path, "a_s1", [("a", "s1")])
    (tmp_path / "folds" / "a_s1" / "checkpoints" / "4").rmdir()
    with pytest.raises(UserError, match="a_s1: has a result but no checkpoint"):
        choose_folds(tmp_path)
