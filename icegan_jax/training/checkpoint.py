"""Checkpoints of a fold (Orbax): its training state and the position of its data iterator, each named by its step.

Orbax 0.12.8 flushes only the arrays to the disk, gives a checkpoint its final name before the other files are
certainly written, and deletes file by file under that name. Therefore Orbax writes under a temporary name here; an
inventory is added (owner, checksums of content and files), everything is flushed, and then the folder is renamed. A
folder named by a step is complete, also after a power failure; it is renamed again before it is deleted.
"""

import asyncio
import contextlib
import dataclasses
import hashlib
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import numpy as np

from icegan_jax.errors import REMEDIES, UNREADABLE, UserError, error_number, raise_if_unreadable
from icegan_jax.io import (
    checksum_of,
    fsync_tree,
    make_dir,
    read_json_with_checksum,
    remove,
    sha256_of,
    write_json_with_checksum,
)
from icegan_jax.run_dir import CHECKPOINTS_DIR, DAMAGED_CHECKPOINTS_DIR
from icegan_jax.training.state import TrainState

MAX_TO_KEEP = 2  # one more than needed, in case the newest is damaged

_TEMPORARY = ".unfinished"  # suffix of checkpoints that are being written or deleted
_ORBAX_TEMPORARY = ".orbax-checkpoint-tmp"  # suffix that Orbax adds until it has written everything
_INVENTORY_FILE = "inventory.json"
_MAX_REASON = 200  # characters of an exception in a message

Restored = list[tuple[TrainState, dict[str, Any]]]  # of each fold, its state and its progress


class DamagedCheckpoint(Exception):
    """A checkpoint that must not be used. The message is a clause with the reason, without the path."""


