"""The reading of annotation tables: xlsx, xls and csv files as rows of text by column name."""

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

# The text of a cell whose formula was saved without its value. Excel has no NUL, so that no other cell can have it.
UNSAVED = "\0"

# Limits against damaged or hostile files; the largest annotation known has 7,526 rows of 9 columns
# (docs/databases.md, "DFME and other databases").
_MAX_ROWS = 50_000
_MAX_BLANK_ROWS = 1000
_MAX_COLUMNS = 100
_MAX_SHEETS = 50
_MAX_BYTES = 100_000_000

# First bytes of a file: a zip (xlsx); an OLE container and bare BIFF 2, 3, 4 streams (xls).
_ZIP = b"PK"
_OLE = b"\xd0\xcf\x11\xe0"
_BIFF = (b"\x09\x00", b"\x09\x02", b"\x09\x04")

_SUFFIXES = (".xlsx", ".xlsm", ".xls", ".csv")
# Levels of folders that find_tables searches: SMIC-E's workbook lies 2 deep, nested archives add one or two.
_DEPTH = 5
# A number of more digits is a damaged cell: SMIC's longest frame numbers have 8 (docs/databases.md, "Identifiers").
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,9}(\.0*)?")

NumberedRow = tuple[int, list[str]]  # the number of a row or line, from 1, and the text of each cell


class WrongTableError(UserError):
    """A table that can be read but is another one: it lacks the required columns."""


@dataclass(frozen=True)
class Sheet:
    """The rows of a sheet that are not blank."""

    name: str
    rows: list[NumberedRow]


def read_sheets(path: Path) -> list[Sheet]:
    """Read all sheets of an xlsx, xls or csv file, whose format follows from its content, then from its suffix.

    A csv gives one Sheet for each delimiter with which it can be read: comma, semicolon, tab.

    Raises:
        UserError: there is no such file, or the file is damaged, encrypted, larger than any annotation, or in another
            encoding than UTF-8 or UTF-16.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UserError(f"{path}: larger than {_MAX_BYTES // 10**6} MB, no annotation; give the workbook")
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); correct the path") from None
    if not data:
        raise UserError(f"{path}: is empty (0 bytes); restore the file")
    if path.suffix.lower() == ".csv" and not data.startswith((_ZIP, _OLE)):
        return _csv_sheets(path, data)
    is_xls = data.startswith((_OLE, *_BIFF))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl warns about styles and extensions; damage raises
            return _xls_sheets(data) if is_xls else _xlsx_sheets(data)
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
        if sum(part.file_size for part in archive.infolist()) > _MAX_BYTES:
            raise UserError(f"unpacks to more than {_MAX_BYTES // 10**6} MB, no annotation; give the workbook")
    pairs = zip(_load(data, formulas=False), _load(data, formulas=True), strict=True)
    return [_mark_unsaved(values, formulas) for values, formulas in pairs]


def _load(data: bytes, formulas: bool) -> list[Sheet]:
    """Read the values of the cells, or their formulas where they have one."""
    import openpyxl  # a clips.csv, which a prediction may read, needs neither openpyxl nor xlrd

    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=not formulas)
    try:
        sheets = []
        for sheet in book.worksheets[:_MAX_SHEETS]:
            sheet.reset_dimensions()  # some programs write a wrong size, which would cut rows off
            rows = sheet.iter_rows(max_col=_MAX_COLUMNS, values_only=True)
            sheets.append(Sheet(sheet.title, list(_numbered([_text(v) for v in row] for row in rows))))
        return sheets
    finally:
        book.close()


def _mark_unsaved(values: Sheet, formulas: Sheet) -> Sheet:
    """Return the values, with ``UNSAVED`` where a formula has none."""
    values_by_row = dict(values.rows)
    rows = []
    for number, cells in formulas.rows:
        texts = values_by_row.get(number, []) + [""] * len(cells)
        marks = (UNSAVED if cell.startswith("=") else "" for cell in cells)
        rows.append((number, [text or mark for text, mark in zip(texts, marks, strict=False)]))
    return Sheet(values.name, rows)


def _xls_sheets(data: bytes) -> list[Sheet]:
    import xlrd

    with xlrd.open_workbook(file_contents=data, logfile=io.StringIO(), ragged_rows=True) as book:
        sheets = []
        for sheet in book.sheets()[:_MAX_SHEETS]:
            rows = ([_xls_text(cell) for cell in sheet.row(i)[:_MAX_COLUMNS]] for i in range(sheet.nrows))
            sheets.append(Sheet(sheet.name, list(_numbered(rows))))
        return sheets


def _xls_text(cell: "xlrd.sheet.Cell") -> str:
    import xlrd

    if cell.ctype == xlrd.XL_CELL_ERROR:
        return xlrd.error_text_from_code.get(cell.value, "#ERROR")
    return _text(bool(cell.value) if cell.ctype == xlrd.XL_CELL_BOOLEAN else cell.value)


def _text(value: object) -> str:
    """Return a cell's value as the sheet shows it: 12 and 12.0 are both "12"."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float | datetime.date | datetime.time):
        return str(value)
    return "="  # one of openpyxl's objects for formulas of several cells


