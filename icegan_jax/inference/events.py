"""Long recordings: candidate events, spotted in one pass and read in a second, in memory that does not grow."""

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from icegan_jax.data.crop import CropOptions
from icegan_jax.data.spotting import ROW_FIELDS, Event, SpottingResult, TraceRow, spot_events
from icegan_jax.errors import UserError
from icegan_jax.inference import quality_flags
from icegan_jax.inference.face_crops import crop_event
from icegan_jax.inference.inputs import FrameSource
from icegan_jax.inference.quality_flags import Flag
from icegan_jax.inference.recognition import Recognition

Grey = NDArray[np.uint8]

TRACE = "trace.csv"
_MACRO = Flag("macro", "Longer than half a second: a macro-expression or a blink, perhaps; it was not recognized.")
LEAST_SEEN = 0.5  # of the frames: a recording in which a face is seen for less is flagged


def spot_events_in(footage: FrameSource, trace: Path) -> SpottingResult:
    """Spots the events of a recording, writing each frame's row to ``trace`` as it is known.

    Raises:
        UserError: the frame rate is not known, no face is ever seen, or a frame cannot be read.
        OSError: the trace cannot be written.
    """
    if footage.rate is None:
        raise UserError(f"{footage.path}: events cannot be timed without a frame rate; name it with --fps")
    with trace.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*ROW_FIELDS, "seconds"))
        first, rate = footage.numbers[0], footage.rate

        def note(row: TraceRow) -> None:
            cells = [_cell(value) for value in astuple(row)]
            writer.writerow((*cells, f"{(row.position - first) / rate:.3f}"))

        frames = footage.read(footage.numbers)
        bar = tqdm(frames, total=len(footage.numbers), desc="looking for events", unit="frame", dynamic_ncols=True)
        spotting = spot_events(bar, footage.rate, on_row=note)
    if not spotting.trace.seen.any():
        raise UserError(f"{footage.path}: no face in any frame; give a recording of a frontal face")
    return spotting


def recognize_candidates(
    footage: FrameSource,
    spotting: SpottingResult,
    options: CropOptions,
    ask: Callable[[Grey, Grey], NDArray[np.float32]],
    folds: tuple[str, ...],
) -> Iterator[Recognition]:
    """Reads the recording again and yields a reading per event, in the order of their ends.

    A macro-expression is named with its times; no network is asked, since they know micro-expressions alone. An event
    on whose onset no face is found is named without an answer.

    Args:
        ask: capsule lengths float32[b, k] of onsets and apexes uint8[b, n, n], cropped.
        folds: whose networks answer.
    """
    assert footage.rate is not None
    digits = max(3, len(str(len(spotting.events))))
    names = {event: f"{footage.name}_{number:0{digits}d}" for number, event in enumerate(spotting.events, start=1)}
    for event, frames in _collect_frames(footage, spotting.events):
        at = (footage.numbers[0], event.onset, event.apex, event.offset, footage.rate)
        reading = Recognition(
            names[event], footage.source, event.kind, *at, flags=tuple(quality_flags.flag_frame_rate(footage.rate))
        )
        if event.kind != "micro":
            yield replace(reading, flags=(*reading.flags, _MACRO))
            continue
        try:
            sight = crop_event(footage, frames, options)
        except UserError as error:
            yield replace(reading, flags=(*reading.flags, Flag("not_read", f"Not recognized: {error}.")))
            continue
        (lengths,) = ask(sight.onset_face[None], sight.apex_face[None])
        yield reading.answered(sight, lengths, folds)


def recording_flags(footage: FrameSource, spotting: SpottingResult) -> list[Flag]:
    """What the recording as a whole gives cause for."""
    found = quality_flags.flag_frame_rate(footage.rate)
    seen = float(spotting.trace.seen.mean())
    if seen < LEAST_SEEN:
        found.append(Flag("face_rarely_seen", f"A face was seen in {seen:.0%} of the frames only."))
    return found


def _cell(value: float | int | bool) -> str:
    """A value of the trace in a table: empty where it is not known."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.5g}"
    return str(int(value))


def _collect_frames(footage: FrameSource, events: Sequence[Event]) -> Iterator[tuple[Event, dict[int, Grey]]]:
    """Each event with its frames, onset to offset; of a macro-expression without. None is held longer than needed."""
    micro = [event for event in events if event.kind == "micro"]
    wanted = sorted({n for event in micro for n in footage.numbers if event.onset <= n <= event.offset})
    held: dict[int, Grey] = {}
    waiting = sorted(micro, key=lambda event: event.offset)
    frames = footage.read(wanted)
    for event in sorted(events, key=lambda event: event.offset):
        if event.kind != "micro":
            yield event, {}
            continue
        while not held or max(held) < min(event.offset, wanted[-1]):
            number, image = next(frames)
            held[number] = image
        yield event, {n: image for n, image in held.items() if event.onset <= n <= event.offset}
        waiting.remove(event)
        earliest = min((each.onset for each in waiting), default=event.offset + 1)
        held = {n: image for n, image in held.items() if n >= earliest}
