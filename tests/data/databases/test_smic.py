from collections.abc import Sequence
from pathlib import Path

import pytest

from icegan_jax.data.databases import READERS, Source
from icegan_jax.data.databases.smic import camera_of, clip_key
from icegan_jax.data.ingest.annotation import DatabaseAnnotation
from icegan_jax.errors import UserError
from tests.data.databases.write_files import by_name, messages_of_kind, write_csv, write_frames, write_xlsx

HEADER = (
    "Subject", "Filename", None, "OnsetF", "OffsetF", "Onset2F", "Offset2F", None, "FirstF", "LastF", "TotalMF1",
    "TotalMF2", "TotalVL", "Emotion",
)  # fmt: skip
ROWS: list[Sequence[object]] = [
    (20, "s20_ne_01", None, 10034301, 10034330, None, None, None, 10034238, 10034700, 30, None, 463, "negative"),
    (18, "s18_sur_03", None, 1000010, 1000030, 1000050, 1000060, None, 1000001, 1000099, 21, 11, 99, "negative"),
    (3, "s3_ne_20", None, 426700, 426720, None, None, None, "MISSING <-426679", None, 21, None, None, "negative"),
]
REMARKS: list[Sequence[object]] = [("157 clips", "s1_po_99", None, 1, 2), (1, "s1_po_98", None, 1, 2)]
HS = [HEADER, *ROWS, (), *REMARKS]
VIS = [HEADER[:5], (20, "s20_ne_01", None, 77, 88)]
LONG = "SMIC-E_raw image/HS_long/SMIC-HS-E"


def all_tree(root: Path, prefix: str = "SMIC_all_raw/HS") -> Path:
    write_frames(root, f"{prefix}/s1/micro/negative/s1_ne_02", ["image549990.bmp", "image549991.bmp"])
    write_frames(root, f"{prefix}/s18/micro/surprise/s18_sur_03", ["image1000010.bmp"])
    write_frames(root, f"{prefix}/s1/non_micro/s1_ne_99", ["image1.bmp"])
    write_frames(root, f"{prefix}/s1/non_micro/s1_non_micro_01", ["image1.bmp"])
    return root


def long_tree(root: Path, prefix: str = LONG) -> Path:
    write_frames(root, f"{prefix}/s20/s20_ne_01", ["image10034238.jpg"])
    write_frames(root, f"{prefix}/s18/s18_sur_03", ["image1000001.jpg"])
    return root


def test_names_of_clips_and_cameras() -> None:
    assert clip_key("S03_SUR_5") == ("s03", "s03_sur_05") and clip_key("s20_po_12") == ("s20", "s20_po_12")
    assert clip_key("s1_non_01") is None and clip_key("EP02_01f") is None
    assert camera_of(["SMIC", "HS_long", "SMIC-HS-E", "s01"]) == "HS"
    assert camera_of(["HS", "VIS", "s11"]) == "VIS" and camera_of(["this", "vision", "hst"]) is None


def read(root: Path, name: str = "smic", **options: object) -> DatabaseAnnotation:
    return READERS[name](Source(name, root, **options))  # type: ignore[arg-type]


def test_smic_all_needs_no_workbook(tmp_path: Path) -> None:
    all_tree(tmp_path)
    all_tree(tmp_path, "SMIC_all_cropped/HS")
    database = read(tmp_path)
    assert [a.name for a in database.annotations] == ["smic/s01/s01_ne_02", "smic/s18/s18_sur_03"]
    first, surprise = database.annotations
    assert (first.onset, first.apex, first.offset) == (None, None, None)
    assert (first.emotion, surprise.emotion) == ("negative", "surprise")
    names = ("SMIC_all_raw", "SMIC_all_cropped")
    assert first.frames == tuple(tmp_path / n / "HS/s1/micro/negative/s1_ne_02" for n in names)
    assert first.where.endswith("HS/s1/micro/negative/s1_ne_02")
    assert not database.findings
    assert [len(a.frames) for a in read(tmp_path, release="cropped").annotations] == [1, 1]


