"""The tables of the experiments, written as CSV and Markdown."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from icegan_jax.io import write_text

Row = Mapping[str, object]


def write_tables(out: Path, title: str, columns: Sequence[str], rows: Sequence[Row], notes: Sequence[str] = ()) -> str:
    """Write ``out/table.csv`` and ``out/table.md``, and print the Markdown text and the paths.

    Args:
      out: folder of the experiment.
      title: title of the Markdown table.
      columns: keys in Markdown, in order, with ``_`` replaced by a space. The value of ``uf1`` is combined with
        ``uf1_low``, ``uf1_high`` and ``uf1_sd`` where the row has them: mean, 95% interval, deviation over seeds.
      rows: values by key; keys may be missing. The CSV has all keys of all rows.
      notes: sentences below the table.

    Returns:
      The Markdown text.
    """
    keys = list(dict.fromkeys([*columns, *(key for row in rows for key in row)]))
    write_text(out / "table.csv", pd.DataFrame(rows, columns=keys, dtype=object).to_csv(index=False))
    heads = [name.replace("_", " ") for name in columns]
    cells = [[_shown(row, name) for name in columns] for row in rows]
    markdown = "\n".join([f"# {title}", "", markdown_table(heads, cells), *(f"- {note}" for note in notes)]) + "\n"
    write_text(out / "table.md", markdown)
    print(f"{markdown}\ntable: {out / 'table.csv'}, {out / 'table.md'}", flush=True)
    return markdown


def markdown_table(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """Return the table as Markdown, with a line break at the end."""
    return "\n".join("| " + " | ".join(line) + " |" for line in [heads, ["---"] * len(heads), *cells]) + "\n"


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
