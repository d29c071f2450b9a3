"""A picture of what was prepared: per clip the onset, the apex and their difference."""

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.data.dataset import Record

_FACE = 96  # pixels on a side
_CAPTION = 16
_GAP = 6
_GAIN = 6  # of the difference, so that a micro-expression of a few grey levels can be seen
_MOST = 600  # clips; of more than that, evenly spaced ones are shown


def write_contact_sheet(path: Path, apexes: Sequence[Record]) -> None:
    """Writes a PNG with a cell per clip: onset, apex, and mid-grey plus 6 times (apex - onset).

    Args:
        path: the file to write.
        apexes: records of shift 0, uint8[h, w] faces; at most 600 of them are shown.
    """
    if len(apexes) > _MOST:
        chosen = np.linspace(0, len(apexes) - 1, _MOST).round().astype(int)
        apexes = [apexes[i] for i in chosen]
    cells = [_cell(r) for r in apexes]
    height, width = cells[0].shape
    columns = max(1, round(math.sqrt(len(cells) * height / width * 1.6)))
    blank = np.full((height, width), 255, np.uint8)
    cells += [blank] * (-len(cells) % columns)
    rows = [np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)]
    encoded, data = cv2.imencode(".png", np.vstack(rows))
    if not encoded:
        raise OSError(f"{path}: the contact sheet could not be encoded")
    path.write_bytes(data.tobytes())


def _cell(record: Record) -> NDArray[np.uint8]:
    """Returns uint8[height, width]: the caption above the three faces, with white gaps around."""
    change = record.apex.astype(np.float32) - record.onset.astype(np.float32)
    grey = np.clip(128 + _GAIN * change, 0, 255).astype(np.uint8)
    faces = [
        cv2.resize(face, (_FACE, _FACE), interpolation=cv2.INTER_AREA) for face in (record.onset, record.apex, grey)
    ]
    strip = np.hstack(faces)
    caption = np.full((_CAPTION, strip.shape[1]), 255, np.uint8)
    text = f"{record.subject}/{record.clip}: {EXPRESSIONS[record.label]}"
    # The fonts of OpenCV hold ASCII only.
    text = text.encode("ascii", "replace").decode()
    cv2.putText(caption, text, (1, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 0, 1, cv2.LINE_AA)
    cell = np.vstack([caption, strip])
    return np.pad(cell, ((0, _GAP), (0, _GAP)), constant_values=255)
