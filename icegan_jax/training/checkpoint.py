"""A fold's checkpoints: its state and its data iterator, together, the newest two kept (Orbax).

Orbax (0.12.8, as read and tried) flushes to the disk the arrays alone, gives the checkpoint its name before the rest
is there for sure, and deletes file by file under that name. So here Orbax writes under another name; an inventory is
added (whose checkpoint it is, and the checksums of its content and of its files), all is flushed, and then it is
renamed: what has a step for a name is whole, also after a power cut. It loses that name again before it is deleted.
"""

import asyncio
import contextlib
import dataclasses
import logging
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import orbax.checkpoint as ocp

from icegan_jax.errors import REMEDIES, UserError
from icegan_jax.evaluation.files import read_sealed, seal_of, write_sealed
from icegan_jax.training.checkpoint_content import altered_file, difference, digest, files_in
from icegan_jax.training.disk import UNREADABLE, error_number, flush, make_folder, raise_unreadable, remove
from icegan_jax.training.state import TrainState

CHECKPOINTS = "checkpoints"  # in a fold's folder
KEPT = 2  # one more than needed: where the newest turns out to be damaged, there is the one before
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
        logging.getLogger("absl").addFilter(_not_orbax)
        self._fold_dir, self._owner = fold_dir.absolute(), owner
        self._folder = self._fold_dir / CHECKPOINTS
        self._orbax = ocp.Checkpointer(ocp.CompositeCheckpointHandler())
        with self._writing():
            make_folder(self._folder)
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
        return steps_in(self._fold_dir)

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
        step, arrays = int(state.step), _arrays(state)
        inventory = {"owner": self._owner, "step": step, "state": digest(arrays), "progress": seal_of(progress)}
        folder, unfinished = self._folder / str(step), self._folder / f"{step}{_UNFINISHED}"
        content = ocp.args.Composite(state=ocp.args.StandardSave(arrays), progress=ocp.args.JsonSave(progress))
        if step in self.steps():
            raise ValueError(f"there is a checkpoint of step {step} already")
        if os.path.lexists(folder):
            self.set_aside(step)  # a file or a dead link with a checkpoint's name
        with self._writing(), _patient_loops():
            self._remove_unfinished()
            self._orbax.save(unfinished, args=content)
            write_sealed(unfinished / _INVENTORY, inventory | {"files": files_in(unfinished)})
            flush(unfinished)
            unfinished.rename(folder)
            flush(self._folder, within=False)

    def restore(self, step: int, like: TrainState) -> tuple[TrainState, dict[str, Any]]:
        """Reads the checkpoint of ``step`` into the shapes and dtypes of ``like``, whose key it keeps.

        Raises:
          DamagedCheckpoint: anything restored is not what was saved, or not there, or another fold's.
          UserError: the files cannot be read for now (permissions, too many open files).
        """
        return _read(self._orbax, self._folder / str(step), self._owner, like)

    def set_aside(self, step: int) -> Path:
        """Moves the checkpoint of a step out of the way; nothing is deleted.

        Returns:
          Where it is now: ``damaged_checkpoints/<step>`` in the fold's folder, or ``<step>.1`` and so on.
        """
        with self._writing():
            make_folder(self._fold_dir / _DAMAGED)
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
    logging.getLogger("absl").addFilter(_not_orbax)
    with contextlib.closing(ocp.Checkpointer(ocp.CompositeCheckpointHandler())) as orbax:
        return _read(orbax, fold_dir.absolute() / CHECKPOINTS / str(step), owner, like)[0]


def _read(orbax: Any, folder: Path, owner: str, like: TrainState) -> tuple[TrainState, dict[str, Any]]:
    """As ``FoldCheckpoints.restore``."""
    try:
        with _patient_loops():
            return _checked(orbax, folder, owner, like)
    except (DamagedCheckpoint, MemoryError):
        raise
    except Exception as error:  # Orbax and tensorstore raise errors of every kind
        raise_unreadable(folder, error)
        raise DamagedCheckpoint(f"it cannot be read ({_in_short(error, folder)})") from error


def _checked(orbax: Any, folder: Path, owner: str, like: TrainState) -> tuple[TrainState, dict[str, Any]]:
    """As ``_read``, with errors as they come. The files are checked before Orbax and tensorstore parse them."""
    if not (folder / _INVENTORY).exists():
        raise DamagedCheckpoint(f"the file {_INVENTORY} is missing")
    try:
        inventory = read_sealed(folder / _INVENTORY)
    except UserError as error:
        if error_number(error, UNREADABLE) is not None:
            raise
        raise DamagedCheckpoint(f"the file {_INVENTORY} is damaged") from error
    if inventory["owner"] != owner:
        raise DamagedCheckpoint("it is of another run or fold")
    if str(inventory["step"]) != folder.name:
        raise DamagedCheckpoint(f"it is of step {inventory['step']}")
    if fault := altered_file(folder, inventory["files"]):
        raise DamagedCheckpoint(fault)
    wanted = _arrays(like)
    if other := difference(ocp.StandardCheckpointHandler().metadata(folder / "state").tree, wanted):
        raise DamagedCheckpoint(f"it holds other arrays: {other}")
    items = ocp.args.Composite(state=ocp.args.StandardRestore(wanted), progress=ocp.args.JsonRestore())
    content = orbax.restore(folder, args=items)
    if digest(content.state) != inventory["state"] or seal_of(content.progress) != inventory["progress"]:
        raise DamagedCheckpoint("its content is not what was written")
    return TrainState(key=like.key, **content.state), content.progress


def steps_in(fold_dir: Path) -> set[int]:
    """The steps of which a fold has a checkpoint, damaged or not; nothing is opened or tidied up."""
    folder = fold_dir / CHECKPOINTS
    if not folder.is_dir():
        return set()
    named = (path for path in folder.iterdir() if re.fullmatch("0|[1-9][0-9]*", path.name))
    return {int(path.name) for path in named if path.is_dir()}


def _arrays(state: TrainState) -> dict[str, Any]:
    """The fields of a state that a checkpoint holds, on the host."""
    names = [field.name for field in dataclasses.fields(state) if field.name != "key"]
    return {name: jax.device_get(getattr(state, name)) for name in names}


def _not_orbax(record: logging.LogRecord) -> bool:
    """Whether a log record is another's: Orbax announces each step of every save, and raises its errors as well."""
    return f"{os.sep}orbax{os.sep}" not in record.pathname


def _in_short(error: BaseException, folder: Path) -> str:
    """An error in a line, without the folder, and without the specification that tensorstore appends."""
    text = f"{type(error).__name__}: {error}".split("[tensorstore_spec")[0].replace(f"{folder}/", "")
    return " ".join(text.split())[:200]


class _PatientLoop(asyncio.SelectorEventLoop):
    """Waits for its tasks before it closes.

    Orbax closes its loop at the first error of one array, and each of the others then prints a traceback.
    """

    def close(self) -> None:
        if not self.is_closed() and (left := asyncio.all_tasks(self)):
            self.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        super().close()


@contextlib.contextmanager
def _patient_loops() -> Iterator[None]:
    """Gives patient loops to whoever asks for one."""
    usual, asyncio.new_event_loop = asyncio.new_event_loop, _PatientLoop
    try:
        yield
    finally:
        asyncio.new_event_loop = usual
