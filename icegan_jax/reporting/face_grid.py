"""Pictures made of faces: grids with names and captions, and the colored difference of two faces."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from icegan_jax.reporting import fonts, style

# In pixels.
_GAP = 8  # between cells
_MARGIN = 16  # around the grid
_FONT_SIZE = 15
_LINE_HEIGHT = 19
_SMALL_FONT_SIZE = 12  # of the text below a cell and of the caption
_SMALL_LINE_HEIGHT = 16
_FRAME_WIDTH = 4
_MAX_ROW_NAME = 220

# Colors of a signed difference, from blue (darker) to red (brighter): ColorBrewer's RdBu in reverse. Matplotlib's
# colormap of that name is not used, so that a prediction does not import Matplotlib.
_DIFFERENCE_ANCHORS = "053061 2166ac 4393c3 92c5de d1e5f0 f7f7f7 fddbc7 f4a582 d6604d b2182b 67001f"
_NUM_COLORS = 256

Gray = NDArray[np.uint8]
Color = NDArray[np.uint8]
Frames = Mapping[tuple[int, int], str]


@dataclass(frozen=True)
class FaceGrid:
    """The layout of a grid.

    Attributes:
        row_names: the names left of the rows, of one line or several; where all are empty, there is no column of names.
        column_names: the names above the columns, likewise.
        cell_size: width and height of a cell in pixels.
        caption: the text below the grid.
        cell_names: a line below each cell, row by row; empty for no lines.
    """

    row_names: Sequence[str]
    column_names: Sequence[str]
    cell_size: tuple[int, int]
    caption: str = ""
    cell_names: Sequence[Sequence[str]] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height = self._corner(len(self.row_names), 0)[1] + len(self._caption_lines()) * _SMALL_LINE_HEIGHT + _MARGIN
        return self._right + _MARGIN, height

    def draw(self, cells: Sequence[Sequence[Gray | Color]], frames: Frames | None = None) -> Color:
        """Draw the grid.

        Args:
            cells: pictures uint8[h, w] or uint8[h, w, 3], row by row; the last row may be shorter. A picture of another
                size is scaled to the size of a cell: pixel by pixel for a multiple, else by interpolation.
            frames: the colors ("#rrggbb") of the frames around cells, by row and column.

        Returns:
            The picture uint8[height, width, 3].
        """
        picture = Image.new("RGB", self.size, "white")
        pen = ImageDraw.Draw(picture)
        width, height = self.cell_size
        for column, name in enumerate(self.column_names):
            x, y = self._corner(0, column)
            text = _fit(name, width, _FONT_SIZE)
            _draw_text(pen, (x + width // 2, y - _GAP), text, _FONT_SIZE, anchor="md")
        for row, name in enumerate(self.row_names):
            at = (self._left - _MARGIN, self._corner(row, 0)[1] + height // 2)
            text = _fit(name, _MAX_ROW_NAME, _FONT_SIZE)
            _draw_text(pen, at, text, _FONT_SIZE, anchor="rm")
            for column, cell in enumerate(cells[row]):
                x, y = self._corner(row, column)
                if color := (frames or {}).get((row, column)):
                    far = (x + width + _FRAME_WIDTH - 1, y + height + _FRAME_WIDTH - 1)
                    pen.rectangle((x - _FRAME_WIDTH, y - _FRAME_WIDTH, *far), fill=color)
                picture.paste(_scale(cell, self.cell_size), (x, y))
                if self.cell_names:
                    text = _fit(self.cell_names[row][column], width, _SMALL_FONT_SIZE)
                    _draw_text(pen, (x, y + height + _FRAME_WIDTH), text, _SMALL_FONT_SIZE)
        top = self._corner(len(self.row_names), 0)[1]
        for number, line in enumerate(self._caption_lines()):
            at = (_MARGIN, top + number * _SMALL_LINE_HEIGHT)
            _draw_text(pen, at, line, _SMALL_FONT_SIZE, fill=style.MUTED_COLOR)
        return np.array(picture)

    def _corner(self, row: int, column: int) -> tuple[int, int]:
        """Return x and y of the upper left corner of a cell."""
        step = self.cell_size[1] + _GAP + (_SMALL_LINE_HEIGHT if self.cell_names else 0)
        lines = max((name.count("\n") + 1 for name in self.column_names if name), default=0)
        top = _MARGIN + lines * _LINE_HEIGHT + _GAP // 2
        return self._left + column * (self.cell_size[0] + _GAP), top + row * step

    @functools.cached_property
    def _left(self) -> int:
        lines = (line for name in self.row_names for line in _fit(name, _MAX_ROW_NAME, _FONT_SIZE).split("\n"))
        width = max((_text_width(line, _FONT_SIZE) for line in lines), default=0)
        return _MARGIN + (width + _MARGIN if width else 0)

    @property
    def _right(self) -> int:
        return self._left + len(self.column_names) * (self.cell_size[0] + _GAP) - _GAP

    def _caption_lines(self) -> list[str]:
        """Wrap the caption at the width of the grid."""
        lines: list[str] = []
        for word in style.legible(self.caption).split():
            longer = f"{lines[-1]} {word}" if lines else word
            if lines and _text_width(longer, _SMALL_FONT_SIZE) <= self._right - _MARGIN:
                lines[-1] = longer
            else:
                lines.append(word)
        return lines


def difference_image(onset: Gray, face: Gray) -> Color:
    """Return the signed difference of two faces in colors: red is brighter than the onset, blue is darker.

    Args:
        onset: uint8[h, w].
        face: uint8[h, w]; its difference to the onset is multiplied by ``style.DIFFERENCE_GAIN``.

    Returns:
        uint8[h, w, 3].
    """
    difference = (face.astype(np.float64) - onset) * style.DIFFERENCE_GAIN / 255
    levels = np.clip((difference + 1) / 2 * _NUM_COLORS, 0, _NUM_COLORS - 1).astype(int)
    return _difference_colors()[levels]


def compare_faces(onset: Gray, apex: Gray) -> Color:
    """Return onset, apex and their ``difference_image`` side by side: uint8[h, 3 * w, 3]."""
    gray = np.hstack([onset, apex])
    return np.hstack([np.repeat(gray[..., None], 3, axis=2), difference_image(onset, apex)])


def cell_side(image_size: int, least: int) -> int:
    """Return the smallest multiple of the side of the faces that is at least ``least`` pixels."""
    return image_size * -(-least // image_size)


def _scale(picture: Gray | Color, size: tuple[int, int]) -> Image.Image:
    image = Image.fromarray(picture).convert("RGB")
    is_multiple = size[0] % image.width == 0 and size[1] % image.height == 0
    return image.resize(size, Image.Resampling.NEAREST if is_multiple else Image.Resampling.BICUBIC)


@functools.cache
def _difference_colors() -> Color:
    """Return the colors uint8[256, 3] of differences from the most negative to the most positive."""
    anchors = np.array([list(bytes.fromhex(code)) for code in _DIFFERENCE_ANCHORS.split()]) / 255
    x, x_anchors = np.linspace(0, 1, _NUM_COLORS), np.linspace(0, 1, len(anchors))
    return (np.stack([np.interp(x, x_anchors, channel) for channel in anchors.T], axis=1) * 255).astype(np.uint8)


def _fit(name: str, width: int, size: int) -> str:
    """Cut each line of a name to a width in pixels."""
    lines = []
    for line in map(style.legible, name.split("\n")):
        limit = min(len(line), width)  # a letter takes a pixel or more
        while limit > 1 and _text_width(style.truncate(line, limit), size) > width:
            limit -= 1
        lines.append(style.truncate(line, limit))
    return "\n".join(lines)


def _draw_text(
    pen: ImageDraw.ImageDraw,
    at: tuple[int, int],
    text: str,
    size: int,
    fill: str = style.TEXT_COLOR,
    anchor: str = "la",
) -> None:
    align = {"m": "center", "r": "right"}.get(anchor[0], "left")
    pen.text(at, text, fill, fonts.font(fonts.font_file(text), size), anchor=anchor, align=align)


def _text_width(text: str, size: int) -> int:
    return round(fonts.font(fonts.font_file(text), size).getlength(text))
