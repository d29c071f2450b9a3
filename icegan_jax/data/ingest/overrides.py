"""The override file: onset, apex and offset by hand, with a reason, which are used before every rule.

Source: docs/databases.md, "Rules for reading", rule 3. SAMM's two wrong apexes, for example, have a different value in
every copy in circulation (docs/databases.md, "SAMM").
"""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from icegan_jax.data.ingest.annotation import Annotation, ClipKey, Finding, parse_frame_number
from icegan_jax.data.ingest.repairs import Repair
from icegan_jax.data.ingest.spreadsheets import read_table
from icegan_jax.data.names import normalize_name
from icegan_jax.errors import UserError

COLUMNS = ("clip", "onset", "apex", "offset", "reason")
FRAMES = ("onset", "apex", "offset")


@dataclass(frozen=True)
class Override:
    """One row of an override file.

    Attributes:
        clip: "dataset/subject/clip", "subject/clip", or a clip name that no other clip has.
        onset: frame number; None: as annotated.
        apex: frame number; None: as annotated.
        offset: frame number; None: as annotated.
        reason: the user's reason, which repairs.csv repeats.
        where: file and row, for messages.
    """

    clip: str
    onset: int | None
    apex: int | None
    offset: int | None
    reason: str
    where: str = ""


def read_overrides(path: str | Path) -> list[Override]:
    """Read an override file, csv or a workbook, whose columns are ``COLUMNS``; empty cells change nothing.

    Raises:
        UserError: the file or a column is missing, a cell is no frame number, or a row names no clip, gives no reason
            or changes nothing.
    """
    table = read_table(path, COLUMNS)
    overrides = []
    for row in table.rows:
        where, clip, reason = table.location(row), row.text("clip"), row.text("reason")
        if not clip or not reason:
            raise UserError(
                f"{where}: {'reason' if clip else 'clip'} is empty; name the clip, as samm/028/028_4_1, and say in a "
                "few words why its frames differ"
            )
        frames = {field: parse_frame_number(table, row, field, clip) for field in FRAMES if row.text(field)}
        if not frames:
            raise UserError(f"{where}: changes nothing in clip {clip}; fill onset, apex or offset, or remove the row")
        overrides.append(Override(clip, frames.get("onset"), frames.get("apex"), frames.get("offset"), reason, where))
    if not overrides:
        raise UserError(f"{path}: holds no row below the header; add one per clip or leave --repairs out")
    return overrides


def match_overrides(
    overrides: Iterable[Override], annotations: Sequence[Annotation]
) -> tuple[dict[ClipKey, Override], list[Finding]]:
    """Assign each override to the clip that it names.

    Names are compared as written, and where no clip has that name, without padding and case: "samm/28/028_4_1"
    names a clip of subject 028.

    Args:
        overrides: the rows of the override file.
        annotations: every annotated clip, including those that the protocol leaves out.

    Returns:
        {(dataset, subject, clip): override}, and an "error" for each name that is unknown, that several clips have, or
        that occurs twice.
    """
    assigned: dict[ClipKey, Override] = {}
    errors = []
    for override in overrides:
        matches = _matching(override.clip, annotations)
        if len(matches) != 1:
            errors.append(_match_error(override, matches, annotations))
            continue
        key = matches[0].key
        if key in assigned:
            message = f"clip {matches[0].name} is in {assigned[key].where} too"
            errors.append(Finding("error", matches[0].name, override.where, message, "remove one of the rows"))
            continue
        assigned[key] = override
    return assigned, errors


def _matching(name: str, annotations: Sequence[Annotation]) -> list[Annotation]:
    parts = tuple(part.strip() for part in name.split("/"))
    ends = [(a.key[-len(parts) :], a) for a in annotations] if len(parts) <= 3 else []
    exact = [a for end, a in ends if end == parts]
    normalized = tuple(map(normalize_name, parts))
    return exact or [a for end, a in ends if tuple(map(normalize_name, end)) == normalized]


def _match_error(override: Override, matches: Sequence[Annotation], annotations: Sequence[Annotation]) -> Finding:
    """Return an "error" for a name that several clips have or none, with the nearest names."""
    if matches:
        names = ", ".join(a.name for a in matches)
        message = f"{len(matches)} clips are called {override.clip!r}: {names}"
        return Finding("error", override.clip, override.where, message, "write one of these names")
    depth = min(override.clip.count("/"), 2)
    names_of = {a.name.split("/", 2 - depth)[-1]: a.name for a in annotations}
    near = [names_of[name] for name in difflib.get_close_matches(override.clip, names_of, n=3, cutoff=0.5)]
    message = f"no clip is called {override.clip!r}" + ("; near are " + ", ".join(near) if near else "")
    remedy = 'correct the name, "dataset/subject/clip", or remove the row'
    return Finding("error", override.clip, override.where, message, remedy)


def override_annotation(annotation: Annotation, override: Override) -> tuple[Annotation, list[Repair]]:
    """Return the annotation with the frame numbers of the override, and a repair for each of its cells."""
    repairs = []
    for field in FRAMES:
        new, old = getattr(override, field), getattr(annotation, field)
        if new is not None:
            old_text = "" if old is None else str(old)
            repairs.append(Repair(*annotation.key, field, old_text, str(new), override.reason))
            annotation = replace(annotation, **{field: new})
    return annotation, repairs


def check_override(annotation: Annotation, override: Override, numbers: Sequence[int], frames: Path) -> list[Finding]:
    """Return an "error" for each cell that names no frame, or contradicts onset < apex <= offset.

    Args:
        annotation: the annotation with the frame numbers of the override.
        override: the row of the override file.
        numbers: the frame numbers that exist, ascending, at least one.
        frames: the folder or video of the frames.
    """
    existing = f"{frames} holds frames {numbers[0]} to {numbers[-1]}"
    errors = [
        f"{field} {getattr(override, field)} is no frame of the clip: {existing}"
        for field in FRAMES
        if getattr(override, field) is not None and getattr(override, field) not in numbers
    ]
    onset = numbers[0] if annotation.onset is None else annotation.onset
    offset = numbers[-1] if annotation.offset is None else annotation.offset
    apex = annotation.apex
    if offset <= onset:
        errors.append(f"offset {offset} is not after onset {onset}")
    elif apex is not None and override.apex is not None and not onset < apex <= offset:
        errors.append(f"apex {apex} is not after onset {onset} and up to offset {offset}")
    return [Finding("error", annotation.name, override.where, error, "correct the row") for error in errors]
