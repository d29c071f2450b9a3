"""A tree of CASME II's shape and quirks (docs/databases.md, "CASME II"); who has which unknown clip is invented."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import openpyxl

from tests.data.fabricate import LENGTH, Cell, FabricatedClip, FrameWriter, distribute

LAYOUTS = {"raw": "CASME2-RAW", "selected": "CASME2_RAW_selected", "cropped": "Cropped"}
WORKBOOKS = {2014: "CASME2-coding-20140508", 2019: "CASME2-coding-20190701"}
_LABELS = {"disgust": 0, "repression": 0, "happiness": 1, "surprise": 2}

# Everyone with a clip in MEGC2019 but sub17, who has 31; sub10 and sub18 have others and fear only.
_PEOPLE = tuple(f"sub{n:02d}" for n in range(1, 27) if n not in (10, 17, 18))
_SUB17 = {"disgust": 13, "repression": 5, "happiness": 7, "surprise": 6}
# Named in docs/databases.md and in MEGC2019; the emotions of most are invented.
_NAMED = {
    ("sub03", "EP01_2"): "happiness",
    ("sub03", "EP08_1"): "disgust",
    ("sub05", "EP12_03f"): "surprise",
    ("sub05", "EP16_04f"): "surprise",
    ("sub07", "EP06_02_01"): "repression",
    ("sub07", "EP06_02_02"): "repression",
    ("sub09", "EP09f"): "happiness",
    ("sub12", "EP09_06"): "disgust",
    ("sub16", "EP01_08"): "disgust",
}
_REST = {"disgust": 45, "repression": 20, "happiness": 23, "surprise": 17}
# 48 of these share 21 names, 15 two by two and 6 three by three: 118 names among the 145 clips.
_SHARES = (2,) * 15 + (3,) * 6
_NOT_USED = {
    ("sub04", "EP12_01f"): "disgust",  # apex "/"
    ("sub05", "EP09_05f"): "disgust",  # apex is the onset
    ("sub20", "EP16_01"): "others",
    ("sub25", "EP18_04f"): "others",
    ("sub24", "EP07_01"): "sadness",  # these three are surprise in 2019
    ("sub24", "EP07_04f"): "sadness",
    ("sub24", "EP10_03"): "sadness",
}
_SURPRISE_IN_2019 = [key for key, emotion in _NOT_USED.items() if emotion == "sadness"]
_APEX_IS_OFFSET = (("sub05", "EP16_04f"), ("sub12", "EP09_06"), ("sub20", "EP16_01"), ("sub25", "EP18_04f"))
_NO_ROW = (("sub09", "EP02_02f"), ("sub24", "EP02_07"))


def _names() -> Iterator[str]:
    taken = {clip.rstrip("f") for _, clip in (*_NAMED, *_NOT_USED, *_NO_ROW)}
    for episode in range(1, 20):
        for k in range(1, 16):
            name = f"EP{episode:02d}_{k:02d}"
            if name not in taken:
                yield name + "f" * ((episode + k) % 2)


def _keys() -> Iterator[tuple[str, str, str]]:
    """Yield (subject, clip, emotion in 2014) of all 255 rows."""
    names = _names()
    for table in (_NAMED, _NOT_USED):
        yield from ((subject, clip, emotion) for (subject, clip), emotion in table.items())
    slots = distribute(_REST, _PEOPLE)
    for size in _SHARES:
        name = next(names)
        for _ in range(size):
            subject, emotion = next(slots)
            yield subject, name, emotion
    yield from ((subject, next(names), emotion) for subject, emotion in slots)
    yield from ((subject, next(names), emotion) for subject, emotion in distribute(_SUB17, ("sub17",)))
    yield from (
        (subject, next(names), emotion) for subject, emotion in distribute({"others": 84, "sadness": 4}, _PEOPLE)
    )
    yield from (
        (subject, next(names), emotion) for subject, emotion in distribute({"others": 11, "fear": 1}, ("sub10",))
    )
    yield from (
        (subject, next(names), emotion) for subject, emotion in distribute({"others": 2, "fear": 1}, ("sub18",))
    )


@cache
def casme2_clips() -> tuple[FabricatedClip, ...]:
    """All 255 rows by subject, with the emotions of 2014; frame numbers cross 9 to 10, or 99 to 100."""
    clips = []
    for i, (subject, clip, emotion) in enumerate(sorted(_keys(), key=lambda key: key[0])):
        key = (subject, clip)
        onset = 97 if i % 16 == 0 else 8
        apex: int | str = onset + LENGTH // 2
        if key in _APEX_IS_OFFSET:
            apex = onset + LENGTH - 1
        elif key == ("sub04", "EP12_01f"):
            apex = "/"
        elif key == ("sub05", "EP09_05f"):
            apex = onset
        label = None if key in _NOT_USED else _LABELS.get(emotion)
        clips.append(FabricatedClip("casme2", subject, clip, emotion, label, onset, apex, onset + LENGTH - 1))
    return tuple(clips)


def build_casme2(
    root: Path, year: int = 2014, layout: str = "selected", nested: bool = True, form: str = "xlsx"
) -> Path:
    """Write the workbook and the folders of one layout below ``root``, and returns ``root``.

    Args:
        year: 2014 or 2019, whose workbook it is.
        layout: "raw", "selected" or "cropped"; call again for a second one.
        nested: one folder too many, as the archives unpack.
        form: "xlsx" or "csv", in which subjects have lost their zero.
    """
    folder = root / LAYOUTS[layout]
    if nested:
        folder /= LAYOUTS[layout]
    prefix = "reg_img" if layout == "cropped" else "img"
    frames = FrameWriter()
    extra = [FabricatedClip("casme2", *key, "", None, 8, None, 7 + LENGTH) for key in _NO_ROW]
    for c in (*casme2_clips(), *extra):
        numbers = list(range(c.onset, c.offset + 1))
        key = (c.subject, c.clip)
        if layout == "raw":
            numbers = list(range(c.onset - 7, c.offset + (4 if key != ("sub12", "EP09_06") else 0)))
        if layout == "cropped" and key == ("sub16", "EP01_08"):
            numbers.remove(c.onset + LENGTH // 2)
        frames.write(folder / c.subject / c.clip, {n: f"{prefix}{n}.jpg" for n in numbers}, c.onset)
    name, rows = WORKBOOKS[year], _rows(year)
    if form == "csv":
        with (root / f"{name}.csv").open("w", newline="", encoding="utf-8-sig") as file:
            csv.writer(file).writerows([int(str(c)) if str(c).isdigit() else c for c in row] for row in rows)
        return root
    book = openpyxl.Workbook()
    book["Sheet"].title = "Sheet1"
    for row in rows:
        book["Sheet1"].append(row)
    book.create_sheet("Sheet2")
    book.create_sheet("Sheet3")
    book.save(root / f"{name}.xlsx")
    return root


def _rows(year: int) -> list[list[Cell]]:
    header: list[Cell] = ["Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None]
    rows = [[*header, "Action Units", "Estimated Emotion"]]
    for i, c in enumerate(casme2_clips()):
        key = (c.subject, c.clip)
        if year == 2019 and key in _SURPRISE_IN_2019:
            c = replace(c, emotion="surprise")
        units: Cell = i % 30 + 1 if i < 133 else "?" if i >= 250 else "4+R7"
        rows.append([c.subject[3:], c.clip, None, c.onset, c.apex, c.offset, None, units, c.emotion])
    if year == 2019:
        rows = [[*row, "Objective Classes" if i == 0 else i % 7 + 1] for i, row in enumerate(rows)]
    return rows
