"""The sheets of a workbook or a csv as rows of text: openpyxl, xlrd, and the encodings of a csv."""

import csv
import datetime
import io
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import openpyxl
import xlrd

from icegan_jax.errors import UserError

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
    with xlrd.open_workbook(file_contents=data, logfile=io.StringIO(), ragged_rows=True) as book:
        sheets = []
        for sheet in book.sheets()[:_MOST_SHEETS]:
            rows = ([_xls_text(cell) for cell in sheet.row(i)[:_MOST_COLUMNS]] for i in range(sheet.nrows))
            sheets.append(Sheet(sheet.name, list(_numbered(rows))))
        return sheets


def _xls_text(cell: xlrd.sheet.Cell) -> str:
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
