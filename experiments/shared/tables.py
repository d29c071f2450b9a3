"""The tables of the experiments, written as CSV, Markdown and HTML."""

import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from icegan_jax.io import write_text

Row = Mapping[str, object]
_STYLE = "body{font:14px sans-serif;margin:2em}td,th{padding:.2em .6em;border-bottom:1px solid #ccc;text-align:left}"


def write_tables(
    out: Path, title: str, columns: Sequence[str], rows: Sequence[Row], notes: Sequence[str] = (), name: str = "table"
) -> str:
    """Write ``out/table.csv``, ``out/table.md`` and ``out/table.html``, and print the Markdown text and the paths.

    Args:
      out: folder of the experiment.
      title: title of the Markdown table.
      columns: keys in Markdown, in order, with ``_`` replaced by a space. The value of ``uf1`` is combined with
        ``uf1_low``, ``uf1_high`` and ``uf1_sd`` where the row has them: mean, 95% interval, deviation over seeds.
      rows: values by key; keys may be missing. The CSV has all keys of all rows.
      notes: sentences below the table.
      name: the name of the files, without ending.

    Returns:
      The Markdown text.
    """
    keys = list(dict.fromkeys([*columns, *(key for row in rows for key in row)]))
    write_text(out / f"{name}.csv", pd.DataFrame(rows, columns=keys, dtype=object).to_csv(index=False))
    heads = [key.replace("_", " ") for key in columns]
    cells = [[_shown(row, key) for key in columns] for row in rows]
    markdown = "\n".join([f"# {title}", "", markdown_table(heads, cells), *(f"- {note}" for note in notes)]) + "\n"
    write_text(out / f"{name}.md", markdown)
    table = _html_line("th", heads) + "".join(_html_line("td", line) for line in cells)
    page = f"<title>{html.escape(title)}</title><style>{_STYLE}</style><h1>{html.escape(title)}</h1>"
    below = "".join(f"<p>{html.escape(note)}</p>" for note in notes)
    page = f'<!doctype html><html lang="en"><meta charset="utf-8">{page}<table>{table}</table>{below}</html>\n'
    write_text(out / f"{name}.html", page)
    print(f"{markdown}\n{name}: {', '.join(str(out / f'{name}{end}') for end in ('.csv', '.md', '.html'))}", flush=True)
    return markdown


def markdown_table(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """Return the table as Markdown, with a line break at the end."""
    return "\n".join("| " + " | ".join(line) + " |" for line in [heads, ["---"] * len(heads), *cells]) + "\n"


def _html_line(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>\n"


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
