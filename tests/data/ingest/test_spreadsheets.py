import datetime
import random
import zipfile
from io import BytesIO
from pathlib import Path

import openpyxl
import pytest

from icegan_jax.data.ingest.spreadsheets import (
    Row,
    WrongTableError,
    find_tables,
    read_headerless_table,
    read_table,
)
from icegan_jax.errors import UserError
from tests.data.databases.write_files import XLS, write_csv, write_ods, write_xlsx

ROWS = [("Subject", "Onset Frame", "", "Emotion"), ("01", 46, "", "happiness"), ("2", 7.0, None, " fear ")]
NEEDED = ("subject", "OnsetFrame", "Emotion")


def check(path: Path, first: int = 2) -> None:
    table = read_table(path, NEEDED)
    assert table.columns == ("subject", "onsetframe", "emotion")
    assert [(r.text("Subject"), r.integer("Onset Frame"), r.text("emotion")) for r in table.rows] == [
        ("01", 46, "happiness"),
        ("2", 7, "fear"),
    ]
    assert table.location(table.rows[0]) == f"{path.name}, row {first}"


def test_xlsx_with_a_preamble_and_blank_rows_under_any_suffix(tmp_path: Path) -> None:
    check(write_xlsx(tmp_path / "a.xlsx", ROWS, [], []))
    rows = [("SAMM Micro FACS Codes",), (), (), ROWS[0], (), *ROWS[1:], (None, "", " ")]
    check(write_xlsx(tmp_path / "b.xlsx", rows).rename(tmp_path / "b.xls"), first=6)
    check(write_xlsx(tmp_path / "c.xlsx", ROWS).rename(tmp_path / "c.csv"))


def test_ods(tmp_path: Path) -> None:
    check(write_ods(tmp_path / "a.ods", ROWS))


def test_xls() -> None:
    table = read_table(XLS, ["Subject", "OnsetFrame", "ApexFrame"])
    assert [(r.text("subject"), r.integer("onsetframe"), r.text("apexframe")) for r in table.rows] == [
        ("01", 46, "59"),
        ("01", 131, "/"),
    ]


@pytest.mark.parametrize(
    ("delimiter", "encoding", "ending"), [(",", "utf-8", "\n"), (";", "utf-8-sig", "\r\n"), ("\t", "utf-16", "\r\n")]
)
def test_csv(tmp_path: Path, delimiter: str, encoding: str, ending: str) -> None:
    lines = [delimiter.join("" if cell is None else str(cell) for cell in row) for row in ROWS]
    path = tmp_path / "a.CSV"
    path.write_bytes((ending.join([*lines, "", delimiter * 3]) + ending).encode(encoding))
    check(path)


def test_quotes_and_columns_of_one_name_or_two(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [("a", "b", "A", "OnsetF"), ("1", 'L12, "or" L14', "3", "4")])
    (row,) = read_table(path, ["A", "Onset|OnsetF"]).rows
    assert (row.text("a"), row.text("b"), row.text("onset")) == ("1", 'L12, "or" L14', "4")


