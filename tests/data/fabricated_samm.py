"""A tree of SAMM's shape with its quirks (docs/databases.md, "SAMM"); who has which unknown clip is invented."""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import openpyxl

from tests.data.fabricate import LENGTH, Cell, FabricatedClip, FrameWriter, distribute

_WORDS = {"Anger": 57, "Contempt": 12, "Disgust": 9, "Fear": 8, "Sadness": 6, "Happiness": 26, "Surprise": 15}
_PEOPLE = tuple(f"{n:03d}" for n in (6, 7, *range(9, 25), 26, 28, *range(30, 38)))
# Source videos with frame numbers of 5 digits, and running numbers of their clips: 31 of the 133 clips.
_FIVE_DIGITS = {
    "006_1": (1, 2, 3),
    "011_1": (1, 2, 3),
    "013_1": (1, 2, 8, 9, 12),
    "014_1": (1, 2),
    "016_7": (7, 8),
    "018_7": (1, 2),
    "023_1": (1, 2),
    "026_1": (1, 2),
    "030_1": (1, 2),
    "033_1": (1,),
    "034_7": (1, 2),
    "035_1": (1,),
    "035_7": (1, 2),
    "036_7": (1, 2),
}
_NAMED = ("017_3_2", "026_3_3", "028_4_1", "032_3_1", "032_3_2")
# Onsets that docs/databases.md names, and small ones in long videos; the other clips' are invented.
_ONSETS = {
    "006_1_2": 5562,
    "013_1_8": 95,
    "013_1_12": 301,
    "016_7_8": 12345,
    "017_3_2": 83,
    "018_1_4": 10010,
    "026_1_1": 88,
    "026_1_2": 702,
    "028_4_1": 1130,
    "032_3_1": 4896,
    "035_7_2": 98,
}
_OFFSETS = {"013_1_9": 5739, "028_4_1": 1134, "032_3_1": 4960}
_APEXES = {"028_4_1": 1143, "032_3_1": 1930}


def _four_digit_names(people: Sequence[str], count: int, first: int) -> Iterator[str]:
    for i in range(count):
        k = first + i // len(people)
        yield f"{people[i % len(people)]}_{2 + k % 5}_{k}"


@cache
def samm_clips() -> tuple[FabricatedClip, ...]:
    """All 159 rows in order of their names."""
    used = [f"{video}_{k}" for video, numbers in _FIVE_DIGITS.items() for k in numbers]
    used += _NAMED
    used += _four_digit_names(("011",), 17, 4)
    used += _four_digit_names([p for p in _PEOPLE if p != "011"], 80, 4)
    others = ["018_1_4", "025_3_1", "025_3_2", *_four_digit_names(_PEOPLE, 23, 40)]
    words = [word for _, word in distribute(_WORDS, ("",))]
    emotions = {name: words[i * 37 % len(words)] for i, name in enumerate(used)}  # everyone gets several
    emotions |= dict.fromkeys(others, "Other")
    clips = []
    for i, name in enumerate(sorted(emotions)):
        emotion = emotions[name]
        long = has_five_digits(name)
        onset = _ONSETS.get(name, 9998 if long and i % 2 else 497 + 13 * i)
        if name == "013_1_9":
            onset = _OFFSETS[name] - LENGTH + 1
        offset = _OFFSETS.get(name, onset + LENGTH - 1)
        apex = _APEXES.get(name, onset + LENGTH // 2)
        if name == "032_3_2":
            apex = onset + 1
        elif name == "026_3_3":
            apex = offset - 1
        label = {"Happiness": 1, "Surprise": 2, "Other": None}.get(emotion, 0)
        clips.append(FabricatedClip("samm", name[:3], name, emotion, label, onset, apex, offset))
    return tuple(clips)


def has_five_digits(clip: str) -> bool:
    """Whether the frame numbers of a clip have 5 digits: its source video decides."""
    return clip.rsplit("_", 1)[0] in _FIVE_DIGITS or clip == "018_1_4"


def build_samm(
    root: Path,
    folder: str = "SAMM",
    nested: bool = False,
    preamble: bool = True,
    images: Sequence[Path] = (),
) -> Path:
    """Write the workbook and the clips' folders below ``root``, and returns ``root``.

    Args:
        folder: "SAMM", or "SAMM_CROP" for the cropped release.
        nested: one folder too many, as the archives unpack.
        preamble: the 13 rows above the header; without them the header comes first.
        images: what the frames show from onset to offset; none: tiny gray ones.
    """
    top = root / folder / folder if nested else root / folder
    frames = FrameWriter(images)
    for c in samm_clips():
        width = 5 if has_five_digits(c.clip) else 4
        names = {n: f"{c.subject}_{n:0{width}d}.jpg" for n in range(c.onset, c.offset + 1)}
        frames.write(top / c.subject / c.clip, names, c.onset)
    book = openpyxl.Workbook()
    sheet = book["Sheet"]
    sheet.title = "MICRO_ONLY"
    if preamble:
        for i in range(13):
            sheet.append([f"Fabricated preamble, line {i + 1}" if i % 3 else None, None, "x = y"])
    sheet.append(
        ["Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame", "Duration", "Micro"]
        + ["Action Units", "Estimated Emotion", "Objective Classes", "Notes"]
    )
    for i, c in enumerate(samm_clips()):
        n = sheet.max_row + 1
        units: Cell = i % 30 + 1 if i % 2 else "(R6 or R12)+R15 "
        row: list[Cell] = [c.subject, c.clip, int(c.clip.split("_")[1]), c.onset, c.apex, c.offset]
        sheet.append([*row, f"=F{n}-D{n}+1", "Micro - 1/2", units, c.emotion, i % 7 + 1, None])
    book.save(root / ("SAMM_Micro_FACS_Codes_v2.xlsx" if preamble else "SAMM.xlsx"))
    return root
