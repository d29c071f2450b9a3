"""What an annotation says, what the frames allow, and a recorded repair for each difference."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

from icegan_jax.data.clips import Clip, frames_after_onset
from icegan_jax.data.ingest.annotation import Annotation
from icegan_jax.data.names import spreadsheet_cell
from icegan_jax.errors import UserError

# How far, in frames, an onset without a frame may be from the frame that stands in for it. The longest gap at the
# start of a clip that public loaders bridge is "up to a few frames" (docs/databases.md, "SMIC"); beyond it the
# annotation belongs to other frames.
MOST_ONSET_SHIFT = 5


@dataclass(frozen=True)
class Repair:
    """One row of repairs.csv: what was changed in a clip, from what to what, and why."""

    dataset: str
    subject: str
    clip: str
    field: str
    old: str
    new: str
    reason: str


def repair(clip: Clip, field: str, old: object, new: object, reason: str) -> Repair:
    """Returns the row that records a change to ``clip``; ``None`` is written as an empty cell."""
    before, after = ("" if value is None else str(value) for value in (old, new))
    return Repair(clip.dataset, clip.subject, clip.clip, field, before, after, reason)


def write_repairs(path: Path, repairs: Iterable[Repair]) -> None:
    """Writes repairs.csv, no cell a formula; with no repairs it holds the header alone."""
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(Repair)])
        writer.writerows(map(spreadsheet_cell, astuple(row)) for row in repairs)


def is_log(path: Path) -> bool:
    """Tells whether a file is a repairs.csv that ``write_repairs`` wrote."""
    header = ",".join(field.name for field in fields(Repair))
    return path.read_bytes().startswith(header.encode())


def read_repairs(path: Path) -> list[Repair]:
    """Reads a repairs.csv back that ``write_repairs`` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        return [Repair(**row) for row in csv.DictReader(file)]


def clip_of(annotation: Annotation, label: int, frames: Path, numbers: Sequence[int]) -> tuple[Clip, list[Repair]]:
    """Makes the clip of an annotation whose frames are known, and settles it.

    Where neither onset nor offset is annotated, they are the first and the last frame, which is no
    repair: a folder of SMIC_all holds exactly onset..offset (docs/databases.md, "SMIC").

    Args:
        annotation: what the database says.
        label: the clip's class.
        frames: the folder or video chosen for it.
        numbers: the frames that exist there, ascending, at least one.

    Returns:
        The clip to use, and a repair for each departure from the annotation.

    Raises:
        UserError: as ``settle``.
    """
    onset = numbers[0] if annotation.onset is None else annotation.onset
    offset = numbers[-1] if annotation.offset is None else annotation.offset
    clip = Clip(annotation.dataset, annotation.subject, annotation.clip, label, frames, onset, annotation.apex, offset)
    repairs = []
    if annotation.onset is None and annotation.offset is not None:
        repairs.append(repair(clip, "onset", None, onset, "not annotated: the first frame"))
    if annotation.offset is None and annotation.onset is not None:
        repairs.append(repair(clip, "offset", None, offset, "not annotated: the last frame"))
    settled, more = repair_annotation(clip, numbers)
    return settled, repairs + more


def repair_annotation(clip: Clip, numbers: Sequence[int]) -> tuple[Clip, list[Repair]]:
    """Brings a clip's onset, apex and offset in line with the frames that exist.

    An onset without a frame becomes the nearest one, at most ``MOST_ONSET_SHIFT`` frames away and
    before the apex; an offset without a frame the last one before it; an apex at or before the
    onset or after the offset the middle frame; an apex without a frame the nearest one. A settled
    clip stays as it is. Source: docs/databases.md, "Rules for reading", rule 3.

    Args:
        clip: the clip as annotated.
        numbers: the frames that exist, ascending, at least one.

    Returns:
        The clip to use, and a repair for each change.

    Raises:
        UserError: no frame can stand in for the onset, or none follows it.
    """
    repairs: list[Repair] = []
    settled = clip
    sound_apex = clip.apex is not None and clip.onset < clip.apex <= clip.offset
    if clip.onset not in numbers:
        before = clip.apex if sound_apex and clip.apex is not None else clip.offset
        near = [n for n in numbers if abs(n - clip.onset) <= MOST_ONSET_SHIFT and n < before]
        if not near:
            raise UserError(
                f"clip {clip.name}: onset frame {clip.onset} is not in {clip.frames} (frames {numbers[0]} to "
                f"{numbers[-1]}) and no frame within {MOST_ONSET_SHIFT} of it; correct onset or restore the frame"
            )
        settled = replace(clip, onset=min(near, key=lambda n: abs(n - clip.onset)))
        repairs.append(repair(clip, "onset", clip.onset, settled.onset, "no such frame: the nearest one"))
    moving = frames_after_onset(settled, numbers)
    if not moving:
        raise UserError(
            f"clip {clip.name}: no frame after onset {settled.onset} up to offset {clip.offset} in "
            f"{clip.frames}; correct onset and offset or restore the frames"
        )
    if clip.offset not in numbers:
        settled = replace(settled, offset=moving[-1])
        repairs.append(repair(clip, "offset", clip.offset, moving[-1], "no such frame: the last one before it"))
    if clip.apex is None:
        return settled, repairs
    apex = clip.apex
    reason = "no such frame: the nearest one"
    if not sound_apex:
        apex = (settled.onset + settled.offset) // 2
        reason = "apex outside onset..offset: the middle frame"
        if clip.apex == clip.onset:
            reason = "apex is the onset: the middle frame"
    nearest = min(moving, key=lambda n: abs(n - apex))
    if nearest != clip.apex:
        settled = replace(settled, apex=nearest)
        repairs.append(repair(clip, "apex", clip.apex, nearest, reason))
    return settled, repairs


def gaps(clip: Clip, numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Returns the runs (first, last) of frame numbers that are missing between onset and offset.

    A clip of which every second frame was kept has no gap: the smallest step is the normal one.
    """
    held = [n for n in numbers if clip.onset <= n <= clip.offset]
    step = min((b - a for a, b in zip(held, held[1:], strict=False)), default=1)
    return [(a + step, b - step) for a, b in zip(held, held[1:], strict=False) if b - a > step]
