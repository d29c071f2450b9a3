import zipfile
from io import BytesIO
from pathlib import Path

import openpyxl
import pytest

from icegan_jax.data.ingest.spreadsheets import (
    Row,
    WrongTableError,
    find_tables,
    normalize_column,
    read_headerless_table,
    read_table,
)
from icegan_jax.errors import UserError
from tests.data.databases.write_files import biff_sheet, write_csv, write_xlsx

ROWS = [("Subject", "Onset Frame", "", "Emotion"), ("01", 46, "", "happiness"), ("2", 7.0, None, " fear ")]
NEEDED = ("subject", "OnsetFrame", "Emotion")


@pytest.mark.parametrize(
    ("name", "plain"),
    [("Onset Frame", "onsetframe"), (" ApexF1 ", "apexf1"), ("OnsetF_NIR\n", "onsetfnir"), ("", ""), ("---", "")],
)
def test_names_without_case_and_spacing(name: str, plain: str) -> None:
    assert normalize_column(name) == plain


@pytest.mark.parametrize(
    ("text", "number"),
    [("12", 12), ("12.0", 12), (" 012. ", 12), ("-3", -3), ("0", 0), ("999999999", 999999999), ("", None), ("/", None),
     ("12.5", None), ("1e3", None), ("nan", None), ("٣", None), ("1234567890", None), ("1_2", None)],
)  # fmt: skip
def test_whole_numbers(text: str, number: int | None) -> None:
    row = Row(2, {"onsetframe": text})
    assert row.integer("Onset Frame") == number
    assert row.integer("apex") is None and row.text("apex") == ""


def check(path: Path, first: int = 2) -> None:
    table = read_table(path, NEEDED)
    assert table.columns == ("subject", "onsetframe", "emotion")
    assert [(r.text("Subject"), r.integer("Onset Frame"), r.text("emotion")) for r in table.rows] == [
        ("01", 46, "happiness"),
        ("2", 7, "fear"),
    ]
    assert table.location(table.rows[0]) == f"{path.name}, row {first}"


def test_xlsx(tmp_path: Path) -> None:
    check(write_xlsx(tmp_path / "a.xlsx", ROWS, [], []))


def test_xls(tmp_path: Path) -> None:
    path = tmp_path / "a.xls"
    path.write_bytes(biff_sheet(*ROWS))
    check(path)


def test_a_workbook_under_the_other_suffix(tmp_path: Path) -> None:
    check(write_xlsx(tmp_path / "a.xlsx", ROWS).rename(tmp_path / "a.xls"))
    (tmp_path / "b.xlsx").write_bytes(biff_sheet(*ROWS))
    check(tmp_path / "b.xlsx")
    check(write_xlsx(tmp_path / "c.xlsx", ROWS).rename(tmp_path / "c.csv"))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_csv(tmp_path: Path, delimiter: str, encoding: str, ending: str) -> None:
    lines = [delimiter.join("" if cell is None else str(cell) for cell in row) for row in ROWS]
    path = tmp_path / "a.CSV"
    path.write_bytes((ending.join([*lines, "", delimiter * 3]) + ending).encode(encoding))
    check(path)


def test_a_quoted_cell_may_hold_the_delimiter(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [NEEDED, ("1", "2", 'L12, "or" L14')])
    assert read_table(path, NEEDED).rows[0].text("emotion") == 'L12, "or" L14'


@pytest.mark.parametrize("above", [1, 13])
def test_preamble_and_blank_rows(tmp_path: Path, above: int) -> None:
    preamble: list[tuple[object, ...]] = [("SAMM Micro FACS Codes", "Subject: see paper")] + [()] * (above - 1)
    path = write_xlsx(tmp_path / "a.xlsx", [*preamble, ROWS[0], (), *ROWS[1:], (None, "", " ")])
    check(path, above + 3)


def test_the_first_of_two_columns_with_one_name(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [("a", "b", "A"), ("1", "2", "3")])
    assert read_table(path, ["A"]).rows[0].text("a") == "1"


def test_either_of_two_names(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [("a", "OnsetF"), ("1", "2")])
    (row,) = read_table(path, ["Onset|OnsetF"]).rows
    assert row.text("onset") == row.text("onsetf") == "2"
    path = write_csv(tmp_path / "a.csv", [("OnsetF", "Onset"), ("1", "2")])
    assert read_table(path, ["Onset|OnsetF"]).rows[0].text("onset") == "2"


