"""The reading of annotation tables: xlsx, xls, ods and csv files as rows of text by column name."""

import io
import os
import re
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icegan_jax.data.frame_numbers import MAX_DIGITS
from icegan_jax.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

# Limits against damaged or hostile files; the largest annotation known has 7,526 rows of 9 columns
# (docs/databases.md, "DFME and other databases").
_MAX_ROWS, _MAX_COLUMNS, _MAX_CELLS, _MAX_BYTES = 50_000, 100, 20_000_000, 100_000_000
# First bytes of a zip file (xlsx, ods) and of an OLE container (xls).
_ZIP, _OLE = b"PK", b"\xd0\xcf\x11\xe0"

TABLE_SUFFIXES = (".xlsx", ".xlsm", ".xls", ".ods", ".csv")
# Levels of folders that find_tables searches: SMIC-E's workbook lies 2 deep, nested archives add one or two.
_DEPTH = 5
_WHOLE_NUMBER = re.compile(rf"[+-]?[0-9]{{1,{MAX_DIGITS}}}(\.0*)?")  # a longer number is a damaged cell

# A cell in the XML of an xlsx sheet: its reference, as B12, its attributes and its content.
_XLSX_CELL = re.compile(rb'<(?:\w+:)?c\b([^>]*?\br="([A-Z]+)([0-9]+)"[^>]*?)(?:/>|>(.*?)</(?:\w+:)?c>)', re.DOTALL)
_XLSX_FORMULA = re.compile(rb"<(?:\w+:)?f\b")
_XLSX_VALUE = re.compile(rb"<(?:\w+:)?v\b[^>]*>([^<]+)<")

# Options of pandas, with which every cell is a text: "01" keeps its zero, and 12.0 is "12" as the sheet shows it.
_AS_TEXT: Mapping[str, Any] = {"header": None, "dtype": str, "na_filter": False}
_CSV: Mapping[str, Any] = {
    "names": range(_MAX_COLUMNS),
    "index_col": False,
    "skipinitialspace": True,
    "skip_blank_lines": False,
}

# A program that reads every cell of the workbook on stdin.
_READ_XLS = """
import io, sys, python_calamine
book = python_calamine.load_workbook(io.BytesIO(sys.stdin.buffer.read()))
for name in book.sheet_names:
    book.get_sheet_by_name(name).to_python()
"""

_MERGED = "part of merged cells, of which only the first has the value; unmerge them and fill every cell"
_UNSAVED = "a formula whose value was not saved; open the workbook in a spreadsheet program and save it again"


class WrongTableError(UserError):
    """A table that can be read but is another one: it lacks the required columns."""


@dataclass(frozen=True)
class Sheet:
    """The cells of a sheet.

    Attributes:
        name: name of the sheet; "" of a csv.
        rows: (number, texts of the cells) of the rows that are not blank; numbers start at 1.
        problems: {(row number, column from 0): problem} of the cells that look empty, but are not.
    """

    name: str
    rows: list[tuple[int, list[str]]]
    problems: Mapping[tuple[int, int], str] = field(default_factory=dict)


