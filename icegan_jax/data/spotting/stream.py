"""The trace of a video: one row of measurements per frame, computed from the frames one at a time in bounded memory."""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.landmarks import SURE_SCORE, TURNS, Face, find_face
from icegan_jax.data.spotting.change import FaceAppearance, FaceComparison
from icegan_jax.data.spotting.tracker import Tracker
from icegan_jax.errors import UserError

# A micro-expression lasts at most half a second, and its onset phase 0.26 s (Yan, Wu, Liang, Chen and Fu, "How fast
# are the leaked facial expressions", Journal of Nonverbal Behavior 37, 2013). Half of MICRO_SECONDS is the distance
# from the apex to the frames with which the apex is compared: the k of the feature-difference analysis (Moilanen, Zhao
# and Pietikainen, "Spotting rapid facial movements from videos using appearance-based feature difference analysis",
# ICPR 2014).
MICRO_SECONDS = 0.5

# Ordinary expressions last from half a second to four (Ekman, "Darwin, deception, and facial expression", 2003). This
# window covers expressions of up to two seconds, and the beginning and the end of longer ones.
MACRO_SECONDS = 2.0

# Where no face is tracked, a face is detected this often: a detection takes as long as tracking some hundred frames.
_DETECTION_SECONDS = 1.0
# A tracked face is compared with a new detection this often; where both disagree, tracking starts again.
_CHECK_SECONDS = 30.0
_DETECTION_PIXELS = 640  # on the longer side of the image in which a face is detected
_DETECTION_TRIES = 2  # the image as given, and upsampled: faces of 40 of those pixels or more

Floats = NDArray[np.float32]
Gray = NDArray[np.uint8]


def half_windows(fps: float) -> tuple[int, int]:
    """Return the numbers of frames in half a micro-expression window and half a macro-expression window, at least 1.

    Raises:
        UserError: ``fps`` is not a positive finite number.
    """
    if not (math.isfinite(fps) and fps > 0):
        raise UserError(f"the frame rate is {fps} per second; give a positive number")
    micro = max(1, round(MICRO_SECONDS / 2 * fps))
    return micro, max(micro, round(MACRO_SECONDS / 2 * fps))


@dataclass(frozen=True)
class TraceRow:
    """The measurements of one frame.

    Changes are mean absolute differences of standardized gray levels over the third of the face's blocks that change
    most, with the head's motion removed. A change is NaN where the face was not tracked in all compared frames.

    Attributes:
        position: number of the frame, as given.
        change: change from the mean of the frames a quarter of a second before and after.
        lasting: change from the frame a quarter of a second before to the one a quarter of a second after, which is
            the change that was not reversed.
        slow: as ``change``, with the frames a second before and after.
        step: change from the previous frame.
        dx: shift of the head to the right since the face was detected, in pixels of the image; NaN without a face.
        dy: shift downwards, likewise.
        seen: whether a face is tracked in the frame.
    """

    position: int
    change: float
    lasting: float
    slow: float
    step: float
    dx: float
    dy: float
    seen: bool


ROW_FIELDS = tuple(field.name for field in fields(TraceRow))


@dataclass(frozen=True)
class Trace:
    """The rows of all n frames of a video as arrays, and the frames per second.

    ``position`` is int64[n], ``seen`` bool[n], and the other fields of ``TraceRow`` are float32[n].
    """

    fps: float
    position: NDArray[np.int64]
    change: Floats
    lasting: Floats
    slow: Floats
    step: Floats
    dx: Floats
    dy: Floats
    seen: NDArray[np.bool_]

    @classmethod
    def from_rows(cls, rows: Iterable[TraceRow], fps: float) -> "Trace":
        """Collect the rows of a video, 33 bytes each."""
        dtypes = [("position", np.int64), *((name, np.float32) for name in ROW_FIELDS[1:-1]), ("seen", np.bool_)]
        table = np.fromiter((astuple(row) for row in rows), np.dtype(dtypes))
        return cls(fps, *(np.ascontiguousarray(table[name]) for name in ROW_FIELDS))

    def frames_of_same_face(self, position: int) -> list[int]:
        """Return the numbers of the frames through which the face of the frame ``position`` was tracked, ascending."""
        segment = np.cumsum(self.seen & np.isnan(self.step))
        (first, *_) = segment[self.position == position]
        return sorted({int(n) for n in self.position[self.seen & (segment == first)]})


