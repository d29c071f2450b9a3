"""A small tree of everything that prepare reads: three databases, own clips, the organizers' list, an override file."""

import csv
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import openpyxl
import skimage.data
from PIL import Image

from tests.data.conftest import Gray, moved, smiling
from tests.data.databases.write_files import biff_sheet
from tests.data.fabricate import Cell, ClipKey, write_formula_values
from tests.videos import write_test_video

_STRENGTHS = (0.0, 0.2, 0.6, 1.0, 0.6, 0.3)
_CASME2 = "CASME2/CASME2_RAW_selected/CASME2_RAW_selected"
_SMIC = "SMIC/SMIC_all_raw/HS"
_SMIC_E = "SMIC/HS_long/SMIC-HS-E/HS"


@dataclass(frozen=True)
class FuzzClip:
    """A clip of the small tree: its folders, the preferred one first, with the pattern of their frames' names."""

    key: ClipKey
    emotion: str
    onset: int
    apex: int | str | None
    offset: int
    folders: tuple[tuple[str, str], ...]
    extra: int = 0  # frames before the onset and after the offset

    @property
    def name(self) -> str:
        return "/".join(self.key)


def _casme2(
    subject: str, clip: str, emotion: str, onset: int, apex: int | str, crop: bool = False, length: int = 6
) -> FuzzClip:
    folders = [(f"{_CASME2}/{subject}/{clip}", "img{}.jpg")]
    if crop:
        folders.append((f"CASME2/Cropped/{subject}/{clip}", "reg_img{}.jpg"))
    return FuzzClip(("casme2", subject, clip), emotion, onset, apex, onset + length - 1, tuple(folders))


def _samm(clip: str, emotion: str, onset: int, apex: int, pattern: str) -> FuzzClip:
    subject = clip[:3]
    return FuzzClip(
        ("samm", subject, clip), emotion, onset, apex, onset + 5, ((f"SAMM/SAMM/{subject}/{clip}", subject + pattern),)
    )


def _smic(number: int, word: str, emotion: str, onset: int, long: bool = False) -> FuzzClip:
    short, subject = f"s{number}_{word}_01", f"s{number:02d}"
    folder = f"{_SMIC_E}/{subject}/{short}" if long else f"{_SMIC}/s{number}/micro/{emotion}/{short}"
    pattern = "image{:06d}.jpg"
    return FuzzClip(
        ("smic", subject, f"{subject}_{word}_01"),
        emotion,
        onset,
        None,
        onset + 5,
        ((folder, pattern),),
        extra=2 * long,
    )


CLIPS = (
    _casme2("sub01", "EP02_01f", "happiness", 7, 10, crop=True),
    _casme2("sub02", "EP02_01f", "disgust", 97, 102, length=12),  # longer: frames that nothing needs
    _casme2("sub03", "EP08_1", "surprise", 46, 49),
    _casme2("sub17", "EP01_13", "others", 20, 23),
    _casme2("sub04", "EP12_01f", "disgust", 20, "/"),
    _samm("006_1_2", "Anger", 5562, 5565, "_{:05d}.jpg"),
    _samm("007_3_1", "Happiness", 98, 101, "_{:04d}.jpg"),
    _samm("028_4_1", "Surprise", 1130, 1143, "_{:04d}.jpg"),
    _smic(1, "ne", "negative", 44238),
    _smic(2, "po", "positive", 54238),
    _smic(18, "sur", "surprise", 999997),
    _smic(3, "sur", "surprise", 64238, long=True),
    FuzzClip(("mine", "anna", "clip1"), "happiness", 12, None, 17, (("own/frames/anna1", "img{:04d}.jpg"),)),
    FuzzClip(("mine", "bob", "clip1"), "disgust", 12, 15, 17, (("own/frames/bob1", "{}.jpg"),)),
    FuzzClip(("mine", "bob", "clip2"), "surprise", 0, None, 5, (("own/videos/bob2.avi", ""),)),
    FuzzClip(("mine", "cleo", "clip1"), "fear", 0, 3, 5, (("own/videos/cleo1.mp4", ""),)),
    FuzzClip(("mine", "cleo", "clip2"), "happiness", 0, 3, 5, (("own/videos/cleo2.gif", ""),)),
)


def build_sources(root: Path) -> None:
    """Write the tree below ``root``; the same bytes each time."""
    root.mkdir(parents=True)
    face = np.ascontiguousarray(cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2GRAY)[0:240, 120:340])
    for i, clip in enumerate(CLIPS):
        images = [_frame(face, i, k) for k in range(len(_STRENGTHS))]
        for folder, pattern in clip.folders:
            if not pattern:
                _write_video(root / folder, images)
                continue
            (root / folder).mkdir(parents=True)
            for n in range(clip.onset - clip.extra, clip.offset + clip.extra + 1):
                k = min(max(n - clip.onset, 0), len(images) - 1)
                path = root / folder / pattern.format(n)
                assert cv2.imwrite(str(path), images[k], [cv2.IMWRITE_JPEG_QUALITY, 70])
    _write_workbooks(root)
    _write_lists(root)


