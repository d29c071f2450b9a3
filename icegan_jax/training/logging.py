"""The logs of a fold: metrics.jsonl with a line per call of the training program, and events for TensorBoard.

    tensorboard --logdir=RUN/tensorboard

A resumed run continues metrics.jsonl. The program never reads the events: a run continues without those of its
earlier starts.
"""

import contextlib
import errno
import json
import math
import os
import socket
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import numpy as np
from numpy.typing import NDArray
from tensorboardX import summary
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import masked_crc32c

from icegan_jax.io import CHECKSUM, has_valid_checksum, write_text
from icegan_jax.run_dir import METRICS_FILE

_EVENTS_FILE = "events.out.tfevents"  # the part of a file's name by which TensorBoard recognizes the file
_EVENTS_VERSION = "brain.Event:2"  # since this version, TensorBoard drops later steps at the start of a session
_PLAYERS = ("d", "g")  # the loss term "g_l1" is shown as "g/l1"


@contextlib.contextmanager
def open_log(folder: Path, step: int, name: str = METRICS_FILE) -> Iterator[TextIO]:
    """Open a log of a fold for appending, after removing lines after ``step`` and incomplete or damaged lines.

    The lines are removed by one replacement of the file: a process that is killed leaves the old log or the new one.

    Raises:
      OSError: the log cannot be read or written; the error holds its path.
    """
    path = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    before = path.read_bytes() if path.is_file() else b""
    kept = "".join(f"{line}\n" for line in before.decode("utf-8", errors="replace").split("\n") if _keeps(line, step))
    if kept.encode() != before or not path.is_file():
        write_text(path, kept)
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


def sync_logs(logs: Sequence[TextIO]) -> None:
    """Flush logs to the disk: after a power cut, no checkpoint may be newer than the logs.

    Raises:
      OSError: as ``append``.
    """
    for log in logs:
        try:
            os.fsync(log.fileno())
        except OSError as error:
            raise OSError(error.errno, error.strerror, log.name) from error


def named_metrics(metrics: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    """Replace the number of a class in the names of metrics: ``..._length_0`` becomes ``..._length_negative``."""
    parts = {name: name.rpartition("_") for name in metrics}
    return {
        f"{head}_{classes[int(tail)]}" if tail.isdigit() else name: metrics[name]
        for name, (head, _, tail) in parts.items()
    }


def _keeps(line: str, step: int) -> bool:
    """Return whether a line is complete, of a step until ``step``, and has a valid checksum if it has one."""
    try:
        entry = json.loads(line)
        if not isinstance(entry, dict) or not 0 < entry["step"] <= step:
            return False
    except (ValueError, TypeError, KeyError, RecursionError):  # not JSON, or without a step
        return False
    return (
        has_valid_checksum(entry)
        if CHECKSUM in entry
        else all(isinstance(value, int | float | None) for value in entry.values())
    )


def _number(value: Any) -> float | None:
    return round(float(value), 6) if math.isfinite(value) else None


@contextlib.contextmanager
def open_events(folder: Path, step: int) -> Iterator[BinaryIO]:
    """Open a new file of events beside those of earlier starts; TensorBoard drops earlier events after ``step``.

    Raises:
      OSError: the file cannot be written; the error holds its path.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        in_the_way = folder if folder.exists() else folder.parent
        raise OSError(errno.ENOTDIR, "is not a folder", str(in_the_way)) from error
    before = len(list(folder.glob(f"{_EVENTS_FILE}.*")))
    # TensorBoard reads the files in the order of their names; two starts may happen within one second.
    path = folder / f"{_EVENTS_FILE}.{int(time.time()):010d}.{socket.gethostname()}.{before:04d}"
    stream = path.open("ab")
    try:
        _append(stream, Event(file_version=_EVENTS_VERSION))
        _append(stream, Event(step=step + 1, session_log=SessionLog(status=SessionLog.START)))
        yield stream
    finally:
        with contextlib.suppress(OSError):  # ``_append`` has raised the error of an event that could not be written
            stream.close()


def write_scalars(events: BinaryIO, step: int, epoch: float, values: Mapping[str, Any]) -> None:
    """Append the numbers of a step, NaN and infinity included, and pass them to the operating system.

    Raises:
      OSError: the event cannot be written, for example on a full disk; the error holds the path.
    """
    scalars = [Summary.Value(tag="epoch", simple_value=epoch)]
    scalars += [Summary.Value(tag=_tag(name), simple_value=value) for name, value in values.items()]
    _append(events, Event(step=step, summary=Summary(value=scalars)))


def write_faces(events: BinaryIO, step: int, name: str, faces: NDArray[np.uint8]) -> None:
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
    image: Summary = summary.image("", picture, dataformats="HW")
    image.value[0].tag = f"faces/{name}"  # set here, since the library removes commas
    _append(events, Event(step=step, summary=image))


def _tag(name: str) -> str:
    """Return the tag of a quantity; TensorBoard groups tags by the part before the slash."""
    group, _, rest = name.partition("_")
    return f"{group}/{rest}" if group in _PLAYERS else f"speed/{name}"


def _append(events: BinaryIO, event: Event) -> None:
    """Append a record: length, content, and a checksum of each (TFRecord).

    The writers of the library either need a thread or wait for the disk (fsync) at each flush.
    """
    event.wall_time = time.time()
    content = event.SerializeToString()
    length = struct.pack("<Q", len(content))
    record = (length, _checksum(length), content, _checksum(content))
    try:
        events.write(b"".join(record))
        events.flush()
    except OSError as error:
        raise OSError(error.errno, error.strerror, events.name) from error


def _checksum(content: bytes) -> bytes:
    return struct.pack("<I", masked_crc32c(content))
