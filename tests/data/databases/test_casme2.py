import datetime
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from icegan_jax.data.databases import READERS, Source
from icegan_jax.errors import UserError
from tests.data.databases.write_files import XLS, by_name, messages_of_kind, write_csv, write_frames, write_xlsx

HEADER = (
    "Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None, "Action Units", "Estimated Emotion"
)  # fmt: skip
ROWS: list[Sequence[object]] = [
    ("01", "EP02_01f", None, 46, 59, 86, None, "4+L10", "happiness"),
    (1, "EP03_02", None, 131.0, 161, 181, None, 12, " Others "),
    ("04", "EP12_01f", None, 42, "/", 81, None, "?", "disgust"),
    ("05", "EP02_01f", None, 1, 1, 9, None, 4, "surprise"),
]
SHEET = [HEADER, *ROWS]


def tree(root: Path, prefix: str = "CASME2-RAW") -> Path:
    for clip in ("sub01/EP02_01f", "sub01/EP03_02", "sub04/EP12_01f", "sub05/EP02_01f"):
        write_frames(root, f"{prefix}/{clip}")
    return root


def read(root: Path, **options: object):  # type: ignore[no-untyped-def]
    return READERS["casme2"](Source("casme2", root, **options))  # type: ignore[arg-type]


def test_a_nested_tree_and_the_sheet_with_blank_columns(tmp_path: Path) -> None:
    tree(tmp_path, "CASME2-RAW/CASME2-RAW")
    write_xlsx(tmp_path / "CASME2-coding-20140508.xlsx", SHEET, [], [])
    database = read(tmp_path)
    assert [a.name for a in database.annotations] == [
        "casme2/sub01/EP02_01f", "casme2/sub01/EP03_02", "casme2/sub04/EP12_01f", "casme2/sub05/EP02_01f"
    ]  # fmt: skip
    first, others, slash, still = database.annotations
    assert (first.onset, first.apex, first.offset, first.emotion) == (46, 59, 86, "happiness")
    assert first.frames == (tmp_path / "CASME2-RAW/CASME2-RAW/sub01/EP02_01f",)
    assert first.where == "CASME2-coding-20140508.xlsx, row 2"
    assert others.emotion == "others" and others.onset == 131
    assert slash.apex is None
    assert (still.onset, still.apex) == (1, 1)  # repaired, or left out, elsewhere
    assert still.frames != first.frames  # one clip name, two subjects
    assert messages_of_kind(database, "note") == {"casme2/sub04/EP12_01f": "the apex is '/', not a frame number"}


def test_releases_are_ranked_and_can_be_chosen(tmp_path: Path) -> None:
    names = ("Cropped-updated/Cropped", "CASME2_RAW_selected", "CASME2-RAW", "CASME2_preprocessed_Li Xiaobai/x")
    for name in names:
        tree(tmp_path, name)
    write_xlsx(tmp_path / "CASME2-coding.xlsx", SHEET)
    releases = [path.relative_to(tmp_path).parts[0] for path in read(tmp_path).annotations[0].frames]
    assert releases == ["CASME2-RAW", "CASME2_RAW_selected", "CASME2_preprocessed_Li Xiaobai", "Cropped-updated"]
    assert "also in" not in str(messages_of_kind(read(tmp_path), "note"))
    cropped = read(tmp_path, release="cropped")
    assert [path.relative_to(tmp_path).parts[0] for path in cropped.annotations[0].frames] == releases[2:]
    assert "the clip's frames are also in" in messages_of_kind(cropped, "note")["casme2/sub01/EP02_01f"]
    with pytest.raises(UserError, match="no folder of release long; it holds: cropped, raw, selected"):
        read(tmp_path, release="long")


def test_folders_without_a_row_and_rows_without_a_folder(tmp_path: Path) -> None:
    tree(tmp_path)
    write_frames(tmp_path, "CASME2-RAW/sub09/EP02_02f")
    write_frames(tmp_path, "CASME2-RAW/sub24/EP02_07")
    write_frames(tmp_path, "CASME2-RAW/sub06/EP01_01", ())  # there, but nothing unpacked in it
    write_frames(tmp_path, "docs", ("figure1.png",))
    rows = [("06", "EP01_01", None, 1, 2, 3, None, 1, "fear"), ("07", "EP01_01", None, 1, 2, 3, None, 1, "fear")]
    write_xlsx(tmp_path / "CASME2-coding-20140508.xlsx", [*SHEET, *rows])
    database = read(tmp_path)
    assert set(messages_of_kind(database, "surplus")) == {"casme2/sub09/EP02_02f", "casme2/sub24/EP02_07"}
    assert by_name(database)["sub06/EP01_01"].frames == by_name(database)["sub07/EP01_01"].frames == ()


