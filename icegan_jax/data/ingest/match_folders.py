"""The matching of annotations with the folders that hold their frames."""

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from icegan_jax.data.ingest.annotation import RELEASES, Annotation, DatabaseAnnotation, Finding, Source
from icegan_jax.data.ingest.scan import ClipFolder, FolderTree
from icegan_jax.data.names import normalize_name
from icegan_jax.errors import UserError

SubjectClip = tuple[str, str]  # (subject, clip) as a folder or a row names them, in any case and padding
FolderKeyFunction = Callable[[ClipFolder], SubjectClip | None]

# Words in folder names of each release, docs/databases.md, "CASME II", "SAMM", "SMIC" and "CAS(ME)^2"; the first
# release with a word in the name counts. The word "e" is in the names SMIC-E and SMIC-HS-E.
_RELEASE_WORDS = (
    ("long", {"long", "longvideos", "e"}),
    ("cropped", {"crop", "cropped", "preprocessed"}),
    ("selected", {"selected", "selectedpic"}),
    ("raw", {"raw", "rawpic"}),
)

# Relatives of databases, by their titles, that have no emotions (docs/databases.md, "DFME and other databases").
_RELATIVES = {"SAMM": (re.compile(r"samm[\W_]*lv|long[\W_]*videos", re.IGNORECASE), "SAMM Long Videos")}


def name_words(name: str) -> list[str]:
    """Return the words of a folder's name in lower case: smic, hs, e of "SMIC-HS_E"."""
    return re.findall(r"[a-z0-9]+", name.lower())


def folder_release(folder: ClipFolder) -> str:
    """Return which of ``RELEASES`` a folder belongs to, by the innermost folder name with its word; else "raw"."""
    for part in reversed(folder.parts[:-1]):
        words = set(name_words(part))
        for release, release_words in _RELEASE_WORDS:
            if words & release_words:
                return release
    return "raw"


def check_clip_folders(tree: FolderTree, key: FolderKeyFunction, title: str, example: str) -> None:
    """Check that there is at least one clip of the database.

    Args:
        tree: the scanned folders.
        key: (subject, clip) of a folder, None where the folder is no clip of the database.
        title: name of the database, as "CASME II".
        example: a clip's folder, as "sub01/EP02_01f".

    Raises:
        UserError: there is none; the message names the expected and the existing folders.
    """
    if any(key(folder) for folder in tree.clips):
        return
    pattern, relative = _RELATIVES.get(title, (None, ""))
    names = [tree.root.resolve().name, *(name for folder in tree.clips for name in folder.parts)]
    if pattern and any(map(pattern.search, names)):
        raise UserError(
            f"{tree.root}: holds {relative}, whose annotation has no emotions, and not {title}; give the folder of "
            f"{title}, or find the events of a video with icegan_jax.predict"
        )
    expected = f"no {title} here: looked for folders of images such as {example}"
    if tree.archives:
        raise UserError(
            f"{tree.root}: {expected}, found the archive {tree.archives[0].name}; unpack it and give the folder"
        )
    if not tree.clips:
        raise UserError(f"{tree.root}: {expected}, found no folder of images; give the folder of the unpacked database")
    raise UserError(f"{tree.root}: {expected}, found {_example_folders(tree)}; give the folder of {title}")


def match_folders(
    source: Source,
    tree: FolderTree,
    annotations: Sequence[Annotation],
    key: FolderKeyFunction,
    *,
    findings: Sequence[Finding] = (),
    annotation_keys: Callable[[Annotation], Sequence[SubjectClip]] = lambda annotation: [annotation.key[1:]],
    release: Callable[[ClipFolder], str] = folder_release,
    video_start: Callable[[Annotation, str], int] | None = None,
) -> DatabaseAnnotation:
    """Give each annotation the folders that hold its clip, the preferred one first.

    Names are compared without regard to case. Where no folder has a row's exact name, they are also compared without
    regard to padding ("s1_ne_01" and "s01_ne_01"), among the folders that no other row names. A folder is preferred to
    a video, then releases in the order of ``RELEASES``.

    Args:
        source: the database.
        tree: the scanned folders.
        annotations: the annotations, still without frames.
        key: (subject, clip) of a folder, None where the folder is no clip of this database.
        findings: the findings so far, which are returned first.
        annotation_keys: the (subject, clip) that ``key`` may return for an annotation's folder, at least one.
        release: which of ``RELEASES`` a folder belongs to.
        video_start: frame number, in the annotation's numbering, of the first frame of a clip's video of a release;
            None: the annotation counts from 0 as videos do.

    Returns:
        The annotations with their frames, the findings given, and one for each folder without a row ("surplus") and
        for several folders of one release.

    Raises:
        UserError: a clip is annotated twice; a folder is of two subjects; no annotation has a folder; no folder is of
            ``source.release``.
    """
    _check_unique(annotations)
    folders = [folder for folder in tree.clips if key(folder)]
    usable = [folder for folder in folders if source.release in (None, release(folder))]
    if folders and not usable:
        existing = ", ".join(sorted({release(folder) for folder in folders}))
        raise UserError(f"{tree.root}: no folder of release {source.release}; it holds: {existing}")
    matches, surplus = _match_keys([annotation_keys(a) for a in annotations], usable, key)
    _check_owners(annotations, matches)
    notes = list(findings)
    matched: list[Annotation] = []
    for annotation, candidates in zip(annotations, matches, strict=True):
        ranked = _rank(candidates, release)
        notes += _duplicate_notes(annotation, ranked, release)
        if ranked and ranked[0].path.is_file() and video_start and annotation.onset is not None:
            start = video_start(annotation, release(ranked[0]))
            annotation, note = _count_from_zero(annotation, start, ranked[0].path)
            notes.append(note)
        matched.append(replace(annotation, frames=tuple(folder.path for folder in ranked)))
    if annotations and not any(annotation.frames for annotation in matched):
        first = annotations[0]
        raise UserError(
            f"{tree.root}: none of the {len(annotations)} annotated clips has a folder here; looked for "
            f"{'/'.join(annotation_keys(first)[0])} ({first.where}), found {_example_folders(tree)}; give the folder "
            "of the database"
        )
    # A clip that is surplus in several releases gets one finding, which names the first folder.
    distinct = {normalize_name("/".join(key(folder) or ())): folder for folder in reversed(surplus)}
    message = "no row of the annotation that is used names this clip"
    notes += [
        Finding("surplus", "/".join((source.name, *(key(folder) or ()))), str(folder.path), message)
        for folder in reversed(distinct.values())
    ]
    return DatabaseAnnotation(matched, notes)


