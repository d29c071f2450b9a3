"""Trees of SMIC's shape with their quirks (docs/databases.md, "SMIC"); who has which unknown clip is invented."""

from functools import cache
from pathlib import Path

import openpyxl

from tests.data.fabricate import LENGTH, Cell, FabricatedClip, FrameWriter, write_formula_values

_WORDS = ("ne", "po", "sur")
_EMOTIONS = ("negative", "positive", "surprise")
# Clips per class: 70, 51, 43. s3, s4 and s20 have the numbers of docs/databases.md, "MEGC2019 clips".
_CLIPS = {
    20: (11, 7, 4),
    14: (4, 3, 3),
    18: (2, 1, 4),
    19: (2, 1, 1),
    11: (4, 3, 3),
    12: (3, 3, 2),
    13: (2, 2, 2),
    15: (1, 2, 1),
    1: (3, 2, 1),
    2: (1, 2, 6),
    3: (22, 10, 7),
    4: (7, 7, 5),
    5: (1, 1, 0),
    6: (2, 2, 0),
    8: (5, 3, 2),
    9: (0, 2, 2),
}
_VIS = (20, 14, 18, 19, 11, 12, 13, 15)  # recorded at 25 fps too; in the order of the workbook
NOT_IN_SHEET = ("s01_ne_02", "s02_sur_05")
NO_IMAGES = ("s03_ne_03", "s03_ne_20", "s04_ne_05", "s04_ne_06", "s09_sur_02")
_GAPS = {"s03_po_08": (1, 2), "s03_sur_01": (1,), "s03_sur_05": (1,), "s03_ne_16": (1,)}  # frames after the onset
_AROUND = 4  # frames of SMIC-E before and after the movement


def _first_number(subject: int) -> int:
    if subject == 5:
        return 999_998  # its numbers grow from 6 to 7 digits within a clip
    if subject in (19, 20):
        return 12_000_000 + subject * 10_000
    return (3_000_000 if subject in (12, 18) else 34_238) + subject * 10_000


@cache
def smic_clips() -> tuple[FabricatedClip, ...]:
    """All 164 clips in the order of the workbook; the emotion is that of the clip's name."""
    clips = []
    for subject, counts in _CLIPS.items():
        onset = _first_number(subject)
        for label, (word, count) in enumerate(zip(_WORDS, counts, strict=True)):
            for k in range(1, count + 1):
                name = f"s{subject:02d}_{word}_{k:02d}"
                clips.append(
                    FabricatedClip("smic", name[:3], name, _EMOTIONS[label], label, onset, None, onset + LENGTH - 1)
                )
                onset += LENGTH + 100
    return tuple(clips)


def folder_name(clip: str) -> str:
    """The clip's folder: "s1_ne_01" of "s01_ne_01"."""
    subject, rest = clip.split("_", 1)
    return f"s{int(subject[1:])}_{rest}"


def build_smic(root: Path, release: str = "raw", nested: bool = False, cached: bool = True, vis: bool = False) -> Path:
    """Write one release below ``root``, and returns ``root``.

    Args:
        release: "raw" and "cropped" have 164 clips and no workbook, "long" (SMIC-E) has 157 and a workbook of 162.
        nested: one folder too many, as the archives unpack.
        cached: whether the workbook's formulas keep their values.
        vis: whether VIS and NIR lie beside HS, with 71 clips each.
    """
    frames = FrameWriter()
    if release == "long":
        _build_long(root, nested, frames)
        _write_workbook(root / "SMIC-HS-E_annotation.xlsx", cached)
        return root
    top = root / f"SMIC_all_{release}"
    if nested:
        top /= top.name
    prefix = "reg_image" if release == "cropped" else "image"
    for c in smic_clips():
        person = f"s{int(c.subject[1:])}"
        numbers = list(range(c.onset, c.offset + 1))
        if release == "cropped":
            numbers = [n for n in numbers if n - c.onset not in _GAPS.get(c.clip, ())]
        # The folder says the true class, whatever the workbook of SMIC-E says.
        place = Path("micro", _EMOTIONS[c.label or 0], folder_name(c.clip))
        frames.write(top / "HS" / person / place, {n: f"{prefix}{n:06d}.bmp" for n in numbers}, c.onset)
        if vis and int(c.subject[1:]) in _VIS:
            for camera in ("VIS", "NIR"):
                first = c.onset // 4
                names = {n: f"{n:05d}.bmp" for n in range(first, first + LENGTH)}
                frames.write(top / camera / person / place, names, first)
    for subject in _CLIPS:
        folder = top / "HS" / f"s{subject}" / "non_micro" / f"s{subject}_non_01"
        frames.write(folder, {n: f"{prefix}{n:06d}.bmp" for n in range(100, 103)}, 100)
    return root


