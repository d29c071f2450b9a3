"""A fold whose numbers go wrong: named, kept at its last good checkpoint, and no trouble to the others."""

import dataclasses
import gc
import json
import math
import shutil
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from icegan_jax.data.folds import leave_one_subject_out
from icegan_jax.errors import UserError
from icegan_jax.run_dir import is_finished
from icegan_jax.training import evaluate, loop
from icegan_jax.training.checkpoint import FoldCheckpoints
from icegan_jax.training.loop import train_folds
from icegan_jax.training.monitor import NonFiniteError, describe_recorded_failure, remove_failures
from icegan_jax.training.state import TrainConfig, fold_key
from tests.training import tiny

NETWORKS = tiny.NETWORKS
PAIRS = tiny.pairs()
FOLDS = leave_one_subject_out(PAIRS)[:2]  # one group
GOOD, BAD = FOLDS
STOP, SKIP = (
    tiny.train_config(),
    tiny.train_config(on_nonfinite="skip_fold"),
)  # 8 steps, two a call, a checkpoint every 4


class Killed(BaseException):
    pass


def train(run_dir: Path, train_config: TrainConfig) -> list[Any]:
    return train_folds(NETWORKS, PAIRS, FOLDS, train_config, run_dir, jax.local_devices()[:1])


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run that stopped at step 4, where one weight of the second fold is no number; not to be changed."""
    run_dir = tmp_path_factory.mktemp("broken")
    shared = tiny.programs()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "build_programs", lambda *_: shared)
        with pytest.MonkeyPatch.context() as killing, pytest.raises(Killed):
            killing.setattr(loop, "evaluate_group", _kill)
            train(run_dir, tiny.train_config(steps=4))
        like = jax.tree.map(
            lambda leaf: leaf[0, 0], shared.create_state(jnp.stack([fold_key(0, "any")] * 2).reshape(1, 2))
        )
        with FoldCheckpoints(run_dir / "folds" / BAD.name) as store:
            state, progress = store.restore(4, like)
            leaves, form = jax.tree.flatten(state.d_params)
            leaves[0] = jnp.full_like(leaves[0], jnp.nan)
            store.delete_after(0)
            store.save(state.replace(d_params=jax.tree.unflatten(form, leaves)), progress)
        yield run_dir


def _kill(*_: Any) -> None:
    raise Killed


@pytest.fixture
def run_dir(broken: Path, tmp_path: Path) -> Path:
    shutil.copytree(broken, tmp_path / "run")
    return tmp_path / "run"


def folder(run_dir: Path) -> Path:
    return run_dir / "folds" / BAD.name


def checkpoints(run_dir: Path) -> set[str]:
    return {path.name for path in (folder(run_dir) / "checkpoints").iterdir()}


def test_stop(run_dir: Path) -> None:
    """Nothing that is no number is saved or logged; the same command comes to the same step."""
    for _ in range(2):
        with pytest.raises(NonFiniteError) as caught:
            train(run_dir, STOP)
        line = str(caught.value)
        assert line.startswith("fold tiny_s1: step 5: ") and "\n" not in line
        for words in (
            "d_real_adversarial is nan",
            "clips of the batch: tiny s",
            "step 4 is kept",
            "learning_rate",
            "skip_fold",
        ):
            assert words in line
        assert not any(f"tiny s1 clip{label}" in line for label in range(3)), "a test clip in a training batch"
        assert checkpoints(run_dir) == {"4"}
        steps = [json.loads(text)["step"] for text in (folder(run_dir) / "metrics.jsonl").read_text().splitlines()]
        assert steps == [2, 4]
        assert not any(is_finished(run_dir, fold) for fold in FOLDS)
    assert isinstance(caught.value, UserError)


def test_skip(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The other fold of the group ends as it does beside a sound one."""
    alone = run_dir.parent / "alone"
    shutil.copytree(run_dir, alone)
    shutil.rmtree(folder(alone))
    assert train_folds(NETWORKS, PAIRS, [GOOD], STOP, alone, jax.local_devices()[:1]) == []
    capsys.readouterr()
    (failure,) = train(run_dir, SKIP)
    assert (failure.fold, failure.step, failure.checkpoint) == (BAD.name, 5, 4)
    assert "warning: fold tiny_s1: step 5: " in capsys.readouterr().err
    assert is_finished(run_dir, GOOD) and not is_finished(run_dir, BAD)
    assert checkpoints(run_dir) == {"4"}
    assert {path.name for path in folder(run_dir).iterdir()} == {"checkpoints", "metrics.jsonl", "nonfinite.json"}
    for name in ("predictions.csv", "synthesis.npz"):
        assert (run_dir / "folds" / GOOD.name / name).read_bytes() == (alone / "folds" / GOOD.name / name).read_bytes()
    noted = json.loads((folder(run_dir) / "nonfinite.json").read_text())
    assert (noted["step"], noted["policy"], noted["checkpoint"]) == (5, "skip_fold", 4)
    assert noted["terms"]["d_real_adversarial"] == "nan"
    assert noted["clips"] and not any("tiny s1" in clip for clip in noted["clips"])
    assert describe_recorded_failure(run_dir, BAD).startswith("step 5: ") and "nan" in describe_recorded_failure(
        run_dir, BAD
    )
    assert describe_recorded_failure(run_dir, GOOD) == ""
    remove_failures(run_dir, FOLDS)
    assert describe_recorded_failure(run_dir, BAD) == ""


