"""The repair of annotated frame numbers that have no frame, and the record of each repair."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from icegan_jax.data.clips import Clip, frames_after_onset
from icegan_jax.data.ingest.annotation import Annotation
from icegan_jax.errors import UserError

# The greatest distance, in frames, between an annotated onset without a frame and the frame that replaces the onset.
# Public loaders bridge a gap at the start of a clip of "up to a few frames" (docs/databases.md, "SMIC"); with a greater
# distance the annotation belongs to other frames.
MAX_ONSET_SHIFT = 5


@dataclass(frozen=True)
class Repair:
    """One row of repairs.csv: the changed field of a clip, the old and the new value, and the reason."""

    dataset: str
    subject: str
    clip: str
    field: str
    old: str
    new: str
    reason: str


def make_repair(clip: Clip, field: str, old: object, new: object, reason: str) -> Repair:
    """Return the row that records a change to ``clip``; ``None`` becomes an empty cell."""
    old_text, new_text = ("" if value is None else str(value) for value in (old, new))
    return Repair(clip.dataset, clip.subject, clip.clip, field, old_text, new_text, reason)


def annotation_to_clip(
    annotation: Annotation, label: int, frames: Path, numbers: Sequence[int]
) -> tuple[Clip, list[Repair]]:
    """Return the repaired clip of an annotation whose frames are known.

    Where neither onset nor offset is annotated, they are the first and the last frame, which is no repair: a folder of
    SMIC_all holds exactly onset to offset (docs/databases.md, "SMIC").

    Args:
        annotation: the database's annotation.
        label: index of the clip's class.
        frames: the folder or video of the clip.
        numbers: the frame numbers that exist there, ascending, at least one.

    Returns:
        The clip to use, and a repair for each departure from the annotation.

    Raises:
        UserError: no frame can replace the onset, or none follows the onset.
    """
    onset = numbers[0] if annotation.onset is None else annotation.onset
    offset = numbers[-1] if annotation.offset is None else annotation.offset
    clip = Clip(*annotation.key, label, frames, onset, annotation.apex, offset, annotation.action_units)
    repairs = []
    if annotation.onset is None and annotation.offset is not None:
        repairs.append(make_repair(clip, "onset", None, onset, "not annotated: the first frame"))
    if annotation.offset is None and annotation.onset is not None:
        repairs.append(make_repair(clip, "offset", None, offset, "not annotated: the last frame"))
    repaired, more = repair_annotation(clip, numbers)
    return repaired, repairs + more


def repair_annotation(clip: Clip, numbers: Sequence[int]) -> tuple[Clip, list[Repair]]:
    """Replace onset, apex and offset of a clip by frames that exist (docs/databases.md, "Rules for reading", rule 3).

    An onset without a frame becomes the nearest frame, at most ``MAX_ONSET_SHIFT`` frames away and before the apex; an
    offset without a frame becomes the last frame before it; an apex at or before the onset or after the offset becomes
    the middle frame; an apex without a frame becomes the nearest frame. A repaired clip is not changed again.

    Args:
        clip: the clip as annotated.
        numbers: the frame numbers that exist, ascending, at least one.

    Returns:
        The clip to use, and a repair for each change.

    Raises:
        UserError: no frame can replace the onset, or none follows the onset.
    """
    repairs: list[Repair] = []
    repaired = clip
    is_apex_valid = clip.apex is not None and clip.onset < clip.apex <= clip.offset
    if clip.onset not in numbers:
        before = clip.apex if is_apex_valid and clip.apex is not None else clip.offset
        near = [n for n in numbers if abs(n - clip.onset) <= MAX_ONSET_SHIFT and n < before]
        if not near:
            raise UserError(
                f"clip {clip.name}: onset frame {clip.onset} is not in {clip.frames} (frames {numbers[0]} to "
                f"{numbers[-1]}) and no frame within {MAX_ONSET_SHIFT} of it; correct onset or restore the frame"
            )
        repaired = replace(clip, onset=min(near, key=lambda n: abs(n - clip.onset)))
        repairs.append(make_repair(clip, "onset", clip.onset, repaired.onset, "no such frame: the nearest one"))
    moving = frames_after_onset(repaired, numbers)
    if not moving:
        raise UserError(
            f"clip {clip.name}: no frame after onset {repaired.onset} up to offset {clip.offset} in "
            f"{clip.frames}; correct onset and offset or restore the frames"
        )
    if clip.offset not in numbers:
        repaired = replace(repaired, offset=moving[-1])
        repairs.append(make_repair(clip, "offset", clip.offset, moving[-1], "no such frame: the last one before it"))
    if clip.apex is None:
        return repaired, repairs
    apex = clip.apex
    reason = "no such frame: the nearest one"
    if not is_apex_valid:
        apex = (repaired.onset + repaired.offset) // 2
        reason = "apex outside onset..offset: the middle frame"
        if clip.apex == clip.onset:
            reason = "apex is the onset: the middle frame"
    nearest = min(moving, key=lambda n: abs(n - apex))
    if nearest != clip.apex:
        repaired = replace(repaired, apex=nearest)
        repairs.append(make_repair(clip, "apex", clip.apex, nearest, reason))
    return repaired, repairs


def frame_gaps(clip: Clip, numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return the runs (first, last) of frame numbers that are missing between onset and offset.

    A clip of which every second frame was kept has no gap: the smallest step is the normal one.
    """
    existing = [n for n in numbers if clip.onset <= n <= clip.offset]
    step = min((b - a for a, b in zip(existing, existing[1:], strict=False)), default=1)
    return [(a + step, b - step) for a, b in zip(existing, existing[1:], strict=False) if b - a > step]