class FoldCheckpoints:
    """The checkpoints of one fold, which this class saves, restores and deletes.

    The random key is not saved: it is computed from the run's seed and the fold's name.
    """

    def __init__(self, fold_dir: Path, owner: str = "") -> None:
        """Open the folder of checkpoints, make it if missing, and remove what interrupted saves and deletions left.

        Args:
          fold_dir: The fold's folder.
          owner: Run and fold, saved in each checkpoint; checkpoints of another owner are refused.

        Raises:
          UserError: The folder cannot be made, or a file has its name.
        """
        logging.getLogger("absl").addFilter(_is_not_orbax_record)
        self._fold_dir, self._owner = fold_dir.absolute(), owner
        self._folder = self._fold_dir / CHECKPOINTS_DIR
        ocp = _orbax()
        self._checkpointer = ocp.Checkpointer(ocp.CompositeCheckpointHandler())
        with self._write_errors():
            make_dir(self._folder)
            self._remove_temporary()
            self.steps()  # raises an error now if the folder cannot be listed

    def __enter__(self) -> "FoldCheckpoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._checkpointer.close()

    def steps(self) -> set[int]:
        """Return the steps that have a checkpoint at present, damaged or not."""
        return checkpoint_steps(self._fold_dir)

    def delete_after(self, step: int) -> None:
        """Delete the checkpoints of later steps, which the fold will train and save again."""
        with self._write_errors():
            for later in self.steps():
                if later > step:
                    self._delete(later)

    def keep_newest(self, number: int) -> None:
        """Delete all checkpoints but the newest ``number`` (each has 0.75 GB at full width)."""
        with self._write_errors():
            for step in sorted(self.steps())[:-number]:
                self._delete(step)

    def save(self, state: TrainState, progress: dict[str, Any]) -> None:
        """Save a checkpoint; older ones stay until ``keep_newest``.

        Args:
          state: The state of the fold, without device axes.
          progress: Position of the data iterator and elapsed time, as JSON types.

        Raises:
          UserError: The disk is full, the quota used up or the folder read-only; older checkpoints are unchanged.
        """
        step, arrays = int(state.step), _arrays_of(state)
        folder, temporary = self._folder / str(step), self._folder / f"{step}{_TEMPORARY}"
        ocp = _orbax()
        items = ocp.args.Composite(state=ocp.args.StandardSave(arrays), progress=ocp.args.JsonSave(progress))
        if step in self.steps():
            raise ValueError(f"there is a checkpoint of step {step} already")
        if os.path.lexists(folder):
            self.move_to_damaged(step)  # a file or a dead link with the name of a checkpoint
        with self._write_errors(), _draining_event_loops():
            self._remove_temporary()
            self._checkpointer.save(temporary, args=items)
            inventory = {
                "owner": self._owner,
                "step": step,
                "state": tree_digest(arrays),
                "progress": checksum_of(progress),
                "files": file_checksums(temporary),
            }
            write_json_with_checksum(temporary / _INVENTORY_FILE, inventory)
            fsync_tree(temporary)
            # Only now, with every byte on the disk, the folder gets the name of a checkpoint.
            temporary.rename(folder)
            fsync_tree(self._folder, recursive=False)

    def restore(self, step: int, like: TrainState) -> tuple[TrainState, dict[str, Any]]:
        """Restore the checkpoint of a step.

        Args:
          step: The step of the checkpoint.
          like: A state with the expected shapes and dtypes, and with the random key to use.

        Returns:
          The state on the host, and the progress.

        Raises:
          DamagedCheckpoint: Files are missing, changed, or of another fold.
          UserError: The files cannot be read at present (permissions, too many open files).
        """
        return _restore(self._checkpointer, self._folder / str(step), self._owner, like)

    def move_to_damaged(self, step: int) -> Path:
        """Move the checkpoint of a step to ``damaged_checkpoints``; nothing is deleted.

        Returns:
          The new folder: ``damaged_checkpoints/<step>`` in the fold's folder, or ``<step>.1`` and so on.
        """
        with self._write_errors():
            make_dir(self._fold_dir / DAMAGED_CHECKPOINTS_DIR)
            target, count = self._fold_dir / DAMAGED_CHECKPOINTS_DIR / str(step), 0
            while os.path.lexists(target):
                count += 1
                target = target.with_name(f"{step}.{count}")
            shutil.move(self._folder / str(step), target)
        return target

    def _delete(self, step: int) -> None:
        """Delete a checkpoint; the next start removes the files that remain if the process is killed meanwhile."""
        temporary = self._folder / f"{step}{_TEMPORARY}"
        remove(temporary)
        (self._folder / str(step)).rename(temporary)
        remove(temporary)

    def _remove_temporary(self) -> None:
        for suffix in (_TEMPORARY, _ORBAX_TEMPORARY):
            for path in self._folder.glob(f"*{suffix}"):
                remove(path)

    @contextlib.contextmanager
    def _write_errors(self) -> Iterator[None]:
        """Remove temporary files after an exception; turn it into a UserError where a remedy is known."""
        try:
            yield
        except Exception as error:
            self._remove_temporary()
            number = error_number(error, REMEDIES)
            if number is None:
                raise
            latest = 0
            with contextlib.suppress(OSError):
                latest = max(self.steps(), default=0)
            point = f"step {latest}" if latest else "the start"
            raise UserError(
                f"{self._folder}: cannot be written ({os.strerror(number)}); {REMEDIES[number]}, "
                f"the same command continues from {point}"
            ) from error


def newest_common_checkpoint(
    stores: Sequence[FoldCheckpoints],
    names: Sequence[str],
    likes: Sequence[TrainState],
    warn: Callable[[str], None],
) -> tuple[int, Restored]:
    """Restore the folds of a group, which train step by step together, at the newest step that all have intact.

    A damaged checkpoint is moved away, never deleted, and the group goes back to the step before. Later checkpoints
    are deleted once the common step is known. No state is in memory twice.

    Args:
      stores: The folds' checkpoints, at least one.
      names: The names of the folds.
      likes: States with the expected shapes and dtypes, see ``FoldCheckpoints.restore``.
      warn: Receives one line per damaged checkpoint.

    Returns:
      The step, and each fold's state on the host and progress; 0 and an empty list if the folds start anew.

    Raises:
      UserError: A checkpoint cannot be read at present, or a folder cannot be written; nothing was deleted.
    """
    while True:
        common = set.intersection(*(store.steps() for store in stores)) - {0}
        step, restored = max(common, default=0), Restored()  # the new list frees the states of a later step
        if step == 0:
            break
        damaged = _restore_all(stores, likes, step, restored)
        if damaged is None:
            break
        index, reason = damaged
        target = stores[index].move_to_damaged(step)
        previous = max(common - {step}, default=0)
        fallback = f"going back to step {previous}" if previous else "no earlier one is left"
        warn(f"fold {names[index]}: the checkpoint of step {step} is damaged: {reason}; moved to {target}; {fallback}")
    newest = {name: max(store.steps(), default=0) for name, store in zip(names, stores, strict=True)}
    if step == 0 and any(newest.values()):
        lost = ", ".join(f"{name} (step {latest})" for name, latest in newest.items() if latest)
        warn(f"no step of which all folds that train together have a checkpoint: they start anew, also {lost}")
    for store in stores:
        store.delete_after(step)
    return step, restored


