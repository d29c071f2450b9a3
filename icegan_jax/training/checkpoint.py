"""Checkpoints of a fold (Orbax): training state, position of the data iterator and elapsed time, named by the step.

Orbax writes a checkpoint under a temporary name and renames it at the end, but it flushes only the arrays to the disk,
and deletes file by file. So a manifest is added last: owner and SHA-256 of every file. A checkpoint that does not match
its manifest was interrupted while it was saved or deleted, lost bytes, was changed, or is of another fold: it is never
used.
"""

import contextlib
import dataclasses
import errno
import itertools
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import chex
import jax

from icegan_jax.errors import REMEDIES, UserError, describe_exception, error_number, raise_if_unreadable
from icegan_jax.io import read_json_with_checksum, sha256_of, write_json_with_checksum
from icegan_jax.run_dir import CHECKPOINTS_DIR, DAMAGED_CHECKPOINTS_DIR
from icegan_jax.training.state import TrainState

MAX_TO_KEEP = 2  # one more than needed, in case the newest is damaged or the process is killed between two folds

_MANIFEST_FILE = "manifest.json"
_MAX_REASON = 200  # characters of an exception in a message

Restored = tuple[TrainState, dict[str, Any]]  # the state of a fold and its progress


class DamagedCheckpoint(Exception):
    """A checkpoint that must not be used. The message is a clause with the reason, without the path."""


class FoldCheckpoints(contextlib.AbstractContextManager["FoldCheckpoints", None]):
    """The checkpoints of one fold, which this class saves, restores and deletes.

    The random key is not saved: it is computed from the run's seed and the fold's name.
    """

    def __init__(self, fold_dir: Path, run_id: str = "") -> None:
        """Open the folder of checkpoints, make it if missing, and remove what interrupted saves left.

        Args:
          fold_dir: The fold's folder, named after the fold.
          run_id: The id of the run; checkpoints of another run or fold are refused.

        Raises:
          UserError: The folder cannot be written.
        """
        self._fold_dir, self._run_id = fold_dir.absolute(), run_id
        self._folder = self._fold_dir / CHECKPOINTS_DIR
        ocp = _orbax()
        options = ocp.CheckpointManagerOptions(
            max_to_keep=None,  # the manager would delete old ones before the new one has its manifest
            cleanup_tmp_directories=True,
            enable_async_checkpointing=False,  # no thread writes while the next steps are trained
            lightweight_initialize=True,
        )
        with self._write_errors():
            self._manager = ocp.CheckpointManager(self._folder, options=options, item_names=("state", "progress"))

    def __exit__(self, *_: object) -> None:
        self._manager.close()

    def steps(self) -> set[int]:
        """Return the steps that have a checkpoint at present, damaged or not."""
        return checkpoint_steps(self._fold_dir)

    def save(self, state: TrainState, progress: dict[str, Any]) -> None:
        """Save a checkpoint; older ones stay until ``keep_newest``.

        Args:
          state: The state of the fold, without device axes.
          progress: Position of the data iterator and elapsed time, as JSON types.

        Raises:
          UserError: The disk is full, the quota used up or the folder read-only; older checkpoints are unchanged.
          ValueError: There is a checkpoint of this step already.
        """
        step, arrays, ocp = int(state.step), _arrays_of(state), _orbax()
        items = ocp.args.Composite(state=ocp.args.StandardSave(arrays), progress=ocp.args.JsonSave(progress))
        with self._write_errors():
            if shutil.disk_usage(self._folder).free < sum(array.nbytes for array in jax.tree.leaves(arrays)):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # Orbax would print a traceback per array
            self._manager.save(step, args=items, force=True)
            folder = self._folder / str(step)
            paths = sorted(path for path in folder.rglob("*") if path.is_file())
            files = {path.relative_to(folder).as_posix(): sha256_of(path) for path in paths}
            owner = {"run": self._run_id, "fold": self._fold_dir.name, "step": step}
            write_json_with_checksum(folder / _MANIFEST_FILE, {**owner, "files": files})

    def restore(self, step: int, like: TrainState) -> Restored:
        """Restore the checkpoint of a step as ``read_checkpoint`` does, with the same errors."""
        return read_checkpoint(self._fold_dir, step, self._run_id, like)

    def delete_after(self, step: int) -> None:
        """Delete the checkpoints of later steps, which the fold will train and save again."""
        self._delete(later for later in sorted(self.steps()) if later > step)

    def keep_newest(self, number: int) -> None:
        """Delete all checkpoints but the newest ``number`` (each has 0.75 GB at full width)."""
        self._delete(sorted(self.steps())[:-number])

    def move_to_damaged(self, step: int) -> Path:
        """Move the checkpoint of a step to ``damaged_checkpoints``; nothing is deleted.

        Returns:
          The new folder: ``damaged_checkpoints/<step>`` in the fold's folder, or ``<step>.1`` and so on.
        """
        parent = self._fold_dir / DAMAGED_CHECKPOINTS_DIR
        with self._write_errors():
            parent.mkdir(exist_ok=True)
            names = itertools.chain([str(step)], (f"{step}.{count}" for count in itertools.count(1)))
            target = next(parent / name for name in names if not (parent / name).exists())
            (self._folder / str(step)).rename(target)
            self._manager.reload()
        return target

    def _delete(self, steps: Iterable[int]) -> None:
        with self._write_errors():
            for step in steps:
                self._manager.delete(step)

    @contextlib.contextmanager
    def _write_errors(self) -> Iterator[None]:
        """Turn an exception of the file system into a UserError where a remedy is known."""
        try:
            yield
        except Exception as error:  # tensorstore raises ValueError with the text of the system's error
            number = error_number(error, REMEDIES)
            if number is None:
                raise
            raise UserError(
                f"{self._folder}: cannot be written ({os.strerror(number)}); {REMEDIES[number]}, "
                "the same command continues from the newest checkpoint"
            ) from error


