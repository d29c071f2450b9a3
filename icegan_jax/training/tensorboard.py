"""A fold's events for TensorBoard: the quantities of metrics.jsonl, and in the end some faces.

    tensorboard --logdir=RUN/tensorboard

Nothing is read back from them: a run goes on without those of its earlier starts.
"""

import contextlib
import errno
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from tensorboardX import summary
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import masked_crc32c

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
