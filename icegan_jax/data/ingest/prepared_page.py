"""The page of a prepared folder, with counts, findings, repairs and the faces of every clip; and its contact sheet."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from icegan_jax.data.clips import Clip
from icegan_jax.data.dataset import Record
from icegan_jax.data.ingest.annotation import ClipKey, Finding
from icegan_jax.data.ingest.repairs import Repair
from icegan_jax.data.ingest.summary import count_clips, count_datasets
from icegan_jax.reporting.face_grid import FaceGrid, compare_faces
from icegan_jax.reporting.render import (
    NUMBER,
    Column,
    FacesCell,
    Row,
    Table,
    TableCell,
    number_cell,
    render,
)
from icegan_jax.reporting.style import DIFFERENCE_GAIN

_SHEET_CELL = (3 * 96, 96)  # width and height of the faces of a clip in the contact sheet
_SHEET_ROWS, _SHEET_COLUMNS = 40, 14  # of one file; the 442 clips of MEGC2019 fill 34 rows of 13 columns

# Titles of the kinds of findings (``Finding``), the most serious first.
_KINDS = {
    "error": "Errors",
    "missing": "Missing clips",
    "surplus": "Folders and rows that no clip uses",
    "repair": "Repairs foreseen",
    "note": "Notes",
    "excluded": "Left out by the protocol",
}
_SERIOUS = ("error", "missing")


def write_contact_sheet(path: Path, apexes: Sequence[Record], classes: Sequence[str]) -> None:
    """Write a PNG with onset, apex and their enlarged difference of every clip, sorted by dataset, subject and clip.

    Args:
        path: the file to write; clips that do not fit go into further files, contact_sheet_2.png and so on.
        apexes: at least one record, of shift 0.
        classes: names of the classes.
    """
    records = sorted(apexes, key=sort_key)
    width, height = _SHEET_CELL
    columns = min(math.ceil(math.sqrt(len(records) * height / width)), _SHEET_COLUMNS)
    caption = (
        f"Per clip: onset, apex, and {DIFFERENCE_GAIN} x (apex - onset), red brighter, blue darker. Recognizable "
        "faces: do not share those of licensed databases."
    )
    rows = [records[first : first + columns] for first in range(0, len(records), columns)]
    for number, first in enumerate(range(0, len(rows), _SHEET_ROWS), 1):
        shown = rows[first : first + _SHEET_ROWS]
        names = [[f"{r.dataset} / {r.subject} / {r.clip}: {classes[r.label]}" for r in row] for row in shown]
        grid = FaceGrid([""] * len(shown), [""] * columns, _SHEET_CELL, caption, names)
        picture = grid.draw([[compare_faces(record.onset, record.apex) for record in row] for row in shown])
        file = path if number == 1 else path.with_name(f"{path.stem}_{number}{path.suffix}")
        Image.fromarray(picture).save(file, format="PNG")


def sort_key(record: Record) -> tuple[str, str, list[tuple[int, str]]]:
    """Return a key that sorts records by dataset, subject and clip, with numbers in clip names by their value."""
    parts = re.findall(r"[0-9]+|[^0-9]+", record.clip)
    numbered = [(int(part), "") if part.isdecimal() and part.isascii() else (-1, part) for part in parts]
    return record.dataset, record.subject, numbered


def write_page(
    path: Path,
    *,
    summary: Mapping[str, object],
    apexes: Sequence[Record],
    clips: Sequence[Clip],
    repairs: Sequence[Repair],
    findings: Sequence[Finding],
    classes: Sequence[str],
) -> None:
    """Write the page of a prepared folder, one HTML file that needs no network.

    Args:
        path: the file to write.
        summary: the content of prepared.json; its "protocol", where there is one, is named above the findings.
        apexes: the records of shift 0.
        clips: the repaired clips, for counts and frame numbers.
        repairs: the rows of repairs.csv.
        findings: the rows of findings.csv.
        classes: names of the classes.
    """
    serious = sum(finding.kind in _SERIOUS for finding in findings)
    tiles = (
        (len(clips), "clips"),
        (len({(clip.dataset, clip.subject) for clip in clips}), "subjects"),
        (len({(row.dataset, row.subject, row.clip) for row in repairs}), "clips with a spotted apex or a repair"),
        (serious, "errors and missing clips"),
    )
    html = render(
        "prepared.html",
        title="Prepared micro-expressions",
        tiles=tiles,
        counts=_count_table(clips, classes),
        check=_protocol_check(str(summary.get("protocol") or ""), clips, findings),
        findings=list(_finding_tables(findings)),
        repairs=_repair_table(repairs),
        repaired=", ".join(f"{n} of {field}" for field, n in Counter(row.field for row in repairs).most_common()),
        gain=DIFFERENCE_GAIN,
        databases=sorted({record.dataset for record in apexes}),
        classes=classes,
        clips=_clip_table(apexes, clips, repairs, classes),
        summary={name.replace("_", " "): value for name, value in summary.items()},
    )
    path.write_text(html, encoding="utf-8")


def _count_table(clips: Sequence[Clip], classes: Sequence[str]) -> Table:
    groups = sorted(count_datasets(clips, classes).items())
    if len(groups) > 1:
        groups.append(("all", count_clips(clips, classes)))
    rows = []
    for name, counts in groups:
        numbers = (*(counts.classes[word] for word in classes), counts.clips, counts.subjects)
        rows.append(Row([name, *(number_cell(number, 0) for number in numbers)]))
    columns = [Column("database", "name"), *(Column(name, NUMBER) for name in (*classes, "clips", "subjects"))]
    return Table("Counts", columns, rows)


def _protocol_check(protocol: str, clips: Sequence[Clip], findings: Sequence[Finding]) -> str:
    kinds = Counter(finding.kind for finding in findings)
    counts = [f"{name.lower()}: {kinds[kind]}" for kind, name in _KINDS.items() if kinds[kind]]
    words = [f"Protocol {protocol}: {len(clips)} clips" if protocol else f"{len(clips)} clips"]
    serious = any(kinds[kind] for kind in _SERIOUS)
    words.append("see errors and missing clips first" if serious else "no error, no clip known to be missing")
    return f"{'; '.join(words)}. {'; '.join(counts).capitalize() or 'No findings'}."


def _finding_tables(findings: Sequence[Finding]) -> Iterator[tuple[Table, bool]]:
    """Yield the table of each kind of findings, and whether the kind is serious."""
    columns = [Column(name, "words") for name in ("clip", "finding", "remedy", "where")]
    for kind in [*_KINDS, *sorted({finding.kind for finding in findings} - set(_KINDS))]:
        rows = [Row([f.clip, f.message, f.remedy, f.where]) for f in findings if f.kind == kind]
        if rows:
            yield Table(f"{_KINDS.get(kind, kind)} ({len(rows)})", columns, rows), kind in _SERIOUS


def _repair_table(repairs: Sequence[Repair]) -> Table:
    columns = [Column(name, "words") for name in ("clip", "what", "was", "is", "reason")]
    rows = [Row([f"{r.dataset}/{r.subject}/{r.clip}", r.field, r.old, r.new, r.reason]) for r in repairs]
    return Table("Repairs", columns, rows)


def _clip_table(
    apexes: Sequence[Record], clips: Sequence[Clip], repairs: Sequence[Repair], classes: Sequence[str]
) -> Table:
    """Return a table with a row per clip: the faces, names, class, frame numbers, change and repairs."""
    clip_of_key = {(clip.dataset, clip.subject, clip.clip): clip for clip in clips}
    repairs_of_key: dict[ClipKey, list[str]] = defaultdict(list)
    for row in repairs:
        repairs_of_key[row.dataset, row.subject, row.clip].append(f"{row.field} {row.old} → {row.new}: {row.reason}")
    rows = []
    for record in sorted(apexes, key=sort_key):
        key = (record.dataset, record.subject, record.clip)
        clip, word = clip_of_key.get(key), classes[record.label]
        frames = (None, None, None) if clip is None else (clip.onset, clip.apex, clip.offset)
        change = float(np.abs(record.apex.astype(np.float32) - record.onset.astype(np.float32)).mean())
        cells: list[TableCell] = [FacesCell("/".join(key), record.onset, record.apex), *key, word]
        cells += [*(number_cell(frame, 0) for frame in frames), number_cell(change, 1), "; ".join(repairs_of_key[key])]
        fields = {"database": record.dataset, "class": word} | ({"repaired": "yes"} if repairs_of_key[key] else {})
        rows.append(Row(cells, fields))
    columns = [Column("onset, apex, difference", "picture"), Column("database", "name"), Column("subject", "name")]
    columns += [Column("clip", "name"), Column("class")]
    columns += [Column(name, NUMBER) for name in ("onset", "apex", "offset", "change")]
    return Table("Clips", [*columns, Column("repairs", "words")], rows)
