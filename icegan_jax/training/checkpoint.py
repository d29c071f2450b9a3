"""Whether a checkpoint holds what was written into it, and if not, which part is at fault.

A fold's checkpoints: its state and its data iterator, together, the newest two kept (Orbax).

Orbax (0.12.8, as read and tried) flushes to the disk the arrays alone, gives the checkpoint its name before the rest
is there for sure, and deletes file by file under that name. So here Orbax writes under another name; an inventory is
added (whose checkpoint it is, and the checksums of its content and of its files), all is flushed, and then it is
renamed: what has a step for a name is whole, also after a power cut. It loses that name again before it is deleted.

Where a group of folds goes on: at the newest step of which every one of them has an intact checkpoint.
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
import orbax.checkpoint as ocp

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
from icegan_jax.run_dir import CHECKPOINTS_DIR
from icegan_jax.training.state import TrainState


def tree_digest(arrays: Any) -> str:
    """SHA-256 of every array's path, dtype, shape and bytes, one array after the other: no copy of all of them."""
    sha = hashlib.sha256()
    for path, array in named_leaves(arrays).items():
        sha.update(f"{path} {array.dtype} {array.shape}\n".encode())
        sha.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return sha.hexdigest()


def named_leaves(arrays: Any) -> dict[str, Any]:
    """The leaves of a tree by path, ``g_params/down0/kernel``, in the order of the paths; named tuples are as dicts."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(arrays)
    return dict(sorted((jax.tree_util.keystr(path, simple=True, separator="/"), leaf) for path, leaf in leaves))


def tree_difference(found: Any, wanted: Any) -> str | None:
    """The first path at which two trees differ in shape or dtype, in words; None where they do not."""
    have, want = (
        {path: f"{leaf.dtype}{list(leaf.shape)}" for path, leaf in named_leaves(tree).items()}
        for tree in (found, wanted)
    )
    for path in sorted(have.keys() | want.keys()):
        one, other = have.get(path, "missing"), want.get(path, "none")
        if one != other:
            return f"{path} is {one}, expected {other}"
    return None


def file_checksums(folder: Path) -> dict[str, str]:
    """The checksum of every file within a folder, by its path there."""
    return {
        path.relative_to(folder).as_posix(): sha256_of(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }


def first_altered_file(folder: Path, files: Mapping[str, str]) -> str | None:
    """In a clause, the first of the files that is missing or has another checksum; None where all are whole."""
    for name, checksum in files.items():
        if not (folder / name).exists():
            return f"the file {name} is missing"
        if not (folder / name).is_file() or sha256_of(folder / name) != checksum:
            return f"the file {name} is damaged"
    return None


MAX_TO_KEEP = 2  # one more than needed: where the newest turns out to be damaged, there is the one before

_UNFINISHED = ".unfinished"  # ends the name of what is not yet, or no longer, a checkpoint

_ORBAX_UNFINISHED = ".orbax-checkpoint-tmp"  # and what Orbax adds to a name until it has written everything

_DAMAGED = "damaged_checkpoints"

_INVENTORY = "inventory.json"


class DamagedCheckpoint(Exception):
    """A checkpoint that must not be used. The message is a clause that says why, without the path."""


class FoldCheckpoints:
    """The checkpoints of one fold, in the folder ``checkpoints`` of the fold's folder, each named by its step.

    The random key is not written: the run's seed and the fold's name give it back.
    """

    def __init__(self, fold_dir: Path, owner: str = "") -> None:
        """Opens the folder, making it if need be; what an interrupted save or removal left behind is removed.

        Args:
          fold_dir: the fold's folder.
          owner: run and fold, as written into each checkpoint; those of another owner are refused.

        Raises:
          UserError: ``checkpoints`` is no folder, or cannot be made.
        """
        logging.getLogger("absl").addFilter(_is_not_orbax_record)
        self._fold_dir, self._owner = fold_dir.absolute(), owner
        self._folder = self._fold_dir / CHECKPOINTS_DIR
        self._orbax = ocp.Checkpointer(ocp.CompositeCheckpointHandler())
        with self._writing():
            make_dir(self._folder)
            self._remove_unfinished()
            self.steps()

    def __enter__(self) -> "FoldCheckpoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._orbax.close()

    def steps(self) -> set[int]:
        """The steps of which there is a checkpoint, damaged or not, as the folder stands."""
        return checkpoint_steps(self._fold_dir)

    def discard_after(self, step: int) -> None:
        """Removes the checkpoints of later steps: the fold trains on from ``step`` and writes them anew."""
        with self._writing():
            for later in self.steps():
                if later > step:
                    self._delete(later)

    def keep_newest(self, number: int) -> None:
        """Removes all checkpoints but the newest so many (0.75 GB each at full width): a finished fold needs one."""
        with self._writing():
            for step in sorted(self.steps())[:-number]:
                self._delete(step)

    def save(self, state: TrainState, progress: dict[str, Any]) -> None:
        """Writes a fold's state (no device axes) and, as JSON, where its iterator and its clock stand.

        Older ones stay until ``keep_newest``.

        Raises:
          UserError: the disk is full, the quota used up or the folder read-only; the checkpoints before are whole.
        """
        step, arrays = int(state.step), _state_arrays(state)
        inventory = {
            "owner": self._owner,
            "step": step,
            "state": tree_digest(arrays),
            "progress": checksum_of(progress),
        }
        folder, unfinished = self._folder / str(step), self._folder / f"{step}{_UNFINISHED}"
        content = ocp.args.Composite(state=ocp.args.StandardSave(arrays), progress=ocp.args.JsonSave(progress))
        if step in self.steps():
            raise ValueError(f"there is a checkpoint of step {step} already")
        if os.path.lexists(folder):
            self.set_aside(step)  # a file or a dead link with a checkpoint's name
        with self._writing(), _draining_event_loops():
            self._remove_unfinished()
            self._orbax.save(unfinished, args=content)
            write_json_with_checksum(unfinished / _INVENTORY, inventory | {"files": file_checksums(unfinished)})
            fsync_tree(unfinished)
            unfinished.rename(folder)
            fsync_tree(self._folder, within=False)

    def restore(self, step: int, like: TrainState) -> tuple[TrainState, dict[str, Any]]:
        """Reads the checkpoint of ``step`` into the shapes and dtypes of ``like``, whose key it keeps.

        Raises:
          DamagedCheckpoint: anything restored is not what was saved, or not there, or another fold's.
          UserError: the files cannot be read for now (permissions, too many open files).
        """
        return _restore_checkpoint(self._orbax, self._folder / str(step), self._owner, like)

    def set_aside(self, step: int) -> Path:
        """Moves the checkpoint of a step out of the way; nothing is deleted.

        Returns:
          Where it is now: ``damaged_checkpoints/<step>`` in the fold's folder, or ``<step>.1`` and so on.
        """
        with self._writing():
            make_dir(self._fold_dir / _DAMAGED)
            place, count = self._fold_dir / _DAMAGED / str(step), 0
            while os.path.lexists(place):
                count += 1
                place = place.with_name(f"{step}.{count}")
            shutil.move(self._folder / str(step), place)
        return place

    def _delete(self, step: int) -> None:
        """Removes a checkpoint; killed in the middle, it leaves what the next start removes."""
        doomed = self._folder / f"{step}{_UNFINISHED}"
        remove(doomed)
        (self._folder / str(step)).rename(doomed)
        remove(doomed)

    def _remove_unfinished(self) -> None:
        for ending in (_UNFINISHED, _ORBAX_UNFINISHED):
            for path in self._folder.glob(f"*{ending}"):
                remove(path)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Removes what a failure leaves unfinished, and says what to do where that is known."""
        try:
            yield
        except Exception as error:
            self._remove_unfinished()
            number = error_number(error, REMEDIES)
            if number is None:
                raise
            latest = 0
            with contextlib.suppress(OSError):
                latest = max(self.steps(), default=0)
            onward = f"the same command goes on from {f'step {latest}' if latest else 'the start'}"
            raise UserError(
                f"{self._folder}: cannot be written ({os.strerror(number)}); {REMEDIES[number]}, {onward}"
            ) from error


