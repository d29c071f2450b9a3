"""What an annotation says, what the frames allow, and a recorded repair for each difference."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

from icegan_jax.data.clips import Clip
from icegan_jax.errors import UserError


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
    """Writes repairs.csv; with no repairs it holds the header alone."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(Repair)])
        writer.writerows(astuple(row) for row in repairs)


def movement(clip: Clip, numbers: Sequence[int]) -> list[int]:
    """Returns the frames after the onset, up to the offset: those that may show expression."""
    return [n for n in numbers if clip.onset < n <= clip.offset]


def settle(clip: Clip, numbers: Sequence[int]) -> tuple[Clip, list[Repair]]:
    """Brings a clip's offset and apex in line with the frames that exist.

    An offset without a frame becomes the last frame before it; an apex at or before the onset or
    after the offset becomes the middle frame; an apex without a frame becomes the nearest one.
    Source: DATASETS.md section 8, rule 3.

    Returns:
        The clip to use, and a repair for each change.

    Raises:
        UserError: the onset has no frame, or no frame follows it.
    """
    if clip.onset not in numbers:
        raise UserError(
            f"clip {clip.name}: onset frame {clip.onset} is not in {clip.frames} (frames "
            f"{numbers[0]} to {numbers[-1]}); correct onset or restore the frame"
        )
    moving = movement(clip, numbers)
    if not moving:
        raise UserError(
            f"clip {clip.name}: no frame after onset {clip.onset} up to offset {clip.offset} in "
            f"{clip.frames}; correct onset and offset or restore the frames"
        )
    repairs: list[Repair] = []
    settled = clip
    if clip.offset not in numbers:
        settled = replace(settled, offset=moving[-1])
        repairs.append(repair(clip, "offset", clip.offset, moving[-1], "no such frame: the last one before it"))
    if clip.apex is None:
        return settled, repairs
    apex = clip.apex
    reason = "no such frame: the nearest one"
    if apex == clip.onset:
        apex, reason = (clip.onset + clip.offset) // 2, "apex is the onset: the middle frame"
    elif not clip.onset < apex <= clip.offset:
        apex = (clip.onset + clip.offset) // 2
        reason = "apex outside onset..offset: the middle frame"
    nearest = min(moving, key=lambda n: abs(n - apex))
    if nearest != clip.apex:
        settled = replace(settled, apex=nearest)
        repairs.append(repair(clip, "apex", clip.apex, nearest, reason))
    return settled, repairs
