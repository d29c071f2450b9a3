"""What finished folds left is verified at the next start: damage is named, and the damaged fold alone runs again."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from icegan_jax.data.folds import leave_one_subject_out
from icegan_jax.io import write_json_with_checksum
from icegan_jax.run_dir import is_finished
from icegan_jax.training.checkpoint import FoldCheckpoints
from icegan_jax.training.fold_result import damage_of, drop_damaged_results, read_result, write_result
from tests.training import tiny
from tests.training.finished_folds import RUN, STEPS, finish_fold, state_of

PAIRS = tiny.pairs(subjects=3)
FOLDS = leave_one_subject_out(PAIRS)
HISTORY = [([0, 1, 2], []), ([1, 1, 2], []), ([2, 1, 2], [])]
PLAN = tiny.train_config(steps=STEPS, steps_per_call=1, evaluate_every=10, run=RUN)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    for fold in FOLDS:
        finish_fold(tmp_path, fold, PAIRS, history=HISTORY)
    return tmp_path


def drop(run_dir: Path) -> tuple[list[str], list[str]]:
    warnings: list[str] = []
    return drop_damaged_results(run_dir, FOLDS, PAIRS, PLAN, warnings.append), warnings


def test_intact_folds_are_not_touched(run_dir: Path) -> None:
    before = state_of(run_dir)
    assert drop(run_dir) == ([], [])
    assert state_of(run_dir) == before


def test_unfinished_folds_are_not_damaged(run_dir: Path) -> None:
    (run_dir / "folds" / FOLDS[0].name / "result.json").unlink()
    (run_dir / "folds" / FOLDS[0].name / "predictions.csv").write_text("half")
    assert drop(run_dir) == ([], [])


def edit(name: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        text = (folder / name).read_text()
        assert change(text) != text
        (folder / name).write_text(change(text), newline="")

    return damage


def cut(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])

    return damage


def taken_from(fold: int, name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder.parent / FOLDS[fold].name / name).read_bytes()) and None


def gone(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def with_new_checksum(
    change: Callable[[Path], None] = lambda folder: None, **content: object
) -> Callable[[Path], None]:
    """Change a file and write the result with a new checksum: the content must show the change."""

    def damage(folder: Path) -> None:
        change(folder)
        write_result(folder, {**read_result(folder), **content})

    return damage


CSV, NPZ, LOG, RESULT = "predictions.csv", "synthesis.npz", "evaluations.jsonl", "result.json"
CHANGED = "not what the fold wrote"
OTHER_CLIPS = "of other clips, labels or classes than the fold's"
DAMAGES = {
    "predictions cut": (cut(CSV), CSV, CHANGED),
    "predictions deleted": (gone(CSV), CSV, "No such file"),
    "a label changed": (edit(CSV, lambda text: text.replace(",positive,", ",surprise,", 1)), CSV, CHANGED),
    "other line ends": (edit(CSV, lambda text: text.replace("\n", "\r\n")), CSV, CHANGED),
    "faces cut": (cut(NPZ), NPZ, CHANGED),
    "evaluations deleted": (gone(LOG), LOG, "No such file"),
    "result cut": (cut(RESULT), RESULT, "not JSON"),
    "result with other seconds": (
        edit(RESULT, lambda text: text.replace("9.0", "8.0")),
        RESULT,
        "the checksum does not match",
    ),
    "result of another fold": (taken_from(2, RESULT), CSV, CHANGED),
    "another file with a checksum": (
        lambda folder: write_json_with_checksum(folder / RESULT, {"seed": 0}),
        RESULT,
        "its files are others",
    ),
    "a file outside is named": (
        lambda folder: write_json_with_checksum(
            folder / RESULT, {**read_result(folder), "files": {CSV: "", "../../x": ""}}
        ),
        RESULT,
        "its files are others",
    ),
    "of another run": (with_new_checksum(run="run 2"), RESULT, "of another run"),
    "of fewer steps": (with_new_checksum(steps=8), RESULT, "of another run, or of 8 steps instead of 30"),
    "of other people": (with_new_checksum(people=[["tiny", "s9"]]), RESULT, "of other people"),
    "new checksum with another fold's predictions": (with_new_checksum(taken_from(0, CSV)), CSV, OTHER_CLIPS),
    "new checksum with another label": (
        with_new_checksum(edit(CSV, lambda text: text.replace("clip1,positive", "clip1,surprise"))),
        CSV,
        OTHER_CLIPS,
    ),
    "new checksum with a clip twice": (
        with_new_checksum(edit(CSV, lambda text: text + text.splitlines()[-1] + "\n")),
        CSV,
        "two predictions of the clip",
    ),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_what_is_damaged_is_named_and_runs_again(run_dir: Path, kind: str) -> None:
    damage, name, words = DAMAGES[kind]
    folder = run_dir / "folds" / FOLDS[1].name
    damage(folder)
    actual = (folder / "result.json").read_bytes()
    others = [state_of(run_dir / "folds" / FOLDS[number].name) for number in (0, 2)]
    dropped, (warning,) = drop(run_dir)
    assert dropped == [FOLDS[1].name]
    assert warning.startswith(f"{folder / name}:") and words in warning and "\n" not in warning
    assert warning.endswith("; the fold runs again from its newest checkpoint")
    assert [is_finished(run_dir, fold) for fold in FOLDS] == [True, False, True]
    assert (folder / "result.json.damaged").read_bytes() == actual
    assert [state_of(run_dir / "folds" / FOLDS[number].name) for number in (0, 2)] == others
    assert drop(run_dir) == ([], []), "said twice"


def test_a_fold_that_ran_again_is_intact(run_dir: Path) -> None:
    for damage in (cut(CSV), cut(RESULT)):
        damage(run_dir / "folds" / FOLDS[1].name)
        assert drop(run_dir)[0] == [FOLDS[1].name]
        finish_fold(run_dir, FOLDS[1], PAIRS, history=HISTORY)
        assert drop(run_dir) == ([], [])


def test_a_result_needs_predictions(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="predictions.csv"):
        write_result(tmp_path, {})
    assert not list(tmp_path.iterdir())


def test_checksums_are_those_of_the_files(tmp_path: Path) -> None:
    folder = finish_fold(tmp_path, FOLDS[0], PAIRS, history=HISTORY, warnings=["collapsed"])
    content = read_result(folder)
    printed = subprocess.check_output(["sha256sum", CSV, "resting.csv", NPZ, LOG], cwd=folder, text=True).split()
    assert content["files"] == dict(zip(printed[1::2], printed[::2], strict=True))
    assert content["warnings"] == ["collapsed"] and content["people"] == [["tiny", "s0"]]


def test_the_log_alone_costs_no_training(run_dir: Path) -> None:
    (run_dir / "folds" / FOLDS[1].name / "metrics.jsonl").write_text("?")
    assert drop(run_dir) == ([], [])


def test_damage_without_a_plan_is_of_any_run(run_dir: Path) -> None:
    folder = run_dir / "folds" / FOLDS[1].name
    with_new_checksum(run="run 2", steps=7)(folder)
    assert damage_of(folder, FOLDS[1], PAIRS) is None
    assert "another run" in str(damage_of(folder, FOLDS[1], PAIRS, PLAN))


@pytest.mark.parametrize(
    ("change", "kept", "words"),
    ids=["intact", "the last lost", "the first changed", "a step changed", "half a line too many", "all lost"],
    argvalues=[
        (lambda lines: lines, {20, 30}, None),
        (lambda lines: lines[:2], {20}, r"step 30 is missing .* moved to \S+/30; the fold goes on from step 20"),
        (lambda lines: [lines[0].replace("0.75", "0.74", 1), *lines[1:]], set(), "step 10 is .* the fold starts anew"),
        (lambda lines: [lines[0], lines[1].replace("20", "21"), lines[2]], set(), "step 20 is .* the fold starts anew"),
        (lambda lines: [lines[0], "{", "", *lines[1:]], {20, 30}, None),  # left out when the log is opened
        (lambda lines: [], set(), "step 10 is .* the fold starts anew"),
    ],
)
def test_an_unfinished_fold_goes_back_to_where_its_evaluations_are_whole(
    run_dir: Path, change: Callable[[list[str]], list[str]], kept: set[int], words: str | None
) -> None:
    folder = run_dir / "folds" / FOLDS[1].name
    (folder / RESULT).unlink()
    for step in (20, 30):
        (folder / "checkpoints" / str(step)).mkdir(parents=True)
    lines = change((folder / LOG).read_text().splitlines())
    (folder / LOG).write_text("".join(f"{line}\n" for line in lines))
    dropped, warnings = drop(run_dir)
    with FoldCheckpoints(folder) as store:
        assert store.steps() == kept
    assert dropped == [] and len(warnings) == (words is not None)
    assert words is None or re.search(words, warnings[0]) and warnings[0].startswith(f"{folder / LOG}: ")
    assert drop(run_dir) == ([], [])