def _numbered(rows: Iterable[list[str]]) -> Iterator[NumberedRow]:
    """Yield the rows that are not blank, with their numbers; end after many blank rows."""
    blank = kept = 0
    for number, cells in enumerate(rows, 1):
        while cells and not cells[-1].strip():
            cells.pop()
        if cells:
            blank, kept = 0, kept + 1
            if kept > _MAX_ROWS:
                raise UserError(f"holds more than {_MAX_ROWS} rows, no annotation; give the workbook")
            yield number, cells
        else:
            blank += 1
            if blank >= _MAX_BLANK_ROWS:
                return


def _csv_sheets(path: Path, data: bytes) -> list[Sheet]:
    text = _decode_csv(path, data)
    sheets: list[Sheet] = []
    problem = ""
    for delimiter in ",;\t":
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
        try:
            lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
        except csv.Error as error:
            problem = f"line {reader.line_num}: {error}"
            continue
        if len(lines) > _MAX_ROWS:
            raise UserError(f"{path}: holds more than {_MAX_ROWS} rows, no annotation; give the annotation")
        sheets.append(Sheet("", lines))
    if not sheets:
        raise UserError(f"{path}, {problem}; correct the quotes, or save it as csv again")
    return sheets


def _decode_csv(path: Path, data: bytes) -> str:
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


def normalize_column(name: str) -> str:
    """Return a column's name in lower case, letters and digits only: "onsetframe" of "Onset Frame"."""
    return re.sub(r"[\W_]+", "", name.lower())


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        number: row of the sheet or line of the file, from 1.
        cells: text of each cell by normalized column name; "" where empty. A required column "a|b" has the name "a",
            whichever of the two the table has.
    """

    number: int
    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        """Return a cell's text, stripped; "" where the cell is empty or there is no such column; "a|b" means "a"."""
        return self.cells.get(normalize_column(column.split("|")[0]), "").strip()

    def integer(self, column: str) -> int | None:
        """Return a cell as a whole number ("12", "12.0"); None where the cell is empty or holds something else."""
        text = self.text(column)
        return int(float(text)) if text.isascii() and _WHOLE_NUMBER.fullmatch(text) else None


@dataclass(frozen=True)
class Table:
    """One sheet of a workbook, or a csv.

    Attributes:
        path: the file.
        sheet: name of the sheet; "" of a csv.
        columns: normalized names in the header, in order, without blank ones.
        rows: the rows below the header, without blank ones.
        has_other_sheets: whether the file has other sheets.
    """

    path: Path
    sheet: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    has_other_sheets: bool = False

    def location(self, row: Row) -> str:
        """Return file and row for messages: "FILE, row 17"."""
        sheet = f"sheet {self.sheet}, " if self.has_other_sheets else ""
        return f"{self.path.name}, {sheet}row {row.number}"


def read_table(path: str | Path, required: Sequence[str], *, sheet: str | None = None) -> Table:
    """Read the first sheet that has a header row with all the required columns.

    The header is the first row that holds all of them; rows above the header are a preamble. Blank rows and blank
    header cells are ignored, and of two columns with one name the first counts. Formulas have the values with which
    the workbook was saved. A csv may be in UTF-8, with or without BOM, or UTF-16, with commas, semicolons or tabs.

    Args:
        path: the file.
        required: names of columns in any case and spacing; "a|b" means either name, and the column is then "a".
        sheet: name of the sheet to prefer where the workbook has it.

    Raises:
        WrongTableError: no sheet has the columns; the message names the missing columns and the nearest row.
        UserError: there is no such file, the file is damaged, or a formula in a required column has no value.
    """
    path = Path(path)
    choices = [[normalize_column(name) for name in entry.split("|")] for entry in required]
    sheets = _preferred_first(read_sheets(path), sheet)
    best: tuple[list[str], list[str]] | None = None
    for candidate in sheets:
        for index, (_, cells) in enumerate(candidate.rows):
            header = [normalize_column(cell) for cell in cells]
            missing = [entry for entry, names in zip(required, choices, strict=True) if not set(names) & set(header)]
            if not missing:
                return _read_table_at(path, candidate, index, choices, _has_several_sheets(sheets))
            if best is None or len(missing) < len(best[0]):
                best = missing, [" ".join(cell.split())[:30] for cell in cells if cell.strip()]
    if best is None:
        raise WrongTableError(f"{path}: holds no rows; give a table with the columns {', '.join(required)}")
    missing, nearest = best
    if len(missing) == len(required):
        nearest = next(([c.strip()[:30] for c in cells if c.strip()] for s in sheets for _, cells in s.rows), [])
    raise WrongTableError(
        f"{path}: no header row with the column {', '.join(name.replace('|', ' or ') for name in missing)}; "
        f"the nearest row holds: {', '.join(nearest[:20])}"
    )