def _match_keys(
    keys: Sequence[Sequence[SubjectClip]], folders: Sequence[ClipFolder], key: FolderKeyFunction
) -> tuple[list[list[ClipFolder]], list[ClipFolder]]:
    """Return the folders that have one of the keys of each annotation, and the folders of none."""
    exact: dict[SubjectClip, list[ClipFolder]] = defaultdict(list)
    for folder in folders:
        subject, clip = key(folder) or ("", "")
        exact[normalize_name(subject), clip.casefold()].append(folder)
    wanted = [[(normalize_name(subject), clip.casefold()) for subject, clip in one] for one in keys]
    named = set(itertools.chain.from_iterable(wanted))
    by_normalized_name: dict[SubjectClip, list[ClipFolder]] = defaultdict(list)
    for (subject, clip), group in exact.items():
        if (subject, clip) not in named:
            by_normalized_name[subject, normalize_name(clip)] += group
    matches: list[list[ClipFolder]] = []
    used: set[SubjectClip] = set()
    for names in wanted:
        found = [folder for name in names for folder in exact.get(name, ())]
        if not found:
            normalized = {(subject, normalize_name(clip)) for subject, clip in names}
            found = [folder for name in normalized for folder in by_normalized_name.get(name, ())]
            used |= normalized
        matches.append(found)
    surplus = [folder for name, group in by_normalized_name.items() if name not in used for folder in group]
    return matches, surplus


def _rank(folders: Sequence[ClipFolder], release: Callable[[ClipFolder], str]) -> list[ClipFolder]:
    images = [folder for folder in folders if not folder.path.is_file()]
    return sorted(images or folders, key=lambda folder: (RELEASES.index(release(folder)), folder.path))


def _check_unique(annotations: Iterable[Annotation]) -> None:
    """Check that no clip is annotated twice."""
    seen: dict[str, Annotation] = {}
    for annotation in annotations:
        earlier = seen.setdefault(annotation.name, annotation)
        if earlier is not annotation:
            raise UserError(
                f"{annotation.where}: clip {annotation.name} is already in {earlier.where}; correct or remove one of "
                "them"
            )


def _check_owners(annotations: Sequence[Annotation], matches: Sequence[Sequence[ClipFolder]]) -> None:
    """Check that no folder is of two subjects."""
    owners: dict[Path, Annotation] = {}
    for annotation, folders in zip(annotations, matches, strict=True):
        for folder in folders:
            owner = owners.setdefault(folder.path, annotation)
            if owner.subject != annotation.subject:
                raise UserError(
                    f"{annotation.where}: folder {folder.name!r} is of subject {annotation.subject} here and of "
                    f"{owner.subject} in {owner.where}; which folder is whose is not known: prepare these clips with "
                    "--source=clips"
                )


def _duplicate_notes(
    annotation: Annotation, ranked: Sequence[ClipFolder], release: Callable[[ClipFolder], str]
) -> list[Finding]:
    same = [folder for folder in ranked[1:] if release(folder) == release(ranked[0])]
    if not same:
        return []
    message = f"the clip's frames are also in {same[0].path}; the first is used"
    return [Finding("note", annotation.name, str(ranked[0].path), message, "remove the copy that is not wanted")]


def _count_from_zero(annotation: Annotation, start: int, video: Path) -> tuple[Annotation, Finding]:
    numbers = {name: getattr(annotation, name) for name in ("onset", "apex", "offset")}
    counted = replace(annotation, **{name: n - start for name, n in numbers.items() if n is not None})
    message = f"a video: its first frame is taken as the annotation's frame {start}"
    remedy = "give the folder of images where that is not so"
    return counted, Finding("note", annotation.name, str(video), message, remedy)


def _example_folders(tree: FolderTree) -> str:
    shown = ["/".join(folder.parts[1:]) for folder in tree.clips[:2]]
    more = f" and {len(tree.clips) - len(shown)} more" if len(tree.clips) > len(shown) else ""
    return ", ".join(shown) + more if shown else "no folder of images"