def read_checkpoint(fold_dir: Path, step: int, owner: str, like: TrainState) -> TrainState:
    """Reads a fold's checkpoint as ``FoldCheckpoints.restore`` does, without writing to the folder.

    Raises:
      DamagedCheckpoint, UserError: as there.
    """
    logging.getLogger("absl").addFilter(_is_not_orbax_record)
    with contextlib.closing(ocp.Checkpointer(ocp.CompositeCheckpointHandler())) as orbax:
        return _restore_checkpoint(orbax, fold_dir.absolute() / CHECKPOINTS_DIR / str(step), owner, like)[0]


def _restore_checkpoint(orbax: Any, folder: Path, owner: str, like: TrainState) -> tuple[TrainState, dict[str, Any]]:
    """As ``FoldCheckpoints.restore``."""
    try:
        with _draining_event_loops():
            return _checked(orbax, folder, owner, like)
    except (DamagedCheckpoint, MemoryError):
        raise
    except Exception as error:  # Orbax and tensorstore raise errors of every kind
        raise_if_unreadable(folder, error)
        raise DamagedCheckpoint(f"it cannot be read ({_in_short(error, folder)})") from error


def _checked(orbax: Any, folder: Path, owner: str, like: TrainState) -> tuple[TrainState, dict[str, Any]]:
    """As ``_read``, with errors as they come. The files are checked before Orbax and tensorstore parse them."""
    if not (folder / _INVENTORY).exists():
        raise DamagedCheckpoint(f"the file {_INVENTORY} is missing")
    try:
        inventory = read_json_with_checksum(folder / _INVENTORY)
    except UserError as error:
        if error_number(error, UNREADABLE) is not None:
            raise
        raise DamagedCheckpoint(f"the file {_INVENTORY} is damaged") from error
    if inventory["owner"] != owner:
        raise DamagedCheckpoint("it is of another run or fold")
    if str(inventory["step"]) != folder.name:
        raise DamagedCheckpoint(f"it is of step {inventory['step']}")
    if fault := first_altered_file(folder, inventory["files"]):
        raise DamagedCheckpoint(fault)
    wanted = _state_arrays(like)
    if other := tree_difference(ocp.StandardCheckpointHandler().metadata(folder / "state").tree, wanted):
        raise DamagedCheckpoint(f"it holds other arrays: {other}")
    items = ocp.args.Composite(state=ocp.args.StandardRestore(wanted), progress=ocp.args.JsonRestore())
    content = orbax.restore(folder, args=items)
    if tree_digest(content.state) != inventory["state"] or checksum_of(content.progress) != inventory["progress"]:
        raise DamagedCheckpoint("its content is not what was written")
    return TrainState(key=like.key, **content.state), content.progress