def trace_video(frames: Iterable[tuple[int, Gray]], fps: float) -> Iterator[TraceRow]:
    """Track the largest face through a video and measure its changes.

    Only the crops of about two seconds are held in memory. A cut, another person, or a head that turns away or leaves
    the image ends the comparison; a face is then detected once per second. A recording that lies on its side or upside
    down is turned; shifts are those of the turned picture.

    Args:
        frames: (number, gray levels uint8[h, w]), one at a time and evenly spaced in time; the numbers are passed on to
            the rows.
        fps: frames per second of these frames.

    Yields:
        One row per frame, in order, about a second after the frame.

    Raises:
        UserError: ``fps`` is not a positive finite number.
    """
    half_windows(fps)  # raises at the call instead of at the first row
    return _trace_rows(frames, fps)


def _trace_rows(frames: Iterable[tuple[int, Gray]], fps: float) -> Iterator[TraceRow]:
    detect_every, check_every = max(1, round(_DETECTION_SECONDS * fps)), max(1, round(_CHECK_SECONDS * fps))
    segment: _Segment | None = None
    since_detection = detect_every
    turn = 0  # of the tracked face
    turns: tuple[int, ...] = TURNS  # those in which a face is searched: the turn of the first sure face from then on
    for position, image in frames:
        frame = np.rot90(image, turn)
        if segment is not None and not segment.tracker.track(frame):
            yield from segment.remaining_rows()
            segment = None
        if since_detection >= (detect_every if segment is None else check_every):
            since_detection = 0
            face = _detect_face(image, turns)
            if face is not None and face.score >= SURE_SCORE:
                turns = (face.turn,)
            if segment is not None and (face is None or face.turn != turn or not segment.tracker.matches(face.box())):
                yield from segment.remaining_rows()
                segment = None
            if segment is None and face is not None:
                turn = face.turn
                segment = _Segment(np.rot90(image, turn), face, fps)
        since_detection += 1
        if segment is None:
            yield TraceRow(position, math.nan, math.nan, math.nan, math.nan, math.nan, math.nan, False)
        else:
            yield from segment.add_frame(position)
    if segment is not None:
        yield from segment.remaining_rows()


def _detect_face(frame: Gray, turns: tuple[int, ...] = TURNS) -> Face | None:
    """Detect the largest face, at a scale at which detection takes a fraction of a second."""
    scale = min(1.0, _DETECTION_PIXELS / max(frame.shape))
    small = frame if scale == 1 else cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    face = find_face([np.asarray(small, np.uint8)], tries=_DETECTION_TRIES, turns=turns)
    # Centers of pixels: x' + 0.5 = scale (x + 0.5).
    return None if face is None else replace(face, points=(face.points + 0.5) / scale - 0.5)


@dataclass(frozen=True)
class _TrackedFrame:
    """The number of a frame, the face's appearance in the frame, and the shift of the head in pixels."""

    position: int
    appearance: FaceAppearance
    dx: float
    dy: float


class _Segment:
    """Consecutive frames of one tracked face, of which the last two seconds are held.

    Attributes:
        tracker: the tracker of the face.
    """

    def __init__(self, frame: Gray, face: Face, fps: float) -> None:
        self.tracker = Tracker(frame, face, fps)
        self._comparison = FaceComparison(face.points, self.tracker.box, self.tracker.crop())
        self._micro, self._macro = half_windows(fps)
        self._window: deque[_TrackedFrame] = deque(maxlen=2 * self._macro + 1)
        self._pending = 0  # number of frames at the end of the window that have no row yet

    def add_frame(self, position: int) -> Iterator[TraceRow]:
        """Add the tracker's last frame, and yield the row of the frame a second before, if there is one."""
        appearance = self._comparison.appearance(self.tracker.crop())
        self._window.append(_TrackedFrame(position, appearance, *self.tracker.head_shift()))
        self._pending += 1
        if self._pending > self._macro:
            yield self._next_row()

    def remaining_rows(self) -> Iterator[TraceRow]:
        """Yield the rows of the last second."""
        while self._pending:
            yield self._next_row()

    def _next_row(self) -> TraceRow:
        i = len(self._window) - self._pending
        self._pending -= 1
        frame = self._window[i]
        step = math.nan
        if i > 0:
            step = self._comparison.frame_change(self._window[i - 1].appearance, frame.appearance)
        change, lasting = self._window_change(i, self._micro)
        slow, _ = self._window_change(i, self._macro)
        return TraceRow(frame.position, change, lasting, slow, step, frame.dx, frame.dy, True)

    def _window_change(self, i: int, half: int) -> tuple[float, float]:
        """Compare frame i of the window with those ``half`` frames before and after, and these two with each other."""
        if i < half or i + half >= len(self._window):
            return math.nan, math.nan
        before, middle, after = (self._window[j].appearance for j in (i - half, i, i + half))
        return self._comparison.window_change(before, middle, after)
