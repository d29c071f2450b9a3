"""The trace of a video: one row of measurements per frame, and the windows over which changes are measured."""

import math
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields

import numpy as np
from numpy.typing import NDArray

from icegan_jax.errors import UserError

Floats = NDArray[np.float32]

# A micro-expression lasts at most half a second, and its onset phase 0.26 s (Yan, Wu, Liang, Chen and Fu, "How fast
# are the leaked facial expressions", Journal of Nonverbal Behavior 37, 2013). Half of MICRO_SECONDS is the distance
# from the apex to the frames with which the apex is compared: the k of the feature-difference analysis (Moilanen, Zhao
# and Pietikainen, "Spotting rapid facial movements from videos using appearance-based feature difference analysis",
# ICPR 2014).
MICRO_SECONDS = 0.5

# Ordinary expressions last from half a second to four (Ekman, "Darwin, deception, and facial expression", 2003). This
# window covers expressions of up to two seconds, and the beginning and the end of longer ones.
MACRO_SECONDS = 2.0


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
