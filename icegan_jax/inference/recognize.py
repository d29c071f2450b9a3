"""Recognition: the predicted class of one clip, or of each event of a long recording.

The events of a recording are spotted in a first pass over the frames, and read again in a second one: memory does not
grow with the length of the recording.
"""

import contextlib
import csv
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from icegan_jax.data.crop import CropOptions
from icegan_jax.data.face_embedding import same_face_as
from icegan_jax.data.landmarks import Box
from icegan_jax.data.spotting import ROW_FIELDS, Event, SpottingResult, TraceRow, spot_events
from icegan_jax.errors import UserError
from icegan_jax.evaluation.calibration import NO_EXPRESSION
from icegan_jax.inference.ensemble import Ensemble
from icegan_jax.inference.face_crops import FaceCrops, crop_event, crop_source
from icegan_jax.inference.inputs import FrameSource
from icegan_jax.inference.quality_flags import QualityFlag, flag_answer, flag_change, flag_frame_rate

LONG_SECONDS = 3.0  # A longer recording is searched for events: six micro-expressions of half a second fit in.
LONG_FRAMES = 300  # the same where the frame rate is unknown: 1.5 s at 200 frames per second (CASME II)
_MACRO = QualityFlag(
    "macro", "Longer than half a second, perhaps a macro-expression or a blink: no prediction was made."
)

TRACE_FILE = "trace.csv"
MIN_FACE_SHARE = 0.5  # of the frames; a recording whose face is detected in fewer is flagged

Gray = NDArray[np.uint8]


@dataclass(frozen=True)
class Recognition:
    """The result for one clip or event.

    Attributes:
        name: unique within a call; the name of its picture strip.
        input_name: the input, as given.
        kind: "clip", or of an event "micro" (at most half a second) or "macro" (longer; no prediction is made).
        first_frame: the number of the recording's first frame, which is second 0.
        onset, apex, offset: frame numbers.
        fps: frames per second; None where the rate is unknown.
        flags: the quality flags.
        truth: the annotated class; None without an annotation.
        lengths: float32[k], the capsule lengths; None without a prediction, as are the three fields that follow.
        onset_face: uint8[n, n], the cropped onset.
        apex_face: uint8[n, n], the cropped apex, registered to the onset.
        box: the crop, in pixels of the onset; None also for pictures that were cropped before.
        folds: the names of the folds whose networks made the prediction.
        classes: the class names, in label order.
        threshold: the length that the longest capsule of an expression exceeds; None where the run has none.
        timestamps: see ``FrameSource``.
    """

    name: str
    input_name: str
    kind: str
    first_frame: int
    onset: int
    apex: int
    offset: int
    fps: float | None
    flags: tuple[QualityFlag, ...]
    truth: str | None = None
    lengths: NDArray[np.float32] | None = None
    onset_face: Gray | None = None
    apex_face: Gray | None = None
    box: Box | None = None
    folds: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    threshold: float | None = None
    timestamps: NDArray[np.float64] | None = None

    def with_crops(self, crops: FaceCrops, ensemble: Ensemble) -> "Recognition":
        """Return a copy with the crops and the networks' prediction for them."""
        result = replace(
            self,
            onset=crops.onset,
            apex=crops.apex,
            offset=crops.offset,
            onset_face=crops.onset_face,
            apex_face=crops.apex_face,
            box=crops.box,
            flags=(*self.flags, *crops.flags),
        )
        return result.with_prediction(ensemble)

    def with_prediction(self, ensemble: Ensemble) -> "Recognition":
        """Return a copy with the networks' prediction for the faces, and the flags of the prediction."""
        assert self.onset_face is not None and self.apex_face is not None
        (lengths,) = ensemble.predict(self.onset_face[None], self.apex_face[None])
        result = replace(self, lengths=lengths, threshold=ensemble.threshold, folds=ensemble.fold_names)
        flags = flag_answer(float(lengths.max()), result.margin, ensemble.calibration)
        return replace(result, flags=(*self.flags, *flags, *ensemble.flags))

    def seconds(self, frame: int) -> float | None:
        """Return the time of a frame in seconds since the first frame; None where the frame rate is unknown."""
        if self.timestamps is not None:
            return float(self.timestamps[frame])
        return None if self.fps is None else (frame - self.first_frame) / self.fps

    @property
    def label(self) -> str | None:
        """The answer: ``longest_class``, or ``NO_EXPRESSION`` where its capsule does not exceed the threshold."""
        if self.lengths is not None and self.threshold is not None and self.lengths.max() <= self.threshold:
            return NO_EXPRESSION
        return self.longest_class

    @property
    def longest_class(self) -> str | None:
        """The class whose capsule is longest, which the scores compare with the annotation; None as ``lengths``."""
        return None if self.lengths is None else self.classes[int(np.argmax(self.lengths))]

    @property
    def scores(self) -> dict[str, float]:
        """The capsule length of each class; empty without a prediction."""
        return {} if self.lengths is None else dict(zip(self.classes, self.lengths.tolist(), strict=True))

    @property
    def margin(self) -> float | None:
        """The difference between the longest capsule and the second longest; None without a prediction."""
        if self.lengths is None or len(self.lengths) < 2:
            return None
        second, first = np.sort(self.lengths)[-2:]
        return float(first - second)