def read_checkpoint(fold_dir: Path, step: int, owner: str, like: TrainState) -> TrainState:
    """Restore a fold's state as ``FoldCheckpoints.restore`` does, with the same errors, without writing anything."""
    logging.getLogger("absl").addFilter(_is_not_orbax_record)
    ocp = _orbax()
    with contextlib.closing(ocp.Checkpointer(ocp.CompositeCheckpointHandler())) as checkpointer:
        return _restore(checkpointer, fold_dir.absolute() / CHECKPOINTS_DIR / str(step), owner, like)[0]


def checkpoint_steps(fold_dir: Path) -> set[int]:
    """Return the steps of which a fold has a checkpoint, damaged or not; no file is opened."""
    folder = fold_dir / CHECKPOINTS_DIR
    if not folder.is_dir():
        return set()
    named = (path for path in folder.iterdir() if re.fullmatch("0|[1-9][0-9]*", path.name))
    return {int(path.name) for path in named if path.is_dir()}


def tree_digest(arrays: Any) -> str:
    """Return the SHA-256 of every array's path, dtype, shape and bytes, in hexadecimal, one array after the other."""
    sha = hashlib.sha256()
    for path, array in named_leaves(arrays).items():
        sha.update(f"{path} {array.dtype} {array.shape}\n".encode())
        sha.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)  # a view: no copy of the array
    return sha.hexdigest()


def named_leaves(arrays: Any) -> dict[str, Any]:
    """Return the leaves of a tree by path, ``g_params/down_1/kernel``, in the order of the paths."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(arrays)
    return dict(sorted((jax.tree_util.keystr(path, simple=True, separator="/"), leaf) for path, leaf in leaves))


def tree_difference(found: Any, expected: Any) -> str | None:
    """Return the first path at which two trees differ in shape or dtype, in words; None if there is none."""
    left, right = (
        {path: f"{leaf.dtype}{list(leaf.shape)}" for path, leaf in named_leaves(tree).items()}
        for tree in (found, expected)
    )
    for path in sorted(left.keys() | right.keys()):
        if left.get(path) != right.get(path):
            return f"{path} is {left.get(path, 'missing')}, expected {right.get(path, 'none')}"
    return None


def file_checksums(folder: Path) -> dict[str, str]:
    """Return the checksum of every file in a folder by its relative path."""
    return {
        path.relative_to(folder).as_posix(): sha256_of(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }


def first_altered_file(folder: Path, checksums: Mapping[str, str]) -> str | None:
    """Return a clause about the first file that is missing or has another checksum; None if all are intact."""
    for name, checksum in checksums.items():
        if not (folder / name).exists():
            return f"the file {name} is missing"
        if not (folder / name).is_file() or sha256_of(folder / name) != checksum:
            return f"the file {name} is damaged"
    return None


def _restore_all(
    stores: Sequence[FoldCheckpoints], likes: Sequence[TrainState], step: int, restored: Restored
) -> tuple[int, str] | None:
    """Append each fold's state and progress to ``restored``; return the index and reason of a damaged checkpoint."""
    for index, (store, like) in enumerate(zip(stores, likes, strict=True)):
        try:
            restored.append(store.restore(step, like))
        except DamagedCheckpoint as error:
            return index, str(error)  # not the error, whose traceback would keep the arrays in memory
    return None


