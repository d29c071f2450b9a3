"""Annotation tables of the databases: xlsx, xls and csv, as text by column name."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from icegan_jax.data.sheets import UNSAVED, Sheet, read_sheets
from icegan_jax.errors import UserError

_SUFFIXES = (".xlsx", ".xlsm", ".xls", ".csv")
# Folders below the root in which find_tables looks: SMIC-E's lies 2 deep, nested archives add one or two.
_DEPTH = 5
# A number of more digits is a damaged cell: SMIC's longest frame numbers have 8 (docs/databases.md, "Identifiers").
_WHOLE = re.compile(r"[+-]?[0-9]{1,9}(\.0*)?")


def normalised(name: str) -> str:
    """Returns a column's name in lower case, letters and digits only: "onsetframe" of "Onset Frame"."""
    return re.sub(r"[\W_]+", "", name.lower())


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        number: row of the sheet or line of the file, from 1.
        cells: text of each cell by normalised column name; "" where empty. A column asked for as
            "a|b" is there as "a", whichever of the two the table has.
    """

    number: int
    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        """Returns a cell's text, stripped; "" where the cell is empty or there is no such column."""
        return self.cells.get(normalised(column), "").strip()

    def integer(self, column: str) -> int | None:
        """Returns a cell as a whole number ("12", "12.0"); None where it is empty or something else."""
        text = self.text(column)
        return int(float(text)) if text.isascii() and _WHOLE.fullmatch(text) else None


@dataclass(frozen=True)
class Table:
    """One sheet of a workbook, or a csv.

    Attributes:
        path: the file.
        sheet: name of the sheet; "" of a csv.
        columns: normalised names in the header, in order; blank ones left out.
        rows: those below the header, blank ones left out.
        several: whether the file has other sheets.
    """

    path: Path
    sheet: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    several: bool = False

    def place(self, row: Row) -> str:
        """Returns where a row stands, for messages: "FILE, row 17"."""
        sheet = f"sheet {self.sheet}, " if self.several else ""
        return f"{self.path.name}, {sheet}row {row.number}"


class OtherTable(UserError):
    """A readable table, but not the one asked for: it lacks the columns."""


def read_table(path: str | Path, required: Sequence[str], *, sheet: str | None = None) -> Table:
    """Reads the first sheet that has a header row with all the required columns.

    The header is the first row that holds them all; rows above it are a preamble, blank rows and
    blank header cells are ignored, of two columns with one name the first counts. Of a workbook the
    values that its formulas had when it was saved are read. A csv may be UTF-8, with or without
    BOM, or UTF-16, with commas, semicolons or tabs.

    Args:
        required: names of columns in any case and spacing; "a|b" is either, kept as ``a``.
        sheet: name of the sheet to prefer where the workbook has it.

    Raises:
        OtherTable: no sheet has the columns; the message names those missing, and what is there.
        UserError: no such file, damaged, or a formula without value in a required column.
    """
    path = Path(path)
    choices = [[normalised(name) for name in entry.split("|")] for entry in required]
    sheets = _preferred(read_sheets(path), sheet)
    best: tuple[list[str], list[str]] | None = None
    for candidate in sheets:
        for at, (_, cells) in enumerate(candidate.rows):
            header = [normalised(cell) for cell in cells]
            missing = [entry for entry, names in zip(required, choices, strict=True) if not set(names) & set(header)]
            if not missing:
                return _table(path, candidate, at, choices, _several(sheets))
            if best is None or len(missing) < len(best[0]):
                best = missing, [" ".join(cell.split())[:30] for cell in cells if cell.strip()]
    if best is None:
        raise OtherTable(f"{path}: holds no rows; give a table with the columns {', '.join(required)}")
    missing, found = best
    if len(missing) == len(required):
        found = next(([c.strip()[:30] for c in cells if c.strip()] for s in sheets for _, cells in s.rows), [])
    raise OtherTable(
        f"{path}: no header row with the column {', '.join(name.replace('|', ' or ') for name in missing)}; "
        f"the nearest row holds: {', '.join(found[:20])}"
    )


def read_headerless(path: str | Path, columns: Sequence[str], *, sheet: str | None = None) -> Table:
    """Reads a table whose first row is data already.

    Args:
        columns: names to give to the columns, from the left.
        sheet: name of the sheet to prefer; else the one with the most full rows.

    Raises:
        OtherTable: no row has as many cells as there are columns.
        UserError: no such file, or damaged, or a formula without value.
    """
    path = Path(path)
    names = [normalised(name) for name in columns]
    sheets = _preferred(read_sheets(path), sheet)

    def full(candidate: Sheet) -> int:
        return sum(len(cells) >= len(names) for _, cells in candidate.rows)

    wanted = [s for s in sheets if sheet is not None and normalised(s.name) == normalised(sheet)] or sheets
    best = max(wanted, key=full, default=None)
    if best is None or not full(best):
        raise OtherTable(f"{path}: no row holds {len(names)} columns: {', '.join(columns)}; give that table")
    rows = tuple(_rows(path, best, 0, dict(zip(names, range(len(names)), strict=True)), names))
    return Table(path, best.name, tuple(names), rows, _several(sheets))


def find_tables(root: str | Path) -> list[Path]:
    """Returns the xlsx, xls and csv files in a folder and its folders, up to 5 deep, sorted.

    Hidden files and the lock files of open workbooks ("~$...") are left out, as is a folder that
    cannot be read. A file that links lead to twice is named once.
    """
    root = Path(root)
    found: dict[Path, Path] = {}
    for folder, folders, files in os.walk(root, followlinks=True):
        depth = len(Path(folder).relative_to(root).parts)
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if depth < _DEPTH else []
        for name in sorted(files):
            if name.lower().endswith(_SUFFIXES) and not name.startswith((".", "~$")):
                path = Path(folder, name)
                ways = (path, found.get(path.resolve(), path))
                found[path.resolve()] = min(ways, key=lambda way: (len(way.parts), way))
    return sorted(found.values())


def _preferred(sheets: Sequence[Sheet], name: str | None) -> list[Sheet]:
    return sorted(sheets, key=lambda sheet: name is None or normalised(sheet.name) != normalised(name))


def _several(sheets: Sequence[Sheet]) -> bool:
    return len({sheet.name for sheet in sheets if sheet.rows}) > 1


def _table(path: Path, sheet: Sheet, at: int, choices: Sequence[Sequence[str]], several: bool) -> Table:
    header = [normalised(cell) for cell in sheet.rows[at][1]]
    places = {name: header.index(name) for name in reversed(header) if name}
    needed = []
    for names in choices:
        there = next(name for name in names if name in places)
        places[names[0]] = places[there]
        needed.append(names[0])
    rows = tuple(_rows(path, sheet, at + 1, places, needed))
    return Table(path, sheet.name, tuple(dict.fromkeys(name for name in header if name)), rows, several)


def _rows(path: Path, sheet: Sheet, start: int, places: Mapping[str, int], needed: Sequence[str]) -> Iterator[Row]:
    for number, cells in sheet.rows[start:]:
        texts = {name: cells[place] if place < len(cells) else "" for name, place in places.items()}
        for name in needed:
            if texts[name] == UNSAVED:
                raise UserError(
                    f"{path}, row {number}: {name} is a formula whose value was not saved; open the workbook in "
                    "a spreadsheet program and save it again, or use the original"
                )
        yield Row(number, {name: "" if text == UNSAVED else text for name, text in texts.items()})
