"""Damaged tables, frames and folders: one error line with the file, or the labels are those of the clean tree."""

import random
import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from icegan_jax.data.ingest.annotation import Source
from icegan_jax.data.ingest.check import check_clips, report_check
from icegan_jax.data.ingest.collect_clips import collect_clips
from icegan_jax.errors import UserError
from tests.data.databases.write_files import write_csv, write_xlsx

EMOTIONS = ("disgust", "happiness", "surprise", "others", "repression")
HEADER = ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Estimated Emotion")
ROWS: list[Sequence[object]] = [
    (f"{subject:02d}", f"EP0{clip}_01", 1, 4, 8, EMOTIONS[(subject + clip) % 5])
    for subject in range(1, 5)
    for clip in range(1, 4)
]


def write_tree(root: Path, form: str) -> Source:
    """Write 12 clips of CASME II with 8 frames each, and their table as "xlsx" or "csv"."""
    for subject, clip, *_ in ROWS:
        folder = root / f"sub{subject}" / str(clip)
        folder.mkdir(parents=True)
        for number in range(1, 9):
            cv2.imwrite(str(folder / f"img{number}.png"), np.full((8, 8), 10 * number, np.uint8))
    if form == "xlsx":
        write_xlsx(root / "CASME2-coding.xlsx", [HEADER, *ROWS])
    else:
        write_csv(root / "CASME2-coding.csv", [HEADER, *ROWS])
    return Source("casme2", root)


def table_of(root: Path) -> Path:
    return next(path for path in root.iterdir() if path.suffix in (".xlsx", ".csv"))


def some_frame(rng: random.Random, root: Path) -> Path:
    return rng.choice(sorted(root.glob("sub*/*/*.png")))


def some_folder(rng: random.Random, root: Path) -> Path:
    return rng.choice(sorted(path for path in root.glob("sub*/*") if path.is_dir()))


def damage_bytes(rng: random.Random, path: Path) -> None:
    """Truncate a file, or flip, zero or insert bytes."""
    data = bytearray(path.read_bytes())
    place = rng.randrange(len(data))
    kind = rng.randrange(4)
    if kind == 0:
        del data[place:]
    elif kind == 1:
        for _ in range(rng.choice((1, 3, 30))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == 2:
        data[place : place + 50] = bytes(len(data[place : place + 50]))
    else:
        data[place:place] = rng.randbytes(20)
    path.write_bytes(data)


def damage_part(rng: random.Random, root: Path) -> None:
    """Damage the XML inside a workbook, whose checksums are right again; a csv has no parts."""
    path = table_of(root)
    if path.suffix == ".csv":
        return damage_bytes(rng, path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    part = root / "part"
    name = rng.choice([name for name in parts if parts[name]])
    part.write_bytes(parts[name])
    damage_bytes(rng, part)
    parts[name] = part.read_bytes()
    part.unlink()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return None


def damage_cells(rng: random.Random, root: Path) -> None:
    """Replace cells by other content; never an emotion by another one, which nobody could see."""
    rows = [list(row) for row in [HEADER, *ROWS]]
    for _ in range(rng.choice((1, 3))):
        odd = rng.choice(("", " ", "x", -1, 10**12, 3.5, "=1+1", "#N/A", "٣", "0", True, "../up", "a\nb"))
        rng.choice(rows)[rng.randrange(len(HEADER))] = odd
    _rewrite(root, rows)


def damage_rows(rng: random.Random, root: Path) -> None:
    """Delete, duplicate or shorten rows, or swap two columns."""
    rows = [list(row) for row in [HEADER, *ROWS]]
    kind, number = rng.randrange(4), rng.randrange(len(rows))
    if kind == 0:
        del rows[number]
    elif kind == 1:
        rows.insert(number, rows[number])
    elif kind == 2:
        rows[number] = rows[number][: rng.randrange(len(HEADER))]
    else:
        first, second = rng.sample(range(len(HEADER)), 2)
        for row in rows:
            row[first], row[second] = row[second], row[first]
    _rewrite(root, rows)


def _rewrite(root: Path, rows: Sequence[Sequence[object]]) -> None:
    path = table_of(root)
    if path.suffix == ".csv":
        write_csv(path, rows, random.Random(len(rows)).choice(",;\t"))
    else:
        write_xlsx(path, rows)


def damage_folders(rng: random.Random, root: Path) -> None:
    """Delete, empty, rename, copy or replace the folder of a clip."""
    folder = some_folder(rng, root)
    kind = rng.randrange(5)
    if kind == 4:
        shutil.copytree(folder, root / "copy" / folder.parent.name / folder.name)
        return
    if kind == 3:
        folder.rename(folder.with_name(rng.choice(("EP09_09", "EP1_1", "x", "EP01_01f"))))
        return
    shutil.rmtree(folder)
    if kind == 1:
        folder.mkdir()
    elif kind == 2:
        folder.write_bytes(b"a file")


def damage_names(rng: random.Random, root: Path) -> None:
    """Rename a frame, or put another file among the frames."""
    frame = some_frame(rng, root)
    if rng.random() < 0.5:
        frame.rename(frame.with_name(rng.choice(("img.png", "img99.png", "img1.jpg", f"{'9' * 30}.png", "a\nb 2.png"))))
    else:
        (frame.parent / rng.choice(("notes 3.txt", "Thumbs.db", "copy 2.png", ".5.png"))).write_bytes(b"text")


DAMAGES: dict[str, Callable[[random.Random, Path], None]] = {
    "bytes of the table": lambda rng, root: damage_bytes(rng, table_of(root)),
    "parts of the table": damage_part,
    "cells": damage_cells,
    "rows": damage_rows,
    "bytes of a frame": lambda rng, root: damage_bytes(rng, some_frame(rng, root)),
    "names of frames": damage_names,
    "folders": damage_folders,
}


def check_damaged(root: Path, kind: str, seed: int) -> None:
    """Check one damaged tree: an error line with a file or folder of the tree, or no label that changed silently."""
    rng = random.Random(f"{kind}/{seed}")
    source = write_tree(root, rng.choice(("xlsx", "csv")))
    expected = {clip.name: clip.label for clip in collect_clips([source], "three").clips}
    DAMAGES[kind](rng, root)
    before = {path: path.lstat().st_mtime_ns for path in root.rglob("*")}
    try:
        collected = collect_clips([source], "three")
        damaged, _ = check_clips(collected, 1, progress=False)
    except UserError as error:
        text = str(error)
        assert text.isprintable() and len(text) < 600
        assert "CASME2-coding" in text or str(root) in text, text
    else:
        _, lines = report_check(collected, damaged, method="difference")
        assert all(line.isprintable() for line in lines), lines
        labels = {clip.name: clip.label for clip in collected.clips}
        reported = {finding.clip for finding in [*collected.findings, *damaged]}
        for name, label in expected.items():
            if name not in labels and kind not in ("cells", "rows", "bytes of the table", "parts of the table"):
                assert name in reported, f"{name} vanished, and nothing says so"
            assert labels.get(name, label) == label, f"{name}: another label, and nothing says so"
    assert {path: path.lstat().st_mtime_ns for path in root.rglob("*")} == before


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_is_one_error_line_or_changes_no_label(tmp_path: Path, kind: str, seed: int) -> None:
    check_damaged(tmp_path / "CASME2", kind, seed)


@pytest.mark.nightly
@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_at_length(tmp_path: Path, kind: str) -> None:
    for seed in range(100, 400):
        check_damaged(tmp_path / "CASME2", kind, seed)
        shutil.rmtree(tmp_path / "CASME2")
