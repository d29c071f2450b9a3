"""A fold's logs, which a resumed run continues: metrics.jsonl has a line per call of the training program.

A fold's events for TensorBoard: the quantities of metrics.jsonl, and in the end some faces.

    tensorboard --logdir=RUN/tensorboard

Nothing is read back from them: a run goes on without those of its earlier starts.
"""

import contextlib
import errno
import json
import math
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

from icegan_jax.io import fsync, has_checksum, has_valid_checksum, write_text
from icegan_jax.run_dir import METRICS_FILE


@contextlib.contextmanager
def open_log(folder: Path, step: int, name: str = METRICS_FILE) -> Iterator[TextIO]:
    """Opens a fold's log for appending, without what was logged after ``step``, half written or damaged.

    What is left out goes in one move: a process that is killed meanwhile leaves the log as it was, or without it.

    Raises:
      OSError: the log cannot be read or written, with its path.
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
        with contextlib.suppress(OSError):  # of a line that could not be written, as ``append`` said
            stream.close()


def write_line(log: TextIO, step: int, epoch: float, values: Mapping[str, Any]) -> None:
    """Appends the line of a step: its numbers, rounded to six decimals; null for one that is not finite.

    Raises:
      OSError: as ``append``.
    """
    append(log, {"step": step, "epoch": round(epoch, 3), **{name: _number(value) for name, value in values.items()}})


def append(log: TextIO, entry: Mapping[str, Any]) -> None:
    """Appends an object as a line of its own, and hands it to the operating system.

    Raises:
      OSError: it cannot be written, such as on a full disk; with the log's path. A part of the line may be there, which
        ``open_log`` leaves out.
    """
    try:
        log.write(json.dumps(entry, allow_nan=False) + "\n")
        log.flush()
    except OSError as error:
        raise OSError(error.errno, error.strerror, log.name) from error


def sync_logs(logs: Sequence[TextIO]) -> None:
    """Puts the lines so far on the disk: a checkpoint must not outlive what was logged before it.

    Raises:
      OSError: as ``append``.
    """
    for log in logs:
        try:
            fsync(log.fileno())
        except OSError as error:
            raise OSError(error.errno, error.strerror, log.name) from error


def named_metrics(metrics: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Any]:
    """The same with ``..._length_negative`` for ``..._length_0``."""
    parts = {name: name.rpartition("_") for name in metrics}
    return {
        f"{head}_{classes[int(tail)]}" if tail.isdigit() else name: metrics[name]
        for name, (head, _, tail) in parts.items()
    }


def _keeps(line: str, step: int) -> bool:
    """Whether a line is of a step until ``step``, whole, and as it was sealed if it was."""
    try:
        entry = json.loads(line)
        if not isinstance(entry, dict) or not 0 < entry["step"] <= step:
            return False
    except (ValueError, TypeError, KeyError, RecursionError):  # no JSON, no step
        return False
    return (
        has_valid_checksum(entry)
        if has_checksum(entry)
        else all(isinstance(value, int | float | None) for value in entry.values())
    )


def _number(value: Any) -> float | None:
    return round(float(value), 6) if math.isfinite(value) else None


_NAME = "events.out.tfevents"  # what TensorBoard looks for in a file's name

_VERSION = "brain.Event:2"  # from this one on, a start of a session takes later steps back

_TERMS = ("d", "g")  # what the loss terms' names begin with: "g_l1" is shown as "g/l1"


@contextlib.contextmanager
def open_events(folder: Path, step: int) -> Iterator[BinaryIO]:
    """Opens a new file of events beside those of earlier starts, of which TensorBoard drops what comes after ``step``.

    Raises:
      OSError: it cannot be written, with its path.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        in_the_way = folder if folder.exists() else folder.parent
        raise OSError(errno.ENOTDIR, "is not a folder", str(in_the_way)) from error
    before = len(list(folder.glob(f"{_NAME}.*")))
    # TensorBoard reads the files in the order of their names; two starts may fall into one second.
    path = folder / f"{_NAME}.{int(time.time()):010d}.{socket.gethostname()}.{before:04d}"
    stream = path.open("ab")
    try:
        _append(stream, Event(file_version=_VERSION))
        _append(stream, Event(step=step + 1, session_log=SessionLog(status=SessionLog.START)))
        yield stream
    finally:
        with contextlib.suppress(OSError):  # of an event that could not be written, as ``_append`` said
            stream.close()


def write_scalars(events: BinaryIO, step: int, epoch: float, values: Mapping[str, Any]) -> None:
    """Appends what the log's line of a step says, and hands it to the operating system; NaN and infinity as they are.

    Raises:
      OSError: it cannot be written, such as on a full disk; with the path.
    """
    scalars = [Summary.Value(tag="epoch", simple_value=epoch)]
    scalars += [Summary.Value(tag=_tag(name), simple_value=value) for name, value in values.items()]
    _append(events, Event(step=step, summary=Summary(value=scalars)))


def write_faces(events: BinaryIO, step: int, name: str, faces: NDArray[np.uint8]) -> None:
    """Appends a picture of faces.

    Args:
      events: of a fold.
      step: after which the generator drew them.
      name: its title.
      faces: uint8[rows, columns, h, w], side by side in each row.

    Raises:
      OSError: as ``write_scalars``.
    """
    rows, columns, height, width = faces.shape
    picture = faces.transpose(0, 2, 1, 3).reshape(rows * height, columns * width)
    shown: Summary = summary.image("", picture, dataformats="HW")
    shown.value[0].tag = f"faces/{name}"  # the library lets no comma pass
    _append(events, Event(step=step, summary=shown))


def _tag(name: str) -> str:
    """TensorBoard shows together what has the same name before the slash."""
    group, _, rest = name.partition("_")
    return f"{group}/{rest}" if group in _TERMS else f"speed/{name}"


def _append(events: BinaryIO, event: Event) -> None:
    """Appends a record: length, content, and a checksum of each (TFRecord).

    The library's own writers either need a thread or wait for the disk (fsync) at each flush.
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
