"""HTML elements that the sections share: paragraphs, tiles, sortable tables and embedded images."""

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

from PIL import Image

NUMBER = "number"  # the CSS class of a column of numbers

# CSS classes of figures: charts are inverted in dark mode, grids of faces are dimmed; ``wide`` and ``half`` figures
# scroll sideways on a phone instead of shrinking.
CHART, HALF_CHART, WIDE_CHART, WIDE_SHEET = "chart", "chart half", "chart wide", "sheet wide"
_QUALITY = 85  # of grids of faces as WebP: a seventh of the size of a PNG, without a visible difference


class Column(NamedTuple):
    """A column of a table.

    Attributes:
      name: text of the header.
      css_class: of the cells, or empty; the cells of a ``NUMBER`` column are ``Cell``, which sort by their values.
    """

    name: str
    css_class: str = ""


@dataclass(frozen=True)
class Cell:
    """A number: the text that is shown, and the value to sort by; None for an absent number."""

    text: str
    value: float | None


TableRow = Sequence[str | Cell]


def paragraph(text: str, css_class: str = "") -> str:
    """Return a paragraph of plain text, which is escaped."""
    return f'<p class="{css_class}">{escape(text)}</p>' if css_class else f"<p>{escape(text)}</p>"


def tiles(entries: Iterable[tuple[str, str]]) -> str:
    """Return tiles with the main results: (value, description) each."""
    cells = (f'<div class="tile"><b>{escape(value)}</b><span>{escape(text)}</span></div>' for value, text in entries)
    return f'<div class="tiles">{"".join(cells)}</div>'


def definition_list(entries: Iterable[tuple[str, str]]) -> str:
    """Return a list of (name, value)."""
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(value)}</dd>' for name, value in entries)}</dl>"


def scrollable(html: str, name: str, css_class: str = "") -> str:
    """Return a box with scroll bars around wide content, and with the class "long" around long content.

    Screen readers read the name, and the keyboard can scroll the box.
    """
    classes = f"scroll {css_class}".strip()
    return f'<div class="{classes}" role="region" aria-label="{escape(name)}" tabindex="0">{html}</div>'


def table(
    name: str,
    columns: Sequence[Column],
    rows: Iterable[TableRow],
    row_classes: Sequence[str] | None = None,
    element_id: str = "",
) -> str:
    """Return a table in a scrollable box; a click on a header sorts by that column.

    Args:
      name: of the box.
      columns: of the table.
      rows: a cell for each column; text is escaped.
      row_classes: a CSS class for each row, or empty.
      element_id: id of the table, for a form that filters the rows.
    """
    headers = "".join(
        f'<th scope="col" aria-sort="none"{_class_attribute(column)}>'
        f'<button type="button">{escape(column.name)}</button></th>'
        for column in columns
    )
    lines = []
    for number, row in enumerate(rows):
        row_class = f' class="{row_classes[number]}"' if row_classes and row_classes[number] else ""
        cells = "".join(_render_cell(column, cell) for column, cell in zip(columns, row, strict=True))
        lines.append(f"<tr{row_class}>{cells}</tr>")
    id_attribute = f' id="{element_id}"' if element_id else ""
    content = f"<thead><tr>{headers}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return scrollable(f'<table class="sortable"{id_attribute}>{content}</table>', name, "long")


def embed_figure(png: bytes, alt_text: str, css_class: str = CHART) -> str:
    """Return a PNG file as an embedded WebP in a scrollable box of its own."""
    data = io.BytesIO()
    with Image.open(io.BytesIO(png)) as opened:
        opened.convert("RGB").save(data, "WEBP", lossless=css_class != WIDE_SHEET, quality=_QUALITY)
    return scrollable(embed_image(data.getvalue(), alt_text, "image/webp"), alt_text, css_class)


def embed_image(content: bytes, alt_text: str, media_type: str) -> str:
    """Return an embedded image, whose content is a file of that media type."""
    encoded = base64.b64encode(content).decode("ascii")
    return f'<img alt="{escape(alt_text)}" src="data:{media_type};base64,{encoded}">'


def _class_attribute(column: Column) -> str:
    return f' class="{column.css_class}"' if column.css_class else ""


def _render_cell(column: Column, cell: str | Cell) -> str:
    if isinstance(cell, str):
        return f"<td{_class_attribute(column)}>{escape(cell)}</td>"
    value = "" if cell.value is None else f"{cell.value:.9g}"
    return f'<td{_class_attribute(column)} data-value="{value}">{escape(cell.text)}</td>'