def read_sheets(path: Path) -> list[Sheet]:
    """Read all sheets of a workbook or csv file, whose format follows from its content, then from its suffix.

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
    if not path.name.lower().endswith(TABLE_SUFFIXES):
        raise UserError(f"{path}: no table ({', '.join(TABLE_SUFFIXES)}); give the csv or workbook")
    if path.suffix.lower() == ".csv" and not data.startswith((_ZIP, _OLE)):
        return _csv_sheets(path, data)
    try:
        return _workbook_sheets(data)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except Exception as error:  # the libraries raise many kinds for a damaged file
        line = " ".join(str(error).split())[:100] or type(error).__name__
        raise UserError(
            f"{path}: not a readable workbook ({line}); it is damaged, encrypted or no {path.suffix} file: restore it, "
            "or open it in a spreadsheet program and save it as xlsx or csv"
        ) from None


def _workbook_sheets(data: bytes) -> list[Sheet]:
    import pandas as pd

    problems = _xlsx_problems(data) if data.startswith(_ZIP) else {}
    if data.startswith(_OLE):
        # A damaged xls can make calamine abort the process, which nothing can catch: another process tries it first.
        command = [sys.executable, "-c", _READ_XLS]
        if subprocess.run(command, input=data, stderr=subprocess.DEVNULL, check=False).returncode:
            raise ValueError("calamine cannot read it")
    elif not data.startswith(_ZIP):
        raise ValueError("no zip file and no OLE container")
    sheets = []
    with pd.ExcelFile(io.BytesIO(data), engine="calamine") as book:
        for name, cells in pd.read_excel(book, None, **_AS_TEXT).items():
            merged = {
                (row + 1, column): _MERGED
                for (top, left), (bottom, right) in book.book.get_sheet_by_name(name).merged_cell_ranges or ()
                for row in range(top + 1, min(bottom, _MAX_ROWS) + 1)
                for column in range(left, min(right, _MAX_COLUMNS) + 1)
            }
            sheets.append(Sheet(str(name), _filled_rows(cells), merged | problems))
    return sheets


def _xlsx_problems(data: bytes) -> dict[tuple[int, int], str]:
    """Return the cells without a value that calamine shows as empty: formulas without a saved value, and errors.

    The cells of all sheets are returned together, as a formula without a value in one sheet is a reason to save the
    whole workbook again.

    Raises:
        UserError: the workbook unpacks to, or a cell lies at, more than any annotation has; calamine would allocate
            every cell up to the last.
    """
    problems = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(part.file_size for part in archive.infolist()) > _MAX_BYTES:
            raise UserError(f"unpacks to more than {_MAX_BYTES // 10**6} MB, no annotation; give the workbook")
        for part in archive.namelist():
            if not part.startswith("xl/worksheets/"):
                continue
            last_row = last_column = 0
            for cell in _XLSX_CELL.finditer(archive.read(part)):
                attributes, letters, digits, content = cell.groups(b"")
                row, column = int(digits[:8]), _column_index(letters)
                last_row, last_column = max(last_row, row), max(last_column, column)
                value = _XLSX_VALUE.search(content)
                if re.search(rb'\bt="e"', attributes):
                    problems[row, column] = f"the error {value[1].decode() if value else ''}; correct the cell"
                elif _XLSX_FORMULA.search(content) and not value:
                    problems[row, column] = _UNSAVED
            if last_row * last_column > _MAX_CELLS:
                raise UserError(
                    f"a sheet has {last_row} rows and {last_column} columns, no annotation; remove far cells"
                )
    return problems


def _column_index(letters: bytes) -> int:
    """Return 0 of A, 25 of Z, 26 of AA."""
    index = 0
    for letter in letters[:4]:
        index = index * 26 + letter - ord("A") + 1
    return index - 1


def _filled_rows(cells: "pd.DataFrame") -> list[tuple[int, list[str]]]:
    rows = [(number, row[:_MAX_COLUMNS]) for number, row in enumerate(cells.to_numpy().tolist(), 1)]
    rows = [(number, row) for number, row in rows if any(cell.strip() for cell in row)]
    if len(rows) > _MAX_ROWS:
        raise UserError(f"holds more than {_MAX_ROWS} rows, no annotation; give the annotation")
    return rows


def _csv_sheets(path: Path, data: bytes) -> list[Sheet]:
    import pandas as pd

    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line, name = data.count(b"\n", 0, error.start) + 1, encoding.upper().removesuffix("-SIG")
        raise UserError(f"{path}, line {line}: not {name} text; save it as csv in UTF-8") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(f"{path}, line {line}: holds a NUL character; save it as csv in UTF-8")
    sheets: list[Sheet] = []
    problem = ""
    for delimiter in ",;\t":
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", pd.errors.ParserWarning)  # of rows with more columns
                cells = pd.read_csv(io.StringIO(text), sep=delimiter, **_AS_TEXT, **_CSV)
        except pd.errors.EmptyDataError:
            continue
        except pd.errors.ParserError as error:
            problem = " ".join(str(error).split())
            continue
        sheets.append(Sheet("", _filled_rows(cells)))
    if problem and not sheets:
        raise UserError(f"{path}: {problem}; correct the quotes, or save it as csv again")
    return sheets


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
        has_other_sheets: whether other sheets of the file have rows.
    """

    path: Path
    sheet: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    has_other_sheets: bool = False

    def location(self, row: Row) -> str:
        """Return file and row for messages: "FILE, row 17"."""
        return f"{self.path.name}, {f'sheet {self.sheet}, ' if self.has_other_sheets else ''}row {row.number}"


