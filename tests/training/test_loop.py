"""Leave-one-subject-out on tiny clips: what each fold leaves behind, and that an interruption changes nothing."""

import dataclasses
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from icegan_jax.data.folds import Fold, leave_one_subject_out
from icegan_jax.evaluation.predictions import read_predictions
from icegan_jax.evaluation.resting import read_resting_predictions
from icegan_jax.run_dir import is_finished
from icegan_jax.training import loop
from icegan_jax.training.checkpoint import FoldCheckpoints
from icegan_jax.training.loop import FoldRun, call_lengths, train_folds
from icegan_jax.training.parallel import ParallelPrograms
from icegan_jax.training.state import TrainConfig, fold_key
from tests.training import event_files, tiny

NETWORKS = tiny.NETWORKS
PAIRS = tiny.pairs()
FOLDS = leave_one_subject_out(PAIRS)  # three: a group of two, and one beside a copy of itself
PLAN = tiny.train_config()  # 8 steps, two a call, a checkpoint every 4
LOGGED = [2, 4, 6, 8]
TIMES = ("steps_per_s", "waiting_share")


@pytest.fixture(scope="module", autouse=True)
def programs() -> Iterator[ParallelPrograms]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "build_programs", lambda *_: tiny.programs())
        yield tiny.programs()


def train(run_dir: Path, folds: Sequence[Fold] = FOLDS, train_config: TrainConfig = PLAN) -> None:
    train_folds(NETWORKS, PAIRS, folds, train_config, run_dir, jax.local_devices()[:1])


def fold_file(run_dir: Path, fold: Fold, name: str) -> Path:
    return run_dir / "folds" / fold.name / name


def checkpoints(run_dir: Path, fold: Fold) -> FoldCheckpoints:
    return FoldCheckpoints(run_dir / "folds" / fold.name, PLAN.run)


def subjects(fold: Fold) -> list[str]:
    return [subject for _, subject in fold.people]


def logged(run_dir: Path, fold: Fold) -> list[dict[str, Any]]:
    return [json.loads(line) for line in fold_file(run_dir, fold, "metrics.jsonl").read_text().splitlines()]


def contents(run_dir: Path, fold: Fold) -> dict[str, Any]:
    """What a fold's training comes to: bytes of its predictions, arrays of its faces, its log without the times."""
    with np.load(fold_file(run_dir, fold, "synthesis.npz")) as sheet:
        faces = {name: sheet[name].tobytes() for name in sheet.files}
    lines = [{name: line[name] for name in line if name not in TIMES} for line in logged(run_dir, fold)]
    return {**faces, "predictions": fold_file(run_dir, fold, "predictions.csv").read_bytes(), "log": lines}