def test_a_group_without_a_training_fold_ends_immediately(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(run_dir / "folds" / GOOD.name)
    monkeypatch.setattr(loop, "evaluate_group", _kill)
    (failure,) = train_folds(NETWORKS, PAIRS, [BAD], SKIP, run_dir, jax.local_devices()[:1])
    assert failure.fold == BAD.name


@pytest.mark.parametrize("during", [True, False], ids=["during training", "at the end"])
def test_lengths_that_are_no_numbers(
    broken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, during: bool
) -> None:
    """Found by an evaluation alone, as where running statistics overflow: treated like any other."""
    real = evaluate.recognize_clips

    def spoilt(*arguments: Any) -> Any:
        lengths = real(*arguments)
        for place, clips in enumerate(arguments[3]):
            if clips is BAD.test:
                lengths[place] = math.nan
        return lengths

    monkeypatch.setattr(evaluate, "recognize_clips", spoilt)
    (failure,) = train(tmp_path, dataclasses.replace(SKIP, evaluate_every=4 * during))
    assert (failure.fold, failure.step) == (BAD.name, 4 if during else 8)
    assert is_finished(tmp_path, GOOD) and not is_finished(tmp_path, BAD)
    assert not (folder(tmp_path) / "predictions.csv").exists()
    assert "capsule_length is nan" in describe_recorded_failure(tmp_path, BAD)
    with pytest.raises(NonFiniteError, match="capsule_length is nan; in an evaluation; "):
        train(tmp_path, dataclasses.replace(STOP, evaluate_every=4 * during))


def test_what_a_group_goes_on_from_is_not_kept_in_memory(broken: Path, tmp_path: Path) -> None:
    """The states of the checkpoints are as large as those on the devices."""
    shutil.copytree(broken, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "folds" / BAD.name)
    read: list[weakref.ref[Any]] = []
    restore, run_calls = FoldCheckpoints.restore, loop.run_calls

    def noting(*arguments: Any) -> Any:
        state, progress = restore(*arguments)
        read.append(weakref.ref(state))
        return state, progress

    def looking(*arguments: Any) -> Any:
        gc.collect()
        assert read and not any(state() for state in read)
        return run_calls(*arguments)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(FoldCheckpoints, "restore", noting)
        patched.setattr(loop, "run_calls", looking)
        assert train_folds(NETWORKS, PAIRS, [GOOD], STOP, tmp_path / "run", jax.local_devices()[:1]) == []
