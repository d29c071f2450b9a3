from collections.abc import Sequence
from pathlib import Path

import pytest

from icegan_jax.data.databases import READERS, Source
from icegan_jax.data.ingest.annotation import DatabaseAnnotation
from icegan_jax.errors import UserError
from tests.data.databases.write_files import messages_of_kind, write_frames, write_xlsx

HEADER = (
    "Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame", "Duration", "Micro",
    "Action Units", "Estimated Emotion", "Objective Classes", "Notes",
)  # fmt: skip
ROWS: list[Sequence[object]] = [
    ("006", "006_1_2", 1, 5562, 5588, 5632, "=F15-D15+1", "Micro - 1/2", "4", "Anger", 3, None),
    (28, "028_4_1", 4, 1074, 1143, 1134, "=F16-D16+1", "Micro - 1/2", 12, "Contempt ", 6, "apex?"),
    ("018", "018_1_4", 1, 10000, 10010, 10020, "=F17-D17+1", "Micro - 1/2", "12 ", "Other", 7, None),
]
PREAMBLE: list[Sequence[object]] = [("SAMM Micro-Movements",), ("Subject", "the person"), *([()] * 10), ("A", "either")]
SHEET = [*PREAMBLE, HEADER, *ROWS]


def tree(root: Path, prefix: str = "SAMM") -> Path:
    write_frames(root, f"{prefix}/006/006_1_2", ("006_05562.jpg", "006_05563.jpg"))
    write_frames(root, f"{prefix}/018/018_1_4", ("018_10000.jpg",))
    write_frames(root, f"{prefix}/028/028_4_1", ("028_1074.jpg",))
    return root / prefix


def read(root: Path) -> DatabaseAnnotation:
    return READERS["samm"](Source("samm", root))


def test_preamble_padded_and_plain_subjects_and_a_formula_that_is_not_needed(tmp_path: Path) -> None:
    root = tree(tmp_path)
    write_xlsx(root / "SAMM_Micro_FACS_Codes_v2.xlsx", SHEET, names=["MICRO_ONLY"])
    database = read(root)
    assert [a.name for a in database.annotations] == ["samm/006/006_1_2", "samm/028/028_4_1", "samm/018/018_1_4"]
    anger, late, other = database.annotations
    assert (anger.onset, anger.apex, anger.offset, anger.emotion) == (5562, 5588, 5632, "anger")
    assert anger.frames == (root / "006/006_1_2",)
    assert anger.where == "SAMM_Micro_FACS_Codes_v2.xlsx, row 15"
    assert (late.apex, late.offset, late.emotion) == (1143, 1134, "contempt")  # passes as it stands
    assert other.emotion == "other"
    assert [a.action_units for a in database.annotations] == [(4,), (12,), (12,)]
    assert not database.findings


def test_surplus_and_long_videos(tmp_path: Path) -> None:
    root = tree(tmp_path)
    write_frames(root, "009/009_1_1", ["009_0001.jpg"])
    write_frames(root, "SAMM_longvideos/006_1", ["006_1_0001.jpg"])
    write_xlsx(root / "SAMM_Micro_FACS_Codes_v2.xlsx", SHEET)
    assert set(messages_of_kind(read(root), "surplus")) == {"samm/009/009_1_1"}


@pytest.mark.parametrize("cells", [(7, "006_1_3"), ("006", "EP02_01f"), ("006", "006_1")])
def test_a_clip_under_another_subject_is_an_error(tmp_path: Path, cells: Sequence[object]) -> None:
    write_xlsx(tree(tmp_path) / "a.xlsx", [HEADER, *ROWS, (*cells, 1, 1, 2, 3, None, None, None, "Anger")])
    with pytest.raises(UserError, match=f"a.xlsx, row 5: Filename '{cells[1]}' is no clip of subject 00"):
        read(tmp_path)


def test_the_workbook_of_casme2(tmp_path: Path) -> None:
    columns = ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Estimated Emotion")
    write_xlsx(tree(tmp_path) / "coding.xlsx", [columns, ("01", "EP02_01f", 1, 2, 3, "disgust")])
    with pytest.raises(UserError, match="coding.xlsx: looks like the annotation of CASME II, not of SAMM; give SAMM_M"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["samm_lv", "SAMM Long Videos"])
def test_long_videos_alone_are_refused_by_name(tmp_path: Path, name: str) -> None:
    write_frames(tmp_path, f"{name}/006_1", ["006_1_0001.jpg"])
    with pytest.raises(UserError, match="holds SAMM Long Videos, whose annotation has no emotions, and not SAMM; give"):
        read(tmp_path / name)
