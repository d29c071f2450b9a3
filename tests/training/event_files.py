"""Event files read as TensorBoard reads them: TFRecords of protocol buffers, and what a restart hides."""

import struct
from collections.abc import Iterator
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event, SessionLog


def events_in(path: Path) -> Iterator[Event]:
    """The events of a file; each record is a length of 8 bytes, a checksum of 4, the event, and a checksum of 4."""
    data = path.read_bytes()
    while len(data) >= 12 and len(data) >= 16 + struct.unpack("<Q", data[:8])[0]:
        (size,) = struct.unpack("<Q", data[:8])
        yield Event.FromString(data[12 : 12 + size])
        data = data[16 + size :]


def shown(folder: Path) -> list[Event]:
    """What TensorBoard shows: a start of a session hides what has its step or a later one."""
    kept: list[Event] = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for event in events_in(path):
            if event.session_log.status == SessionLog.START:
                kept = [each for each in kept if each.step < event.step]
            elif event.summary.value:
                kept.append(event)
    return kept


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """(step, value) of each tag, as shown."""
    actual: dict[str, list[tuple[int, float]]] = {}
    for event in shown(folder):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                actual.setdefault(value.tag, []).append((event.step, value.simple_value))
    return actual