def test_sheets(tmp_path: Path) -> None:
    other = [ROWS[0], ("99", 1, None, "x")]
    path = write_xlsx(tmp_path / "a.xlsx", [("remarks",)], ROWS, other, names=["Notes", "HS", "VIS"])
    table = read_table(path, NEEDED)
    assert (table.sheet, table.location(table.rows[1])) == ("HS", "a.xlsx, sheet HS, row 3")
    assert read_table(path, NEEDED, sheet="vis").rows[0].text("subject") == "99"
    assert read_table(path, NEEDED, sheet="NIR").sheet == "HS"


def test_without_header(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", [("1", "anger1_1", 557), (), ("2", "x", 9.0, "more")])
    table = read_headerless_table(path, ["Subject", "Filename", "Onset"])
    assert [(r.number, r.text("filename"), r.integer("onset")) for r in table.rows] == [
        (1, "anger1_1", 557),
        (3, "x", 9),
    ]
    semicolons = write_csv(tmp_path / "a.csv", [("1", "a, b", "3")], ";")
    assert read_headerless_table(semicolons, ["Subject", "Filename", "Onset"]).rows[0].text("filename") == "a, b"
    with pytest.raises(WrongTableError, match="a.csv: no row holds 4 columns: a, b, c, d"):
        read_headerless_table(semicolons, list("abcd"))
    two = write_xlsx(tmp_path / "b.xlsx", [("1", "2")], [("3", "4"), ("5", "6")], names=["X", "Y"])
    assert read_headerless_table(two, ["a", "b"]).sheet == "Y"
    assert read_headerless_table(two, ["a", "b"], sheet="x").sheet == "X"


def test_missing_columns_are_named_with_what_is_there(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", [("title",), *ROWS])
    message = "a.xlsx: no header row with the column ApexFrame, Offset or OffsetF; the nearest row holds: Subject, "
    with pytest.raises(WrongTableError, match=message + "Onset Frame, Emotion"):
        read_table(path, (*NEEDED, "ApexFrame", "Offset|OffsetF"))
    with pytest.raises(WrongTableError, match="column x; the nearest row holds: title"):
        read_table(path, ["x"])
    with pytest.raises(WrongTableError, match="holds no rows; give a table with the columns subject, "):
        read_table(write_xlsx(tmp_path / "b.xlsx", []), NEEDED)


def formulas(path: Path, *, saved: bool) -> Path:
    """A workbook with a formula, with its value or, as openpyxl writes it, without."""
    write_xlsx(path, [("Subject", "OffsetF", "Duration"), (1, "=A2+40", "=B2-A2")])
    if saved:
        parts = zipfile.ZipFile(BytesIO(path.read_bytes()))
        with zipfile.ZipFile(path, "w") as out:
            for part in parts.namelist():
                out.writestr(part, parts.read(part).replace(b"<v />", b"<v>41</v>").replace(b"<v></v>", b"<v>41</v>"))
    return path


def test_a_formula_is_read_as_its_value(tmp_path: Path) -> None:
    path = formulas(tmp_path / "a.xlsx", saved=True)
    assert read_table(path, ["Subject", "OffsetF"]).rows[0].integer("offsetf") == 41


def test_a_formula_without_value_matters_where_it_is_needed(tmp_path: Path) -> None:
    path = formulas(tmp_path / "a.xlsx", saved=False)
    with pytest.raises(UserError, match="a.xlsx, row 2: offsetf is a formula whose value was not saved; open the work"):
        read_table(path, ["Subject", "OffsetF"])
    with pytest.raises(UserError, match="b is a formula whose value"):
        read_headerless_table(path, ["a", "b"])
    (row,) = read_table(path, ["Subject"]).rows
    assert row.text("offsetf") == row.text("duration") == ""


def test_no_such_file_empty_and_binary(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a.xlsx: cannot be read \(No such file"):
        read_table(tmp_path / "a.xlsx", NEEDED)
    for name in ("a.xlsx", "a.xls", "a.csv"):
        (tmp_path / name).touch()
        with pytest.raises(UserError, match=r"is empty \(0 bytes\)"):
            read_table(tmp_path / name, NEEDED)
    (tmp_path / "a.csv").write_bytes(b"a,b\n1,\x002\n")
    with pytest.raises(UserError, match=r"a.csv, line 2: holds the control character '\\x00'"):
        read_table(tmp_path / "a.csv", NEEDED)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("é".encode("latin-1"), "a.csv, line 1: not UTF-8 text; save it as csv in UTF-8"),
        (b"\xff\xfea", "a.csv, line 1: not UTF-16 text"),
        (b'a,b\n"1,2\n', "a.csv, line 2: unexpected end of data; correct the quotes"),
    ],
)
def test_a_csv_that_is_no_text(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    with pytest.raises(UserError, match=message):
        read_table(path, NEEDED)


def test_other_files_named_as_workbooks(tmp_path: Path) -> None:
    for data in (
        b"<html>",
        b"\xd0\xcf\x11\xe0" + b"\0" * 600,
        b"\x09\x00\x04\x00" + b"\0" * 9,
        b"PK\x03\x04" + b"1" * 99,
    ):
        for name in ("a.xlsx", "a.xls"):
            (tmp_path / name).write_bytes(data)
            with pytest.raises(UserError, match=f"{name}: not a readable workbook"):
                read_table(tmp_path / name, NEEDED)


@pytest.mark.parametrize("part", ["xl/workbook.xml", "xl/worksheets/sheet1.xml", "[Content_Types].xml"])
def test_a_workbook_that_lacks_a_part_or_holds_a_broken_one(tmp_path: Path, part: str) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", ROWS)
    whole = zipfile.ZipFile(BytesIO(path.read_bytes()))
    for replacement in (None, b"", b"<worksheet><sheetData><row r='x'>", b"\xff\xfe"):
        with zipfile.ZipFile(path, "w") as out:
            for name in whole.namelist():
                if name != part:
                    out.writestr(name, whole.read(name))
                elif replacement is not None:
                    out.writestr(name, replacement)
        with pytest.raises(UserError, match="a.xlsx: "):
            read_table(path, NEEDED)


def edited_sheet(path: Path, old: bytes, new: bytes) -> Path:
    whole = zipfile.ZipFile(BytesIO(write_xlsx(path, ROWS).read_bytes()))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name in whole.namelist():
            data = whole.read(name)
            if name.endswith("sheet1.xml"):
                assert old in data
                data = data.replace(old, new)
            out.writestr(name, data)
    return path


@pytest.mark.parametrize("size", [b"A1", b"A1:XFD1048576"])
def test_a_wrong_sheet_size_is_ignored(tmp_path: Path, size: bytes) -> None:
    check(edited_sheet(tmp_path / "a.xlsx", b"A1:D3", size))


def test_rows_after_many_blank_rows_are_not_read(tmp_path: Path) -> None:
    far = b'<row r="1048576"><c r="A1048576"><v>1</v></c></row></sheetData>'
    check(edited_sheet(tmp_path / "a.xlsx", b"</sheetData>", far))


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    path = edited_sheet(tmp_path / "a.xlsx", b"</sheetData>", b" " * 101_000_000 + b"</sheetData>")
    assert path.stat().st_size < 1_000_000
    with pytest.raises(UserError, match="a.xlsx: unpacks to more than 100 MB"):
        read_table(path, NEEDED)


def test_more_rows_than_any_annotation(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" * 50_001)
    with pytest.raises(UserError, match="more than 50000 rows"):
        read_table(path, ["a", "b"])


def test_warnings_of_openpyxl_are_not_shown(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", ROWS)
    whole = zipfile.ZipFile(BytesIO(path.read_bytes()))
    styles = b'<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"/>'
    with zipfile.ZipFile(path, "w") as out:
        for name in whole.namelist():
            out.writestr(name, styles if name == "xl/styles.xml" else whole.read(name))
    with pytest.warns(UserWarning, match="no stylesheet"):
        openpyxl.load_workbook(path)
    check(path)


def test_every_damage_of_a_byte_is_read_or_is_one_error(tmp_path: Path) -> None:
    good = write_xlsx(tmp_path / "a.xlsx", ROWS).read_bytes()
    old = biff_sheet(*ROWS)
    path = tmp_path / "b.xlsx"
    for data, step in ((good, 61), (old, 3)):
        for at in range(0, len(data), step):
            broken = bytearray(data)
            broken[at] ^= 0x55
            path.write_bytes(broken)
            try:
                read_table(path, NEEDED)
            except UserError as error:
                assert "\n" not in str(error)


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


def test_dates_and_truth_values_are_text(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.worksheets[0].append(["a", "b"])
    book.worksheets[0].append([True, 0.5])
    book.save(tmp_path / "a.xlsx")
    (row,) = read_table(tmp_path / "a.xlsx", ["a"]).rows
    assert (row.text("a"), row.text("b"), row.integer("a")) == ("TRUE", "0.5", None)
