"""The candidate events of a long recording: spotted in a first pass over the frames, read again in a second one.

Memory does not grow with the length of the recording.
"""

import contextlib
import csv
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from icegan_jax.data.spotting import ROW_FIELDS, Event, SpottingResult, TraceRow, spot_events
from icegan_jax.errors import UserError
from icegan_jax.inference.inputs import FrameSource
from icegan_jax.inference.quality_flags import QualityFlag, flag_frame_rate

TRACE_FILE = "trace.csv"
MIN_FACE_SHARE = 0.5  # of the frames; a recording whose face is detected in fewer is flagged

Gray = NDArray[np.uint8]


def spot_source(source: FrameSource, trace_path: Path | None = None, *, progress: bool = False) -> SpottingResult:
    """Spot the events of a recording.

    Args:
        source: the recording.
        trace_path: the csv to which the row of each frame is written as soon as it is computed; None: no csv.
        progress: draw a progress bar on stderr.

    Raises:
        UserError: The frame rate is unknown, no face is detected in any frame, or a frame cannot be read.
        OSError: The trace cannot be written.
    """
    if source.fps is None:
        raise UserError(f"{source.path}: events cannot be timed without a frame rate; give it with --fps")
    with contextlib.nullcontext() if trace_path is None else _open_trace(trace_path, source) as write_row:
        frames = source.read(source.frame_numbers)
        bar = tqdm(
            frames,
            total=len(source.frame_numbers),
            desc="spotting events",
            unit="frame",
            dynamic_ncols=True,
            disable=not progress,
        )
        spotting = spot_events(bar, source.fps, on_row=write_row)
    if not spotting.trace.seen.any():
        raise UserError(f"{source.path}: no face in any frame; give a recording of a frontal face")
    return spotting


def recording_flags(source: FrameSource, spotting: SpottingResult) -> list[QualityFlag]:
    """Return the quality flags of the recording as a whole."""
    flags = flag_frame_rate(source.fps, source.missing_frames)
    share = float(spotting.trace.seen.mean())
    if share < MIN_FACE_SHARE:
        flags.append(QualityFlag("face_rarely_seen", f"A face was seen in {share:.0%} of the frames only."))
    return flags


def read_event_frames(source: FrameSource, events: Sequence[Event]) -> Iterator[tuple[Event, dict[int, Gray]]]:
    """Yield each event with its frames {number: uint8[h, w]}, onset to offset, ordered by the offsets.

    The frames of a macro-expression are not read: its dictionary is empty. Each frame is decoded once, even where
    events overlap, and released as soon as no remaining event needs the frame.
    """
    remaining = sorted((event for event in events if event.kind == "micro"), key=lambda event: event.offset)
    wanted = sorted({n for event in remaining for n in source.frame_numbers if event.onset <= n <= event.offset})
    held: dict[int, Gray] = {}
    frames = source.read(wanted)
    for event in sorted(events, key=lambda event: event.offset):
        if event.kind != "micro":
            yield event, {}
            continue
        while not held or max(held) < min(event.offset, wanted[-1]):
            number, image = next(frames)
            held[number] = image
        yield event, {n: image for n, image in held.items() if event.onset <= n <= event.offset}
        remaining.remove(event)
        earliest = min((other.onset for other in remaining), default=event.offset + 1)
        held = {n: image for n, image in held.items() if n >= earliest}


@contextlib.contextmanager
def _open_trace(path: Path, source: FrameSource) -> Iterator[Callable[[TraceRow], None]]:
    """Open trace.csv, and yield the function that writes the row of a frame."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*ROW_FIELDS, "seconds"))

        def write_row(row: TraceRow) -> None:
            cells = [_format_cell(value) for value in astuple(row)]
            writer.writerow((*cells, f"{source.seconds(row.position):.3f}"))

        yield write_row


def _format_cell(value: float | int | bool) -> str:
    """Format a value of the trace: NaN as an empty cell, a bool as 0 or 1."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.5g}"
    return str(int(value))
