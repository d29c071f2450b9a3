"""The logs of a fold: metrics.jsonl with a line per call of the training program, and events for TensorBoard.

    tensorboard --logdir=RUN/tensorboard

A resumed run continues metrics.jsonl, and TensorBoard hides the events after the checkpoint of a resumption. The
program never reads the events: a run continues without those of its earlier starts.
"""

import contextlib
import json
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary

from icegan_jax.io import write_text

Events: TypeAlias = EventsWriter  # of a fold, for TensorBoard

_PLAYERS = ("d", "g")  # the loss term "g_l1" is shown as "g/l1"


@contextlib.contextmanager
def open_log(path: Path, step: int) -> Iterator[TextIO]:
    """Open a log of a fold for appending, cut after the last line of ``step`` or before a damaged line.

    The log is cut by one replacement of the file: a process that is killed leaves the old log or the new one.

    Raises:
      OSError: the log cannot be read or written; the error holds its path.
    """
    before = path.read_bytes() if path.is_file() else b""
    kept = b""
    for line in before.splitlines(keepends=True):
        if not line.endswith(b"\n") or not 0 < _step_of(line) <= step:
            break
        kept += line
    if kept != before or not path.is_file():
        write_text(path, kept.decode())
    stream = path.open("a", encoding="utf-8", newline="")
    try:
        yield stream
    finally:
        with contextlib.suppress(OSError):  # ``append`` has raised the error of a line that could not be written
            stream.close()


def write_line(log: TextIO, step: int, epoch: float, values: Mapping[str, Any]) -> None:
    """Append the line of a step: its numbers, rounded to six decimals, and null for a number that is not finite.

    Raises:
      OSError: as ``append``.
    """
    append(log, {"step": step, "epoch": round(epoch, 3), **{name: _number(value) for name, value in values.items()}})


def append(log: TextIO, entry: Mapping[str, Any]) -> None:
    """Append an object as one line, and pass the line to the operating system.

    Raises:
      OSError: the line cannot be written, for example on a full disk; the error holds the path of the log. A part of
        the line may be written, which ``open_log`` removes.
    """
    try:
        log.write(json.dumps(entry, allow_nan=False) + "\n")
        log.flush()
    except OSError as error:
        raise OSError(error.errno, error.strerror, log.name) from error


def sync_logs(logs: Sequence[TextIO], events: Events) -> None:
    """Flush the logs of a fold to the disk: after a power cut, no checkpoint may be newer than the logs.

    Raises:
      OSError: a file cannot be written; where a log cannot, the error holds its path.
    """
    for log in logs:
        try:
            os.fsync(log.fileno())
        except OSError as error:
            raise OSError(error.errno, error.strerror, log.name) from error
    events.flush()


def named_metrics(metrics: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    """Replace the number of a class in the names of metrics: ``..._length_0`` becomes ``..._length_negative``."""
    parts = {name: name.rpartition("_") for name in metrics}
    return {
        f"{head}_{classes[int(tail)]}" if tail.isdigit() else name: metrics[name]
        for name, (head, _, tail) in parts.items()
    }


@contextlib.contextmanager
def open_events(folder: Path, step: int) -> Iterator[Events]:
    """Open a new file of events beside those of earlier starts; TensorBoard hides earlier events after ``step``.

    The class ``SummaryWriter`` of the library is not used: at a full disk its thread ends, and the process never does.

    Raises:
      OSError: the folder or the file cannot be made; the error holds the path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # TensorBoard reads the files in the order of their names; two starts may be within one second.
    writer = EventsWriter(str(folder / "events"), f".{len(list(folder.iterdir())):04d}")
    _write_event(writer, step + 1, session_log=SessionLog(status=SessionLog.START))
    try:
        yield writer
    finally:
        with contextlib.suppress(OSError):  # the error of an event that could not be written has been raised
            writer.close()


def write_scalars(events: Events, step: int, epoch: float, values: Mapping[str, Any]) -> None:
    """Append the numbers of a step, NaN and infinity included; TensorBoard groups tags by the part before the slash.

    Raises:
      OSError: the event cannot be written, for example on a full disk.
    """
    scalars = [Summary.Value(tag="epoch", simple_value=epoch)]
    for name, value in values.items():
        group, _, rest = name.partition("_")
        tag = f"{group}/{rest}" if group in _PLAYERS else f"speed/{name}"
        scalars.append(Summary.Value(tag=tag, simple_value=value))
    _write_event(events, step, summary=Summary(value=scalars))


def write_faces(events: Events, step: int, name: str, faces: NDArray[np.uint8]) -> None:
    """Append a picture of faces.

    Args:
      events: the events of a fold.
      step: the step of the generator.
      name: the title of the picture.
      faces: uint8[rows, columns, h, w], side by side in each row.

    Raises:
      OSError: as ``write_scalars``.
    """
    rows, columns, height, width = faces.shape
    picture = faces.transpose(0, 2, 1, 3).reshape(rows * height, columns * width)
    _write_event(events, step, summary=summary.image(f"faces/{name}", picture, dataformats="HW"))


def _write_event(events: Events, step: int, **content: Any) -> None:
    events.write_event(Event(step=step, wall_time=time.time(), **content))


def _step_of(line: bytes) -> int:
    """Return the step of a line; 0 where the line is damaged."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        return 0


def _number(value: Any) -> float | None:
    return round(float(value), 6) if math.isfinite(value) else None
