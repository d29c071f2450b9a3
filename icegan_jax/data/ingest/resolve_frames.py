"""The choice of a clip's folder, and the comparison of its frames with the annotation."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from icegan_jax.data.clips import Clip
from icegan_jax.data.frame_numbers import FRAME_SUFFIXES
from icegan_jax.data.ingest.annotation import Annotation, Finding
from icegan_jax.data.ingest.overrides import Override, check_override, override_annotation
from icegan_jax.data.ingest.repairs import Repair, annotation_to_clip, frame_gaps
from icegan_jax.data.video import list_frames, read_video_info
from icegan_jax.errors import UserError

# The folders of a release hold exactly onset to offset where at least this share of its clips does; then each of the
# other clips gets a note.
_EXACT_SHARE = 0.5


@dataclass(frozen=True)
class ResolvedClip:
    """A selected clip with the frames that exist.

    Attributes:
        annotation: the database's annotation, without overrides.
        clip: the clip to use; None where there are no frames, or no usable ones.
        numbers: the frame numbers that exist in the chosen folder.
        repairs: each departure from the annotation.
        findings: of the kinds "missing", "error" and "note".
        damaged: whether the clip cannot be used because of its frames.
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
    missing: list[str]  # of onset, apex and offset, for messages
    missing_frames: int = 0  # of a video, see ``VideoInfo``


def resolve_frames(
    annotation: Annotation, label: int, override: Override | None, *, allow_missing: bool
) -> ResolvedClip:
    """Choose the folder of a clip, and repair onset, apex and offset where no frame has their number.

    The first folder that holds onset, apex and offset is used. Where no folder does, the one that lacks the fewest of
    them is used, and of several such folders the one with the most frames in between. Another folder than the preferred
    one is a repair (docs/databases.md, "CASME II": sub16/EP01_08 and sub12/EP09_06).

    Args:
        annotation: the clip as annotated.
        label: index of the clip's class.
        override: the user's frame numbers for the clip.
        allow_missing: whether a clip without frames is a "missing" finding (licensed databases) or an "error".
    """
    corrected, overridden = (annotation, []) if override is None else override_annotation(annotation, override)
    folders, problems = _list_folders(corrected)
    if not folders:
        return _without_frames(annotation, problems, allow_missing)
    best = min(folders, key=lambda folder: (len(folder.missing), -_count_frames(corrected, folder.numbers)))
    if override is not None:
        errors = check_override(corrected, override, best.numbers, best.path)
        if errors:
            return ResolvedClip(annotation, findings=errors)
    try:
        clip, repairs = annotation_to_clip(corrected, label, best.path, best.numbers)
    except UserError as error:
        return ResolvedClip(annotation, findings=[_error(annotation, str(error))], damaged=True)
    moved = []
    preferred = annotation.frames[0]
    if best.path != preferred:
        reason = problems.get(preferred) or next(
            f"it lacks {', '.join(folder.missing)}" for folder in folders if folder.path == preferred
        )
        row = (clip.dataset, clip.subject, clip.clip, "frames", str(preferred), str(best.path))
        moved.append(Repair(*row, f"another release than preferred: {reason}"))
    notes = [*_gap_notes(clip, best.numbers), *_video_notes(clip, best.missing_frames)]
    return ResolvedClip(annotation, clip, best.numbers, [*moved, *overridden, *repairs], notes)