def read_headerless_table(path: str | Path, columns: Sequence[str], *, sheet: str | None = None) -> Table:
    """Read a table without a header.

    Args:
        path: the file.
        columns: names of the columns, from the left.
        sheet: name of the sheet to prefer; without it the sheet with the most full rows is read.

    Raises:
        WrongTableError: no row has as many cells as there are columns.
        UserError: there is no such file, the file is damaged, or a formula has no value.
    """
    path = Path(path)
    names = [normalize_column(name) for name in columns]
    sheets = _preferred_first(read_sheets(path), sheet)

    def full(candidate: Sheet) -> int:
        return sum(len(cells) >= len(names) for _, cells in candidate.rows)

    wanted = [s for s in sheets if sheet is not None and normalize_column(s.name) == normalize_column(sheet)] or sheets
    best = max(wanted, key=full, default=None)
    if best is None or not full(best):
        raise WrongTableError(f"{path}: no row holds {len(names)} columns: {', '.join(columns)}; give that table")
    rows = tuple(_rows(path, best, 0, dict(zip(names, range(len(names)), strict=True)), names))
    return Table(path, best.name, tuple(names), rows, _has_several_sheets(sheets))


def find_tables(root: str | Path) -> list[Path]:
    """Return the xlsx, xls and csv files in a folder and its folders, up to 5 deep, sorted.

    Hidden files, the lock files of open workbooks ("~$...") and folders that cannot be read are left out. A file that
    several links lead to is named once.
    """
    root = Path(root)
    tables: dict[Path, Path] = {}  # the shortest path by the resolved one
    for folder, folders, files in os.walk(root, followlinks=True):
        depth = len(Path(folder).relative_to(root).parts)
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if depth < _DEPTH else []
        for name in sorted(files):
            if name.lower().endswith(_SUFFIXES) and not name.startswith((".", "~$")):
                path = Path(folder, name)
                paths = (path, tables.get(path.resolve(), path))
                tables[path.resolve()] = min(paths, key=lambda p: (len(p.parts), p))
    return sorted(tables.values())


def _preferred_first(sheets: Sequence[Sheet], name: str | None) -> list[Sheet]:
    return sorted(sheets, key=lambda sheet: name is None or normalize_column(sheet.name) != normalize_column(name))


def _has_several_sheets(sheets: Sequence[Sheet]) -> bool:
    return len({sheet.name for sheet in sheets if sheet.rows}) > 1


def _read_table_at(
    path: Path, sheet: Sheet, header_index: int, choices: Sequence[Sequence[str]], several: bool
) -> Table:
    header = [normalize_column(cell) for cell in sheet.rows[header_index][1]]
    indices = {name: header.index(name) for name in reversed(header) if name}
    required = []
    for names in choices:
        present = next(name for name in names if name in indices)
        indices[names[0]] = indices[present]
        required.append(names[0])
    rows = tuple(_rows(path, sheet, header_index + 1, indices, required))
    return Table(path, sheet.name, tuple(dict.fromkeys(name for name in header if name)), rows, several)


def _rows(path: Path, sheet: Sheet, start: int, indices: Mapping[str, int], required: Sequence[str]) -> Iterator[Row]:
    for number, cells in sheet.rows[start:]:
        texts = {name: cells[index] if index < len(cells) else "" for name, index in indices.items()}
        for name in required:
            if texts[name] == UNSAVED:
                raise UserError(
                    f"{path}, row {number}: {name} is a formula whose value was not saved; open the workbook in "
                    "a spreadsheet program and save it again, or use the original"
                )
        yield Row(number, {name: "" if text == UNSAVED else text for name, text in texts.items()})
