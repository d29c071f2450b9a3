"""One run in several layouts: folds in parallel on a device, on their own devices, or on devices that share batches."""

import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from icegan_jax.data.dataset import Pairs
from icegan_jax.data.folds import Fold, leave_one_subject_out
from icegan_jax.evaluation.predictions import read_predictions
from icegan_jax.training import loop
from icegan_jax.training.loop import train_folds
from icegan_jax.training.parallel import ParallelPrograms, build_programs
from icegan_jax.training.state import TrainConfig
from tests.interruption.compare import differences, last_state
from tests.training import tiny

pytestmark = pytest.mark.slow  # tests/training/test_parallel.py compares single calls by default

MODELS = tiny.models()
PAIRS = tiny.pairs(subjects=4)
FOLDS = leave_one_subject_out(PAIRS)
DEVICES = jax.local_devices()
TIMES = {"steps_per_s": 0.0, "waiting_share": 0.0}
# 8 steps, two a call, a checkpoint every 4; two folds on a device; resting pairs that three devices can share.
PLAN = tiny.train_config(resting_share=1.0)
# On other devices and beside other folds: the plan and the devices of a run.
OTHERS = {
    "a device each": (dataclasses.replace(PLAN, folds_per_device=1), DEVICES),
    "devices that share batches": (dataclasses.replace(PLAN, parallel="batch"), DEVICES[: tiny.BATCH]),
}
others = pytest.mark.parametrize("name", OTHERS)
# What another program of the same folds may differ by after 8 steps (docs/determinism.md): rounding alone.
SCORES = {"rtol": 1e-3, "atol": 1e-5}  # of the capsules' lengths
GRAY_LEVELS = 1  # of a synthetic face
LOSSES = {"rtol": 2e-3, "atol": 1e-4}


@pytest.fixture(scope="module", autouse=True)
def programs_by_layout() -> Any:
    """Programs by devices and parallel mode, so that the programs of a layout are compiled once for the file."""
    made: dict[Any, ParallelPrograms] = {}

    def build(models: Any, devices: Sequence[jax.Device], parallel: str) -> ParallelPrograms:
        assert models is MODELS
        key = (tuple(devices), parallel)
        made[key] = made.get(key) or build_programs(models, devices, parallel)
        return made[key]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "build_programs", build)
        yield made


def train(run_dir: Path, train_config: TrainConfig, devices: Sequence[jax.Device], pairs: Pairs = PAIRS) -> None:
    train_folds(MODELS, pairs, leave_one_subject_out(pairs), train_config, run_dir, devices)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on one device, two groups of two; not to be changed."""
    run_dir = tmp_path_factory.mktemp("one device")
    train(run_dir, PLAN, DEVICES[:1])
    return run_dir


def logged(run_dir: Path, fold: Fold) -> list[dict[str, Any]]:
    lines = (run_dir / "folds" / fold.name / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def assert_same_run(actual: Path, expected: Path) -> None:
    """Scores, faces and loss terms after 8 steps are the same within the tolerances; classes are the same."""
    for fold in FOLDS:
        ours, theirs = (run / "folds" / fold.name for run in (actual, expected))
        rows = [read_predictions(folder / "predictions.csv")[1] for folder in (ours, theirs)]
        assert [row.clip for row in rows[0]] == [row.clip for row in rows[1]]
        np.testing.assert_allclose(*[[row.scores for row in run] for run in rows], **SCORES)
        with np.load(ours / "synthesis.npz") as a, np.load(theirs / "synthesis.npz") as b:
            assert np.max(np.abs(a["synthetic"].astype(int) - b["synthetic"].astype(int))) <= GRAY_LEVELS
        for line, other in zip(logged(actual, fold), logged(expected, fold), strict=True):
            names = line.keys() - {"steps_per_s", "waiting_share"}
            np.testing.assert_allclose([line[n] for n in names], [other[n] for n in names], **LOSSES)


def assert_same_bytes(actual: Path, expected: Path) -> None:
    """Predictions, faces, logs but for their times, and every array of the last checkpoint."""
    for fold in FOLDS:
        ours, theirs = (run / "folds" / fold.name for run in (actual, expected))
        assert (ours / "predictions.csv").read_bytes() == (theirs / "predictions.csv").read_bytes()
        assert (ours / "synthesis.npz").read_bytes() == (theirs / "synthesis.npz").read_bytes()
        state, other = last_state(ours), last_state(theirs)
        assert len(state) > 100
        assert differences(state, other) == []
        lines, others = ([{**line, **TIMES} for line in logged(run, fold)] for run in (actual, expected))
        assert lines == others


@others
def test_a_run_is_the_same_in_another_layout(alone: Path, tmp_path: Path, name: str) -> None:
    train_config, devices = OTHERS[name]
    train(tmp_path, train_config, devices)
    assert_same_run(tmp_path, alone)


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run after 4 of its 8 steps; not to be changed."""
    run_dir = tmp_path_factory.mktemp("half")
    train(run_dir, dataclasses.replace(PLAN, steps=4), DEVICES[:1])
    for fold in FOLDS:
        (run_dir / "folds" / fold.name / "result.json").unlink()
    return run_dir


