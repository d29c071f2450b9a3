from dataclasses import replace
from pathlib import Path

import openpyxl
import pytest

from icegan_jax.data.ingest.annotation import Annotation
from icegan_jax.data.ingest.overrides import (
    Override,
    check_override,
    match_overrides,
    override_annotation,
    read_overrides,
)
from icegan_jax.errors import UserError

HEADER = "clip,onset,apex,offset,reason"


def annotation(dataset: str, subject: str, clip: str) -> Annotation:
    return Annotation(dataset, subject, clip, "disgust", (Path("frames"),), 10, 15, 20, "sheet.xlsx, row 2")


KNOWN = [
    annotation("casme2", "sub01", "EP02_01f"),
    annotation("casme2", "sub01", "EP12_01f"),
    annotation("casme2", "sub04", "EP12_01f"),
    annotation("samm", "028", "028_4_1"),
    annotation("smic", "s01", "s01_ne_01"),
]


def written(path: Path, *rows: str) -> Path:
    path.write_text("\n".join((HEADER, *rows)) + "\n")
    return path


def test_reads_cells_and_reason_of_csv_and_workbook(tmp_path: Path) -> None:
    csv = written(tmp_path / "fixes.csv", 'samm/028/028_4_1,,1105,,"apex, late"', "", "s01_ne_01, 5 ,,9.0,shorter")
    expected = [
        Override("samm/028/028_4_1", None, 1105, None, "apex, late", "fixes.csv, row 2"),
        Override("s01_ne_01", 5, None, 9, "shorter", "fixes.csv, row 4"),
    ]
    assert read_overrides(csv) == expected
    book = openpyxl.Workbook()
    book.worksheets[0].append(["Clip", "Onset", "Apex", "Offset", "Reason"])
    book.worksheets[0].append(["s01_ne_01", 5, None, 9, "shorter"])
    book.save(tmp_path / "fixes.xlsx")
    assert read_overrides(tmp_path / "fixes.xlsx") == [replace(expected[1], where="fixes.xlsx, row 2")]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("c,ten,,,why", "fixes.csv, row 2: onset 'ten' of clip c is not a frame number; correct the cell"),
        ("c,,-3,,why", "fixes.csv, row 2: apex '-3' of clip c is not a frame number"),
        (",1,,,why", "fixes.csv, row 2: clip is empty"),
        ("c,1,,,", "fixes.csv, row 2: reason is empty; name the clip"),
        ("c,,,,why", "fixes.csv, row 2: changes nothing in clip c"),
        ("", "fixes.csv: holds no row below the header"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        read_overrides(written(tmp_path / "fixes.csv", row))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("samm/028/028_4_1", 3),
        ("028/028_4_1", 3),
        ("028_4_1", 3),
        ("samm/28/28_4_1", 3),  # unpadded
        ("SMIC/s1/S1_ne_1", 4),
        ("sub04/EP12_01f", 2),
        ("casme2 / sub01 / EP12_01f", 1),
    ],
)
def test_a_clip_is_found_by_any_name_that_is_its_own(name: str, place: int) -> None:
    override = Override(name, None, 1, None, "why")
    assigned, errors = match_overrides([override], KNOWN)
    assert not errors
    assert assigned == {(KNOWN[place].dataset, KNOWN[place].subject, KNOWN[place].clip): override}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("EP12_01f", "2 clips are called 'EP12_01f': casme2/sub01/EP12_01f, casme2/sub04/EP12_01f"),
        ("sub01/EP02_11f", "no clip is called 'sub01/EP02_11f'; near are casme2/sub01/EP02_01f"),
        ("028_4_2", "no clip is called '028_4_2'; near are samm/028/028_4_1"),
        ("x/casme2/sub01/EP02_01f", "no clip is called 'x/casme2/sub01/EP02_01f'; near are casme2/sub01/EP02_01f"),
        ("???", "no clip is called '???'"),
    ],
)
def test_an_unclear_name_is_an_error_with_what_is_near(name: str, message: str) -> None:
    assigned, (error,) = match_overrides([Override(name, 1, None, None, "why", "fixes.csv, row 2")], KNOWN)
    assert not assigned
    assert (error.kind, error.where) == ("error", "fixes.csv, row 2")
    assert error.message.startswith(message)
    assert error.remedy


def test_one_row_per_clip() -> None:
    rows = [Override("028_4_1", 1, None, None, "why", "row 2"), Override("028/028_4_1", 2, None, None, "why", "row 3")]
    assigned, (error,) = match_overrides(rows, KNOWN)
    assert assigned[("samm", "028", "028_4_1")] is rows[0]
    assert (error.where, error.message) == ("row 3", "clip samm/028/028_4_1 is in row 2 too")


def test_every_cell_is_a_repair_with_the_users_reason() -> None:
    changed, repairs = override_annotation(KNOWN[3], Override("028_4_1", None, 17, 20, "seen by eye"))
    assert (changed.onset, changed.apex, changed.offset) == (10, 17, 20)
    assert [(r.clip, r.field, r.old, r.new, r.reason) for r in repairs] == [
        ("028_4_1", "apex", "15", "17", "seen by eye"),
        ("028_4_1", "offset", "20", "20", "seen by eye"),
    ]
    _, (first,) = override_annotation(replace(KNOWN[3], apex=None), Override("028_4_1", None, 17, None, "x"))
    assert (first.old, first.new) == ("", "17")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ((None, 21, None), "apex 21 is not after onset 10 and up to offset 20"),
        ((None, 10, None), "apex 10 is not after onset 10"),
        ((None, None, 9), "offset 9 is not after onset 10"),
        ((40, None, None), "onset 40 is no frame of the clip: frames holds frames 5 to 30"),
        ((None, 12, None), "apex 12 is no frame of the clip"),
    ],
)
def test_contradictory_cells_are_errors(cells: tuple[int | None, int | None, int | None], message: str) -> None:
    override = Override("028_4_1", *cells, "why", "fixes.csv, row 2")
    changed, _ = override_annotation(KNOWN[3], override)
    numbers = [n for n in range(5, 31) if n != 12]
    errors = check_override(changed, override, numbers, Path("frames"))
    assert errors[0].message.startswith(message)
    assert all((e.kind, e.clip, e.where) == ("error", "samm/028/028_4_1", "fixes.csv, row 2") for e in errors)
