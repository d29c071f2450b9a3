"""Pieces of HTML that the sections share: tables, which sort where they are asked to, tiles and pictures."""

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

from PIL import Image

# A picture's kind: charts are turned dark in dark mode, sheets of faces are dimmed; ``wide`` and ``half`` ones scroll
# sideways on a phone instead of shrinking.
CHART, HALF_CHART, WIDE_CHART, WIDE_SHEET = "chart", "chart half", "chart wide", "sheet wide"
_QUALITY = 85  # of sheets of faces as WebP: a seventh of a PNG, and no difference to be seen


NUMBER = "number"


class Column(NamedTuple):
    """A column of a table.

    Attributes:
      name: its header.
      kind: a class of the style sheet, or none; of ``NUMBER`` the cells are ``Cell`` and sorted by their values.
    """

    name: str
    kind: str = ""


@dataclass(frozen=True)
class Cell:
    """A number as it is shown, and as it is sorted; None where there is none."""

    text: str
    value: float | None


TableRow = Sequence[str | Cell]  # of a table


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text; ``kind``: a class of the style sheet, or none."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def tiles(entries: Iterable[tuple[str, str]]) -> str:
    """What a reader looks for first: (value, words) each."""
    cells = (f'<div class="tile"><b>{escape(value)}</b><span>{escape(words)}</span></div>' for value, words in entries)
    return f'<div class="tiles">{"".join(cells)}</div>'


def definition_list(entries: Iterable[tuple[str, str]]) -> str:
    """A list of (name, value)."""
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(value)}</dd>' for name, value in entries)}</dl>"


def scrollable(html: str, name: str, kind: str = "") -> str:
    """A box that scrolls what is too wide, and with ``kind`` "long" what is too long.

    Its name is read out, and the box takes the keyboard.
    """
    return (
        f'<div class="{f"scroll {kind}".strip()}" role="region" aria-label="{escape(name)}" tabindex="0">{html}</div>'
    )


def table(
    name: str,
    columns: Sequence[Column],
    rows: Iterable[TableRow],
    marks: Sequence[str] | None = None,
    identity: str = "",
) -> str:
    """A table in a scrolling box that sorts by the header that is pressed.

    Args:
      name: what the box is called.
      columns: of the table.
      rows: a cell for each column; text is escaped.
      marks: a class of the style sheet for each row; empty: none.
      identity: its id, for a form that filters it.
    """
    heads = "".join(
        f'<th scope="col" aria-sort="none"{_kind(column)}><button type="button">{escape(column.name)}</button></th>'
        for column in columns
    )
    lines = []
    for number, row in enumerate(rows):
        mark = f' class="{marks[number]}"' if marks and marks[number] else ""
        cells = "".join(_cell(column, cell) for column, cell in zip(columns, row, strict=True))
        lines.append(f"<tr{mark}>{cells}</tr>")
    named = f' id="{identity}"' if identity else ""
    content = f"<thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return scrollable(f'<table class="sortable"{named}>{content}</table>', name, "long")


def embed_figure(png: bytes, words: str, kind: str = CHART) -> str:
    """A PNG file, embedded as WebP in its own box; ``words`` say what it shows."""
    data = io.BytesIO()
    with Image.open(io.BytesIO(png)) as opened:
        opened.convert("RGB").save(data, "WEBP", lossless=kind != WIDE_SHEET, quality=_QUALITY)
    return scrollable(embed_image(data.getvalue(), words, "image/webp"), words, kind)


def embed_image(content: bytes, words: str, media: str) -> str:
    """An embedded picture of that media type."""
    return f'<img alt="{escape(words)}" src="data:{media};base64,{base64.b64encode(content).decode("ascii")}">'


def _kind(column: Column) -> str:
    return f' class="{column.kind}"' if column.kind else ""


def _cell(column: Column, cell: str | Cell) -> str:
    if isinstance(cell, str):
        return f"<td{_kind(column)}>{escape(cell)}</td>"
    value = "" if cell.value is None else f"{cell.value:.9g}"
    return f'<td{_kind(column)} data-value="{value}">{escape(cell.text)}</td>'
