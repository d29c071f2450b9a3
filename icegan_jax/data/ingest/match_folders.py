"""Joins the rows of an annotation to the folders that hold the frames."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from icegan_jax.data.ingest.annotation import RELEASES, Annotation, DatabaseAnnotation, Finding, Source
from icegan_jax.data.ingest.scan import ClipFolder, FolderTree
from icegan_jax.data.ingest.workbooks import guess_other_database
from icegan_jax.errors import UserError

# (subject, clip) as a folder or a row names them, in any case and padding.
SubjectClip = tuple[str, str]
FolderKeyFunction = Callable[[ClipFolder], SubjectClip | None]

# Words of folder names, docs/databases.md, "CASME II", "SAMM" and "SMIC"; the first that occurs in a name decides.
# "e" is that of SMIC-E, SMIC-HS-E.
_RELEASE_WORDS = (
    ("long", {"long", "longvideos", "e"}),
    ("cropped", {"crop", "cropped", "preprocessed"}),
    ("selected", {"selected"}),
    ("raw", {"raw"}),
)


def name_words(name: str) -> list[str]:
    """Returns the words of a folder's name, in lower case: smic, hs, e of "SMIC-HS_E"."""
    return re.findall(r"[a-z0-9]+", name.lower())


def folder_release(folder: ClipFolder) -> str:
    """Returns which of ``RELEASES`` a folder belongs to, by the innermost folder name that says it; else "raw"."""
    for part in reversed(folder.parts[:-1]):
        found = set(name_words(part))
        for release, marks in _RELEASE_WORDS:
            if found & marks:
                return release
    return "raw"


def check_clip_folders(tree: FolderTree, key: FolderKeyFunction, title: str, layout: str) -> None:
    """Checks that the tree holds at least one clip of the database.

    Args:
        title: name of the database, as "CASME II".
        layout: how a clip's folder looks, as "sub01/EP02_01f".

    Raises:
        UserError: it holds none; says what was looked for and what was found.
    """
    if any(key(folder) for folder in tree.clips):
        return
    sought = f"no {title} here: looked for folders of images such as {layout}"
    if any(key(folder) for folder in tree.empty):
        raise UserError(f"{tree.root}: the clips' folders of {title} hold no images; unpack its frames again")
    if tree.archives:
        raise UserError(
            f"{tree.root}: {sought}, found the archive {tree.archives[0].name}; unpack it and give the folder"
        )
    if not tree.clips:
        raise UserError(f"{tree.root}: {sought}, found no folder of images; give the folder of the unpacked database")
    other = guess_other_database((folder.name for folder in tree.clips), title)
    guess = f", which look like {other}" if other else ""
    raise UserError(f"{tree.root}: {sought}, found {_examples(tree)}{guess}; give the folder of {title}")


def match_folders(
    source: Source,
    tree: FolderTree,
    annotations: Sequence[Annotation],
    key: FolderKeyFunction,
    *,
    findings: Sequence[Finding] = (),
    folder_key: Callable[[Annotation], SubjectClip] = lambda annotation: (annotation.subject, annotation.clip),
    release: Callable[[ClipFolder], str] = folder_release,
    video_start: Callable[[Annotation, str], int] | None = None,
) -> DatabaseAnnotation:
    """Gives each annotation the folders that hold its clip, the preferred one first.

    Names are compared without regard to case; where no folder has a row's very name, also without
    regard to padding ("s1_ne_01" and "s01_ne_01"), among the folders that no other row names.
    A folder goes before a video, then releases in the order of ``RELEASES``.

    Args:
        annotations: with no frames yet.
        key: (subject, clip) of a folder, None where it is no clip of this database.
        folder_key: (subject, clip) that the annotation's folder has.
        release: which of ``RELEASES`` a folder belongs to.
        video_start: frame number, in the annotation's numbering, of the first frame of a clip's
            video of that release; None: the annotation counts from 0 as videos do.

    Returns:
        The annotations with their frames, the findings given, and one for each folder without a
        row ("surplus"), each empty folder, and several folders of one release.

    Raises:
        UserError: a clip annotated twice; no annotation has a folder; no folder of
            ``source.release``.
    """
    _check_unique(annotations)
    folders = [folder for folder in tree.clips if key(folder)]
    kept = [folder for folder in folders if source.release in (None, release(folder))]
    if folders and not kept:
        there = ", ".join(sorted({release(folder) for folder in folders}))
        raise UserError(f"{tree.root}: no folder of release {source.release}; it holds: {there}")
    matched, surplus = _match([folder_key(a) for a in annotations], kept, key)
    notes = list(findings)
    placed: list[Annotation] = []
    for annotation, found in zip(annotations, matched, strict=True):
        best = _ranked(found, release)
        notes += _duplicates(annotation, best, release)
        if best and best[0].path.is_file() and video_start and annotation.onset is not None:
            start = video_start(annotation, release(best[0]))
            annotation = _from_zero(annotation, start)
            notes.append(_video_note(annotation, best[0].path, start))
        placed.append(replace(annotation, frames=tuple(folder.path for folder in best)))
    if annotations and not any(annotation.frames for annotation in placed):
        first = annotations[0]
        raise UserError(
            f"{tree.root}: none of the {len(annotations)} annotated clips has a folder here; looked for "
            f"{'/'.join(folder_key(first))} ({first.where}), found {_examples(tree)}; give the folder of the database"
        )
    notes += _empty_notes(placed, tree, key, folder_key)
    unnamed = {
        normalize_name("/".join(key(folder) or ())): folder for folder in reversed(surplus)
    }  # once in all releases
    notes += [_surplus(source.name, folder, key) for folder in reversed(unnamed.values())]
    return DatabaseAnnotation(placed, notes)


