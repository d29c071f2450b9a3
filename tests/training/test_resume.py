"""A group of folds resumes at the newest step that all have intact; damaged checkpoints are reported and kept."""

import shutil
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from icegan_jax.errors import UserError
from icegan_jax.training.checkpoint import DamagedCheckpoint, FoldCheckpoints, newest_common_checkpoint
from tests.training.test_checkpoint import assert_equal_states, state_at

NAMES = ("a", "b")


def save(run: Path, steps: dict[str, Sequence[int]]) -> None:
    for name, own in steps.items():
        with FoldCheckpoints(run / name, f"run/{name}") as store:
            for step in own:
                store.save(state_at(step), {"fold": name, "step": step})


def resume(run: Path) -> tuple[int, list[str], dict[str, set[int]]]:
    """Resume, check the restored states, and return the step, the warnings and the remaining steps."""
    warnings: list[str] = []
    with FoldCheckpoints(run / "a", "run/a") as a, FoldCheckpoints(run / "b", "run/b") as b:
        step, restored = newest_common_checkpoint([a, b], NAMES, [state_at(0), state_at(0)], warnings.append)
        assert len(restored) == (2 if step else 0)
        for name, (state, progress) in zip(NAMES, restored, strict=False):
            assert_equal_states(state, state_at(step))
            assert progress == {"fold": name, "step": step}
        assert all("\n" not in line for line in warnings)
        return step, warnings, {"a": a.steps(), "b": b.steps()}


def truncate(run: Path, name: str, step: int) -> None:
    path = run / name / "checkpoints" / str(step) / "state" / "manifest.ocdbt"
    path.write_bytes(path.read_bytes()[:50])


def test_the_newest_step_of_all(tmp_path: Path) -> None:
    save(tmp_path, {"a": (4, 6), "b": (2, 4)})
    assert resume(tmp_path) == (4, [], {"a": {4}, "b": {2, 4}})


def test_no_checkpoints(tmp_path: Path) -> None:
    assert resume(tmp_path) == (0, [], {"a": set(), "b": set()})


def test_the_one_before_a_damaged_one(tmp_path: Path) -> None:
    save(tmp_path, {"a": (2, 4), "b": (2, 4)})
    truncate(tmp_path, "b", 4)
    step, warnings, left = resume(tmp_path)
    place = tmp_path / "b" / "damaged_checkpoints" / "4"
    assert warnings == [
        "fold b: the checkpoint of step 4 is damaged: the file state/manifest.ocdbt is damaged; "
        f"moved to {place}; going back to step 2"
    ]
    assert (step, left) == (2, {"a": {2}, "b": {2}})
    assert (place / "inventory.json").exists()
    assert resume(tmp_path) == (2, [], {"a": {2}, "b": {2}})  # reported once


def test_a_later_step_of_one_fold_does_not_matter(tmp_path: Path) -> None:
    """It is not restored, hence not checked, and is deleted as any later checkpoint."""
    save(tmp_path, {"a": (2, 4), "b": (2,)})
    truncate(tmp_path, "a", 4)
    assert resume(tmp_path) == (2, [], {"a": {2}, "b": {2}})


def test_all_damaged(tmp_path: Path) -> None:
    save(tmp_path, {"a": (2, 4), "b": (2, 4)})
    truncate(tmp_path, "b", 4)
    truncate(tmp_path, "a", 2)
    step, warnings, left = resume(tmp_path)
    assert (step, left) == (0, {"a": set(), "b": set()})
    assert len(warnings) == 3
    assert "fold b: the checkpoint of step 4" in warnings[0] and "going back to step 2" in warnings[0]
    assert "fold a: the checkpoint of step 2" in warnings[1] and "no earlier one is left" in warnings[1]
    assert warnings[2] == (
        "no step of which all folds that train together have a checkpoint: they start anew, also a (step 4), b (step 2)"
    )
    assert {path.name for path in tmp_path.glob("*/damaged_checkpoints/*")} == {"2", "4"}


def test_folds_that_were_swapped(tmp_path: Path) -> None:
    save(tmp_path, {"a": (2, 4), "b": (2, 4)})
    one, other = (tmp_path / name / "checkpoints" / "4" for name in NAMES)
    one.rename(tmp_path / "aside")
    other.rename(one)
    (tmp_path / "aside").rename(other)
    step, warnings, left = resume(tmp_path)
    assert (step, left) == (2, {"a": {2}, "b": {2}})
    (warning,) = warnings
    assert warning.startswith("fold a: the checkpoint of step 4 is damaged: it is of another run or fold; moved to ")


@pytest.mark.parametrize("name", ["checkpoints", "checkpoints/4"])
def test_a_folder_that_was_deleted(name: str, tmp_path: Path) -> None:
    save(tmp_path, {"a": (2, 4), "b": (2, 4)})
    shutil.rmtree(tmp_path / "b" / name)
    step, warnings, left = resume(tmp_path)
    assert step == (2 if name.endswith("4") else 0)
    assert left == {fold: {step} - {0} for fold in NAMES}
    assert len(warnings) == (step == 0)


def test_a_temporary_read_error_deletes_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, {"a": (2, 4), "b": (2, 4)})

    def fail(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        patched.setattr("icegan_jax.training.checkpoint.sha256_of", fail)
        with pytest.raises(UserError, match="cannot be read .Permission denied."):
            resume(tmp_path)
    assert resume(tmp_path) == (4, [], {"a": {2, 4}, "b": {2, 4}})


class Recorder:
    """A stand-in for FoldCheckpoints that records calls, and which restored arrays are still in memory."""

    def __init__(self, steps: set[int], damaged: set[int], events: list[str], alive: list["weakref.ref[Any]"]) -> None:
        self.own, self.damaged, self.events, self.alive = steps, damaged, events, alive

    def steps(self) -> set[int]:
        return self.own

    def restore(self, step: int, like: Any) -> tuple[Any, dict[str, Any]]:
        array = np.zeros(10)
        self.events.append(f"restore {step}, others {sum(ref() is not None for ref in self.alive)}")
        self.alive.append(weakref.ref(array))
        if step in self.damaged:
            raise DamagedCheckpoint("no")
        return array, {}

    def move_to_damaged(self, step: int) -> Path:
        self.events.append(f"move {step}")
        self.own = self.own - {step}
        return Path("there")

    def delete_after(self, step: int) -> None:
        self.events.append(f"delete {step}")


def test_no_state_is_in_memory_twice_and_nothing_is_deleted_before_the_step_is_known() -> None:
    events: list[str] = []
    alive: list[weakref.ref[Any]] = []
    stores: Any = [Recorder({2, 4, 6}, set(), events, alive), Recorder({2, 4, 6, 8}, {4, 6}, events, alive)]
    step, restored = newest_common_checkpoint(stores, NAMES, [None, None], lambda line: None)
    assert step == 2 and len(restored) == 2
    assert events == [
        *("restore 6, others 0", "restore 6, others 1", "move 6"),
        *("restore 4, others 0", "restore 4, others 1", "move 4"),
        *("restore 2, others 0", "restore 2, others 1"),
        *("delete 2", "delete 2"),
    ]