def newest_common_checkpoint(
    stores: Sequence[FoldCheckpoints],
    names: Sequence[str],
    likes: Sequence[TrainState],
    warn: Callable[[str], None],
) -> tuple[int, list[Restored]]:
    """Restore the folds of a group, which train step by step together, at the newest step that all have intact.

    A damaged checkpoint is moved away, never deleted, and the group goes back to the step before. Later checkpoints
    are deleted once the common step is known. No state is in memory twice.

    Args:
      stores: The folds' checkpoints, at least one.
      names: The names of the folds.
      likes: States with the expected shapes and dtypes, see ``read_checkpoint``.
      warn: Receives one line per damaged checkpoint.

    Returns:
      The step, and each fold's state on the host and progress; 0 and an empty list if the folds start anew.

    Raises:
      UserError: A checkpoint cannot be read at present, or a folder cannot be written; nothing was deleted.
    """
    step, restored, saved = 0, list[Restored](), any(store.steps() for store in stores)
    while common := set.intersection(*(store.steps() for store in stores)):
        step, restored = max(common), []  # the new list frees the states of a later step
        try:
            for store, like in zip(stores, likes, strict=True):
                restored.append(store.restore(step, like))
            break
        except DamagedCheckpoint as error:
            damaged = len(restored)
            target = stores[damaged].move_to_damaged(step)
            warn(f"fold {names[damaged]}: the checkpoint of step {step} is damaged: {error}; moved to {target}")
            step, restored = 0, []
    if step == 0 and saved:
        warn(f"{', '.join(names)}: there is no checkpoint of a step that all of them have: they start anew")
    for store in stores:
        store.delete_after(step)
    return step, restored


def read_checkpoint(fold_dir: Path, step: int, run_id: str, like: TrainState) -> Restored:
    """Restore the checkpoint of a step, without writing anything.

    Args:
      fold_dir: The fold's folder, named after the fold.
      step: The step of the checkpoint.
      run_id: The id of the run.
      like: A state with the expected shapes and dtypes, and with the random key to use.

    Returns:
      The state on the host, and the progress.

    Raises:
      DamagedCheckpoint: Files are missing, changed, or of another run, fold or step.
      UserError: The files cannot be read at present (permissions, too many open files).
    """
    folder, expected, ocp = fold_dir.absolute() / CHECKPOINTS_DIR / str(step), _arrays_of(like), _orbax()
    items = ocp.args.Composite(state=ocp.args.StandardRestore(expected), progress=ocp.args.JsonRestore())
    try:
        _check_manifest(folder, {"run": run_id, "fold": fold_dir.name, "step": step})
        with contextlib.closing(ocp.Checkpointer(ocp.CompositeCheckpointHandler())) as checkpointer:
            content = checkpointer.restore(folder, args=items)
        chex.assert_trees_all_equal_shapes_and_dtypes(content.state, expected)
    except (DamagedCheckpoint, MemoryError):
        raise
    except Exception as error:  # Orbax and tensorstore raise errors of every kind
        raise_if_unreadable(folder, error)
        reason = describe_exception(error).replace(f"{folder}/", "")
        raise DamagedCheckpoint(f"it cannot be read ({reason[:_MAX_REASON]})") from error
    return TrainState(key=like.key, **content.state), content.progress


def checkpoint_steps(fold_dir: Path) -> set[int]:
    """Return the steps of which a fold has a checkpoint, damaged or not; no file is opened."""
    return {int(path.name) for path in (fold_dir / CHECKPOINTS_DIR).glob("*") if path.name.isdecimal()}


def _check_manifest(folder: Path, owner: dict[str, Any]) -> None:
    """Raise ``DamagedCheckpoint`` unless a checkpoint is of the given run, fold and step, with every file intact."""
    path = folder / _MANIFEST_FILE
    if not path.exists():
        raise DamagedCheckpoint(f"it was not completely saved ({_MANIFEST_FILE} is missing)")
    manifest = read_json_with_checksum(path)
    if {name: manifest[name] for name in owner} != owner:
        raise DamagedCheckpoint("it is of another run, fold or step")
    for name, checksum in manifest["files"].items():
        if not (folder / name).exists():
            raise DamagedCheckpoint(f"the file {name} is missing")
        if sha256_of(folder / name) != checksum:
            raise DamagedCheckpoint(f"the file {name} was changed")


def _arrays_of(state: TrainState) -> dict[str, Any]:
    """Return the fields of a state that a checkpoint holds, on the host."""
    names = [field.name for field in dataclasses.fields(state) if field.name != "key"]
    return {name: jax.device_get(getattr(state, name)) for name in names}


def _orbax() -> Any:
    """Import Orbax at the first checkpoint: otherwise ``icegan_jax.load_run`` would take a quarter longer."""
    import orbax.checkpoint as ocp

    logging.getLogger("absl").addFilter(_is_not_orbax_record)
    return ocp


def _is_not_orbax_record(record: logging.LogRecord) -> bool:
    """Return False for a log record of Orbax, which logs each step of a save, and each error besides raising it."""
    return f"{os.sep}orbax{os.sep}" not in record.pathname
