"""The sheets of a workbook or a csv as rows of text: openpyxl, xlrd, and the encodings of a csv.

Annotation tables of the databases: xlsx, xls and csv, as text by column name.
"""

import csv
import datetime
import io
import os
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from icegan_jax.errors import UserError

if TYPE_CHECKING:
    import xlrd

# Text of a cell whose formula was saved without its value; no cell can hold it: Excel has no NUL.
UNSAVED = "\0"

# Guards against damaged or hostile files; the largest annotation known has 7,526 rows of 9 columns
# (docs/databases.md, "DFME and other databases").
_MOST_ROWS = 50_000

_MOST_BLANK_ROWS = 1000

_MOST_COLUMNS = 100

_MOST_SHEETS = 50

_MOST_BYTES = 100_000_000

# First bytes of a file: a zip (xlsx); an OLE container and bare BIFF 2, 3, 4 streams (xls).
_ZIP = b"PK"

_OLE = b"\xd0\xcf\x11\xe0"

_BIFF = (b"\x09\x00", b"\x09\x02", b"\x09\x04")

Numbered = tuple[int, list[str]]


@dataclass(frozen=True)
class Sheet:
    """A sheet's rows that are not blank: (row or line number from 1, text of each cell)."""

    name: str
    rows: list[Numbered]


def read_sheets(path: Path) -> list[Sheet]:
    """Reads all sheets of an xlsx, xls or csv file, told by its content first, then by its suffix.

    Of a csv there is one Sheet per delimiter that it can be read with: comma, semicolon, tab.

    Raises:
        UserError: no such file, damaged, encrypted, larger than any annotation, or a text encoding
            other than UTF-8 or UTF-16.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UserError(f"{path}: larger than {_MOST_BYTES // 10**6} MB, no annotation; give the workbook")
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); correct the path") from None
    if not data:
        raise UserError(f"{path}: is empty (0 bytes); restore the file")
    if path.suffix.lower() == ".csv" and not data.startswith((_ZIP, _OLE)):
        return _csv_sheets(path, data)
    old = data.startswith((_OLE, *_BIFF)) if not data.startswith(_ZIP) else False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl's, about styles and extensions; what is damaged raises
            return _xls_sheets(data) if old else _xlsx_sheets(data)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except Exception as error:  # both libraries raise many kinds for a damaged file
        line = " ".join(str(error).split())[:100] or type(error).__name__
        raise UserError(
            f"{path}: not a readable workbook ({line}); it is damaged, encrypted or no {path.suffix} file: "
            "restore it, or save it as csv"
        ) from None


def _xlsx_sheets(data: bytes) -> list[Sheet]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(part.file_size for part in archive.infolist()) > _MOST_BYTES:
            raise UserError(f"unpacks to more than {_MOST_BYTES // 10**6} MB, no annotation; give the workbook")
    pairs = zip(_load(data, formulas=False), _load(data, formulas=True), strict=True)
    return [_marked(values, formulas) for values, formulas in pairs]


def _load(data: bytes, formulas: bool) -> list[Sheet]:
    """Reads the values of the cells, or the formulas where cells have one."""
    import openpyxl  # a clips.csv, which a prediction may read, needs neither openpyxl nor xlrd

    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=not formulas)
    try:
        sheets = []
        for sheet in book.worksheets[:_MOST_SHEETS]:
            sheet.reset_dimensions()  # some programs write a wrong size, which would cut rows off
            rows = sheet.iter_rows(max_col=_MOST_COLUMNS, values_only=True)
            sheets.append(Sheet(sheet.title, list(_numbered([_text(v) for v in row] for row in rows))))
        return sheets
    finally:
        book.close()


def _marked(values: Sheet, formulas: Sheet) -> Sheet:
    """Returns the values, ``UNSAVED`` where a formula has none."""
    known = dict(values.rows)
    rows = []
    for number, cells in formulas.rows:
        texts = known.get(number, []) + [""] * len(cells)
        marks = (UNSAVED if cell.startswith("=") else "" for cell in cells)
        rows.append((number, [text or mark for text, mark in zip(texts, marks, strict=False)]))
    return Sheet(values.name, rows)


def _xls_sheets(data: bytes) -> list[Sheet]:
    import xlrd

    with xlrd.open_workbook(file_contents=data, logfile=io.StringIO(), ragged_rows=True) as book:
        sheets = []
        for sheet in book.sheets()[:_MOST_SHEETS]:
            rows = ([_xls_text(cell) for cell in sheet.row(i)[:_MOST_COLUMNS]] for i in range(sheet.nrows))
            sheets.append(Sheet(sheet.name, list(_numbered(rows))))
        return sheets


def _xls_text(cell: "xlrd.sheet.Cell") -> str:
    import xlrd

    if cell.ctype == xlrd.XL_CELL_ERROR:
        return xlrd.error_text_from_code.get(cell.value, "#ERROR")
    return _text(bool(cell.value) if cell.ctype == xlrd.XL_CELL_BOOLEAN else cell.value)


def _text(value: object) -> str:
    """Returns a cell's value as it reads in the sheet: 12 and 12.0 are both "12"."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float | datetime.date | datetime.time):
        return str(value)
    return "="  # one of openpyxl's objects for formulas of several cells