def _list_folders(annotation: Annotation) -> tuple[list[_Folder], dict[Path, str]]:
    """List the folders, the preferred one first, up to the first complete one, and the problems of unreadable ones."""
    folders: list[_Folder] = []
    problems: dict[Path, str] = {}
    annotated = {"onset": annotation.onset, "apex": annotation.apex, "offset": annotation.offset}
    for path in annotation.frames:
        if any(0xD800 <= ord(c) <= 0xDFFF for c in str(path)):  # surrogates: bytes that are no UTF-8
            problems[path] = f"{path}: the name is not UTF-8, which clips.csv is written in; rename the folder"
            continue
        try:
            info = read_video_info(path) if path.is_file() else None
            numbers = range(info.frames) if info else list_frames(path)
        except UserError as error:
            problems[path] = str(error)
            continue
        except OSError as error:
            problems[path] = f"{path}: cannot be read ({error.strerror}); correct its permissions"
            continue
        missing = [f"frame {n} ({name})" for name, n in annotated.items() if n is not None and n not in numbers]
        folders.append(_Folder(path, numbers, missing, info.missing_frames if info else 0))
        if not missing:
            break
    return folders, problems


def _count_frames(annotation: Annotation, numbers: Sequence[int]) -> int:
    """Return how many frames exist from onset to offset."""
    onset = numbers[0] if annotation.onset is None else annotation.onset
    offset = numbers[-1] if annotation.offset is None else annotation.offset
    return sum(onset <= n <= offset for n in numbers)


def _without_frames(annotation: Annotation, problems: dict[Path, str], allow_missing: bool) -> ResolvedClip:
    if allow_missing and all(_is_empty(path) for path in annotation.frames):
        if not annotation.frames:
            return ResolvedClip(annotation)  # compare_with_expected_counts makes the finding
        where = ", ".join(map(str, annotation.frames))
        missing = Finding("missing", annotation.name, where, "the folder holds no frames", "unpack the clip again")
        return ResolvedClip(annotation, findings=[missing])
    return ResolvedClip(annotation, findings=[_error(annotation, text) for text in problems.values()], damaged=True)


def _is_empty(path: Path) -> bool:
    if not path.exists():
        return True
    return path.is_dir() and not any(file.suffix.lower() in FRAME_SUFFIXES for file in path.iterdir())


def _error(annotation: Annotation, text: str) -> Finding:
    """Return an "error" of a ``UserError``'s text, whose remedy follows the last semicolon."""
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


def _video_notes(clip: Clip, missing_frames: int) -> list[Finding]:
    if not missing_frames:
        return []
    message = (
        f"the video lacks {missing_frames} frame{'s' * (missing_frames > 1)}: null frames, which repeat the frame "
        "before, or gaps in its time stamps"
    )
    remedy = "check onset, apex and offset in a player; a short expression may be lost"
    return [Finding("note", clip.name, str(clip.frames), message, remedy)]


def extent_findings(resolved: Iterable[ResolvedClip]) -> list[Finding]:
    """Return a note for each folder whose first or last frame is not the annotated onset or offset.

    Folders are compared only in a release whose folders hold exactly onset to offset, which is taken to be so where at
    least half of the folders do. SAMM's 013_1_9 is known to end elsewhere in some copies (docs/databases.md, "SAMM").
    """
    releases: dict[tuple[str, int], list[tuple[ResolvedClip, Clip]]] = defaultdict(list)
    for one in resolved:
        annotated = one.annotation.onset is not None and one.annotation.offset is not None
        if one.clip is not None and annotated and one.clip.frames.is_dir():
            releases[one.clip.dataset, one.annotation.frames.index(one.clip.frames)].append((one, one.clip))
    notes = []
    for clips in releases.values():
        equal = [(p.numbers[0], p.numbers[-1]) == (p.annotation.onset, p.annotation.offset) for p, _ in clips]
        if sum(equal) < _EXACT_SHARE * len(clips):
            continue
        for (one, clip), is_equal in zip(clips, equal, strict=True):
            if not is_equal:
                annotation = one.annotation
                message = (
                    f"the folder holds frames {one.numbers[0]} to {one.numbers[-1]}, {annotation.where} says onset "
                    f"{annotation.onset} and offset {annotation.offset}"
                )
                remedy = "compare the two; give the frames in a --repairs file"
                notes.append(Finding("note", clip.name, str(clip.frames), message, remedy))
    return notes
