"""A grid of pictures of faces with row names, column names and a caption."""

import functools
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from icegan_jax.reporting import style

# In pixels.
_GAP = 8  # between cells
_MARGIN = 16  # around the grid
_FONT_SIZE = 15
_LINE_HEIGHT = 19
_CAPTION_FONT_SIZE = 12
_CAPTION_LINE_HEIGHT = 16
_MAX_ROW_NAME = 24  # letters

Color = NDArray[np.uint8]


@dataclass(frozen=True)
class FaceGrid:
    """The layout of a grid.

    Attributes:
        row_names: the names left of the rows; where all are empty, the grid has no column of names.
        column_names: the names above the columns, of one line or several.
        cell_size: pixels on a side of a cell.
        caption: the text below the grid.
    """

    row_names: tuple[str, ...]
    column_names: tuple[str, ...]
    cell_size: int
    caption: str

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        caption_height = len(self._caption_lines()) * _CAPTION_LINE_HEIGHT
        height = self._top + len(self.row_names) * (self.cell_size + _GAP) + caption_height + _MARGIN
        return self._right + _MARGIN, height

    def draw(self, cells: Sequence[Sequence[Color]]) -> Color:
        """Draw the cells uint8[cell_size, cell_size, 3], row by row, and return the picture uint8[h, w, 3]."""
        picture = Image.new("RGB", self.size, "white")
        pen = ImageDraw.Draw(picture)
        step = self.cell_size + _GAP
        for column, name in enumerate(self.column_names):
            at = (self._left + column * step + self.cell_size // 2, self._top - _GAP)
            pen.text(at, self._shorten(name), style.TEXT_COLOR, _font(_FONT_SIZE), anchor="md", align="center")
        for row, name in enumerate(self.row_names):
            at = (self._left - _MARGIN, self._top + row * step + self.cell_size // 2)
            pen.text(
                at, style.truncate(_printable(name), _MAX_ROW_NAME), style.TEXT_COLOR, _font(_FONT_SIZE), anchor="rm"
            )
            for column, cell in enumerate(cells[row]):
                picture.paste(Image.fromarray(cell), (self._left + column * step, self._top + row * step))
        for number, line in enumerate(self._caption_lines()):
            top = self._top + len(self.row_names) * step + number * _CAPTION_LINE_HEIGHT
            pen.text((_MARGIN, top), line, style.MUTED_COLOR, _font(_CAPTION_FONT_SIZE), anchor="la")
        return np.array(picture)

    @property
    def _left(self) -> int:
        names = [style.truncate(_printable(name), _MAX_ROW_NAME) for name in self.row_names]
        width = max(_text_width(name, _FONT_SIZE) for name in names)
        return _MARGIN + (width + _MARGIN if width else 0)

    @property
    def _right(self) -> int:
        return self._left + len(self.column_names) * (self.cell_size + _GAP) - _GAP

    @property
    def _top(self) -> int:
        return _MARGIN + _LINE_HEIGHT * max(name.count("\n") + 1 for name in self.column_names) + _GAP // 2

    def _caption_lines(self) -> list[str]:
        """Wrap the caption at the width of the grid."""
        lines: list[str] = []
        for word in _printable(self.caption).split():
            longer = f"{lines[-1]} {word}" if lines else word
            if lines and _text_width(longer, _CAPTION_FONT_SIZE) <= self._right - _MARGIN:
                lines[-1] = longer
            else:
                lines.append(word)
        return lines

    def _shorten(self, name: str) -> str:
        """Cut each line of a column name to the width of a cell."""
        lines = []
        for line in map(_printable, name.split("\n")):
            limit = len(line)
            while limit > 1 and _text_width(style.truncate(line, limit), _FONT_SIZE) > self.cell_size:
                limit -= 1
            lines.append(style.truncate(line, limit))
        return "\n".join(lines)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


def _text_width(text: str, size: int) -> int:
    return round(_font(size).getlength(text))


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans, which Matplotlib contains: the font has Greek and Cyrillic letters, too."""
    matplotlib = importlib.util.find_spec("matplotlib")  # importing Matplotlib would take a second
    assert matplotlib is not None and matplotlib.origin is not None
    return ImageFont.truetype(Path(matplotlib.origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf", size)
