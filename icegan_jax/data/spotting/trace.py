"""What the pass over a video notes of every frame."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Row:
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


ROW_FIELDS = tuple(field.name for field in fields(Row))


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
    def of(cls, rows: Iterable[Row], fps: float) -> "Trace":
        """Collects rows, 33 bytes each."""
        kinds = [("position", np.int64), *((name, np.float32) for name in ROW_FIELDS[1:-1]), ("seen", np.bool_)]
        table = np.fromiter((astuple(row) for row in rows), np.dtype(kinds))
        return cls(fps, *(np.ascontiguousarray(table[name]) for name in ROW_FIELDS))