def checkpoint_steps(fold_dir: Path) -> set[int]:
    """The steps of which a fold has a checkpoint, damaged or not; nothing is opened or tidied up."""
    folder = fold_dir / CHECKPOINTS_DIR
    if not folder.is_dir():
        return set()
    named = (path for path in folder.iterdir() if re.fullmatch("0|[1-9][0-9]*", path.name))
    return {int(path.name) for path in named if path.is_dir()}


def _state_arrays(state: TrainState) -> dict[str, Any]:
    """The fields of a state that a checkpoint holds, on the host."""
    names = [field.name for field in dataclasses.fields(state) if field.name != "key"]
    return {name: jax.device_get(getattr(state, name)) for name in names}


def _is_not_orbax_record(record: logging.LogRecord) -> bool:
    """Whether a log record is another's: Orbax announces each step of every save, and raises its errors as well."""
    return f"{os.sep}orbax{os.sep}" not in record.pathname


def _in_short(error: BaseException, folder: Path) -> str:
    """An error in a line, without the folder, and without the specification that tensorstore appends."""
    text = f"{type(error).__name__}: {error}".split("[tensorstore_spec")[0].replace(f"{folder}/", "")
    return " ".join(text.split())[:200]


class _DrainingEventLoop(asyncio.SelectorEventLoop):
    """Waits for its tasks before it closes.

    Orbax closes its loop at the first error of one array, and each of the others then prints a traceback.
    """

    def close(self) -> None:
        if not self.is_closed() and (left := asyncio.all_tasks(self)):
            self.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        super().close()


@contextlib.contextmanager
def _draining_event_loops() -> Iterator[None]:
    """Gives patient loops to whoever asks for one."""
    usual, asyncio.new_event_loop = asyncio.new_event_loop, _DrainingEventLoop
    try:
        yield
    finally:
        asyncio.new_event_loop = usual


Restored = list[tuple[TrainState, dict[str, Any]]]


def newest_common_checkpoint(
    stores: Sequence[FoldCheckpoints],
    names: Sequence[str],
    likes: Sequence[TrainState],
    warn: Callable[[str], None],
) -> tuple[int, Restored]:
    """Restores the folds of a group, which train in step, at the newest step that all of them have intact.

    A damaged checkpoint is named and set aside, never deleted, and the group goes back to the step before. Later
    checkpoints than the step at which the group goes on are deleted, once that step is known. No fold's state is in
    memory twice.

    Args:
      stores: the folds' checkpoints, one at least.
      names: of the folds.
      likes: of each fold, the shapes and dtypes of its state, and its key.
      warn: takes one line, without the word "warning".

    Returns:
      The step, and of each fold its state on the host and its progress; 0 and nothing where the folds start anew.

    Raises:
      UserError: a checkpoint cannot be read for now, or a folder cannot be written; nothing was deleted.
    """
    while True:
        common = set.intersection(*(store.steps() for store in stores)) - {0}
        step, restored = max(common, default=0), Restored()  # what was read of a later step is freed here
        if step == 0:
            break
        damaged = _restore_all(stores, likes, step, restored)
        if damaged is None:
            break
        index, why = damaged
        place = stores[index].set_aside(step)
        before = max(common - {step}, default=0)
        instead = f"going back to step {before}" if before else "no earlier one is left"
        warn(f"fold {names[index]}: the checkpoint of step {step} is damaged: {why}; moved to {place}; {instead}")
    newest = {name: max(store.steps(), default=0) for name, store in zip(names, stores, strict=True)}
    if step == 0 and any(newest.values()):
        given_up = ", ".join(f"{name} (step {latest})" for name, latest in newest.items() if latest)
        warn(f"no step of which all folds that train together have a checkpoint: they start anew, also {given_up}")
    for store in stores:
        store.discard_after(step)
    return step, restored


def _restore_all(
    stores: Sequence[FoldCheckpoints], likes: Sequence[TrainState], step: int, restored: Restored
) -> tuple[int, str] | None:
    """Adds each fold's state of a step to ``restored``; where one is damaged, returns which, and why."""
    for index, (store, like) in enumerate(zip(stores, likes, strict=True)):
        try:
            restored.append(store.restore(step, like))
        except DamagedCheckpoint as error:
            return index, str(error)  # not the error: its traceback holds what was read
    return None
