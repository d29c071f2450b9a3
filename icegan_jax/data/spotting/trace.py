"""How long facial expressions last, in seconds and in frames.

What the pass over a video notes of every frame.
"""

import math
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields

import numpy as np
from numpy.typing import NDArray

from icegan_jax.errors import UserError

# A micro-expression lasts at most half a second, and its onset phase 0.26 s (Yan, Wu, Liang, Chen and Fu, "How fast
# are the leaked facial expressions", Journal of Nonverbal Behavior 37, 2013). Half of it is the distance from the apex
# to the frames with which it is compared: the k of the feature-difference analysis (Moilanen, Zhao and Pietikainen,
# "Spotting rapid facial movements from videos using appearance-based feature difference analysis", ICPR 2014).
MICRO_SECONDS = 0.5

# Ordinary expressions last from half a second to four (Ekman, "Darwin, deception, and facial expression", 2003); this
# window sees those of up to two whole, and of longer ones the beginning and the end.
MACRO_SECONDS = 2.0


def half_windows(fps: float) -> tuple[int, int]:
    """Return how many frames lie in half a micro and half a macro window, both at least 1.

    Raises:
        UserError: ``fps`` is no positive finite number.
    """
    if not (math.isfinite(fps) and fps > 0):
        raise UserError(f"the frame rate is {fps} per second; give a positive number")
    micro = max(1, round(MICRO_SECONDS / 2 * fps))
    return micro, max(micro, round(MACRO_SECONDS / 2 * fps))


Floats = NDArray[np.float32]


@dataclass(frozen=True)
class TraceRow:
    """One frame.

    Changes are mean absolute differences of standardised grey levels over the third of the face's blocks that change
    most, head motion taken out; nan where the face was not seen in all of the frames compared.

    Attributes:
        position: the frame's number, as given.
        change: from the mean of the frames a quarter of a second before and after.
        lasting: from the one before to the one after: what did not come back.
        slow: as ``change``, from the frames a second before and after.
        step: from the frame before.
        dx: how far the head has moved to the right since it was found, in pixels of the picture; nan where not seen.
        dy: the same, downwards.
        seen: whether there is a face that could be followed.
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
    """All frames of a video: the fields of ``Row`` as arrays, and frames per second.

    ``position`` is int64[n], ``seen`` bool[n], the others float32[n].
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
    def of(cls, rows: Iterable[TraceRow], fps: float) -> "Trace":
        """Collect rows, 33 bytes each."""
        kinds = [("position", np.int64), *((name, np.float32) for name in ROW_FIELDS[1:-1]), ("seen", np.bool_)]
        table = np.fromiter((astuple(row) for row in rows), np.dtype(kinds))
        return cls(fps, *(np.ascontiguousarray(table[name]) for name in ROW_FIELDS))
