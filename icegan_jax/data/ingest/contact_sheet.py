"""The contact sheet of a prepared folder: onset, apex and their difference of each clip, by subject."""

import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from icegan_jax.data.dataset import Record

_FACE = 96  # pixels on a side
_CAPTION = 16  # height of the line above a clip's faces
_HEADING = 26  # height of a subject's line
_GAP = 8
_WIDTH = 3 * _FACE + _GAP  # of a column
_CELL = _CAPTION + _FACE + _GAP
# The 442 clips of MEGC2019 make one sheet of about 3900 x 4500 pixels; clips that do not fit into this many columns of
# this height go onto a further sheet.
_MAX_COLUMNS = 14
_MAX_HEIGHT = 4800
_NOTE = (
    "Per clip: onset, apex, and 4 x (apex - onset) on mid-gray. Recognizable faces: do not share those of licensed "
    "databases."
)

# Factor of the difference, so that a change of a few gray levels is visible.
GAIN = 4

Gray = NDArray[np.uint8]


def write_contact_sheet(path: Path, apexes: Sequence[Record], classes: Sequence[str]) -> None:
    """Write a PNG with onset, apex and mid-gray plus 4 times (apex - onset) of every clip.

    Clips are arranged in columns, sorted by dataset and subject, with a heading for each subject. Clips beyond 14
    columns of 4800 pixels (about 550 clips) go into further files: contact_sheet_2.png and so on.

    Args:
        path: the file to write.
        apexes: at least one record, of shift 0.
        classes: names of the classes.
    """
    records = sorted(apexes, key=sort_key)
    subjects = len({(r.dataset, r.subject) for r in records})
    total = len(records) * _CELL + subjects * _HEADING
    count = max(1, round(math.sqrt(total / (1.2 * _WIDTH))))  # the sheet is a fifth higher than wide
    height = min(_MAX_HEIGHT, total // count + _HEADING + _CELL)
    columns = list(_columns(records, classes, height))
    for number, first in enumerate(range(0, len(columns), _MAX_COLUMNS), 1):
        file = path if number == 1 else path.with_name(f"{path.stem}_{number}{path.suffix}")
        _save(file, columns[first : first + _MAX_COLUMNS])


def sort_key(record: Record) -> tuple[str, str, list[tuple[int, str]]]:
    """Return a key that sorts records by dataset, subject and clip, with numbers in clip names by their value."""
    parts = re.findall(r"[0-9]+|[^0-9]+", record.clip)
    numbered = [(int(part), "") if part.isdecimal() and part.isascii() else (-1, part) for part in parts]
    return record.dataset, record.subject, numbered


def draw_strip(record: Record, size: int) -> Gray:
    """Return uint8[size, 3 * size]: onset, apex, and mid-gray plus 4 times (apex - onset)."""
    change = record.apex.astype(np.float32) - record.onset.astype(np.float32)
    gray = np.clip(128 + GAIN * change, 0, 255).astype(np.uint8)
    faces = (record.onset, record.apex, gray)
    return np.hstack([cv2.resize(face, (size, size), interpolation=cv2.INTER_AREA) for face in faces]).astype(np.uint8)


def _columns(records: Sequence[Record], classes: Sequence[str], height: int) -> Iterator[Gray]:
    """Yield columns of at most the given height; a heading always has a clip below it."""
    column: list[Gray] = []
    used = 0
    for (dataset, subject), group in groupby(records, key=lambda r: (r.dataset, r.subject)):
        group_records = list(group)
        clips = f"{len(group_records)} clip{'s' if len(group_records) > 1 else ''}"
        heading: Gray | None = _text(f"{dataset} / {subject}: {clips}", _HEADING, 15)
        for record in group_records:
            needed = _CELL + (_HEADING if heading is not None else 0)
            if column and used + needed > height:
                yield np.vstack(column)
                column, used = [], 0
                if heading is None:
                    heading = _text(f"{dataset} / {subject}, continued", _HEADING, 15)
            if heading is not None:
                column.append(heading)
                used += _HEADING
                heading = None
            column.append(_cell(record, classes[record.label]))
            used += _CELL
    if column:
        yield np.vstack(column)


def _cell(record: Record, word: str) -> Gray:
    """Return uint8[_CELL, _WIDTH]: the caption above the three faces, with white gaps around."""
    strip = draw_strip(record, _FACE)
    caption = _text(f"{record.clip}: {word}", _CAPTION, 12)
    return np.vstack([caption, np.pad(strip, ((0, _GAP), (0, _GAP)), constant_values=255)])


def _text(line: str, height: int, size: int, width: int = _WIDTH) -> Gray:
    """Return uint8[height, width]: text in black on white at the lower edge, cut off at the right edge."""
    image = Image.new("L", (width, height), 255)
    plain = line.encode("ascii", "replace").decode()  # Pillow's own font has ASCII only
    ImageDraw.Draw(image).text((1, height - 3), plain, fill=0, font=ImageFont.load_default(size), anchor="ls")
    return np.asarray(image, np.uint8)


def _save(path: Path, columns: Sequence[Gray]) -> None:
    width = len(columns) * _WIDTH
    tallest = max(column.shape[0] for column in columns)
    sheet = np.hstack([np.pad(c, ((0, tallest - len(c)), (0, 0)), constant_values=255) for c in columns])
    note = [_text(line, 20, 13, width) for line in textwrap.wrap(_NOTE, width // 7)]
    whole = np.pad(np.vstack([*note, sheet]), ((_GAP, 0), (_GAP, 0)), constant_values=255)
    Image.fromarray(whole).save(path, format="PNG")
