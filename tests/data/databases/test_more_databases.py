"""CASME, CAS(ME)^2, CAS(ME)^3, MMEW and 4DME, on trees of the shapes in docs/databases.md."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from icegan_jax.data.databases import READERS, Source
from icegan_jax.data.ingest.annotation import DatabaseAnnotation
from icegan_jax.data.ingest.protocol import select_clips
from icegan_jax.errors import UserError
from tests.data.databases.write_files import by_name, messages_of_kind, write_csv, write_frames, write_xlsx

Rows = list[Sequence[object]]


def read(name: str, root: Path, annotation: Path | None = None) -> DatabaseAnnotation:
    return READERS[name](Source(name, root, annotation))


def labels(name: str, database: DatabaseAnnotation) -> dict[str, int]:
    return {f"{a.subject}/{a.clip}": label for a, label in select_clips({name: database}, "three").annotations}


CASME: Rows = [
    ("Subject", "Filename", None, "OnsetF", "ApexF1", "ApexF2", "OffsetF", None, "AU", "Emotion"),
    (1, "EP01_5", None, 113, 120, 131, 140, None, 4, "Tense"),
    ("01", "EP01_6", None, 10, 15, 0, 20, None, "12", "happiness"),
    (2, "EP01_5", None, 7, 9, 9, 12, None, "1+2", "surprise"),
]


def casme(root: Path) -> Path:
    write_frames(root, "CASME/Raw/sub01/EP01_5", ("EP01_5-113.jpg", "EP01_5-114.jpg"))
    write_frames(root, "CASME/Cropped/sub01/EP01_5", ("reg_EP01_5-113.jpg", "reg_EP01_5-114.jpg"))
    write_frames(root, "CASME/Raw/sub01/EP01_6", ("EP01_6-010.jpg",))
    write_frames(root, "CASME/Raw/sub02/EP01_5", ("EP01_5-007.jpg",))
    return root


def test_casme_takes_the_first_apex_and_notes_the_second(tmp_path: Path) -> None:
    write_xlsx(casme(tmp_path) / "CASME.xlsx", CASME)
    database = read("casme", tmp_path)
    clips = by_name(database)
    assert list(clips) == ["sub01/EP01_5", "sub01/EP01_6", "sub02/EP01_5"]
    first = clips["sub01/EP01_5"]
    assert (first.onset, first.apex, first.offset, first.emotion) == (113, 120, 140, "tense")
    assert first.frames == (tmp_path / "CASME/Raw/sub01/EP01_5", tmp_path / "CASME/Cropped/sub01/EP01_5")
    assert messages_of_kind(database, "note") == {"casme/sub01/EP01_5": "a second apex, 131: the first, 120, is used"}
    assert labels("casme", database) == {"sub01/EP01_5": 0, "sub01/EP01_6": 1, "sub02/EP01_5": 2}


def test_the_folder_and_the_table_of_casme_ii_are_not_casmes(tmp_path: Path) -> None:
    header = ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Estimated Emotion")
    write_xlsx(casme(tmp_path) / "CASME2-coding.xlsx", [header, ("01", "EP01_5", 1, 2, 3, "disgust")])
    with pytest.raises(UserError, match="no header row with the column OnsetF, ApexF1, OffsetF, Emotion; the nearest"):
        read("casme", tmp_path)


SQUARED: Rows = [
    ("s15", "anger1_1", 557, 564, 570, "negative", "micro-expression"),
    ("s15", "anger1_1", 900, 905, 0, "Positive", "micro-expression"),
    ("s15", "anger1_1", 950, 0, 0, "surprise", "micro-expression"),
    ("s16", "anger1_1", 557, 560, 571, "surprise", "micro-expression"),
    ("s16", "anger1_1", 100, 160, 271, "positive", "macro-expression"),
    ("s16", "anger1_1", 700, 706, 711, "others", "micro-expression"),
]
SQUARED_HEADER = ("Subject", "Filename", "Onset", "Apex", "Offset", "Emotion", "Type")


def squared(root: Path) -> Path:
    for subject in ("s15", "s16"):
        write_frames(root, f"rawpic/{subject}/anger1_1", ("img557.jpg", "img558.jpg"))
    return root


def test_casme_squared_needs_the_names_of_its_columns(tmp_path: Path) -> None:
    write_xlsx(squared(tmp_path) / "CAS(ME)^2code_final.xlsx", SQUARED)
    with pytest.raises(UserError) as caught:
        read("casme_squared", tmp_path)
    message = str(caught.value)
    assert "no header row with the column Subject, Filename" in message and "s15, anger1_1, 557" in message
    assert "write the first row Subject, Filename, Onset, Apex, Offset, Emotion, Type above its columns" in message
    assert "\n" not in message


def test_casme_squared_with_named_columns(tmp_path: Path) -> None:
    table = write_csv(squared(tmp_path) / "named.csv", [SQUARED_HEADER, *SQUARED])
    database = read("casme_squared", tmp_path, table)
    clips = by_name(database)
    assert list(clips) == ["s15/anger1_1_557", "s15/anger1_1_900", "s16/anger1_1_557", "s16/anger1_1_700"]
    assert clips["s15/anger1_1_557"].frames == (tmp_path / "rawpic/s15/anger1_1",)
    assert clips["s16/anger1_1_557"].frames == (tmp_path / "rawpic/s16/anger1_1",)
    assert (clips["s15/anger1_1_900"].apex, clips["s15/anger1_1_900"].offset) == (905, 905)
    assert messages_of_kind(database, "repair") == {
        "casme_squared/s15/anger1_1_900": "offset 0: the apex, frame 905, is taken as the offset"
    }
    assert list(messages_of_kind(database, "missing")) == ["casme_squared/s15/anger1_1_950"]
    assert messages_of_kind(database, "note") == {"casme_squared": "macro-expressions, not used: 1"}
    assert labels("casme_squared", database) == {"s15/anger1_1_557": 0, "s15/anger1_1_900": 1, "s16/anger1_1_557": 2}


def test_casme_squared_never_takes_an_expression_of_unknown_type(tmp_path: Path) -> None:
    rows = [SQUARED_HEADER, (*SQUARED[0][:-1], "")]
    with pytest.raises(UserError, match="named.csv, row 2: Type '' is neither micro nor macro; correct the cell"):
        read("casme_squared", tmp_path, write_csv(squared(tmp_path) / "named.csv", rows))


CUBED: Rows = [
    ("Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion"),
    ("spNO.1", "b", "166", "170", "175", "4", 1, "disgust"),
    ("spNO.1", "b", 200, 200, 220, "12", 2, "happy"),
    ("spNO.12", "b", 166, 168, 170, "1+2", 3, "surprise"),
    ("spNO.12", "c", 166, 168, 170, "1+2", 3, "Others"),
]


def test_casme_cubed_has_several_clips_in_a_recording(tmp_path: Path) -> None:
    for folder in ("spNO.1/b/color", "spNO.12/b/color", "spNO.1/b/depth", "spNO.2/a/color"):
        write_frames(tmp_path, f"part_A/{folder}", ("166.jpg", "167.jpg"))
    write_xlsx(tmp_path / "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", CUBED)
    database = read("casme_cubed", tmp_path)
    clips = by_name(database)
    assert list(clips) == ["spNO.1/b_166", "spNO.1/b_200", "spNO.12/b_166", "spNO.12/c_166"]
    one = clips["spNO.1/b_166"]
    assert (one.onset, one.apex, one.offset) == (166, 170, 175)
    assert one.frames == clips["spNO.1/b_200"].frames == (tmp_path / "part_A/spNO.1/b/color",)
    assert clips["spNO.12/b_166"].frames == (tmp_path / "part_A/spNO.12/b/color",)
    assert clips["spNO.12/c_166"].frames == () and clips["spNO.12/c_166"].emotion == "others"
    assert list(messages_of_kind(database, "surplus")) == ["casme_cubed/spNO.2/a"]
    assert labels("casme_cubed", database) == {"spNO.1/b_166": 0, "spNO.1/b_200": 1, "spNO.12/b_166": 2}


def test_casme_cubed_twice_in_the_table(tmp_path: Path) -> None:
    write_frames(tmp_path, "spNO.1/b/color", ("166.jpg",))
    write_xlsx(tmp_path / "cubed.xlsx", [*CUBED[:2], CUBED[1]])
    with pytest.raises(UserError, match="row 3: clip casme_cubed/spNO.1/b_166 is already in cubed.xlsx, row 2"):
        read("casme_cubed", tmp_path)


MMEW: Rows = [
    ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Action Units", "Estimated Emotion", "remarks"),
    ("03", "S03-01-002", 1, 12, 25, "4", "disgust", None),
    (4, "S04-02-001", 1, 40, 20, "12", "happiness", "apex"),
    (4, "S04-02-003", 1, 5, 9, "14", "repression", None),
]


def mmew(root: Path) -> Path:
    for folder in ("disgust/S03-01-002", "happiness/S04-02-001", "others/S04-02-003"):
        write_frames(root, f"Micro_Expression/{folder}", ("1.jpg", "2.jpg"))
    return root


def test_mmew_by_emotion_folders(tmp_path: Path) -> None:
    write_xlsx(mmew(tmp_path) / "MMEW_Micro_Exp.xlsx", MMEW)
    database = read("mmew", tmp_path)
    clips = by_name(database)
    assert list(clips) == ["S03/S03-01-002", "S04/S04-02-001", "S04/S04-02-003"]
    assert clips["S03/S03-01-002"].frames == (tmp_path / "Micro_Expression/disgust/S03-01-002",)
    assert clips["S04/S04-02-001"].apex == 40  # repaired, with a reason, when the clip is settled
    assert clips["S04/S04-02-003"].emotion == "others"
    message = "repression in this copy of the workbook is others in MMEW: no class"
    assert messages_of_kind(database, "note") == {"mmew/S04/S04-02-003": message}
    assert labels("mmew", database) == {"S03/S03-01-002": 0, "S04/S04-02-001": 1}


def test_mmew_notes_a_clip_in_another_emotions_folder(tmp_path: Path) -> None:
    rows = [*MMEW[:2], (*MMEW[2][:6], "fear", None)]
    write_xlsx(mmew(tmp_path) / "MMEW_Micro_Exp.xlsx", rows)
    database = read("mmew", tmp_path)
    assert messages_of_kind(database, "note") == {
        "mmew/S04/S04-02-001": "lies in the folder happiness, but MMEW_Micro_Exp.xlsx, row 3 says fear, which counts"
    }
    assert list(messages_of_kind(database, "surplus")) == ["mmew/S04/S04-02-003"]


def test_mmew_names_hold_their_subject(tmp_path: Path) -> None:
    write_xlsx(mmew(tmp_path) / "MMEW_Micro_Exp.xlsx", [MMEW[0], ("05", *MMEW[1][1:])])
    with pytest.raises(UserError, match="row 2: Filename 'S03-01-002' is no clip of subject 5; MMEW's are named S05-"):
        read("mmew", tmp_path)


FOURDME: Rows = [
    ("sub_ID", "fold_name", "Emotion", "Onset", "Apex", "Offset", "AUs"),
    (12, "c01", "Surprise+Positive", 4, 9, 20, "1+2+12"),
    (12, "c02", "Repression", 4, 9, 20, "14"),
    (13, "c03", "Others", 4, 9, 20, ""),
    (13, "c04", "Positive", 4, 9, 20, "12"),
]


def test_4dme_leaves_several_classes_to_the_protocol(tmp_path: Path) -> None:
    for clip in ("c01", "c02", "c03", "c04", "c05"):
        write_frames(tmp_path, f"gray/{clip}", ("1.jpg", "2.jpg"))
    write_xlsx(tmp_path / "labels.xlsx", FOURDME)
    database = read("fourdme", tmp_path)
    clips = by_name(database)
    assert clips["12/c01"].emotion == "surprise+positive"
    assert clips["12/c01"].frames == (tmp_path / "gray/c01",)
    assert (clips["13/c04"].onset, clips["13/c04"].apex, clips["13/c04"].offset) == (4, 9, 20)
    assert len(messages_of_kind(database, "surplus")) == 1
    assert labels("fourdme", database) == {"12/c02": 0, "13/c04": 1}
    excluded = {
        f.clip: f.message for f in select_clips({"fourdme": database}, "three").findings if f.kind == "excluded"
    }
    assert list(excluded) == ["fourdme/12/c01", "fourdme/13/c03"]
    assert "more than one class" in excluded["fourdme/12/c01"]


def test_4dme_refuses_a_folder_of_two_subjects(tmp_path: Path) -> None:
    write_frames(tmp_path, "gray/c01")
    write_xlsx(tmp_path / "labels.xlsx", [*FOURDME[:2], (13, *FOURDME[1][1:])])
    with pytest.raises(UserError, match="row 3: fold_name 'c01' is of subject 13 here and of 12 in labels.xlsx, row 2"):
        read("fourdme", tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("casme", "no CASME here: looked for folders of images such as sub01/EP01_5, as in CASME II, found holi"),
        ("casme_squared", r"no CAS\(ME\)\^2 here: looked for folders of images such as s15/FILENAME, a folder"),
        ("casme_cubed", r"no CAS\(ME\)\^3 here: looked for folders of images such as spNO.1/b/color, found holi"),
        ("mmew", "no MMEW here: looked for folders of images such as Micro_Expression/disgust/S03-01-002, found h"),
        ("fourdme", r"no workbook of 4DME \(.xlsx, .xls, .csv\); put the table of 4DME there, or name it with"),
    ],
)
def test_a_folder_that_is_another_one(tmp_path: Path, name: str, message: str) -> None:
    write_frames(tmp_path, "holidays/pictures")
    with pytest.raises(UserError, match=message):
        read(name, tmp_path)


@pytest.mark.parametrize("name", ["casme", "casme_squared", "casme_cubed", "mmew", "fourdme"])
def test_an_archive_is_to_be_unpacked(tmp_path: Path, name: str) -> None:
    (tmp_path / "all.zip").touch()
    with pytest.raises(UserError, match="found the archive all.zip; unpack it and give the folder"):
        read(name, tmp_path)