def parameters(programs: ParallelPrograms, run_dir: Path, fold: Fold) -> list[bytes]:
    """Every array of the fold's last checkpoint."""
    like = programs.create_state(jax.numpy.stack([fold_key(0, "any")] * 2).reshape(1, 2))
    with checkpoints(run_dir, fold) as store:
        state, _ = store.restore(PLAN.steps, jax.tree.map(lambda leaf: leaf[0, 0], like))
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state.replace(key=None))]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without interruption; not to be changed."""
    run_dir = tmp_path_factory.mktemp("whole")
    train(run_dir)
    return run_dir


def test_one_compilation_serves_every_group(programs: ParallelPrograms, whole: Path) -> None:
    assert len(programs.compile_s) >= 4  # create, train_steps, predict, synthesize
    compiled = [json.loads(fold_file(whole, fold, "result.json").read_text())["compile_s"] for fold in FOLDS]
    assert compiled[0] == compiled[1] and compiled[2] == 0.0


@pytest.mark.parametrize("fold", FOLDS, ids=lambda fold: fold.name)
def test_a_fold_leaves_its_files(whole: Path, fold: Fold) -> None:
    folder = whole / "folds" / fold.name
    names = {path.name for path in folder.iterdir()}
    assert names == {"checkpoints", "metrics.jsonl", "predictions.csv", "resting.csv", "synthesis.npz", "result.json"}
    result = json.loads((folder / "result.json").read_text())
    assert result["people"] == [["tiny", *subjects(fold)]]
    assert (result["num_clips"], result["steps"]) == (3, 8)
    assert result["wall_s"] > result["compile_s"] >= 0
    assert is_finished(whole, fold)


@pytest.mark.parametrize("fold", FOLDS, ids=lambda fold: fold.name)
def test_each_held_out_clip_has_one_prediction_and_a_face_per_class(whole: Path, fold: Fold) -> None:
    classes, rows = read_predictions(fold_file(whole, fold, "predictions.csv"))
    assert classes == PAIRS.classes
    expected_value = [("tiny", *subjects(fold), f"clip{label}", label) for label in range(3)]
    assert [(row.dataset, row.subject, row.clip, row.label) for row in rows] == expected_value
    for row in rows:
        assert row.scores[row.prediction] == max(row.scores)  # of six decimals, several may be equal
        assert all(0 <= score < 1 for score in row.scores)
    classes, resting = read_resting_predictions(fold_file(whole, fold, "resting.csv"))
    assert classes == PAIRS.classes  # both pairs of each clip
    assert [(row.subject, row.clip, row.shift) for row in resting] == [
        (*subjects(fold), f"clip{label}", shift) for label in range(3) for shift in (0, 1)
    ]
    with np.load(fold_file(whole, fold, "synthesis.npz")) as sheet:
        assert sheet["synthetic"].shape == (3, 3, tiny.SIZE, tiny.SIZE)
        assert sheet["synthetic"].dtype == np.uint8
        np.testing.assert_array_equal(sheet["onset"], PAIRS.onset[fold.test])
        np.testing.assert_array_equal(sheet["apex"], PAIRS.apex[fold.test])
        np.testing.assert_array_equal(sheet["label"], [0, 1, 2])
        assert sheet["clip"].tolist() == ["clip0", "clip1", "clip2"]
        assert sheet["dataset"].tolist() == ["tiny"] * 3
        assert sheet["subject"].tolist() == subjects(fold) * 3


@pytest.mark.parametrize("fold", FOLDS, ids=lambda fold: fold.name)
def test_the_log_has_a_line_per_call(whole: Path, fold: Fold) -> None:
    lines = logged(whole, fold)
    assert [line["step"] for line in lines] == LOGGED
    assert [line["epoch"] for line in lines] == [step / PLAN.steps_per_epoch for step in LOGGED]
    names = {"g_l1", "g_adversarial", "g_margin", "d_real_adversarial", "d_fake_margin", "d_real_reconstruction"}
    names |= {"d_real_accuracy", "d_real_length_negative", "d_fake_length_surprise"}
    for line in lines:
        assert names <= line.keys()
        assert all(np.isfinite(value) for value in line.values())


@pytest.mark.parametrize("fold", FOLDS, ids=lambda fold: fold.name)
def test_the_events_for_tensorboard_say_what_the_log_says(whole: Path, fold: Fold) -> None:
    """Scalars of each line, and in the end a picture of a clip of each class."""
    scalars, lines = event_files.scalars(whole / "tensorboard" / fold.name), logged(whole, fold)
    names = {name: name.replace("_", "/", 1) for name in lines[0] if name.startswith(("d_", "g_"))}
    names |= {"epoch": "epoch", "steps_per_s": "speed/steps_per_s", "waiting_share": "speed/waiting_share"}
    assert names.keys() | {"step"} == lines[0].keys() and set(names.values()) == scalars.keys()
    for name, tag in names.items():
        assert [step for step, _ in scalars[tag]] == LOGGED
        np.testing.assert_allclose([value for _, value in scalars[tag]], [line[name] for line in lines], 1e-5, 1e-6)
    event = event_files.shown(whole / "tensorboard" / fold.name)[-1]
    (value,) = event.summary.value
    assert (event.step, value.tag) == (PLAN.steps, "faces/held_out/onset-negative-positive-surprise-apex")
    assert (value.image.height, value.image.width) == (3 * tiny.SIZE, 5 * tiny.SIZE)


def test_networks_must_know_the_classes_of_the_pairs(tmp_path: Path) -> None:
    other = dataclasses.replace(PAIRS, classes=("a", "b"))
    with pytest.raises(ValueError, match="networks of 3 classes for pairs of 2"):
        train_folds(tiny.models(), other, FOLDS, PLAN, tmp_path, jax.local_devices())
    assert not list(tmp_path.iterdir())


def test_folds_differ(programs: ParallelPrograms, whole: Path) -> None:
    """In their first parameters, their faces and their noise: no fold repeats another's numbers."""
    first = [logged(whole, fold)[0]["d_real_margin"] for fold in FOLDS]
    assert len(set(first)) == len(FOLDS)
    assert parameters(programs, whole, FOLDS[0]) != parameters(programs, whole, FOLDS[1])


def test_finished_folds_are_left_alone(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("nothing is left to train")

    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*")}
    monkeypatch.setattr(loop, "build_programs", refuse)
    train(whole)
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*")} == before


def test_only_what_is_missing_is_trained(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "folds" / FOLDS[1].name)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if FOLDS[1].name not in str(path)}
    train(tmp_path)
    after = {path: path.stat().st_mtime_ns for path in before if path.is_file()}
    assert all(before[path] == time for path, time in after.items())
    # Trained beside a copy of itself instead of beside the first fold: the same program, the same numbers.
    assert contents(tmp_path, FOLDS[1]) == contents(whole, FOLDS[1])