@dataclass(frozen=True)
class RecordingResult(Sequence[Recognition]):
    """The results for a long recording: a sequence of its events, ordered by their onsets.

    Attributes:
        events: the events; empty where none is found.
        flags: the quality flags of the recording as a whole.
    """

    events: tuple[Recognition, ...]
    flags: tuple[QualityFlag, ...]

    @overload
    def __getitem__(self, index: int) -> Recognition: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Recognition, ...]: ...
    def __getitem__(self, index: int | slice) -> Recognition | tuple[Recognition, ...]:
        """Return an event."""
        return self.events[index]

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.events)


def is_long(source: FrameSource) -> bool:
    """Return whether a recording is too long for one clip and has to be searched for events."""
    if source.duration is None:
        return len(source.frame_numbers) > LONG_FRAMES
    return round(source.duration, 3) > LONG_SECONDS


def recognize_clip(source: FrameSource, onset: str, options: CropOptions, ensemble: Ensemble) -> Recognition:
    """Recognize the expression of one clip.

    Args:
        source: the frames of the clip.
        onset: see ``crop_source``.
        options: how the faces are cropped.
        ensemble: the networks.

    Raises:
        UserError: see ``crop_source``.
    """
    crops = crop_source(source, onset, options)
    label = -1 if source.clip is None else source.clip.label
    is_pair = source.clip is not None and not source.clip.dataset  # two pictures have no frame rate
    result = replace(
        _without_prediction(source, source.name, "clip", (crops.onset, crops.apex, crops.offset), ensemble),
        flags=() if is_pair else tuple(_rate_flags(source, source.rate_between(crops.onset, crops.offset))),
        truth=ensemble.classes[label] if label >= 0 else None,
    )
    return result.with_crops(crops, ensemble)


def _without_prediction(
    source: FrameSource, name: str, kind: str, frames: tuple[int, int, int], ensemble: Ensemble
) -> Recognition:
    """Return a result with the frame numbers onset, apex, offset, and without a prediction and flags."""
    return Recognition(
        name, source.input_name, kind, source.frame_numbers[0], *frames, source.fps, (), timestamps=source.timestamps,
        classes=ensemble.classes,
    )  # fmt: skip


def recognize_crops(onset: Gray, apex: Gray, ensemble: Ensemble) -> Recognition:
    """Recognize the expression of two prepared crops uint8[n, n], the apex registered to the onset."""
    result = Recognition(
        "crops", "crops", "clip", 0, 0, 1, 1, None, tuple(flag_change(onset, apex)), onset_face=onset,
        apex_face=apex, classes=ensemble.classes,
    )  # fmt: skip
    return result.with_prediction(ensemble)


