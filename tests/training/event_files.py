"""Event files read as TensorBoard reads them: TFRecords of protocol buffers, and what a restart takes back."""

import struct
from collections.abc import Iterator
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.record_writer import masked_crc32c


def records(data: bytes) -> Iterator[bytes]:
    """The content of each record, length and checksums checked; a last one that is cut is left out."""
    while data:
        if len(data) < 12 or len(data) < 16 + struct.unpack("<Q", data[:8])[0]:
            return
        (size,) = struct.unpack("<Q", data[:8])
        content = data[12 : 12 + size]
        checksums = struct.unpack("<I", data[8:12]) + struct.unpack("<I", data[12 + size : 16 + size])
        assert checksums == (masked_crc32c(data[:8]), masked_crc32c(content))
        yield content
        data = data[16 + size :]


def events_in(folder: Path) -> list[Event]:
    """Those of all files, in the order of their names; each file says which version it is of."""
    actual = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        events = [Event.FromString(record) for record in records(path.read_bytes())]
        assert events[0].file_version == "brain.Event:2"
        actual += events[1:]
    return actual


def shown(folder: Path) -> list[Event]:
    """What TensorBoard shows: a start of a session takes back what has its step or a later one."""
    kept: list[Event] = []
    for event in events_in(folder):
        if event.session_log.status == SessionLog.START:
            kept = [each for each in kept if each.step < event.step]
        else:
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