@others
def test_a_run_resumes_in_another_layout(alone: Path, half: Path, tmp_path: Path, name: str) -> None:
    """From the checkpoints of step 4, with another number of folds on a device and another parallel setting."""
    shutil.copytree(half, tmp_path, dirs_exist_ok=True)
    train_config, devices = OTHERS[name]
    train(tmp_path, train_config, devices)
    assert_same_run(tmp_path, alone)
    for fold in FOLDS:
        assert logged(tmp_path, fold)[:2] == logged(half, fold)  # not trained again


def test_the_same_run_again_has_the_same_bytes(alone: Path, tmp_path: Path) -> None:
    train(tmp_path, PLAN, DEVICES[:1])
    assert_same_bytes(tmp_path, alone)


def test_a_second_device_with_as_many_folds_changes_no_byte(alone: Path, tmp_path: Path) -> None:
    """Each device runs the same program, for as many folds as the single device: two groups become one."""
    train(tmp_path, PLAN, DEVICES[:2])
    assert_same_bytes(tmp_path, alone)


def uneven() -> Pairs:
    """Four people with 1, 3, 9 and 3 clips to test, for batches of 3."""
    keep = (PAIRS.subject != "s0") | (PAIRS.clip == "clip0")
    more = PAIRS.subject == "s2"
    order = np.concatenate([np.flatnonzero(keep), np.flatnonzero(more), np.flatnonzero(more)])
    repeat = np.concatenate([np.zeros(keep.sum(), int), np.full(more.sum(), 1), np.full(more.sum(), 2)])
    names = ("onset", "apex", "rest", "label", "shift", "dataset", "subject", "clip")
    made = {name: getattr(PAIRS, name)[order] for name in names}
    made["clip"] = np.array([f"{clip}_{n}" for clip, n in zip(made["clip"], repeat, strict=True)])
    return dataclasses.replace(PAIRS, **made)


def test_one_compilation_serves_folds_of_all_sizes(
    alone: Path, tmp_path: Path, programs_by_layout: dict[Any, ParallelPrograms], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Groups of two and two, and then of two and one: all groups use the same compiled programs."""
    programs = programs_by_layout[(DEVICES[0],), "folds"]
    assert len(programs.compile_s) == 4
    pairs = uneven()
    folds = leave_one_subject_out(pairs)
    assert [len(fold.test) for fold in folds] == [1, 3, 9, 3]
    for run, some in (("all", folds), ("three", folds[:3])):
        train_folds(MODELS, pairs, some, PLAN, tmp_path / run, DEVICES[:1])
        for fold in some:
            rows = read_predictions(tmp_path / run / "folds" / fold.name / "predictions.csv")[1]
            assert [row.clip for row in rows] == pairs.clip[fold.test].tolist()
    assert len(programs.compile_s) == 4
    for fold in folds[:2]:  # beside the same fold in both runs
        one, other = (
            (tmp_path / run / "folds" / fold.name / "predictions.csv").read_bytes() for run in ("all", "three")
        )
        assert one == other
    # The third is beside the fourth, then beside a copy of itself: its bytes are its own.
    one, other = (
        (tmp_path / run / "folds" / folds[2].name / "predictions.csv").read_bytes() for run in ("all", "three")
    )
    assert one == other


def test_a_number_of_folds_chosen_by_memory_trains_the_same_run(
    alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With memory for two of four folds there are two groups of two, and a message about them."""
    monkeypatch.setattr(loop, "choose_folds_per_device", lambda *_: 2)
    train(tmp_path, dataclasses.replace(PLAN, folds_per_device=0), DEVICES[:1])
    assert capsys.readouterr().out.startswith("training 4 folds in groups of 2: 2 side by side on each of 1 x cpu")
    for fold in FOLDS:
        ours, theirs = (run / "folds" / fold.name / "predictions.csv" for run in (tmp_path, alone))
        assert ours.read_bytes() == theirs.read_bytes()


def test_each_line_has_the_speed_and_the_waiting_share(alone: Path) -> None:
    for fold in FOLDS:
        for line in logged(alone, fold):
            assert line["steps_per_s"] > 0
            assert 0 <= line["waiting_share"] < 1