def _numbered(rows: Iterable[list[str]]) -> Iterator[Numbered]:
    """Yields the rows that are not blank, with their numbers; ends after many blank ones."""
    blank = kept = 0
    for number, cells in enumerate(rows, 1):
        while cells and not cells[-1].strip():
            cells.pop()
        if cells:
            blank, kept = 0, kept + 1
            if kept > _MOST_ROWS:
                raise UserError(f"holds more than {_MOST_ROWS} rows, no annotation; give the workbook")
            yield number, cells
        else:
            blank += 1
            if blank >= _MOST_BLANK_ROWS:
                return


def _csv_sheets(path: Path, data: bytes) -> list[Sheet]:
    text = _decoded(path, data)
    sheets: list[Sheet] = []
    problem = ""
    for delimiter in ",;\t":
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
        try:
            lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
        except csv.Error as error:
            problem = f"line {reader.line_num}: {error}"
            continue
        if len(lines) > _MOST_ROWS:
            raise UserError(f"{path}: holds more than {_MOST_ROWS} rows, no annotation; give the annotation")
        sheets.append(Sheet("", lines))
    if not sheets:
        raise UserError(f"{path}, {problem}; correct the quotes, or save it as csv again")
    return sheets


def _decoded(path: Path, data: bytes) -> str:
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}, line {line}: not {encoding.upper().removesuffix('-SIG')} text; save it as csv in UTF-8"
        ) from None
    if bad := next((c for c in text if c < " " and c not in "\t\r\n"), ""):
        line = text.count("\n", 0, text.index(bad)) + 1
        raise UserError(f"{path}, line {line}: holds the control character {bad!r}; save it as csv in UTF-8")
    return text


_SUFFIXES = (".xlsx", ".xlsm", ".xls", ".csv")

# Folders below the root in which find_tables looks: SMIC-E's lies 2 deep, nested archives add one or two.
_DEPTH = 5

# A number of more digits is a damaged cell: SMIC's longest frame numbers have 8 (docs/databases.md, "Identifiers").
_WHOLE = re.compile(r"[+-]?[0-9]{1,9}(\.0*)?")


def normalized(name: str) -> str:
    """Returns a column's name in lower case, letters and digits only: "onsetframe" of "Onset Frame"."""
    return re.sub(r"[\W_]+", "", name.lower())


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        number: row of the sheet or line of the file, from 1.
        cells: text of each cell by normalized column name; "" where empty. A column asked for as
            "a|b" is there as "a", whichever of the two the table has.
    """

    number: int
    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        """Returns a cell's text, stripped; "" where the cell is empty or there is no such column."""
        return self.cells.get(normalized(column), "").strip()

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
        columns: normalized names in the header, in order; blank ones left out.
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
    choices = [[normalized(name) for name in entry.split("|")] for entry in required]
    sheets = _preferred(read_sheets(path), sheet)
    best: tuple[list[str], list[str]] | None = None
    for candidate in sheets:
        for at, (_, cells) in enumerate(candidate.rows):
            header = [normalized(cell) for cell in cells]
            missing = [entry for entry, names in zip(required, choices, strict=True) if not set(names) & set(header)]
            if not missing:
                return _read_table_at(path, candidate, at, choices, _several(sheets))
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
    names = [normalized(name) for name in columns]
    sheets = _preferred(read_sheets(path), sheet)

    def full(candidate: Sheet) -> int:
        return sum(len(cells) >= len(names) for _, cells in candidate.rows)

    wanted = [s for s in sheets if sheet is not None and normalized(s.name) == normalized(sheet)] or sheets
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
    return sorted(sheets, key=lambda sheet: name is None or normalized(sheet.name) != normalized(name))


def _several(sheets: Sequence[Sheet]) -> bool:
    return len({sheet.name for sheet in sheets if sheet.rows}) > 1


def _read_table_at(path: Path, sheet: Sheet, at: int, choices: Sequence[Sequence[str]], several: bool) -> Table:
    header = [normalized(cell) for cell in sheet.rows[at][1]]
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
