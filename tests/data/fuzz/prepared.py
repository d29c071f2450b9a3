"""The content of a prepared folder."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from icegan_jax.data.clips import read_clips
from icegan_jax.data.dataset import SUMMARY_FILE, load_pairs
from tests.data.fabricate import ClipKey


@dataclass(frozen=True)
class Prepared:
    """A prepared folder in memory.

    Attributes:
        labels: by clip.
        pixels: by clip: the bytes of its faces.
        frames: by clip: onset, apex and offset that were used.
        reported: names of clips in findings.csv and repairs.csv.
        repaired: names of clips in repairs.csv alone.
        counts: the findings about a whole database.
        findings: number of rows of findings.csv.
    """

    labels: Mapping[ClipKey, int]
    pixels: Mapping[ClipKey, bytes]
    frames: Mapping[ClipKey, tuple[int, int | None, int]]
    reported: frozenset[str]
    repaired: frozenset[str]
    counts: frozenset[str]
    findings: int


def read_prepared(out: Path) -> Prepared:
    """Read all of a prepared folder; ValueError, or what the readers raise, where its parts do not agree."""
    pairs = load_pairs(out)
    keys = list(zip(pairs.dataset.tolist(), pairs.subject.tolist(), pairs.clip.tolist(), strict=True))
    labels = dict(zip(keys, pairs.label.tolist(), strict=True))
    faces: dict[ClipKey, list[bytes]] = {key: [] for key in keys}
    for key, onset, apex in zip(keys, pairs.onset, pairs.apex, strict=True):
        faces[key] += [onset.tobytes(), apex.tobytes()]
    clips = read_clips(out / "clips.csv", pairs.classes)
    frames = {(c.dataset, c.subject, c.clip): (c.onset, c.apex, c.offset) for c in clips}
    if {(c.dataset, c.subject, c.clip): c.label for c in clips} != labels:
        raise ValueError("clips.csv and the pairs differ")
    summary = json.loads((out / SUMMARY_FILE).read_text(encoding="utf-8"))
    findings, repairs = _rows(out / "findings.csv"), _rows(out / "repairs.csv")
    if (summary["clips"], summary["findings"], summary["repairs"]) != (len(clips), len(findings), len(repairs)):
        raise ValueError("prepared.json and the tables differ in number")
    if summary["fingerprint"] != pairs.fingerprint:
        raise ValueError("prepared.json has another fingerprint")
    for name in ("contact_sheet.png", "index.html"):
        if not (out / name).stat().st_size:
            raise ValueError(f"{name} is empty")
    repaired = frozenset(f"{r['dataset']}/{r['subject']}/{r['clip']}" for r in repairs)
    return Prepared(
        labels,
        {key: b"".join(parts) for key, parts in faces.items()},
        frames,
        reported=repaired | {f["clip"] for f in findings},
        repaired=repaired,
        counts=frozenset(f"{f['clip']}: {f['message']}" for f in findings if "/" not in f["clip"]),
        findings=len(findings),
    )


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
