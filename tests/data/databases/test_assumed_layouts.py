"""CASME, CAS(ME)^2, CAS(ME)^3, MMEW and 4DME, on trees of the shapes in docs/databases.md."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from icegan_jax.data.databases import READERS
from icegan_jax.data.databases.assumed_layouts import FORMATS
from icegan_jax.data.ingest.annotation import Source
from icegan_jax.data.ingest.protocol import select_clips
from icegan_jax.errors import UserError
from tests.data.databases.write_files import by_name, messages_of_kind, write_frames, write_xlsx

Rows = Sequence[Sequence[object]]

# Folders, rows of the table, and {subject/clip: (folder, onset, apex, offset, label or None)}.
TREES: Mapping[str, tuple[Sequence[str], Rows, Mapping[str, tuple[object, ...]]]] = {
    "casme": (
        ["Raw/sub01/EP01_5", "Raw/sub02/EP01_5"],
        [
            ("Subject", "Filename", None, "OnsetF", "ApexF1", "ApexF2", "OffsetF", None, "AU", "Emotion"),
            (1, "EP01_5", None, 113, 120, 131, 140, None, 4, "Tense"),
            ("02", "EP01_5", None, 7, 9, 9, 12, None, "1+2", "surprise"),
        ],
        {
            "sub01/EP01_5": ("Raw/sub01/EP01_5", 113, 120, 140, 0),
            "sub02/EP01_5": ("Raw/sub02/EP01_5", 7, 9, 12, 2),
        },
    ),
    "casme_squared": (
        ["rawpic/s15/anger1_1", "rawpic/s16/anger1_1"],
        [
            ("Subject", "Filename", "Onset", "Apex", "Offset", "Emotion", "Type"),
            ("s15", "anger1_1", 557, 564, 570, "negative", "micro-expression"),
            ("s15", "anger1_1", 900, 905, 0, "Positive", "micro-expression"),
            ("s16", "anger1_1", 100, 160, 271, "positive", "macro-expression"),
            ("s16", "anger1_1", 700, 706, 711, "others", "micro-expression"),
        ],
        {
            "s15/anger1_1_557": ("rawpic/s15/anger1_1", 557, 564, 570, 0),
            "s15/anger1_1_900": ("rawpic/s15/anger1_1", 900, 905, 905, 1),
            "s16/anger1_1_700": ("rawpic/s16/anger1_1", 700, 706, 711, None),
        },
    ),
    "casme_cubed": (
        [
            *("part_A/spNO.1/b/color", "part_A/spNO.1/b/depth", "part_A/spNO.12/b/color"),
            *("Part_A_ME_clip/frame/spNO.3_c_30", "Part_A_ME_clip/depth/spNO.3_c_30"),
            *("Part_A_ME_clip/frame/spNO.3_c_90", "Part_A_ME_clip/depth/spNO.3_c_90"),
        ],
        [
            ("Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion"),
            ("spNO.1", "b", "166", "170", "175", "4", 1, "disgust"),
            ("spNO.1", "b", 200, 200, 220, "12", 2, "happy"),
            ("spNO.12", "b", 166, 168, 170, "1+2", 3, "Others"),
            ("spNO.3", "C", 90, 95, 99, "1+2", 3, "Surprise"),
            ("spNO.3", "C", 30, 33, 39, "4", 1, "sad"),
        ],
        {
            "spNO.1/b_166": ("part_A/spNO.1/b/color", 166, 170, 175, 0),
            "spNO.1/b_200": ("part_A/spNO.1/b/color", 200, 200, 220, 1),
            "spNO.12/b_166": ("part_A/spNO.12/b/color", 166, 168, 170, None),
            "spNO.3/C_90": ("Part_A_ME_clip/frame/spNO.3_c_90", 90, 95, 99, 2),
            "spNO.3/C_30": ("Part_A_ME_clip/frame/spNO.3_c_30", 30, 33, 39, 0),
        },
    ),
    "mmew": (
        ["Micro_Expression/disgust/S03-01-002", "Micro_Expression/others/S04-02-003"],
        [
            ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Estimated Emotion", "remarks"),
            ("03", "S03-01-002", 1, 12, 25, "disgust", None),
            (4, "S04-02-003", 1, 5, 9, "repression", None),
        ],
        {
            "S03/S03-01-002": ("Micro_Expression/disgust/S03-01-002", 1, 12, 25, 0),
            "S04/S04-02-003": ("Micro_Expression/others/S04-02-003", 1, 5, 9, None),
        },
    ),
    "fourdme": (
        ["gray/c01", "gray/c04", "gray/13/happy1", "gray/14/happy1"],
        [
            ("sub_ID", "fold_name", "Emotion", "Onset", "Apex", "Offset", "AUs"),
            (12, "c01", "Surprise+Positive", 4, 9, 20, "1+2+12"),
            (13, "c04", "Positive", 4, 9, 20, "12"),
            ("013", "happy1", "Positive", 4, 9, 20, "12"),
            ("014", "happy1", "Negative+Repression", 5, 9, 20, "4"),
        ],
        {
            "12/c01": ("gray/c01", 4, 9, 20, None),
            "13/c04": ("gray/c04", 4, 9, 20, 1),
            "13/happy1": ("gray/13/happy1", 4, 9, 20, 1),
            "14/happy1": ("gray/14/happy1", 5, 9, 20, 0),
        },
    ),
}


def write(root: Path, name: str, rows: Rows | None = None) -> Source:
    for folder in TREES[name][0]:
        write_frames(root, folder)
    write_xlsx(root / "table.xlsx", rows or TREES[name][1])
    return Source(name, root)


@pytest.mark.parametrize("name", FORMATS)
def test_clips_and_labels_are_read_and_the_layout_is_reported_as_assumed(tmp_path: Path, name: str) -> None:
    database = READERS[name](write(tmp_path, name))
    labels = {a.key: label for a, label in select_clips({name: database}, "three").annotations}
    assert {
        clip: (a.frames[0].relative_to(tmp_path).as_posix(), a.onset, a.apex, a.offset, labels.get(a.key))
        for clip, a in by_name(database).items()
    } == TREES[name][2]
    (assumed,) = messages_of_kind(database, "assumed").values()
    assert FORMATS[name].title in assumed and FORMATS[name].assumed in assumed


@pytest.mark.parametrize("name", FORMATS)
def test_another_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="found no folder of images; give the folder of the unpacked database"):
        READERS[name](Source(name, tmp_path))


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        (
            "casme_squared",
            ("s15", "anger1_1", 1, 2, 3, "fear", ""),
            "Type '' is neither micro nor macro; correct the ce",
        ),
        ("casme_cubed", ("spNO.1", "b", 166, 1, 2, "", 1, "fear"), "clip casme_cubed/spNO.1/b_166 is already in"),
        ("mmew", ("05", "S03-01-002", 1, 12, 25, "fear"), "Filename 'S03-01-002' is no clip of subject S05"),
        (
            "fourdme",
            (13, "C01", "Positive", 4, 9, 20),
            "folder 'c01' is of subject 13 here and of 12 in table.xlsx, row 2",
        ),
    ],
)
def test_rows_that_could_give_a_clip_a_wrong_label_are_refused(
    tmp_path: Path, name: str, row: Sequence[object], message: str
) -> None:
    rows = [*TREES[name][1], row]
    with pytest.raises(UserError, match=f"table.xlsx, row {len(rows)}: {message}"):
        READERS[name](write(tmp_path, name, rows))


# The sheets of CAS(ME)^2: codes without a header, the folders of the participants, the codes of the films.
SQUARED = (
    [
        (1, "anger1_1", 557, 564, 570, "4", "negative", "micro-expression", "anger"),
        (15, "happy10_2", 100, 160, 0, "12", "positive", "micro-expression", "happiness"),
        (15, "happy10_1", 10, 20, 30, "12", "positive", "macro-expression", "happiness"),
    ],
    [(15, "s15", 1), (32, "s32", 15)],
    [("0401", "anger1"), (505, "happy10")],
)
SHEETS = ("CASFEcode_final", "naming rule1", "naming rule2")


@pytest.mark.parametrize(
    "folders",
    [
        ("rawpic/s15/15_0401girlcrashing", "rawpic/s32/32_0505funnyinnovations"),
        ("selectedpic/s15/anger1_1", "selectedpic/s32/happy10_2"),
    ],
)
def test_the_sheets_of_casme_squared_give_the_folders(tmp_path: Path, folders: tuple[str, str]) -> None:
    for folder in (*folders, "rawpic/s15/15_0101disgustingteeth", "selectedpic/s15/happy10_2"):
        write_frames(tmp_path, folder)
    write_xlsx(tmp_path / "CAS(ME)^2code_final.xlsx", *SQUARED, names=SHEETS)
    clips = by_name(READERS["casme_squared"](Source("casme_squared", tmp_path)))
    assert {
        name: (a.emotion, a.onset, a.apex, a.offset, [path.relative_to(tmp_path).as_posix() for path in a.frames])
        for name, a in clips.items()
    } == {
        "s15/anger1_1_557": ("negative", 557, 564, 570, [folders[0]]),
        "s32/happy10_2_100": ("positive", 100, 160, 160, [folders[1]]),
    }


def test_a_participant_is_never_taken_for_a_folder(tmp_path: Path) -> None:
    write_frames(tmp_path, "selectedpic/s15/happy10_2")
    write_xlsx(tmp_path / "codes.xlsx", SQUARED[0][1:], names=SHEETS)
    with pytest.raises(UserError, match="row 1: the sheet 'naming rule1' of the workbook names no folder of participa"):
        READERS["casme_squared"](Source("casme_squared", tmp_path))


def test_a_table_without_types_is_not_that_of_casme_squared(tmp_path: Path) -> None:
    write_frames(tmp_path, "selectedpic/s15/happy10_2")
    write_xlsx(tmp_path / "codes.xlsx", [tuple("abcdefghi")])
    with pytest.raises(UserError, match="codes.xlsx: no row is a micro-expression or a macro-expression by its column"):
        READERS["casme_squared"](Source("casme_squared", tmp_path))