def recognize_events(
    source: FrameSource,
    options: CropOptions,
    ensemble: Ensemble,
    trace_path: Path | None = None,
    *,
    progress: bool = False,
) -> RecordingResult:
    """Spot the events of a recording and recognize the expression of each.

    Args:
        source, options, ensemble: see ``recognize_clip``.
        trace_path: the csv to write with the change and the head motion of each frame; None: no csv is written.
        progress: draw progress bars on stderr.

    Raises:
        UserError: see ``spot_source``.
    """
    if source.fps is not None:  # else ``spot_source`` refuses the recording
        ensemble.load()
    spotting = spot_source(source, trace_path, progress=progress)
    results = recognize_spotted(source, spotting, options, ensemble)
    bar = tqdm(
        results,
        total=len(spotting.events),
        unit="event",
        desc="recognizing events",
        dynamic_ncols=True,
        disable=not progress,
    )
    by_onset = tuple(sorted(bar, key=lambda result: result.onset))
    return RecordingResult(by_onset, (*recording_flags(source, spotting, by_onset), *ensemble.flags))


def recognize_spotted(
    source: FrameSource, spotting: SpottingResult, options: CropOptions, ensemble: Ensemble
) -> Iterator[Recognition]:
    """Read the recording again and yield the result of each spotted event, ordered by their offsets.

    A macro-expression gets no prediction, since the networks are trained on micro-expressions only; neither does an
    event whose onset shows no face.
    """
    assert source.fps is not None
    digits = max(3, len(str(len(spotting.events))))
    names = {event: f"{source.name}_{number:0{digits}d}" for number, event in enumerate(spotting.events, start=1)}
    for event, frames in read_event_frames(source, spotting.events):
        moments = (event.onset, event.apex, event.offset)
        result = _without_prediction(source, names[event], event.kind, moments, ensemble)
        result = replace(result, flags=tuple(flag_frame_rate(source.rate_between(event.onset, event.offset))))
        if event.kind != "micro":
            yield replace(result, flags=(*result.flags, _MACRO))
            continue
        try:
            crops = crop_event(source, frames, options)
        except UserError as error:
            yield replace(result, flags=(*result.flags, QualityFlag("not_read", f"Not recognized: {error}.")))
            continue
        yield result.with_crops(crops, ensemble)


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
        spotting = spot_events(source.read_evenly(bar), source.fps, on_row=write_row)
    if not spotting.trace.seen.any():
        raise UserError(f"{source.path}: no face in any frame; give a recording of a frontal face")
    return spotting


def recording_flags(source: FrameSource, spotting: SpottingResult, events: Sequence[Recognition]) -> list[QualityFlag]:
    """Return the quality flags of the recording as a whole."""
    flags = _rate_flags(source, source.fps)
    share = float(spotting.trace.seen.mean())
    if share < MIN_FACE_SHARE:
        flags.append(QualityFlag("face_rarely_seen", f"A face was seen in {share:.0%} of the frames only."))
    faces = [event.onset_face for event in events if event.onset_face is not None]
    if faces and not all(map(same_face_as(faces[0]), faces[1:])):
        flags.append(QualityFlag("several_people", "The events are not all of one person."))
    return flags


def _rate_flags(source: FrameSource, fps: float | None) -> list[QualityFlag]:
    """Return the flags of the times of a recording, of which a part has ``fps`` frames per second."""
    rates = None if source.lowest_rate is None or source.fps is None else (source.lowest_rate, source.fps)
    return flag_frame_rate(fps, source.missing_frames, rates)


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
    """Open trace.csv, and yield the function that writes the row of a frame, once also for a repeated frame."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*ROW_FIELDS, "seconds"))
        last_position = -1

        def write_row(row: TraceRow) -> None:
            nonlocal last_position
            if row.position != last_position:
                cells = [_format_cell(value) for value in astuple(row)]
                writer.writerow((*cells, f"{source.seconds(row.position):.3f}"))
            last_position = row.position

        yield write_row


def _format_cell(value: float | int | bool) -> str:
    """Format a value of the trace: NaN as an empty cell, a bool as 0 or 1."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.5g}"
    return str(int(value))