def normalize_name(name: str) -> str:
    """Returns a name without case and padding: "s1_ne_1" of "S01_ne_01"."""
    return re.sub(r"\d+", lambda digits: str(int(digits[0])), name.casefold())


def _match(
    keys: Sequence[SubjectClip], folders: Sequence[ClipFolder], key: FolderKeyFunction
) -> tuple[list[list[ClipFolder]], list[ClipFolder]]:
    """Returns the folders of each key, and those of none."""
    exact: dict[SubjectClip, list[ClipFolder]] = defaultdict(list)
    for folder in folders:
        subject, clip = key(folder) or ("", "")
        exact[normalize_name(subject), clip.casefold()].append(folder)
    wanted = [(normalize_name(subject), clip.casefold()) for subject, clip in keys]
    named = set(wanted)
    padded: dict[SubjectClip, list[ClipFolder]] = defaultdict(list)
    for (subject, clip), found in exact.items():
        if (subject, clip) not in named:
            padded[subject, normalize_name(clip)] += found
    result: list[list[ClipFolder]] = []
    used: set[SubjectClip] = set()
    for subject, clip in wanted:
        if (subject, clip) in exact:
            result.append(exact[subject, clip])
        else:
            result.append(padded.get((subject, normalize_name(clip)), []))
            used.add((subject, normalize_name(clip)))
    surplus = [folder for other, found in padded.items() if other not in used for folder in found]
    return result, surplus


def _ranked(folders: Sequence[ClipFolder], release: Callable[[ClipFolder], str]) -> list[ClipFolder]:
    images = [folder for folder in folders if not folder.path.is_file()]
    return sorted(images or folders, key=lambda folder: (RELEASES.index(release(folder)), folder.path))


def _check_unique(annotations: Iterable[Annotation]) -> None:
    seen: dict[str, str] = {}
    for annotation in annotations:
        earlier = seen.setdefault(annotation.name, annotation.where)
        if earlier is not annotation.where:
            raise UserError(
                f"{annotation.where}: clip {annotation.name} is already in {earlier}; correct or remove one of them"
            )


def _duplicates(
    annotation: Annotation, best: Sequence[ClipFolder], release: Callable[[ClipFolder], str]
) -> list[Finding]:
    same = [folder for folder in best[1:] if release(folder) == release(best[0])]
    if not same:
        return []
    message = f"the clip's frames are also in {same[0].path}; the first is used"
    return [Finding("note", annotation.name, str(best[0].path), message, "remove the copy that is not wanted")]


def _from_zero(annotation: Annotation, start: int) -> Annotation:
    onset, apex, offset = (
        None if number is None else number - start for number in (annotation.onset, annotation.apex, annotation.offset)
    )
    return replace(annotation, onset=onset, apex=apex, offset=offset)


def _video_note(annotation: Annotation, path: Path, start: int) -> Finding:
    message = f"a video: its first frame is taken as the annotation's frame {start}"
    return Finding("note", annotation.name, str(path), message, "give the folder of images where that is not so")


def _empty_notes(
    placed: Sequence[Annotation], tree: FolderTree, key: FolderKeyFunction, folder_key: Callable[[Annotation], SubjectClip]
) -> list[Finding]:
    lost = {(normalize_name(s), normalize_name(c)): a for a in placed if not a.frames for s, c in [folder_key(a)]}
    notes = []
    for folder in tree.empty:
        subject, clip = key(folder) or ("", "")
        annotation = lost.get((normalize_name(subject), normalize_name(clip)))
        if annotation is not None:
            message = "the clip's folder holds no image with a number in its name"
            notes.append(Finding("note", annotation.name, str(folder.path), message, "unpack its frames again"))
    return notes


def _surplus(dataset: str, folder: ClipFolder, key: FolderKeyFunction) -> Finding:
    name = "/".join((dataset, *(key(folder) or ())))
    return Finding("surplus", name, str(folder.path), "no row of the annotation names this clip: it is not used")


def _examples(tree: FolderTree) -> str:
    shown = ["/".join(folder.parts[1:]) for folder in tree.clips[:2]]
    more = f" and {len(tree.clips) - len(shown)} more" if len(tree.clips) > len(shown) else ""
    return ", ".join(shown) + more if shown else "no folder of images"
