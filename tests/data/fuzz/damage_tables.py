"""Damage inside tables: files that can still be read, but say something odd."""

import csv
import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl

from tests.data.fuzz.workspace import Workspace

Rows = list[list[object]]

# What can be written again: nothing here writes an xls of more than bare cells.
_EDITABLE = (".xlsx", ".csv")

ODD = (
    "",
    None,
    "n/a",
    "#REF!",
    "-5",
    "46.5",
    "1e300",
    "99999999999999999999",
    "0",
    "\u0664\u0666",
    "\uff14\uff16",
    "../../etc/passwd",
    "con:",
    "x" * 3000,
    "line\nbreak",
    "=1+1",
    "=A1",
    "nan",
    "inf",
    "TRUE",
    " ",
    "\u00a046\u00a0",
    "\ud7a3\u0301",
    "others",
)


def xml_flip(workspace: Workspace) -> None:
    """Change characters in the unpacked text of a workbook; its check sums are right."""
    path = workspace.pick((".xlsx",))
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = workspace.rng.choice([n for n in sorted(parts) if "sheet" in n or "sharedStrings" in n])
    data = bytearray(parts[name])
    inside = [k for actual in re.finditer(rb">([^<]+)<", data) for k in range(*actual.span(1))]
    for _ in range(workspace.rng.choice((1, 1, 3))):
        if inside and workspace.rng.random() < 0.7:  # a character of a cell
            data[workspace.rng.choice(inside)] = workspace.rng.choice(b"0123456789aeEpnorstS")
        else:
            data[workspace.rng.randrange(len(data))] ^= 1 << workspace.rng.randrange(8)
    parts[name] = bytes(data)
    path.unlink()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, content in parts.items():
            archive.writestr(part, content)
    workspace.record_damage(f"text changed in {name} of", path)


def _edit(workspace: Workspace, path: Path, change: Callable[[Rows], Rows]) -> None:
    """Apply a change to the rows of a csv, or of a workbook's first sheet; saved formulas lose their values."""
    if path.suffix == ".csv":
        rows: Rows = [list(row) for row in csv.reader(io.StringIO(path.read_text(encoding="utf-8")))]
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(change(rows))
        workspace.replace(path, text.getvalue().encode())
        return
    book = openpyxl.load_workbook(path)
    sheet = book.worksheets[0]
    values: Rows = [[cell.value for cell in row] for row in sheet.iter_rows()]
    sheet.delete_rows(1, sheet.max_row)
    for row in change(values):
        sheet.append(row)
    path.unlink()
    book.save(path)


def odd_cell(workspace: Workspace) -> None:
    """Write something odd into a cell."""
    path, value = workspace.pick(_EDITABLE), workspace.rng.choice(ODD)

    def change(rows: Rows) -> Rows:
        row = workspace.rng.choice([row for row in rows if len([cell for cell in row if cell is not None]) > 1])
        row[workspace.rng.randrange(len(row))] = value
        return rows

    _edit(workspace, path, change)
    workspace.record_damage(f"a cell set to {ascii(value)[:40]} in", path)


def number_cell(workspace: Workspace) -> None:
    """Write another number over a number."""
    path = workspace.pick(_EDITABLE)
    value = workspace.rng.choice((0, 1, 7, 97, 44240, 10**6, 999_999_999, -1))

    def change(rows: Rows) -> Rows:
        places = [(row, i) for row in rows for i, cell in enumerate(row) if str(cell).isdigit()]
        row, i = workspace.rng.choice(places)
        row[i] = value
        return rows

    _edit(workspace, path, change)
    workspace.record_damage(f"a number set to {value} in", path)


def row_or_column(workspace: Workspace) -> None:
    """Remove or doubles a row, removes or swaps columns."""
    path = workspace.pick(_EDITABLE)
    kind = workspace.rng.choice(("row removed", "row doubled", "column removed", "columns swapped", "header renamed"))

    def change(rows: Rows) -> Rows:
        full = [i for i, row in enumerate(rows) if len([cell for cell in row if cell is not None]) > 2]
        i, k = workspace.rng.choice(full), workspace.rng.randrange(4)
        if kind == "row removed":
            del rows[i]
        elif kind == "row doubled":
            rows.insert(i, list(rows[i]))
        elif kind == "header renamed":
            rows[full[0]][k] = "Something"
        for row in rows:
            if kind == "column removed":
                del row[k : k + 1]
            elif kind == "columns swapped" and len(row) > k + 1:
                row[k], row[k + 1] = row[k + 1], row[k]
        return rows

    _edit(workspace, path, change)
    workspace.record_damage(f"{kind} in", path)


def encoding(workspace: Workspace) -> None:
    """Save a csv in another encoding, with other line ends or delimiters, or with odd characters."""
    path = workspace.pick((".csv",))
    text = path.read_text(encoding="utf-8")
    kind = workspace.rng.choice(
        (
            "BOM",
            "CRLF",
            "CR",
            "semicolons",
            "tabs",
            "UTF-16",
            "UTF-32",
            "Latin-1",
            "NUL",
            "quote",
            "blank lines",
            "bars",
        )
    )
    at = workspace.rng.randrange(len(text))
    data = {
        "BOM": text.encode("utf-8-sig"),
        "CRLF": text.replace("\n", "\r\n").encode(),
        "CR": text.replace("\n", "\r").encode(),
        "semicolons": text.replace(",", ";").encode(),
        "tabs": text.replace(",", "\t").encode(),
        "bars": text.replace(",", "|").encode(),
        "UTF-16": text.encode("utf-16"),
        "UTF-32": text.encode("utf-32"),
        "Latin-1": (text[:at] + "\xe9" + text[at:]).encode("latin-1"),
        "NUL": (text[:at] + "\0" + text[at:]).encode(),
        "quote": (text[:at] + '"' + text[at:]).encode(),
        "blank lines": text.replace("\n", "\n\n , \n").encode(),
    }[kind]
    workspace.replace(path, data)
    workspace.record_damage(f"saved with {kind}", path)