def test_without_header(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", [("x",)], [("1", "anger1_1", 557), (), ("2", "x", 9.0, "more")])
    table = read_headerless_table(path, ["Subject", "Filename", "Onset"])
    assert [(r.number, r.text("filename"), r.integer("onset")) for r in table.rows] == [
        (1, "anger1_1", 557),
        (3, "x", 9),
    ]
    with pytest.raises(WrongTableError, match="a.csv: no row holds 4 columns: a, b, c, d"):
        read_headerless_table(write_csv(tmp_path / "a.csv", [("1", "2", "3")], ";"), list("abcd"))


def changed_sheet(path: Path, *replacements: tuple[bytes, bytes]) -> Path:
    """Replace bytes in the XML of the first sheet of a workbook."""
    with zipfile.ZipFile(BytesIO(path.read_bytes())) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            for before, after in replacements if name.endswith("sheet1.xml") else ():
                data = data.replace(before, after)
            new.writestr(name, data)
    return path


def test_a_formula_is_read_as_its_value_and_without_one_refused_where_it_is_needed(tmp_path: Path) -> None:
    rows = [("Subject", "OffsetF", "Duration"), (1, "=A2+40", "=B2-A2")]
    path = write_xlsx(tmp_path / "a.xlsx", rows)  # openpyxl writes formulas without values
    with pytest.raises(UserError, match="a.xlsx, row 2: offsetf is a formula whose value was not saved; open the work"):
        read_table(path, ["Subject", "OffsetF"])
    assert read_table(path, ["Subject"]).rows[0].text("offsetf") == ""
    changed_sheet(path, (b"<v />", b"<v>41</v>"), (b"<v></v>", b"<v>41</v>"))
    assert read_table(path, ["Subject", "OffsetF"]).rows[0].integer("offsetf") == 41


def test_merged_cells_and_errors_are_refused_in_rows_that_need_them(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in (["Title"], [], ["Clip", "Emotion", "Note"], ["a", "fear", "x"], ["b", None, None], ["c", "#N/A", None]):
        sheet.append(row)
    for cells in ("A1:C2", "C4:C5", "B4:B5"):
        sheet.merge_cells(cells)
    book.save(tmp_path / "a.xlsx")
    assert [row.text("note") for row in read_table(tmp_path / "a.xlsx", ["Clip"]).rows] == ["x", "", ""]
    with pytest.raises(UserError, match="a.xlsx, row 5: emotion is part of merged cells.*unmerge them"):
        read_table(tmp_path / "a.xlsx", ["Clip", "Emotion"])
    sheet.unmerge_cells("B4:B5")
    sheet["B5"] = "fear"
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(UserError, match="a.xlsx, row 6: emotion is the error #N/A; correct the cell"):
        read_table(tmp_path / "a.xlsx", ["Clip", "Emotion"])


def test_a_date_is_no_number(tmp_path: Path) -> None:
    (row,) = read_table(write_xlsx(tmp_path / "a.xlsx", [("a", "b"), (datetime.date(2020, 1, 2), True)]), ["a"]).rows
    assert (row.text("a")[:10], row.integer("a"), row.text("b")) == ("2020-01-02", None, "True")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.xlsx", b"", r"is empty \(0 bytes\); restore the file"),
        ("frames.zip", b"PK", "frames.zip: no table .*; give the csv or workbook"),
        ("a.xlsx", b"<html>", "not a readable workbook .*save it as xlsx or csv"),
        ("a.xlsx", b"PK\x03\x04" + b"1" * 99, "not a readable workbook .*save it as xlsx or csv"),
        ("a.ods", b"PK\x03\x04" + b"1" * 99, "not a readable workbook .*save it as xlsx or csv"),
        ("a.xls", XLS.read_bytes()[:1500], "not a readable workbook .*save it as xlsx or csv"),
        ("a.csv", "é".encode("latin-1"), "a.csv, line 1: not UTF-8 text; save it as csv in UTF-8"),
        ("a.csv", b"\xff\xfea", "a.csv, line 1: not UTF-16 text"),
        ("a.csv", b"a,b\n1,\x002\n", "a.csv, line 2: holds a NUL character"),
        ("a.csv", b'a,b\n"1,2\n', "a.csv: .*; correct the quotes"),
    ],
)
def test_a_damaged_file_is_one_line_with_a_remedy(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, data: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=message) as caught:
        read_table(tmp_path / name, NEEDED)
    assert name in str(caught.value) and "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
    with pytest.raises(UserError, match=r"gone.xlsx: cannot be read \(No such file"):
        read_table(tmp_path / "gone.xlsx", NEEDED)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'r="A2"', b'r="XFD1048576"', "a sheet has 1048576 rows and 16383 columns"),
        (b"46", b"4" * 100_000_001, "unpacks to more than 100 MB"),
    ],
)
def test_a_workbook_that_would_fill_the_memory_is_refused(tmp_path: Path, old: bytes, new: bytes, message: str) -> None:
    path = changed_sheet(write_xlsx(tmp_path / "a.xlsx", ROWS), (old, new))
    if path.stat().st_size > 10**8:
        with (
            zipfile.ZipFile(BytesIO(path.read_bytes())) as whole,
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out,
        ):
            for name in whole.namelist():
                out.writestr(name, whole.read(name))
    with pytest.raises(UserError, match=message):
        read_table(path, NEEDED)


def test_every_damage_of_a_byte_is_read_or_is_one_error(tmp_path: Path) -> None:
    whole = write_xlsx(tmp_path / "a.xlsx", ROWS).read_bytes()
    rng = random.Random(0)
    for _ in range(40):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        (tmp_path / "a.xlsx").write_bytes(damaged)
        try:
            check(tmp_path / "a.xlsx")
        except UserError as error:
            assert "a.xlsx" in str(error)


@pytest.mark.parametrize(
    ("text", "number"),
    [("12", 12), ("12.0", 12), (" 012. ", 12), ("-3", -3), ("0", 0), ("999999999", 999999999), ("", None), ("/", None),
     ("12.5", None), ("1e3", None), ("nan", None), ("٣", None), ("1234567890", None), ("1_2", None)],
)  # fmt: skip
def test_whole_numbers(text: str, number: int | None) -> None:
    row = Row(2, {"onsetframe": text})
    assert row.integer("Onset Frame") == number
    assert row.integer("apex") is None and row.text("apex") == ""


def test_sheets(tmp_path: Path) -> None:
    other = [ROWS[0], ("99", 1, None, "x")]
    path = write_xlsx(tmp_path / "a.xlsx", [("remarks",)], ROWS, other, names=["Notes", "HS", "VIS"])
    table = read_table(path, NEEDED)
    assert (table.sheet, table.location(table.rows[1])) == ("HS", "a.xlsx, sheet HS, row 3")
    assert read_table(path, NEEDED, sheet="vis").rows[0].text("subject") == "99"
    assert read_table(path, NEEDED, sheet="NIR").sheet == "HS"


def test_missing_columns_are_named_with_what_is_there(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", [("title",), *ROWS])
    message = "a.xlsx: no header row with the column ApexFrame, Offset or OffsetF; the nearest row holds: Subject, "
    with pytest.raises(WrongTableError, match=message + "Onset Frame, Emotion"):
        read_table(path, (*NEEDED, "ApexFrame", "Offset|OffsetF"))
    with pytest.raises(WrongTableError, match="column x; the nearest row holds: title"):
        read_table(path, ["x"])
    with pytest.raises(WrongTableError, match="holds no rows; give a table with the columns subject, "):
        read_table(write_xlsx(tmp_path / "b.xlsx", []), NEEDED)


def test_tables_are_found(tmp_path: Path) -> None:
    expected = ["a.xlsx", "b/c.XLS", "b/d/e.csv", "b/d/f/g/h/deep.csv"]
    for name in [*expected, "~$a.xlsx", ".a.csv", "b/.git/x.csv", "notes.txt", "b/d/f/g/h/i/deeper.csv"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b/back").symlink_to(tmp_path, target_is_directory=True)
    assert [path.relative_to(tmp_path).as_posix() for path in find_tables(tmp_path)] == expected
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/linked").symlink_to(tmp_path / "b/d", target_is_directory=True)
    assert tmp_path / "elsewhere/linked/e.csv" in find_tables(tmp_path / "elsewhere")
