"""From the trace of a video to the events in it.

The contrast of a frame is its change less the mean change at both ends of the window around it (Li et al. 2018,
"Towards reading hidden emotions"), so that an event does not show again half a window before and after itself. Where
the contrast is above a threshold that follows the video, its peaks are events.

All numbers here were chosen on drawn faces (``icegan_jax.data.synthetic``: twelve people, 18 minutes at 60 frames per
second, 170 micro-expressions, 45 longer ones, 72 blinks, heads, light and noise in motion, a quarter overexposed). None
was fitted to real clips. These gave the speed of heads and light that was drawn, and two faults were found on them and
mended: overexposed skin, and a measure of the light that was noisy.

The quietest stretch of a clip, for want of an annotated onset.

Spotting in one call: the pass over the frames, then the events of its trace.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.spotting.stream import trace_video
from icegan_jax.data.spotting.trace import MICRO_SECONDS, ROW_FIELDS, Trace, TraceRow, half_windows
from icegan_jax.errors import UserError

Floats = NDArray[np.float32]

Signal = NDArray[np.float64]

# Background and noise are those of this time around a frame, worked out anew this often and interpolated in between.
_AROUND_SECONDS = 60.0

_EVERY_SECONDS = 5.0

# The threshold: so many deviations of the noise, and at least this share of the background; and this much where there
# is neither, as in a video that stands still.
_DEVIATIONS = 8.0

_SHARE = 0.2

_LEAST = 0.005

# Normal noise is within this many deviations of its median for a quarter of the time; the largest quarters are events.
_QUARTER = 0.3186

# Where the change has fallen to half, half of the way to the end has passed.
_HALF = 0.5

_LOW = 0.2  # of the change at the apex: where a long expression, which may stay, begins and ends

_CLEAR = 0.7  # of the change at the quick scale, which is the same where nothing else happened

_TOLERANCE = 1.2  # durations are measured to a fifth


@dataclass(frozen=True)
class Event:
    """An expression that was spotted.

    Attributes:
        kind: "micro", at most half a second long, or "macro".
        onset: number of the frame in which it starts.
        apex: of the frame in which the face differs most from before and after.
        offset: of the frame in which it has ended.
        strength: contrast at the apex in units of the threshold: at least 1.
    """

    kind: str
    onset: int
    apex: int
    offset: int
    strength: float


@dataclass(frozen=True)
class _Scale:
    """The change at one scale.

    Attributes:
        half: half of the window, in frames.
        excess: float64[n], the change that is not background.
        strength: float64[n], the contrast in units of the threshold; 0 where it is not known.
    """

    half: int
    excess: Signal
    strength: Signal

    def peaks(self) -> list[int]:
        """Return the frames that are strongest within half a window on both sides, and at least 1."""
        found: list[int] = []
        for i in np.flatnonzero(self.strength >= 1):
            nearest = self.strength[max(0, i - self.half) : i + self.half + 1]
            if self.strength[i] == nearest.max() and not (found and i - found[-1] <= self.half):
                found.append(int(i))
        return found

    def span(self, apex: int, level: float) -> tuple[float, float]:
        """Return where the excess has fallen to a level of the one at the apex, before it and after it."""
        low = level * self.excess[apex]
        return apex - _fall(self.excess[apex::-1], low), apex + _fall(self.excess[apex:], low)

    def doubled(self, apex: int) -> tuple[float, float]:
        """Return where an expression starts and ends that rises and falls evenly: twice as far as half of it."""
        start, end = self.span(apex, _HALF)
        return 2 * start - apex, 2 * end - apex


def find_events(trace: Trace) -> list[Event]:
    """Find micro-expressions and longer ones.

    A micro-expression is over after half a second, and the face is what it was before. What stays for longer is found
    at the scale of two seconds; an expression that stays for more than that shows as its beginning and its end.

    Args:
        trace: at least a few seconds of it; within the first and last quarter of a second nothing can be found.

    Returns:
        The events, by onset.
    """
    # A stretch of one face begins where the frame before is not known; it ends where there is none or another begins.
    begins = trace.seen & np.isnan(trace.step)
    starts = np.flatnonzero(begins)
    ends = np.flatnonzero(begins | ~trace.seen)
    ends = np.append(ends, len(trace.seen))[np.searchsorted(ends, starts, side="right")]
    stretches = [_part(trace, slice(start, end)) for start, end in zip(starts, ends, strict=True)]
    return [event for stretch in stretches for event in _find(stretch)]


def _part(trace: Trace, frames: slice) -> Trace:
    return Trace(trace.fps, *(getattr(trace, name)[frames] for name in ROW_FIELDS))


def _find(trace: Trace) -> list[Event]:
    """Find the events of one stretch."""
    micro, macro = half_windows(trace.fps)
    quick, slow = _scale(trace.change, micro, trace.fps), _scale(trace.slow, macro, trace.fps)
    stays = trace.lasting.astype(np.float64)
    lasting = _beyond(stays, _surroundings(stays, trace.fps)[0])
    longest = _TOLERANCE * MICRO_SECONDS * trace.fps
    found = []
    for apex in quick.peaks():
        # The slow scale shows the whole course, unless something else happened a second before or after: then it shows
        # less than the quick one, or more than fits into its window.
        start, end = slow.doubled(apex)
        if not (slow.excess[apex] >= _CLEAR * quick.excess[apex] and end - start <= 2 * macro):
            start, end = quick.doubled(apex)
        if quick.excess[apex] > 0 and end - start <= longest and lasting[apex] < quick.excess[apex]:
            found.append((start, apex, end, "micro", quick.strength[apex]))
    for apex in slow.peaks():
        start, end = slow.span(apex, _LOW)
        if end - start > longest:
            found.append((start, apex, end, "macro", slow.strength[apex]))
    last, position = len(trace.position) - 1, trace.position
    return [
        Event(
            kind,
            int(position[max(0, round(start))]),
            int(position[apex]),
            int(position[min(last, round(end))]),
            float(strength),
        )
        for start, apex, end, kind, strength in sorted(found)
    ]


def _scale(change: Floats, half: int, fps: float) -> _Scale:
    values = change.astype(np.float64)
    contrast = values - _ends(values, half)
    middle, noise = _surroundings(contrast, fps)
    background, _ = _surroundings(values, fps)
    threshold = np.maximum(_DEVIATIONS * noise, np.maximum(_SHARE * background, _LEAST))
    return _Scale(half, _beyond(values, background), np.nan_to_num((contrast - middle) / threshold, nan=0.0))


def _ends(values: Signal, half: int) -> Signal:
    """The mean of the values half a window before and after; one of them where the other is not known."""
    before, after = np.full_like(values, np.nan), np.full_like(values, np.nan)
    both = max(0, len(values) - half)  # a video may be shorter
    before[half:], after[:both] = values[:both], values[half:]
    known = np.stack([np.where(np.isnan(before), after, before), np.where(np.isnan(after), before, after)])
    return np.asarray(known.mean(0))


def _beyond(values: Signal, background: Signal) -> Signal:
    """What the values are without the background: noise and signal add up in squares."""
    return np.asarray(np.sqrt(np.maximum(values**2 - background**2, 0)))


def _surroundings(values: Signal, fps: float) -> tuple[Signal, Signal]:
    """Return the median of what is known around each frame, and the deviation of its noise; nan where nothing is."""
    half = round(_AROUND_SECONDS / 2 * fps)
    at = np.arange(0, len(values) + 1, max(1, round(_EVERY_SECONDS * fps)))
    middles, noises = np.full(len(at), np.nan), np.full(len(at), np.nan)
    for j, i in enumerate(at):
        part = values[max(0, i - half) : i + half + 1]
        part = part[~np.isnan(part)]
        if part.size:
            middles[j] = np.median(part)
            noises[j] = np.quantile(np.abs(part - middles[j]), 0.25) / _QUARTER
    frames = np.arange(len(values))
    return np.interp(frames, at, middles), np.interp(frames, at, noises)


def _fall(values: Signal, low: float) -> float:
    """How many frames after the first, which is the highest, the values fall to ``low``; or where they end."""
    below = np.flatnonzero(~(values >= low))
    if not below.size:
        return len(values) - 1.0
    i = below[0]
    return float(i - 1 + (values[i - 1] - low) / (values[i - 1] - values[i])) if values[i] < low else i - 1.0


_SECONDS = 0.1

_FEWEST_STEPS = 2

# A face at rest before an expression is as quiet as after it: of stretches that are equal but for this much, the first.
_EQUAL = 1.05


def quietest_interval(trace: Trace) -> int:
    """Return the number of the frame in the middle of the stretch in which the face changes least.

    The stretch is a tenth of a second, at least three frames; its change is the mean from frame to frame, head motion
    taken out. A face is as still at its apex as at rest, if more briefly. Of drawn clips, all stretches showed the face
    at rest where that lasted for half a second before the expression, 85% where the clip began in the middle of another
    one, and less than half where it was cut from onset to offset: there the first frame is the onset.

    Args:
        trace: of the clip, from ``follow``; in a shorter one the middle of the frames that show the face is taken.

    Raises:
        UserError: no frame shows a face.
    """
    seen = np.flatnonzero(trace.seen)
    if not seen.size:
        raise UserError("no frame shows a face; give a clip of a frontal face")
    length = max(_FEWEST_STEPS, round(_SECONDS * trace.fps))
    if len(trace.step) >= length:
        change = np.lib.stride_tricks.sliding_window_view(trace.step, length).mean(1)
        if not np.isnan(change).all():
            first = int(np.flatnonzero(change <= _EQUAL * np.nanmin(change))[0])
            # Steps first to first + length - 1 lead from frame first - 1 to frame first + length - 1.
            return int(trace.position[first - 1 + (length + 1) // 2])
    return int(trace.position[seen[len(seen) // 2]])


Grey = NDArray[np.uint8]


@dataclass(frozen=True)
class SpottingResult:
    """What was found in a video: every frame's row, and the events by onset."""

    trace: Trace
    events: list[Event]


def spot_events(
    frames: Iterable[tuple[int, Grey]], fps: float, *, on_row: Callable[[TraceRow], None] | None = None
) -> SpottingResult:
    """Spot the expressions in a video.

    Args:
        frames: (number, uint8[h, w] grey levels), read one at a time.
        fps: frames per second of these frames.
        on_row: called with each row as it becomes known, a second behind the frames.

    Returns:
        The trace, 33 bytes a frame (7 MB an hour at 60 frames per second), and the events. A clip of less than half a
        second has none, as nothing is known of its frames; ``icegan_jax.data.apex`` is for those.

    Raises:
        UserError: ``fps`` is no positive finite number.
    """
    trace = Trace.of(_report_rows(trace_video(frames, fps), on_row), fps)
    return SpottingResult(trace, find_events(trace))


def _report_rows(rows: Iterator[TraceRow], on_row: Callable[[TraceRow], None] | None) -> Iterator[TraceRow]:
    for row in rows:
        if on_row is not None:
            on_row(row)
        yield row