@pytest.mark.parametrize(("step", "which"), [(4, 1), (6, 1), (6, 2)])
def test_an_interrupted_run_ends_as_an_uninterrupted_one(
    programs: ParallelPrograms, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, which: int
) -> None:
    """Stopped before the checkpoint of step 4 (started anew) or after it (resumed), in either group."""
    write, calls = FoldRun.write, []

    def stopping(self: FoldRun, now: int, *rest: Any) -> str | None:
        warning = write(self, now, *rest)
        if self.fold in (FOLDS[0], FOLDS[2]):  # the first of a group
            calls.append(now)
            if calls.count(step) == which:
                raise KeyboardInterrupt
        return warning

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(FoldRun, "write", stopping)
        train(tmp_path)
    done = [is_finished(tmp_path, fold) for fold in FOLDS]
    assert done == [which == 2, which == 2, False]

    resumed_calls: list[int] = []

    def counting(self: FoldRun, now: int, *rest: Any) -> str | None:
        if self.fold in (FOLDS[0], FOLDS[2]):
            resumed_calls.append(now)
        return write(self, now, *rest)

    monkeypatch.setattr(FoldRun, "write", counting)
    train(tmp_path)
    rest = LOGGED[2:] if step == 6 else LOGGED
    assert resumed_calls == (rest + LOGGED if which == 1 else rest)
    for fold in FOLDS:
        assert contents(tmp_path, fold) == contents(whole, fold)
        actual, expected_value = (event_files.scalars(run / "tensorboard" / fold.name) for run in (tmp_path, whole))
        assert {tag: actual[tag] for tag in actual if "speed" not in tag} == {
            tag: expected_value[tag] for tag in expected_value if "speed" not in tag
        }
    assert parameters(programs, tmp_path, FOLDS[-1]) == parameters(programs, whole, FOLDS[-1])


def test_a_line_half_written_when_the_machine_stopped(whole: Path, tmp_path: Path) -> None:
    """Checkpoint of step 8 there, no result: the fold is evaluated, its log is kept without the broken line."""
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    for fold in FOLDS:
        fold_file(tmp_path, fold, "result.json").unlink()
        with fold_file(tmp_path, fold, "metrics.jsonl").open("a") as log:
            log.write('{"step": 10, "epo')
    train(tmp_path)
    for fold in FOLDS:
        assert contents(tmp_path, fold) == contents(whole, fold)


def test_a_run_needs_no_events(whole: Path, tmp_path: Path) -> None:
    """Of an unfinished fold they are lost, of another one too: neither is trained again for them."""
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "tensorboard")
    fold_file(tmp_path, FOLDS[0], "result.json").unlink()
    train(tmp_path)
    assert [path.name for path in (tmp_path / "tensorboard").iterdir()] == [FOLDS[0].name]
    assert not event_files.scalars(tmp_path / "tensorboard" / FOLDS[0].name)
    for fold in FOLDS:
        assert contents(tmp_path, fold) == contents(whole, fold)


def test_a_resumed_fold_counts_the_time_before(programs: ParallelPrograms, whole: Path, tmp_path: Path) -> None:
    """Steps per second come from all steps and all of their time, not from the last start's alone."""
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    fold = FOLDS[-1]
    fold_file(tmp_path, fold, "result.json").unlink()
    like = jax.tree.map(
        lambda leaf: leaf[0, 0], programs.create_state(jax.numpy.stack([fold_key(0, "any")] * 2).reshape(1, 2))
    )
    with checkpoints(tmp_path, fold) as store:
        assert store.steps() == {PLAN.steps}  # of a finished fold only the newest is kept
        state, progress = store.restore(PLAN.steps, like)
        store.delete_after(0)
        store.save(state, progress | {"wall_s": 1000.0, "compile_s": 100.0})
    train(tmp_path)
    result = json.loads(fold_file(tmp_path, fold, "result.json").read_text())
    assert 1000 < result["wall_s"] < 1900
    assert 100 <= result["compile_s"] < 1000
    assert result["steps"] == PLAN.steps


@pytest.mark.parametrize(
    ("step", "steps", "per_call", "evaluate_every", "lengths"),
    [
        (0, 8, 2, 0, [2, 2, 2, 2]),
        (0, 8, 3, 0, [3, 3, 2]),
        (6, 8, 3, 0, [2]),
        (8, 8, 3, 0, []),
        (0, 8, 3, 4, [3, 1, 3, 1]),
        (2, 8, 3, 5, [3, 3]),
        (14, 58, 10, 25, [10, 1, 10, 10, 5, 8]),  # resumed with another steps_per_call: four lengths
    ],
)
def test_calls_end_at_evaluations_and_at_the_last_step(
    step: int, steps: int, per_call: int, evaluate_every: int, lengths: list[int]
) -> None:
    config = tiny.train_config(steps=steps, steps_per_call=per_call, evaluate_every=evaluate_every)
    assert call_lengths(step, config) == lengths


def test_steps_per_call_changes_neither_steps_nor_results(whole: Path, tmp_path: Path) -> None:
    """8 steps in calls of 3, 3 and 2: the same checkpoint steps are due, and the same predictions come out."""
    train(tmp_path, FOLDS[:2], tiny.train_config(steps_per_call=3))
    for fold in FOLDS[:2]:
        assert [line["step"] for line in logged(tmp_path, fold)] == [3, 6, 8]
        assert json.loads(fold_file(tmp_path, fold, "result.json").read_text())["steps"] == 8
        actual, expected = (read_predictions(fold_file(run, fold, "predictions.csv"))[1] for run in (tmp_path, whole))
        np.testing.assert_allclose([row.scores for row in actual], [row.scores for row in expected], atol=1e-5)