def _build_long(root: Path, nested: bool, frames: FrameWriter) -> None:
    top = root / "HS_long" / "SMIC-HS-E"
    if nested:
        top = root / "SMIC-E_raw image" / "HS_long" / "SMIC-HS-E" / "HS"
    for c in smic_clips():
        if c.clip in (*NOT_IN_SHEET, *NO_IMAGES):
            continue
        numbers = range(c.onset - _AROUND, c.offset + _AROUND + 1)
        frames.write(top / c.subject / folder_name(c.clip), {n: f"image{n:06d}.jpg" for n in numbers}, c.onset)


def _workbook_emotion(clip: FabricatedClip) -> str:
    """Return the emotion in the workbook, which calls s18_sur_03 negative."""
    return "negative" if clip.clip == "s18_sur_03" else clip.emotion


def _write_workbook(path: Path, cached: bool) -> None:
    """Sheets HS and VIS; offsets of those who are in VIS are formulas that refer to it, lengths formulas."""
    book = openpyxl.Workbook()
    hs, vis = book["Sheet"], book.create_sheet("VIS")
    hs.title = "HS"
    book.create_sheet("Sheet2")
    book.create_sheet("Sheet3")
    start: list[Cell] = ["Subject", "Filename", None, "OnsetF", "OffsetF", "Onset2F", "Offset2F", None, "FirstF"]
    totals = ["TotalMF1", "TotalMF2", "TotalVL", "Emotion"]
    hs.append([*start, "LastF", *totals])
    vis.append([*start, *totals])
    values: dict[str, dict[str, int]] = {"sheet1.xml": {}, "sheet2.xml": {}}
    rows = [c for c in smic_clips() if c.clip not in NOT_IN_SHEET]
    for i, c in enumerate(rows):
        r = i + 2
        subject = int(c.subject[1:])
        name: list[Cell] = [subject, folder_name(c.clip), None]
        offset: Cell = c.offset
        values["sheet1.xml"][f"K{r}"] = LENGTH
        if subject in _VIS:
            first = c.onset // 4
            vis.append(
                [*name, first, first + 1, None, None, None, first - 1, f"=E{r}-D{r}+1", None, 4, _workbook_emotion(c)]
            )
            values["sheet2.xml"][f"J{r}"] = 2
            offset = f"=D{r}+(VIS!E{r}-VIS!D{r})*{LENGTH - 1}"
            values["sheet1.xml"][f"E{r}"] = c.offset
        first_frame: Cell = "MISSING <-426679" if c.clip == "s03_ne_20" else c.onset - _AROUND
        second: list[Cell] = [c.offset + 1, c.offset + 2] if i < 8 else [None, None]
        row = [*name, c.onset, offset, *second, None, first_frame, c.offset + _AROUND]
        hs.append([*row, f"=E{r}-D{r}+1", 2 if i < 8 else None, LENGTH + 2 * _AROUND, _workbook_emotion(c)])
    hs.append([])
    hs.append([])
    hs.append(["Fabricated note below the table", None, None, "mean", 33])
    hs.append(["another"])
    book.save(path)
    if cached:
        write_formula_values(path, values)