def test_the_name_of_the_clip_decides_not_its_folder(tmp_path: Path) -> None:
    write_frames(tmp_path, "SMIC_all_raw/HS/s18/micro/negative/s18_sur_03")
    database = read(tmp_path)
    assert database.annotations[0].emotion == "surprise"
    assert (
        "lies in negative, the clip's name surprise, which counts"
        in messages_of_kind(database, "note")["smic/s18/s18_sur_03"]
    )


def test_smic_e_takes_its_numbers_from_the_workbook(tmp_path: Path) -> None:
    long_tree(tmp_path)
    write_xlsx(tmp_path / "SMIC-HS-E_annotation.xlsx", HS, VIS, [], names=["HS", "VIS", "Sheet2"])
    database = read(tmp_path)
    clips = by_name(database)
    negative, surprise = clips["s20/s20_ne_01"], clips["s18/s18_sur_03"]
    assert (negative.onset, negative.apex, negative.offset) == (10034301, None, 10034330)
    assert negative.where == "SMIC-HS-E_annotation.xlsx, sheet HS, row 2"
    assert (surprise.onset, surprise.offset, surprise.emotion) == (1000010, 1000030, "surprise")
    assert surprise.frames == (tmp_path / LONG / "s18/s18_sur_03",)
    notes = [finding.message for finding in database.findings if finding.clip == "smic/s18/s18_sur_03"]
    assert notes == [
        "the workbook says 'negative', the clip's name surprise, which counts",
        "a further micro-expression from frame 1000050 (Onset2F) is left out: a clip counts once",
    ]


def test_a_row_of_smic_e_without_images_has_no_frames(tmp_path: Path) -> None:
    long_tree(tmp_path)
    write_xlsx(tmp_path / "SMIC-HS-E_annotation.xlsx", HS, names=["HS"])
    clips = by_name(read(tmp_path))
    missing = {name.split("/")[1] for name, clip in clips.items() if not clip.frames}
    assert missing == {"s03_ne_20"}  # the protocol names the seven that SMIC-E lacks
    assert clips["s03/s03_ne_20"].where == "SMIC-HS-E_annotation.xlsx, row 4"
    assert len(clips) == 3  # nothing below the first row without a whole number as Subject


def test_both_releases_together_are_the_union(tmp_path: Path) -> None:
    all_tree(long_tree(tmp_path))
    write_xlsx(tmp_path / "SMIC-HS-E_annotation.xlsx", HS, names=["HS"])
    clips = by_name(read(tmp_path))
    assert clips["s18/s18_sur_03"].onset is None
    assert clips["s18/s18_sur_03"].frames == (tmp_path / "SMIC_all_raw/HS/s18/micro/surprise/s18_sur_03",)
    assert clips["s20/s20_ne_01"].onset == 10034301
    assert clips["s01/s01_ne_02"].frames
    long = by_name(read(tmp_path, release="long"))
    assert long["s18/s18_sur_03"].onset == 1000010
    assert long["s18/s18_sur_03"].frames == (tmp_path / LONG / "s18/s18_sur_03",)
    raw = by_name(read(tmp_path, release="raw"))
    assert not raw["s20/s20_ne_01"].frames and raw["s18/s18_sur_03"].frames


def test_cameras_are_kept_apart(tmp_path: Path) -> None:
    all_tree(tmp_path)
    vis = write_frames(tmp_path, "SMIC_all_raw/VIS/s11/micro/positive/s11_po_01", ["07750.bmp"])
    assert "s11/s11_po_01" not in by_name(read(tmp_path))
    (clip,) = read(tmp_path, "smic_vis").annotations
    assert (clip.name, clip.frames) == ("smic_vis/s11/s11_po_01", (vis,))
    message = "no clip of SMIC's camera NIR; its folders are of HS, VIS .* use --source=smic or --source=smic_vis"
    with pytest.raises(UserError, match=message):
        read(tmp_path, "smic_nir")


