"""Many faces on one picture: a row for each neutral face, a column for each expression, with their names."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from icegan_jax.reporting import style

Colour = NDArray[np.uint8]

_GAP = 8  # pixels between cells
_EDGE = 16  # around everything
_TEXT = 15
_LINE = 19
_SMALL = 12
_SMALL_LINE = 16
_MOST_NAME = 24  # letters of a row's name


@dataclass(frozen=True)
class FaceGrid:
    """Where things are.

    Attributes:
        rows: names, left of the rows; an empty one takes no room.
        heads: above the columns, of one line or several.
        side: pixels on a side of a cell.
        foot: words below.
    """

    rows: tuple[str, ...]
    heads: tuple[str, ...]
    side: int
    foot: str

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height = self._top + len(self.rows) * (self.side + _GAP) + len(self._foot_lines()) * _SMALL_LINE + _EDGE
        return self._right + _EDGE, height

    def drawn(self, cells: Sequence[Sequence[Colour]]) -> Colour:
        """The sheet uint8[h, w, 3] with cells uint8[side, side, 3], row by row."""
        page = Image.new("RGB", self.size, "white")
        pen = ImageDraw.Draw(page)
        step = self.side + _GAP
        for column, head in enumerate(self.heads):
            place = (self._left + column * step + self.side // 2, self._top - _GAP)
            pen.text(place, self._fitting(head), style.TEXT_COLOR, _font(_TEXT), anchor="md", align="center")
        for row, name in enumerate(self.rows):
            place = (self._left - _EDGE, self._top + row * step + self.side // 2)
            pen.text(place, style.truncate(_shown(name), _MOST_NAME), style.TEXT_COLOR, _font(_TEXT), anchor="rm")
            for column, cell in enumerate(cells[row]):
                page.paste(Image.fromarray(cell), (self._left + column * step, self._top + row * step))
        for number, line in enumerate(self._foot_lines()):
            top = self._top + len(self.rows) * step + number * _SMALL_LINE
            pen.text((_EDGE, top), line, style.MUTED_COLOR, _font(_SMALL), anchor="la")
        return np.array(page)

    @property
    def _left(self) -> int:
        names = [style.truncate(_shown(name), _MOST_NAME) for name in self.rows]
        widest = max(_width(name, _TEXT) for name in names)
        return _EDGE + (widest + _EDGE if widest else 0)

    @property
    def _right(self) -> int:
        return self._left + len(self.heads) * (self.side + _GAP) - _GAP

    @property
    def _top(self) -> int:
        return _EDGE + _LINE * max(head.count("\n") + 1 for head in self.heads) + _GAP // 2

    def _foot_lines(self) -> list[str]:
        """The foot, broken between words where the cells end."""
        lines: list[str] = []
        for word in _shown(self.foot).split():
            longer = f"{lines[-1]} {word}" if lines else word
            if lines and _width(longer, _SMALL) <= self._right - _EDGE:
                lines[-1] = longer
            else:
                lines.append(word)
        return lines

    def _fitting(self, head: str) -> str:
        """A column's head, each line cut to the width of a cell."""
        lines = []
        for line in map(_shown, head.split("\n")):
            limit = len(line)
            while limit > 1 and _width(style.truncate(line, limit), _TEXT) > self.side:
                limit -= 1
            lines.append(style.truncate(line, limit))
        return "\n".join(lines)


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


def _width(text: str, size: int) -> int:
    return round(_font(size).getlength(text))


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib brings: it has Greek and Cyrillic too."""
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", size)
