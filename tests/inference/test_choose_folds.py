import re
from pathlib import Path

import pytest

from icegan_jax.errors import UserError
from icegan_jax.inference.ensemble import choose_folds
from icegan_jax.training.fold_result import write_result
from tests.training.tiny_run import FOLDS, STEPS


def write_fold(run: Path, name: str, held_out: list[tuple[str, str]], step: int = 4) -> None:
    """Write a finished fold without networks."""
    folder = run / "folds" / name
    (folder / "checkpoints" / str(step)).mkdir(parents=True)
    for table in ("predictions.csv", "resting.csv"):
        (folder / table).write_text("")
    write_result(folder, {"people": held_out, "steps": step, "wall_s": 1.0, "compile_s": 0.0})


def names(run: Path, **options: str) -> list[str]:
    return [fold.name for fold in choose_folds(run, **options)]


def test_all_finished_folds_by_default(run_dir: Path) -> None:
    folds = choose_folds(run_dir)
    assert tuple(fold.name for fold in folds) == FOLDS
    assert {fold.step for fold in folds} == {STEPS}
    assert [fold.held_out for fold in folds] == [(("tiny", f"s{number}"),) for number in range(3)]


@pytest.mark.parametrize("subject", ["s1", "tiny/s1"])
def test_only_the_fold_that_held_the_subject_out(run_dir: Path, subject: str) -> None:
    assert names(run_dir, exclude_subject=subject) == ["tiny_s1"]
    assert names(run_dir, exclude_subject=subject, fold="tiny_s1") == names(run_dir, fold="tiny_s1") == ["tiny_s1"]


def test_the_last_checkpoint_is_used(tmp_path: Path) -> None:
    write_fold(tmp_path, "a_s1", [("a", "s1")], step=9)
    (tmp_path / "folds" / "a_s1" / "checkpoints" / "10").mkdir()
    assert [fold.step for fold in choose_folds(tmp_path)] == [10]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fold": "tiny_s4"}, "--fold=tiny_s4: .* no finished fold of that name \\(did you mean tiny_s"),
        ({"fold": "?"}, r"--fold=\?: .*; there are tiny_s0, tiny_s1, tiny_s2$"),
        (
            {"exclude_subject": "tiny/s5"},
            "--exclude_subject=tiny/s5: .* a subject of that name \\(did you mean tiny/s.*omit the option",
        ),
        ({"fold": "tiny_s0", "exclude_subject": "s1"}, "fold tiny_s0 was trained on this subject; omit --fold"),
    ],
)
def test_the_message_for_a_wrong_option_names_the_remedy(run_dir: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        choose_folds(run_dir, **options)
    assert "\n" not in str(caught.value)


def test_subjects_of_two_datasets_with_equal_names(tmp_path: Path) -> None:
    for dataset in ("casme2", "samm"):
        write_fold(tmp_path, f"{dataset}_s1", [(dataset, "s1"), (dataset, f"{dataset}_2")])
    with pytest.raises(UserError, match="several datasets have a subject of that name; give casme2/s1 or samm/s1"):
        choose_folds(tmp_path, exclude_subject="s1")
    assert names(tmp_path, exclude_subject="samm/s1") == names(tmp_path, exclude_subject="samm_2") == ["samm_s1"]


def test_folds_that_cannot_be_used(tmp_path: Path) -> None:
    write_fold(tmp_path / "all", "all", [])
    with pytest.raises(UserError, match="trained on all subjects and held none out"):
        choose_folds(tmp_path / "all", exclude_subject="s1")
    (tmp_path / "folds" / "b_s1" / "checkpoints" / "4").mkdir(parents=True)
    with pytest.raises(UserError, match=f"{re.escape(str(tmp_path))}: no fold is finished yet; start the training"):
        choose_folds(tmp_path)
    write_fold(tmp_path, "a_s1", [("a", "s1")])
    (tmp_path / "folds" / "a_s1" / "checkpoints" / "4").rmdir()
    with pytest.raises(UserError, match="a_s1: has a result but no checkpoint"):
        choose_folds(tmp_path)