def test_without_the_name_of_a_camera_it_is_hs_with_a_note(tmp_path: Path) -> None:
    all_tree(tmp_path, "faces")
    assert messages_of_kind(read(tmp_path), "note")["smic"].startswith("no folder's name says which camera")


def test_the_sheet_of_the_camera_is_read(tmp_path: Path) -> None:
    write_frames(tmp_path, "VIS_long/SMIC-VIS-E/s20/s20_ne_01")
    workbook = write_xlsx(tmp_path / "SMIC-HS-E_annotation.xlsx", HS, VIS, names=["HS", "VIS"])
    assert read(tmp_path, "smic_vis").annotations[0].onset == 77
    write_xlsx(workbook, HS, names=["HS"])
    with pytest.raises(UserError, match="holds the camera HS, not VIS; give SMIC-VIS-E_annotation.xlsx or"):
        read(tmp_path, "smic_vis")


def test_nir_has_numbers_of_its_own(tmp_path: Path) -> None:
    write_frames(tmp_path, "NIR_long/SMIC-NIR-E/s20/s20_ne_01")
    header = ("Subject", "Filename", "OnsetF", "OffsetF", "OnsetF NIR", "OffsetF NIR")
    write_xlsx(tmp_path / "SMIC-NIR-E_annotation.xlsx", [header, (20, "s20_ne_01", 1, 2, 33, 44)])
    clip = read(tmp_path, "smic_nir").annotations[0]
    assert (clip.onset, clip.offset) == (33, 44)


def test_a_video_of_a_long_clip_starts_at_its_first_frame(tmp_path: Path) -> None:
    write_frames(tmp_path, f"{LONG}/s20", ["s20_ne_01.avi"])
    write_xlsx(tmp_path / "SMIC-HS-E_annotation.xlsx", HS, names=["HS"])
    clip = by_name(read(tmp_path))["s20/s20_ne_01"]
    assert (clip.onset, clip.offset) == (63, 92)


def test_formulas_without_values_stop_smic_e_but_not_smic_all(tmp_path: Path) -> None:
    rows = [HEADER[:5], (20, "s20_ne_01", None, 10034301, "=D2+VIS!E2")]
    workbook = write_xlsx(tmp_path / "SMIC-HS-E_annotation.xlsx", rows, VIS, names=["HS", "VIS"])
    long_tree(tmp_path)
    with pytest.raises(UserError, match="offsetf is a formula whose value was not saved"):
        read(tmp_path)
    all_tree(tmp_path / "other")
    workbook.rename(tmp_path / "other" / workbook.name)
    database = read(tmp_path / "other")
    assert len(database.annotations) == 2
    assert "none is needed" in messages_of_kind(database, "note")["smic"]
    with pytest.raises(UserError, match="offsetf is a formula"):
        read(tmp_path / "other", annotation=tmp_path / "other" / workbook.name)


BAD_ROWS = {
    "row 3: Filename 's3_xx_01' is no clip of subject 3": (3, "s3_xx_01", 1, 2),
    "row 3: Filename 's3_ne_01' is no clip of subject 4": (4, "s3_ne_01", 1, 2),
    "row 3: OnsetF 'x' of clip smic/s18/s18_sur_03 is not a frame number": (18, "s18_sur_03", "x", 2),
    "row 3: clip smic/s20/s20_ne_01 is already in a.csv, row 2": (20, "s20_ne_01", 1, 2),
}


@pytest.mark.parametrize("message", BAD_ROWS)
def test_a_bad_row_is_named(tmp_path: Path, message: str) -> None:
    long_tree(tmp_path)
    write_csv(
        tmp_path / "a.csv", [("Subject", "Filename", "OnsetF", "OffsetF"), (20, "s20_ne_01", 1, 2), BAD_ROWS[message]]
    )
    with pytest.raises(UserError, match="a.csv, " + message):
        read(tmp_path)