@pytest.mark.parametrize("subject", ["Sub1", "s01", "01", "subject 1"])
def test_subject_folders_in_any_padding(tmp_path: Path, subject: str) -> None:
    folder = write_frames(tmp_path, f"Cropped/{subject}/ep02_01F", ["reg_img46.jpg"])
    write_xlsx(tmp_path / "CASME2-coding-20140508.xlsx", SHEET)
    assert read(tmp_path).annotations[0].frames == (folder,)


def test_padding_of_clip_names_never_takes_the_folder_of_another_row(tmp_path: Path) -> None:
    folder = write_frames(tmp_path, "sub03/EP01_02")
    rows = [("03", name, None, 1, 2, 3, None, 1, "fear") for name in ("EP01_2", "EP01_02")]
    write_xlsx(tmp_path / "CASME2-coding-20140508.xlsx", [HEADER, *rows])
    assert [a.frames for a in read(tmp_path).annotations] == [(), (folder,)]
    write_xlsx(tmp_path / "CASME2-coding-20140508.xlsx", [HEADER, rows[0]])
    assert [a.frames for a in read(tmp_path).annotations] == [(folder,)]


def test_the_newest_coding_sheet_is_used_with_a_note(tmp_path: Path) -> None:
    tree(tmp_path)
    relabelled = [row if row[0] != "05" else (*row[:8], "fear") for row in SHEET]
    write_xlsx(tmp_path / "CASME2-coding-20140508.xlsx", SHEET)
    write_xlsx(tmp_path / "CASME2-coding-20190701.xlsx", relabelled)
    write_xlsx(
        tmp_path / "CASME2-ObjectiveClasses.xlsx", [("Subject", "Filename", "Objective Class"), ("01", "EP02_01f", 3)]
    )
    write_csv(tmp_path / "train.csv", [*SHEET, ("09", "EP01_01", None, 1, 2, 3, None, 1, "fear")])
    database = read(tmp_path)
    assert by_name(database)["sub05/EP02_01f"].emotion == "fear"
    assert len(database.annotations) == 4
    message = "used for the annotation, not CASME2-coding-20140508.xlsx, train.csv"
    assert messages_of_kind(database, "note")["casme2"] == message
    chosen = read(tmp_path, annotation=tmp_path / "CASME2-coding-20140508.xlsx")
    assert by_name(chosen)["sub05/EP02_01f"].emotion == "surprise"
    assert "casme2" not in messages_of_kind(chosen, "note")


def test_a_damaged_workbook_beside_a_good_one_is_a_note(tmp_path: Path) -> None:
    tree(tmp_path)
    good = write_xlsx(tmp_path / "CASME2-coding-20140508.xlsx", SHEET)
    (tmp_path / "CASME2-coding-20190701.xlsx").write_bytes(good.read_bytes()[:3000])
    assert "not used" in messages_of_kind(read(tmp_path), "note")["casme2"]


def test_remarks_between_rows_are_ignored(tmp_path: Path) -> None:
    tree(tmp_path)
    write_xlsx(tmp_path / "CASME2-coding.xlsx", [*SHEET, (None,), ("? means unsure",)])
    assert len(read(tmp_path).annotations) == 4


def test_a_video_counts_as_its_release_does(tmp_path: Path) -> None:
    tree(tmp_path)
    write_frames(tmp_path, "RAW_avi/sub01", ["EP02_01f.avi"])  # beside a folder: not used
    write_frames(tmp_path, "RAW_avi/sub09", ["EP01_01.avi"])
    write_frames(tmp_path, "Cropped/sub09", ["EP01_02.mp4"])
    rows = [("09", name, None, 11, 12, 13, None, 1, "fear") for name in ("EP01_01", "EP01_02")]
    write_xlsx(tmp_path / "CASME2-coding.xlsx", [*SHEET, *rows])
    database = read(tmp_path)
    assert by_name(database)["sub01/EP02_01f"].frames == (tmp_path / "CASME2-RAW/sub01/EP02_01f",)
    recorded, cropped = by_name(database)["sub09/EP01_01"], by_name(database)["sub09/EP01_02"]
    assert (recorded.onset, recorded.apex, recorded.offset) == (10, 11, 12)
    assert (cropped.onset, cropped.apex, cropped.offset) == (0, 1, 2)
    assert "taken as the annotation's frame 11" in messages_of_kind(database, "note")["casme2/sub09/EP01_02"]


