"""The tables of the experiments, written as CSV, Markdown and an image."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from icegan_jax.io import write_text
from icegan_jax.reporting import style

Row = Mapping[str, object]

_LETTER = 0.078  # inches per letter at the text size of the images
_LINE = 0.27  # inches between lines


def write_tables(out: Path, title: str, columns: Sequence[str], rows: Sequence[Row], notes: Sequence[str] = ()) -> str:
    """Write ``out/table.csv``, ``table.md`` and ``table.png``, and print the Markdown text and the paths.

    Args:
      out: folder of the experiment.
      title: title of the Markdown table and of the image.
      columns: keys in Markdown and image, in order, with ``_`` replaced by a space. The value of ``uf1`` is combined
          with
        ``uf1_low``, ``uf1_high`` and ``uf1_sd`` where the row has them: mean, 95% interval, deviation over seeds.
      rows: values by key; keys may be missing. The CSV has all keys of all rows.
      notes: sentences below the table.

    Returns:
      The Markdown text.
    """
    keys = list(dict.fromkeys([*columns, *(key for row in rows for key in row)]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(keys)
    writer.writerows([["" if row.get(key) is None else row[key] for key in keys] for row in rows])
    write_text(out / "table.csv", text.getvalue())
    heads = [name.replace("_", " ") for name in columns]
    cells = [[_shown(row, name) for name in columns] for row in rows]
    lines = ["| " + " | ".join(line) + " |" for line in [heads, ["---"] * len(columns), *cells]]
    markdown = "\n".join([f"# {title}", "", *lines, "", *(f"- {note}" for note in notes)]) + "\n"
    write_text(out / "table.md", markdown)
    style.save_figure(_picture(title, heads, cells, notes), out / "table.png")
    print(f"{markdown}\ntable: {out / 'table.csv'}, {out / 'table.md'}, {out / 'table.png'}", flush=True)
    return markdown


def _shown(row: Row, name: str) -> str:
    value, low, high, sd = (row.get(key) for key in (name, f"{name}_low", f"{name}_high", f"{name}_sd"))
    interval = "" if low is None or high is None else f" [{_number(low)}, {_number(high)}]"
    return _number(value) + interval + ("" if sd is None else f" ±{_number(sd)}")


def _number(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _picture(title: str, columns: Sequence[str], cells: Sequence[Sequence[str]], notes: Sequence[str]) -> Figure:
    """Draw the table as text on white, with columns as wide as their longest entry and numbers aligned right."""
    widths = [max(len(line[place]) for line in [columns, *cells]) * _LETTER + 0.22 for place in range(len(columns))]
    width = max(sum(widths) + 0.3, len(title) * _LETTER * 1.3 + 0.3)
    limit = int((width - 0.3) / _LETTER)
    note_lines = [line for note in notes for line in _wrapped(note, limit)]
    height = (len(cells) + 2.6 + len(note_lines)) * _LINE + 0.3
    figure = Figure(figsize=(width, height))

    def write(x: float, line: float, text: str, **properties: object) -> None:
        place = (x / width, 1 - (0.2 + line * _LINE) / height)
        figure.text(
            *place,
            style.escape_mathtext(text),
            va="top",
            **{"fontsize": style.TEXT_SIZE, "color": style.TEXT_COLOR} | properties,
        )

    numeric = [
        any(line[place][:1].isdigit() or line[place][:1] == "-" for line in cells) for place in range(len(columns))
    ]
    write(0.15, 0, title, fontsize=style.TITLE_SIZE, weight="bold")
    for line, texts in enumerate([columns, *cells]):
        left = 0.15
        for place, (text, wide) in enumerate(zip(texts, widths, strict=True)):
            properties: dict[str, object] = {"color": style.MUTED_COLOR} if line == 0 else {}
            if numeric[place]:
                write(left + wide - 0.2, line + 1.4, text, ha="right", **properties)
            else:
                write(left, line + 1.4, text, **properties)
            left += wide
    for line, text in enumerate(note_lines):
        write(0.15, len(cells) + 2.8 + line, text, fontsize=style.SMALL_SIZE, color=style.MUTED_COLOR)
    return figure


def _wrapped(text: str, limit: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) + 1 > limit and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