def _restore(checkpointer: Any, folder: Path, owner: str, like: TrainState) -> tuple[TrainState, dict[str, Any]]:
    """Restore a checkpoint as ``FoldCheckpoints.restore`` does."""
    try:
        with _draining_event_loops():
            return _check_and_restore(checkpointer, folder, owner, like)
    except (DamagedCheckpoint, MemoryError):
        raise
    except Exception as error:  # Orbax and tensorstore raise errors of every kind
        raise_if_unreadable(folder, error)
        raise DamagedCheckpoint(f"it cannot be read ({_short_reason(error, folder)})") from error


def _check_and_restore(
    checkpointer: Any, folder: Path, owner: str, like: TrainState
) -> tuple[TrainState, dict[str, Any]]:
    """Check the files of a checkpoint before Orbax parses them, and restore; ``_restore`` converts the exceptions."""
    if not (folder / _INVENTORY_FILE).exists():
        raise DamagedCheckpoint(f"the file {_INVENTORY_FILE} is missing")
    try:
        inventory = read_json_with_checksum(folder / _INVENTORY_FILE)
    except UserError as error:
        if error_number(error, UNREADABLE) is not None:
            raise
        raise DamagedCheckpoint(f"the file {_INVENTORY_FILE} is damaged") from error
    if inventory["owner"] != owner:
        raise DamagedCheckpoint("it is of another run or fold")
    if str(inventory["step"]) != folder.name:
        raise DamagedCheckpoint(f"it is of step {inventory['step']}")
    if damage := first_altered_file(folder, inventory["files"]):
        raise DamagedCheckpoint(damage)
    expected = _arrays_of(like)
    ocp = _orbax()
    if difference := tree_difference(ocp.StandardCheckpointHandler().metadata(folder / "state").tree, expected):
        raise DamagedCheckpoint(f"it holds other arrays: {difference}")
    items = ocp.args.Composite(state=ocp.args.StandardRestore(expected), progress=ocp.args.JsonRestore())
    content = checkpointer.restore(folder, args=items)
    if tree_digest(content.state) != inventory["state"] or checksum_of(content.progress) != inventory["progress"]:
        raise DamagedCheckpoint("its content is not what was written")
    return TrainState(key=like.key, **content.state), content.progress


def _arrays_of(state: TrainState) -> dict[str, Any]:
    """Return the fields of a state that a checkpoint holds, on the host."""
    names = [field.name for field in dataclasses.fields(state) if field.name != "key"]
    return {name: jax.device_get(getattr(state, name)) for name in names}


def _orbax() -> Any:
    """Import Orbax at the first checkpoint: otherwise ``icegan_jax.load_run`` would take a quarter longer."""
    import orbax.checkpoint as ocp

    return ocp


def _is_not_orbax_record(record: logging.LogRecord) -> bool:
    """Return False for a log record of Orbax, which logs each step of a save, and each error besides raising it."""
    return f"{os.sep}orbax{os.sep}" not in record.pathname


def _short_reason(error: BaseException, folder: Path) -> str:
    """Return an error in one line, without the folder and the specification that tensorstore appends."""
    text = f"{type(error).__name__}: {error}".split("[tensorstore_spec")[0].replace(f"{folder}/", "")
    return " ".join(text.split())[:_MAX_REASON]


class _DrainingEventLoop(asyncio.SelectorEventLoop):
    """An event loop that waits for its tasks before it closes.

    Orbax closes its loop at the first error of one array, and the tasks of the other arrays would each print a
    traceback.
    """

    def close(self) -> None:
        if not self.is_closed() and (tasks := asyncio.all_tasks(self)):
            self.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        super().close()


@contextlib.contextmanager
def _draining_event_loops() -> Iterator[None]:
    """Make ``asyncio.new_event_loop`` return a ``_DrainingEventLoop`` in the block."""
    original, asyncio.new_event_loop = asyncio.new_event_loop, _DrainingEventLoop
    try:
        yield
    finally:
        asyncio.new_event_loop = original
