"""A fold's checkpoints: its state and its data iterator, together, the newest two kept (Orbax)."""

import dataclasses
import logging
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import orbax.checkpoint as ocp

from icegan_jax.training.state import TrainState

_KEPT = 2  # one more than needed: a checkpoint half written when the machine stopped leaves the one before


class FoldCheckpoints:
    """The checkpoints of one fold, in the folder ``checkpoints`` of the fold's folder.

    The random key is not written: the run's seed and the fold's name give it back.
    """

    def __init__(self, fold_dir: Path) -> None:
        """Opens the folder, making it if need be; what an interrupted save left behind is removed."""
        logging.getLogger("absl").setLevel(logging.WARNING)  # Orbax announces each step of every save
        options = ocp.CheckpointManagerOptions(
            max_to_keep=_KEPT, enable_async_checkpointing=False, cleanup_tmp_directories=True
        )
        self._manager = ocp.CheckpointManager((fold_dir / "checkpoints").absolute(), options=options)

    def __enter__(self) -> "FoldCheckpoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._manager.close()

    def steps(self) -> set[int]:
        """The steps of which there is a checkpoint."""
        return set(self._manager.all_steps())

    def discard_after(self, step: int) -> None:
        """Removes the checkpoints of later steps: the fold trains on from ``step`` and writes them anew."""
        for later in self.steps():
            if later > step:
                self._manager.delete(later)

    def save(self, state: TrainState, progress: dict[str, Any]) -> None:
        """Writes a fold's state (no device axes) and, as JSON, where its iterator and its clock stand."""
        content = ocp.args.Composite(
            state=ocp.args.StandardSave(_written(state)),
            progress=ocp.args.JsonSave(progress),
        )
        self._manager.save(int(state.step), args=content, force=True)

    def restore(self, step: int, like: TrainState) -> tuple[TrainState, dict[str, Any]]:
        """Reads the checkpoint of ``step`` into the shapes of ``like``, whose key it keeps."""
        content = self._manager.restore(
            step,
            args=ocp.args.Composite(state=ocp.args.StandardRestore(_written(like)), progress=ocp.args.JsonRestore()),
        )
        return TrainState(key=like.key, **content.state), content.progress


def _written(state: TrainState) -> dict[str, Any]:
    """The fields of a state that a checkpoint holds, on the host."""
    names = [field.name for field in dataclasses.fields(state) if field.name != "key"]
    return {name: jax.device_get(getattr(state, name)) for name in names}
