"""Fabricated trees of the three databases, of full size, with their true counts and quirks; nothing licensed.

The frames of a tree are hard links to a few tiny files: never write into one, use ``replace_file``.
"""

import csv
from collections.abc import Iterable
from pathlib import Path

from tests.data.fabricate import FabricatedClip
from tests.data.fabricated_casme2 import casme2_clips
from tests.data.fabricated_samm import samm_clips
from tests.data.fabricated_smic import NO_IMAGES, NOT_IN_SHEET, smic_clips

NOT_IN_SMIC_E = (*NOT_IN_SHEET, *NO_IMAGES)


def composite_clips() -> list[FabricatedClip]:
    """The fabricated clips that are in MEGC2019, in the order of the organizers' list."""
    return [c for c in (*casme2_clips(), *smic_clips(), *samm_clips()) if c.label is not None]


def write_official(path: Path, clips: Iterable[FabricatedClip] | None = None, form: str = "442") -> Path:
    """Write a list of clips as the organizers' csv, and returns its path.

    Args:
        clips: what to list; None: ``composite_clips``.
        form: "442", "441" (blank lines, one clip less), "header" (BOM, subjects as bare numbers) or "padded" (other
            columns too, padded SAMM subjects).
    """
    rows: list[list[str | int | None]] = []
    for c in composite_clips() if clips is None else clips:
        subject = str(int(c.subject)) if c.dataset == "samm" else c.subject
        if form == "441" and c.clip == "032_3_1":
            continue
        if form == "header":
            rows.append([c.dataset, int(c.subject.lstrip("sub")), c.clip, c.label])
        elif form == "padded":
            rows.append([c.dataset, c.subject, c.clip, c.label, c.apex or 0, f"{c.clip}.png", "x"])
        else:
            rows.append([c.dataset, subject, c.clip, c.label])
        if form == "441":
            rows.append(["", "", "", ""])
    if form == "header":
        rows.insert(0, ["data", "subject", "clip", "label"])
    elif form == "padded":
        rows.insert(0, ["dataset", "sub", "filename_o", "label", "apex", "imagename", "sub_filename"])
    with path.open("w", newline="", encoding="utf-8-sig" if form == "header" else "utf-8") as file:
        csv.writer(file).writerows(rows)  # lines end in CRLF
    return path
