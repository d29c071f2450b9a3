"""Small trees and workbooks for the tests of the databases; frames are empty files, which are never opened."""

import csv
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import openpyxl

from icegan_jax.data.ingest.annotation import Annotation, DatabaseAnnotation

Cells = Sequence[Sequence[object]]
# Two rows of the shape of CASME II's sheet: numbers as numbers, subjects as text, an apex "/".
XLS = Path(__file__).with_name("casme2.xls")


def write_frames(root: Path, folder: str, names: Iterable[str] = ("img1.jpg", "img2.jpg")) -> Path:
    path = root / folder
    path.mkdir(parents=True, exist_ok=True)
    for name in names:
        (path / name).touch()
    return path


def write_xlsx(path: Path, *sheets: Cells, names: Sequence[str] = ("Sheet1", "Sheet2", "Sheet3")) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in zip(names, sheets, strict=False):
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)
    return path


def write_csv(path: Path, rows: Cells, delimiter: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


def write_ods(path: Path, rows: Cells) -> Path:
    """Write a sheet as LibreOffice does, with a number as a value and as text."""

    def cell(value: object) -> str:
        kind = "float" if isinstance(value, int | float) else "string"
        number = f' office:value="{value}"' if kind == "float" else ""
        text = "" if value is None else escape(str(value))
        return f'<table:table-cell office:value-type="{kind}"{number}><text:p>{text}</text:p></table:table-cell>'

    namespaces = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")
    )
    table = "".join(f"<table:table-row>{''.join(map(cell, row))}</table:table-row>" for row in rows)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        file.writestr("META-INF/manifest.xml", "<manifest/>")
        file.writestr(
            "content.xml",
            f"<office:document-content {namespaces}><office:body><office:spreadsheet>"
            f'<table:table table:name="Sheet1">{table}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>",
        )
    return path


def by_name(database: DatabaseAnnotation) -> dict[str, Annotation]:
    return {f"{a.subject}/{a.clip}": a for a in database.annotations}


def messages_of_kind(database: DatabaseAnnotation, kind: str) -> dict[str, str]:
    return {finding.clip: finding.message for finding in database.findings if finding.kind == kind}