def _frame(face: Gray, clip: int, k: int) -> Gray:
    """Return a frame: clips differ in light and position, frames in expression, and the head drifts."""
    image = moved(smiling(face, _STRENGTHS[k]), 0.2 * k, (0.4 * k + clip % 4, -0.3 * k + clip // 4))
    return np.clip(image * (1 - 0.01 * k) + clip, 0, 255).astype(np.uint8)


def _write_video(path: Path, images: Sequence[Gray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gif":
        first, *others = map(Image.fromarray, images)
        first.save(path, save_all=True, append_images=others, duration=40)
        return
    write_test_video(path, images)


def _of(database: str) -> list[FuzzClip]:
    return [clip for clip in CLIPS if clip.key[0] == database]


def _write_workbooks(root: Path) -> None:
    header: list[Cell] = ["Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None, "Action Units"]
    rows = [[*header, "Estimated Emotion"]]
    for s in _of("casme2"):
        rows.append([s.key[1][3:], s.key[2], None, s.onset, s.apex, s.offset, None, "4+R7", s.emotion])
    _save(root / "CASME2/CASME2-coding-20140508.xlsx", {"Sheet1": rows, "Sheet2": [], "Sheet3": []})
    # The same in the other formats, beside the database: for --annotation.
    (root / "coding.xls").write_bytes(biff_sheet(*map(tuple, rows)))
    _write_csv(root / "coding.csv", rows)
    rows = [[f"Fabricated preamble, line {i}" if i % 3 else None, None, "x = y"] for i in range(13)]
    header = [
        "Subject",
        "Filename",
        "Inducement Code",
        "Onset Frame",
        "Apex Frame",
        "Offset Frame",
        "Duration",
        "Micro",
    ]
    rows.append([*header, "Action Units", "Estimated Emotion", "Objective Classes", "Notes"])
    for s in _of("samm"):
        n = len(rows) + 1
        frames: list[Cell] = [s.onset, s.apex, s.offset, f"=F{n}-D{n}+1"]
        rows.append([s.key[1], s.key[2], 1, *frames, "Micro - 1/2", "R6", s.emotion, 1, None])
    _save(root / "SAMM/SAMM_Micro_FACS_Codes_v2.xlsx", {"MICRO_ONLY": rows})
    header = ["Subject", "Filename", None, "OnsetF", "OffsetF", "Onset2F", "Offset2F", None, "FirstF"]
    rows = [[*header, "LastF", "TotalMF1", "Emotion"]]
    values = {}
    for s in _of("smic"):
        r, number = len(rows) + 1, int(s.key[1][1:])
        name = f"s{number}{s.key[2][3:]}"
        rows.append([number, name, None, s.onset, f"=D{r}+5", None, None, None, s.onset - 2, s.offset + 2])
        rows[-1] += [6, s.emotion]
        values[f"E{r}"] = s.offset
    rows += [[], ["Fabricated note below the table"]]
    path = root / "SMIC/HS_long/SMIC-HS-E_annotation.xlsx"
    _save(path, {"HS": rows, "Sheet2": []})
    write_formula_values(path, {"sheet1.xml": values})


def _save(path: Path, sheets: Mapping[str, Sequence[Sequence[Cell]]]) -> None:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(list(row))
    book.save(path)


def _write_lists(root: Path) -> None:
    own: list[Sequence[Cell]] = [("dataset", "subject", "clip", "label", "frames", "onset", "apex", "offset")]
    for s in _of("mine"):
        own.append((*s.key, s.emotion, s.folders[0][0].removeprefix("own/"), s.onset, s.apex, s.offset))
    _write_csv(root / "own/clips.csv", own)
    labels = {"happiness": 1, "positive": 1, "surprise": 2}
    listed = [
        (s.key[0], str(int(s.key[1])) if s.key[0] == "samm" else s.key[1], s.key[2], labels.get(s.emotion.lower(), 0))
        for s in CLIPS
        if s.key[0] != "mine" and s.emotion != "others" and s.apex != "/"
    ]
    _write_csv(root / "official.csv", listed)
    overrides: list[Sequence[Cell]] = [
        ("clip", "onset", "apex", "offset", "reason"),
        ("samm/028/028_4_1", "", 1133, "", "the sheet's apex is a typing error"),
        ("smic/s01/s01_ne_01", "", 44241, "", "seen by eye"),
    ]
    _write_csv(root / "repairs.csv", overrides)


def _write_csv(path: Path, rows: Iterable[Sequence[Cell]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def copy_sources(sources: Path, to: Path) -> None:
    """Copy the tree as hard links: never write into a file of the copy, replace it."""
    shutil.copytree(sources, to, copy_function=os.link)