def read_table(
    path: str | Path, required: Sequence[str], *, optional: Sequence[str] = (), sheet: str | None = None
) -> Table:
    """Read the first sheet that has a header row with all the required columns.

    The header is the first row that holds all of them; rows above the header are a preamble. Blank rows and blank
    header cells are ignored, and of two columns with one name the first counts. Formulas have the values with which
    the workbook was saved. A csv may be in UTF-8, with or without BOM, or UTF-16, with commas, semicolons or tabs.

    Args:
        path: the file.
        required: names of columns in any case and spacing; "a|b" means either name, and the column is then "a".
        optional: names of further columns that are read, where the table has them.
        sheet: name of the sheet to prefer where the workbook has it.

    Raises:
        WrongTableError: no sheet has the columns; the message names the missing columns and the nearest row.
        UserError: there is no such file, the file is damaged, or a cell of a required or optional column looks empty,
            but is a formula whose value was not saved, an error, or part of merged cells.
    """
    path = Path(path)
    choices = [[normalize_column(name) for name in entry.split("|")] for entry in required]
    sheets = read_sheets(path)
    preferred = normalize_column(sheet or "")
    missing, nearest = list(required), next((cells for one in sheets for _, cells in one.rows), [])
    for candidate in sorted(sheets, key=lambda one: normalize_column(one.name) != preferred):
        for index, (_, cells) in enumerate(candidate.rows):
            header = [normalize_column(cell) for cell in cells]
            absent = [entry for entry, names in zip(required, choices, strict=True) if not set(names) & set(header)]
            if not absent:
                several = len({one.name for one in sheets if one.rows}) > 1
                present = [[name] for name in map(normalize_column, optional) if name in header]
                table = _read_table_at(path, candidate, index, header, [*choices, *present])
                return replace(table, has_other_sheets=several)
            if len(absent) < len(missing):
                missing, nearest = absent, cells
    if not nearest:
        raise WrongTableError(f"{path}: holds no rows; give a table with the columns {', '.join(required)}")
    shown = [" ".join(cell.split())[:30] for cell in nearest if cell.strip()][:20]
    raise WrongTableError(
        f"{path}: no header row with the column {', '.join(name.replace('|', ' or ') for name in missing)}; "
        f"the nearest row holds: {', '.join(shown)}"
    )


def read_headerless_table(path: str | Path, columns: Sequence[str]) -> Table:
    """Read a table without a header, of the sheet that has the most rows with at least as many cells as columns.

    Raises:
        WrongTableError: no row has as many cells as there are columns.
        UserError: as in ``read_table``.
    """
    path = Path(path)
    names = [normalize_column(name) for name in columns]
    best, most = None, 0
    for sheet in read_sheets(path):
        full = sum(all(cell.strip() for cell in cells[: len(names)]) for _, cells in sheet.rows)
        if full > most and len(sheet.rows[0][1]) >= len(names):
            best, most = sheet, full
    if best is None:
        raise WrongTableError(f"{path}: no row holds {len(columns)} columns: {', '.join(columns)}")
    return _read_table_at(path, best, -1, names, [[name] for name in names])


def _read_table_at(
    path: Path, sheet: Sheet, index: int, header: Sequence[str], choices: Sequence[Sequence[str]]
) -> Table:
    """Return the rows below the row ``index`` of a sheet, whose normalized column names are ``header``."""
    indices = {column: header.index(column) for column in header if column}
    columns = tuple(indices)
    required = {names[0]: indices[next(column for column in names if column in indices)] for names in choices}
    indices |= required
    rows = []
    for number, cells in sheet.rows[index + 1 :]:
        for column, position in required.items():
            problem = sheet.problems.get((number, position))
            if problem and not cells[position].strip():
                raise UserError(f"{path}, row {number}: {column} is {problem}")
        rows.append(Row(number, {column: cells[position] for column, position in indices.items()}))
    return Table(path, sheet.name, columns, tuple(rows))


def find_tables(root: str | Path) -> list[Path]:
    """Return the workbooks and csv files in a folder and its folders, up to 5 deep, sorted.

    Hidden files, the lock files of open workbooks ("~$...") and folders that cannot be read are left out. A file that
    several links lead to is named once.
    """
    root = Path(root)
    tables: dict[Path, Path] = {}  # the shortest path by the resolved one
    for folder, folders, files in os.walk(root, followlinks=True):
        depth = len(Path(folder).relative_to(root).parts)
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if depth < _DEPTH else []
        for name in sorted(files):
            if name.lower().endswith(TABLE_SUFFIXES) and not name.startswith((".", "~$")):
                path = Path(folder, name)
                paths = (path, tables.get(path.resolve(), path))
                tables[path.resolve()] = min(paths, key=lambda p: (len(p.parts), p))
    return sorted(tables.values())
