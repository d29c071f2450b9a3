"""Spotting of expressions in a video, and of the quietest interval of a clip without an annotated onset.

The contrast of a frame is the frame's change less the mean change at both ends of the window around the frame (Li et
al. 2018, "Towards reading hidden emotions"), so that an event has no echo half a window before and after. The peaks of
the contrast above a threshold that adapts to the video are events.

All constants were chosen on drawn faces (``icegan_jax.data.synthetic``: twelve people, 18 minutes at 60 frames per
second, 170 micro-expressions, 45 longer expressions, 72 blinks, with moving heads, changing light and noise, a quarter
overexposed). None was fitted to real clips. Real clips gave the speed of head and light of the drawn videos, and
revealed two faults that were corrected: overexposed skin, and a noisy measure of the light.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.spotting.stream import MICRO_SECONDS, ROW_FIELDS, Trace, TraceRow, half_windows, trace_video
from icegan_jax.errors import UserError

Floats = NDArray[np.float32]
Gray = NDArray[np.uint8]
Signal = NDArray[np.float64]

# Background and noise of a frame are those of this time around the frame, computed at these intervals and interpolated.
_BACKGROUND_SECONDS = 60.0
_BACKGROUND_INTERVAL_SECONDS = 5.0

# The threshold is this number of deviations of the noise, at least this share of the background, and at least this
# value for a video without noise and background, such as a still image.
_DEVIATIONS = 8.0
_BACKGROUND_SHARE = 0.2
_MIN_THRESHOLD = 0.005

# A quarter of normal noise lies within this number of deviations of the median; the larger values may be events.
_QUARTER = 0.3186

# Levels of the excess, relative to the apex, at which the span of an event is measured.
_HALF_LEVEL = 0.5  # half of the way from the apex to the end of a micro-expression
_LOW_LEVEL = 0.2  # beginning and end of a longer expression, which may stay
_REST_SHARE = 0.1  # of the frames before and after the apex of a clip, at least, show the face at rest
_MAX_REST = 0.75  # of the change at the apex: a face that keeps more of the change is not at rest again

# The slow scale must show this share of the change at the quick scale; both are equal for an isolated event.
_MIN_SLOW_SHARE = 0.7
_DURATION_TOLERANCE = 1.2  # durations are measured to a fifth

# The quietest interval.
_QUIET_SECONDS = 0.1
_MIN_QUIET_STEPS = 2
# A face at rest before an expression is as quiet as after it: of intervals that differ by at most this factor, the
# first is taken.
_EQUAL_FACTOR = 1.05


@dataclass(frozen=True)
class Event:
    """A spotted expression.

    Attributes:
        kind: "micro", at most half a second long, or "macro".
        onset: number of the first frame.
        apex: number of the frame in which the face differs most from before and after.
        offset: number of the last frame.
        strength: contrast at the apex divided by the threshold, at least 1.
    """

    kind: str
    onset: int
    apex: int
    offset: int
    strength: float


@dataclass(frozen=True)
class SpottingResult:
    """The trace of a video, and its events ordered by onset."""

    trace: Trace
    events: list[Event]


def spot_events(
    frames: Iterable[tuple[int, Gray]], fps: float, *, on_row: Callable[[TraceRow], None] | None = None
) -> SpottingResult:
    """Spot the expressions in a video.

    Args:
        frames: (number, gray levels uint8[h, w]), read one at a time.
        fps: frames per second of these frames.
        on_row: called with each row of the trace, about a second after the frame.

    Returns:
        The trace, of 33 bytes per frame (7 MB per hour at 60 frames per second), and the events. A clip of less than
        half a second has no events, as its frames have no windows; use ``icegan_jax.data.apex`` for such clips.

    Raises:
        UserError: ``fps`` is not a positive finite number.
    """
    trace = Trace.from_rows(_report_rows(trace_video(frames, fps), on_row), fps)
    return SpottingResult(trace, find_events(trace))


def _report_rows(rows: Iterator[TraceRow], on_row: Callable[[TraceRow], None] | None) -> Iterator[TraceRow]:
    for row in rows:
        if on_row is not None:
            on_row(row)
        yield row


def find_events(trace: Trace) -> list[Event]:
    """Find the micro-expressions and the longer expressions of a trace.

    After half a second a micro-expression is over and the face is as before. A longer expression is found at the scale
    of two seconds; an expression of more than two seconds appears as two events, its beginning and its end. Onset
    and offset of a micro-expression are estimated, twice as far from the apex as the frames with half of the change.

    Args:
        trace: a trace of some seconds at least; no event is found in the first and the last quarter of a second.

    Returns:
        The events, ordered by onset.
    """
    # A segment of one face begins where the previous frame is unknown, and ends where no face is tracked or another
    # segment begins.
    begins = trace.seen & np.isnan(trace.step)
    starts = np.flatnonzero(begins)
    ends = np.flatnonzero(begins | ~trace.seen)
    ends = np.append(ends, len(trace.seen))[np.searchsorted(ends, starts, side="right")]
    segments = [_slice_trace(trace, slice(start, end)) for start, end in zip(starts, ends, strict=True)]
    return [event for segment in segments for event in _find_segment_events(segment)]


def _slice_trace(trace: Trace, frames: slice) -> Trace:
    return Trace(trace.fps, *(getattr(trace, name)[frames] for name in ROW_FIELDS))


@dataclass(frozen=True)
class _Scale:
    """The change of a segment at one scale.

    Attributes:
        half: half of the window, in frames.
        excess: float64[n], the change above the background.
        strength: float64[n], the contrast divided by the threshold; 0 where the contrast is unknown.
    """

    half: int
    excess: Signal
    strength: Signal

    def peaks(self) -> list[int]:
        """Return the frames whose strength is at least 1 and the largest within half a window on both sides."""
        peaks: list[int] = []
        for i in np.flatnonzero(self.strength >= 1):
            neighborhood = self.strength[max(0, i - self.half) : i + self.half + 1]
            if self.strength[i] == neighborhood.max() and not (peaks and i - peaks[-1] <= self.half):
                peaks.append(int(i))
        return peaks


def _find_segment_events(trace: Trace) -> list[Event]:
    """Find the events of one segment."""
    micro, macro = half_windows(trace.fps)
    quick, slow = _scale(trace.change, micro, trace.fps), _scale(trace.slow, macro, trace.fps)
    lasting_change = trace.lasting.astype(np.float64)
    lasting = _subtract_background(lasting_change, _background_and_noise(lasting_change, trace.fps)[0])
    longest = _DURATION_TOLERANCE * MICRO_SECONDS * trace.fps
    spans = []
    for apex in quick.peaks():
        # The slow scale covers the whole expression, unless there is another event within a second: then the slow scale
        # has less change than the quick scale, or a span longer than the slow window. Within a second of the beginning
        # or end of the segment the slow scale is unknown, and would cut the span off.
        start, end = _estimate_span(slow.excess, apex)
        is_known = not np.isnan(slow.excess[max(0, math.floor(start) - 1) : math.ceil(end) + 2]).any()
        is_isolated = slow.excess[apex] >= _MIN_SLOW_SHARE * quick.excess[apex] and end - start <= 2 * macro
        if not (is_known and is_isolated):
            start, end = _estimate_span(quick.excess, apex)
        if quick.excess[apex] > 0 and end - start <= longest and lasting[apex] < quick.excess[apex]:
            spans.append((start, apex, end, "micro", quick.strength[apex]))
    for apex in slow.peaks():
        start, end = _estimate_span(slow.excess, apex)  # as of a micro-expression, so that no length is of neither kind
        if end - start > longest:
            start, end = _span(slow.excess, apex, _LOW_LEVEL)
            spans.append((start, apex, end, "macro", slow.strength[apex]))
    last, position = len(trace.position) - 1, trace.position
    return [
        Event(
            kind,
            int(position[max(0, round(start))]),
            int(position[apex]),
            int(position[min(last, round(end))]),
            float(strength),
        )
        for start, apex, end, kind, strength in sorted(spans)
    ]


def _scale(change: Floats, half: int, fps: float) -> _Scale:
    values = change.astype(np.float64)
    contrast = values - _mean_at_window_ends(values, half)
    median, noise = _background_and_noise(contrast, fps)
    background, _ = _background_and_noise(values, fps)
    threshold = np.maximum(_DEVIATIONS * noise, np.maximum(_BACKGROUND_SHARE * background, _MIN_THRESHOLD))
    strength = np.nan_to_num((contrast - median) / threshold, nan=0.0)
    return _Scale(half, _subtract_background(values, background), strength)


def _mean_at_window_ends(values: Signal, half: int) -> Signal:
    """Return the mean of the values half a window before and after, or one of them where the other is unknown."""
    before, after = np.full_like(values, np.nan), np.full_like(values, np.nan)
    overlap = max(0, len(values) - half)  # a video may be shorter than half a window
    before[half:], after[:overlap] = values[:overlap], values[half:]
    known = np.stack([np.where(np.isnan(before), after, before), np.where(np.isnan(after), before, after)])
    return np.asarray(known.mean(0))


def _subtract_background(values: Signal, background: Signal | np.float64) -> Signal:
    """Return the values without the background: noise and signal add up in squares."""
    return np.asarray(np.sqrt(np.maximum(values**2 - background**2, 0)))


def _background_and_noise(values: Signal, fps: float) -> tuple[Signal, Signal]:
    """Return the median of the known values around each frame and the deviation of the noise; NaN without any."""
    half = round(_BACKGROUND_SECONDS / 2 * fps)
    centers = np.arange(0, len(values) + 1, max(1, round(_BACKGROUND_INTERVAL_SECONDS * fps)))
    medians, noises = np.full(len(centers), np.nan), np.full(len(centers), np.nan)
    for j, i in enumerate(centers):
        part = values[max(0, i - half) : i + half + 1]
        part = part[~np.isnan(part)]
        if part.size:
            medians[j] = np.median(part)
            noises[j] = np.quantile(np.abs(part - medians[j]), 0.25) / _QUARTER
    frames = np.arange(len(values))
    return np.interp(frames, centers, medians), np.interp(frames, centers, noises)


def estimate_interval(change: Mapping[int, float]) -> tuple[int, int]:
    """Return the first and the last frame of the expression around the largest change of a clip, see ``find_events``.

    The background of each side of the apex is the change there at rest: a face need not return to the onset exactly.

    Args:
        change: {frame number: change from the onset}, ascending; noise changes a face at rest, too.
    """
    numbers, values = list(change), np.array(list(change.values()))
    apex = int(np.argmax(values))
    frames = []
    for side in (values[apex::-1], values[apex:]):
        rest = min(np.quantile(side, _REST_SHARE), _MAX_REST * values[apex])
        excess = _subtract_background(side, rest)
        frames.append(2 * _frames_to_fall(excess, _HALF_LEVEL * excess[0]))
    before, after = frames
    return numbers[max(0, round(apex - before))], numbers[min(len(numbers) - 1, round(apex + after))]


def _estimate_span(excess: Signal, apex: int) -> tuple[float, float]:
    """Return start and end of an expression that rises and falls evenly: twice as far as the half level."""
    start, end = _span(excess, apex, _HALF_LEVEL)
    return 2 * start - apex, 2 * end - apex


def _span(excess: Signal, apex: int, level: float) -> tuple[float, float]:
    """Return the positions before and after the apex where the excess falls to ``level`` times that at the apex."""
    low = level * excess[apex]
    return apex - _frames_to_fall(excess[apex::-1], low), apex + _frames_to_fall(excess[apex:], low)


def _frames_to_fall(values: Signal, low: float) -> float:
    """Return after how many frames the values, the first of which is the highest, fall to ``low`` or end."""
    below = np.flatnonzero(~(values >= low))
    if not below.size:
        return len(values) - 1.0
    i = below[0]
    return float(i - 1 + (values[i - 1] - low) / (values[i - 1] - values[i])) if values[i] < low else i - 1.0


def quietest_interval(trace: Trace) -> int:
    """Return the number of the frame in the middle of the interval in which the face changes least.

    The interval has a tenth of a second, at least three frames. Its change is the mean change from frame to frame, with
    the head's motion removed. A face is as still at the apex as at rest, though for a shorter time. Of drawn clips, all
    intervals showed the face at rest where the face rested for half a second before the expression, 85% did where the
    clip began in the middle of another expression, and less than half did where the clip was cut from onset to offset,
    in which case the first frame is the onset.

    Args:
        trace: the trace of the clip; of a shorter clip the middle one of the frames with a face is taken.

    Raises:
        UserError: no frame shows a face.
    """
    with_face = np.flatnonzero(trace.seen)
    if not with_face.size:
        raise UserError("no frame shows a face; give a clip of a frontal face")
    length = max(_MIN_QUIET_STEPS, round(_QUIET_SECONDS * trace.fps))
    if len(trace.step) >= length:
        # A repeated frame is no new frame, and its step is no rest.
        is_new = np.append(True, np.diff(trace.position) != 0)
        steps, counts = (
            np.lib.stride_tricks.sliding_window_view(values, length).sum(1) for values in (trace.step * is_new, is_new)
        )
        change = np.where(counts > 0, steps / np.maximum(counts, 1), np.nan)
        if not np.isnan(change).all():
            first = int(np.flatnonzero(change <= _EQUAL_FACTOR * np.nanmin(change))[0])
            # Steps first to first + length - 1 lead from frame first - 1 to frame first + length - 1.
            return int(trace.position[first - 1 + (length + 1) // 2])
    return int(trace.position[with_face[len(with_face) // 2]])
