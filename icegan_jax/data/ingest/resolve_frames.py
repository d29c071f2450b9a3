"""Which of a clip's folders is used, and what its frames say about the annotation."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from icegan_jax.data.clips import Clip
from icegan_jax.data.ingest.annotation import Annotation, Finding
from icegan_jax.data.ingest.overrides import Override, check_override, override_annotation
from icegan_jax.data.ingest.repairs import Repair
from icegan_jax.data.ingest.repairs import annotation_to_clip
from icegan_jax.data.ingest.repairs import frame_gaps
from icegan_jax.data.video import IMAGE_SUFFIXES, list_frames
from icegan_jax.errors import UserError

# A release holds exactly onset..offset where at least this share of its clips does; then the others are told of.
_EXACT_SHARE = 0.5


@dataclass(frozen=True)
class ResolvedClip:
    """One selected clip after a look at its folders.

    Attributes:
        annotation: what the database says, overrides not applied.
        clip: the clip to use; None where it has no frames, or frames that cannot be used.
        numbers: the frames that exist in the folder that was chosen.
        repairs: each departure from the annotation.
        findings: "missing", "error" or "note".
        damaged: whether the clip cannot be used though it has frames, or should have.
    """

    annotation: Annotation
    clip: Clip | None = None
    numbers: Sequence[int] = ()
    repairs: list[Repair] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    damaged: bool = False


@dataclass(frozen=True)
class _Folder:
    path: Path
    numbers: Sequence[int]
    lacking: list[str]


def resolve_frames(annotation: Annotation, label: int, override: Override | None, *, may_miss: bool) -> ResolvedClip:
    """Chooses the folder of a clip and settles its onset, apex and offset there.

    The first folder that holds onset, apex and offset is used; where none does, the one that lacks
    the fewest of them, and of those the one with most frames in between. A departure from the
    preferred folder is a repair (docs/databases.md, "CASME II": sub16/EP01_08 and sub12/EP09_06).

    Args:
        annotation: the clip as annotated.
        label: its class.
        override: the user's frames for it, if any.
        may_miss: whether a clip without frames is "missing" (the licensed databases), not an error.
    """
    wanted, overridden = (annotation, []) if override is None else override_annotation(annotation, override)
    usable, troubles = _list_folders(wanted)
    if not usable:
        return _without_frames(annotation, troubles, may_miss)
    best = min(usable, key=lambda f: (len(f.lacking), -_held(wanted, f.numbers)))
    if override is not None:
        wrong = check_override(wanted, override, best.numbers, best.path)
        if wrong:
            return ResolvedClip(annotation, findings=wrong)
    try:
        clip, repairs = annotation_to_clip(wanted, label, best.path, best.numbers)
    except UserError as error:
        return ResolvedClip(annotation, findings=[_error(annotation, str(error))], damaged=True)
    moved = []
    preferred = annotation.frames[0]
    if best.path != preferred:
        reason = troubles.get(preferred) or next(
            f"it lacks {', '.join(f.lacking)}" for f in usable if f.path == preferred
        )
        row = (clip.dataset, clip.subject, clip.clip, "frames", str(preferred), str(best.path))
        moved.append(Repair(*row, f"another release than preferred: {reason}"))
    return ResolvedClip(annotation, clip, best.numbers, [*moved, *overridden, *repairs], _gap_notes(clip, best.numbers))


def _list_folders(annotation: Annotation) -> tuple[list[_Folder], dict[Path, str]]:
    """Lists the folders, the preferred one first, up to the first that lacks nothing."""
    usable: list[_Folder] = []
    troubles: dict[Path, str] = {}
    named = {"onset": annotation.onset, "apex": annotation.apex, "offset": annotation.offset}
    for path in annotation.frames:
        if any(0xD800 <= ord(c) <= 0xDFFF for c in str(path)):  # bytes that stand for no character
            troubles[path] = f"{path}: the name is not UTF-8, which clips.csv is written in; rename the folder"
            continue
        try:
            numbers = list_frames(path)
        except UserError as error:
            troubles[path] = str(error)
            continue
        except OSError as error:
            troubles[path] = f"{path}: cannot be read ({error.strerror}); correct its permissions"
            continue
        lacking = [f"frame {n} ({name})" for name, n in named.items() if n is not None and n not in numbers]
        usable.append(_Folder(path, numbers, lacking))
        if not lacking:
            break
    return usable, troubles


def _held(annotation: Annotation, numbers: Sequence[int]) -> int:
    onset = numbers[0] if annotation.onset is None else annotation.onset
    offset = numbers[-1] if annotation.offset is None else annotation.offset
    return sum(onset <= n <= offset for n in numbers)


def _without_frames(annotation: Annotation, troubles: dict[Path, str], may_miss: bool) -> ResolvedClip:
    if may_miss and all(_is_empty(path) for path in annotation.frames):
        if not annotation.frames:
            return ResolvedClip(annotation)  # the protocol's count tells of it
        where = ", ".join(map(str, annotation.frames))
        missing = Finding("missing", annotation.name, where, "the folder holds no frames", "unpack the clip again")
        return ResolvedClip(annotation, findings=[missing])
    return ResolvedClip(annotation, findings=[_error(annotation, text) for text in troubles.values()], damaged=True)


def _is_empty(path: Path) -> bool:
    if not path.exists():
        return True
    return path.is_dir() and not any(file.suffix.lower() in IMAGE_SUFFIXES for file in path.iterdir())


def _error(annotation: Annotation, text: str) -> Finding:
    message, _, remedy = text.removeprefix(f"clip {annotation.name}: ").rpartition("; ")
    return Finding("error", annotation.name, annotation.where, message, remedy)


def _gap_notes(clip: Clip, numbers: Sequence[int]) -> list[Finding]:
    runs = frame_gaps(clip, numbers)
    if not runs:
        return []
    names = ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in runs)
    message = f"between onset {clip.onset} and offset {clip.offset} no frame {names}"
    remedy = "the frames that exist are used; unpack the clip again if they should be there"
    return [Finding("note", clip.name, str(clip.frames), message, remedy)]


def extent_findings(placed: Iterable[ResolvedClip]) -> list[Finding]:
    """Tells which folders contradict the sheet about where the clip ends or starts.

    Only releases whose folders hold exactly onset..offset can: those of which most clips do. SAMM's
    013_1_9 is known to end elsewhere in some copies (docs/databases.md, "SAMM").
    """
    groups: dict[tuple[str, int], list[tuple[ResolvedClip, Clip]]] = defaultdict(list)
    for one in placed:
        given = one.annotation.onset is not None and one.annotation.offset is not None
        if one.clip is not None and given and one.clip.frames.is_dir():
            groups[one.clip.dataset, one.annotation.frames.index(one.clip.frames)].append((one, one.clip))
    notes = []
    for members in groups.values():
        agree = [(p.numbers[0], p.numbers[-1]) == (p.annotation.onset, p.annotation.offset) for p, _ in members]
        if sum(agree) < _EXACT_SHARE * len(members):
            continue
        for (one, clip), exact in zip(members, agree, strict=True):
            if not exact:
                sheet = one.annotation
                message = (
                    f"the folder holds frames {one.numbers[0]} to {one.numbers[-1]}, {sheet.where} says onset "
                    f"{sheet.onset} and offset {sheet.offset}"
                )
                remedy = "look which is right; give the frames in a --repairs file"
                notes.append(Finding("note", clip.name, str(clip.frames), message, remedy))
    return notes
