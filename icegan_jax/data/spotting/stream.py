"""The pass over a video: one row of the trace per frame, in memory that does not grow."""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.landmarks import Face, find_face
from icegan_jax.data.spotting.change import FaceAppearance, FaceComparison
from icegan_jax.data.spotting.trace import TraceRow, half_windows
from icegan_jax.data.spotting.tracker import Tracker

Grey = NDArray[np.uint8]

# To look for a face takes as long as to follow it through some hundred frames.
_LOOK_SECONDS = 1.0
# A face that is followed is looked for again this often; if it is not where it is thought to be, all starts anew.
_CHECK_SECONDS = 30.0
_LOOK_PIXELS = 640  # on the longer side of the picture in which it is looked for
_LOOK_TRIES = 2  # as it is, and upsampled: faces from 40 of those pixels on


def trace_video(frames: Iterable[tuple[int, Grey]], fps: float) -> Iterator[TraceRow]:
    """Follow the largest face through a video.

    Nothing is held but the crops of about two seconds. A cut, another person, a head that turned away or left ends
    the comparison; a face is then looked for once a second.

    Args:
        frames: (number, uint8[h, w] grey levels), one at a time; the numbers are passed on and not looked at.
        fps: frames per second of these frames.

    Yields:
        One row per frame, in order, about a second behind the frames.

    Raises:
        UserError: ``fps`` is no positive finite number.
    """
    half_windows(fps)
    return _rows(frames, fps)


def _rows(frames: Iterable[tuple[int, Grey]], fps: float) -> Iterator[TraceRow]:
    look, check = max(1, round(_LOOK_SECONDS * fps)), max(1, round(_CHECK_SECONDS * fps))
    stretch: _Stretch | None = None
    since = look  # frames since a face was looked for
    for position, frame in frames:
        if stretch is not None and not stretch.tracker.follow(frame):
            yield from stretch.end()
            stretch = None
        if since >= (look if stretch is None else check):
            since = 0
            face = _look(frame)
            if stretch is not None and (face is None or not stretch.tracker.agrees(face.box())):
                yield from stretch.end()
                stretch = None
            if stretch is None and face is not None:
                stretch = _Stretch(frame, face, fps)
        since += 1
        if stretch is None:
            yield TraceRow(position, math.nan, math.nan, math.nan, math.nan, math.nan, math.nan, False)
        else:
            yield from stretch.add(position)
    if stretch is not None:
        yield from stretch.end()


def _look(frame: Grey) -> Face | None:
    """Find the largest face, at a scale at which that takes a fraction of a second."""
    scale = min(1.0, _LOOK_PIXELS / max(frame.shape))
    small = frame if scale == 1 else cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    face = find_face([np.asarray(small, np.uint8)], tries=_LOOK_TRIES)
    # Pixel centres: x' + 0.5 = scale (x + 0.5).
    return None if face is None else replace(face, points=(face.points + 0.5) / scale - 0.5)


@dataclass(frozen=True)
class _Seen:
    """A frame with the face in it: its number, what the face looks like, and how far the head has moved."""

    position: int
    look: FaceAppearance
    dx: float
    dy: float


class _Stretch:
    """Consecutive frames of one face, of which the last two seconds are held.

    Attributes:
        tracker: where the face is.
    """

    def __init__(self, frame: Grey, face: Face, fps: float) -> None:
        self.tracker = Tracker(frame, face, fps)
        self._compare = FaceComparison(face.points, self.tracker.box, self.tracker.crop())
        self._micro, self._macro = half_windows(fps)
        self._held: deque[_Seen] = deque(maxlen=2 * self._macro + 1)
        self._waiting = 0  # held frames, the last ones, that have no row yet

    def add(self, position: int) -> Iterator[TraceRow]:
        """Take the frame that the tracker is at; yields the row of the one a second before it."""
        look = self._compare.look(self.tracker.crop())
        self._held.append(_Seen(position, look, *self.tracker.shift()))
        self._waiting += 1
        if self._waiting > self._macro:
            yield self._next()

    def end(self) -> Iterator[TraceRow]:
        """Yield the rows that are left."""
        while self._waiting:
            yield self._next()

    def _next(self) -> TraceRow:
        i = len(self._held) - self._waiting
        self._waiting -= 1
        this = self._held[i]
        step = math.nan if i == 0 else self._compare.step(self._held[i - 1].look, this.look)
        change, lasting = self._around(i, self._micro)
        slow, _ = self._around(i, self._macro)
        return TraceRow(this.position, change, lasting, slow, step, this.dx, this.dy, True)

    def _around(self, i: int, far: int) -> tuple[float, float]:
        """Compare held frame i with those ``far`` frames before and after it, and these with each other."""
        if i < far or i + far >= len(self._held):
            return math.nan, math.nan
        before, here, after = (self._held[j].look for j in (i - far, i, i + far))
        return self._compare.around(before, here, after)