def test_no_clip_of_the_sheet_is_there(tmp_path: Path) -> None:
    write_frames(tmp_path, "sub17/EP01_01")
    write_xlsx(tmp_path / "CASME2-coding.xlsx", SHEET)
    with pytest.raises(UserError, match=r"none of the 4 annotated .* sub01/EP02_01f \(CASME2-coding.xlsx, row 2\)"):
        read(tmp_path)


def test_the_older_xls_and_a_csv_without_blank_columns(tmp_path: Path) -> None:
    shutil.copy(XLS, tree(tmp_path) / "CASME2_label_Ver_2.xls")
    database = read(tmp_path)
    assert [(a.subject, a.onset, a.apex) for a in database.annotations] == [("sub01", 46, 59), ("sub01", 131, None)]
    assert database.annotations[1].where == "CASME2_label_Ver_2.xls, row 3"
    write_csv(tmp_path / "coding.csv", [[cell for i, cell in enumerate(row) if i not in (2, 6)] for row in SHEET], ";")
    assert [a.onset for a in read(tmp_path, annotation=tmp_path / "coding.csv").annotations] == [46, 131, 42, 1]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            ("07", "EP01_01", None, "x", 1, 3, None, 1, "fear"),
            "OnsetFrame 'x' of clip casme2/sub07/EP01_01 is not a fr",
        ),
        (("07", "EP01_01", None, datetime.date(2020, 1, 2), 1, 3, None, 1, "fear"), "OnsetFrame '2020-01-02 "),
        (("07", "EP01_01", None, 1, 2, None, None, 1, "fear"), "OffsetFrame '' of clip casme2/sub07/EP01_01"),
        (("07", "EP01_01", None, 1, 2, 3), "Estimated Emotion '' of clip casme2/sub07/EP01_01 is empty"),
        (("nobody", "EP01_01", None, 1, 2, 3, None, 1, "fear"), "Subject 'nobody' is not a subject's number"),
        (("07", "../EP01_01", None, 1, 2, 3, None, 1, "fear"), "Filename '../EP01_01' cannot be"),
        (ROWS[0], "clip casme2/sub01/EP02_01f is already in coding.xlsx, row 2"),
    ],
)
def test_a_bad_cell_is_named(tmp_path: Path, row: Sequence[object], message: str) -> None:
    write_xlsx(tree(tmp_path) / "coding.xlsx", [*SHEET, row])
    with pytest.raises(UserError, match=re.escape(f"coding.xlsx, row 6: {message}")):
        read(tmp_path)


def test_another_folder_or_workbook(tmp_path: Path) -> None:
    sought = "no CASME II here: looked for folders of images such as sub01/EP02_01f, found "
    with pytest.raises(UserError, match=sought + "no folder of images; give the folder of the unpacked database"):
        read(tmp_path)
    (tmp_path / "Cropped.rar").touch()
    with pytest.raises(UserError, match=sought + "the archive Cropped.rar; unpack it"):
        read(tmp_path)
    (tmp_path / "Cropped.rar").unlink()
    write_frames(tmp_path, "SAMM/006/006_1_2")
    with pytest.raises(UserError, match=sought + "SAMM/006/006_1_2; give the folder of CASME II"):
        read(tmp_path)
    tree(tmp_path)
    with pytest.raises(UserError, match="no workbook of CASME II .* put CASME2-coding-20190701.xlsx or .*--annotation"):
        read(tmp_path)
    header = ("Subject", "Filename", "Onset Frame", "Apex Frame", "Offset Frame", "Estimated Emotion")
    write_xlsx(tmp_path / "a.xlsx", [header, ("006", "006_1_2", 1, 2, 3, "Anger")])
    with pytest.raises(UserError, match="a.xlsx: looks like the annotation of SAMM, not of CASME II; give CASME2-cod"):
        read(tmp_path)
