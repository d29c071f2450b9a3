"""SMIC: the clips of SMIC_all, and SMIC-E with its workbook (docs/databases.md, "SMIC")."""

from dataclasses import replace
from pathlib import Path

from icegan_jax.data.annotation import Annotation, Finding, Reading
from icegan_jax.data.readers.matching import Key, attach, check_clips, release_of
from icegan_jax.data.readers.smic_names import CAMERAS, EMOTIONS, TITLE, camera_of, clip_key, emotion_of, is_exact
from icegan_jax.data.readers.smic_sheet import Entry, emotion_notes, further_notes, read_sheet
from icegan_jax.data.readers.source import Source
from icegan_jax.data.trees import ClipFolder, Tree, walk
from icegan_jax.errors import UserError


def read(source: Source) -> Reading:
    """Reads one camera of SMIC: sources ``smic`` (HS), ``smic_vis``, ``smic_nir``.

    A clip's emotion comes from its name (docs/databases.md, "SMIC"). A folder of SMIC_all holds
    onset..offset and needs no workbook; one of SMIC-E takes both from it. A clip that is in both is
    taken from SMIC_all. SMIC has no apex.

    Raises:
        UserError: not SMIC, another camera, no workbook for SMIC-E, or a cell that cannot be used.
    """
    camera = CAMERAS[source.name]
    tree = walk(source.root)
    check_clips(tree, _key, TITLE, "s1/micro/negative/s1_ne_01")
    tree, findings = _of_camera(tree, camera, source)
    exact = {key: folder for folder in reversed(tree.clips) if is_exact(folder) and (key := _key(folder))}
    if source.release == "long":
        exact = {}
    long = {key for folder in tree.clips if not is_exact(folder) and (key := _key(folder))} - set(exact)
    if source.release not in (None, "long"):
        long = set()
    annotations = [_of_folder(source, key, folder, tree.root) for key, folder in sorted(exact.items())]
    findings += [note for key, folder in sorted(exact.items()) for note in _misplaced(source, key, folder)]
    entries, notes = read_sheet(source, camera, needed=bool(long))
    findings += notes
    for entry in entries:
        findings += emotion_notes(source.name, entry)
        findings += further_notes(source.name, entry) if entry.key in long else []
    annotations += [_of_entry(source, entry, entry.key in long) for entry in entries if entry.key not in exact]
    starts = {entry.key: entry.first for entry in entries}
    return attach(
        source,
        replace(tree, clips=tuple(f for f in tree.clips if is_exact(f) or _key(f) not in exact)),
        annotations,
        _key,
        findings=findings,
        release=_release,
        video_start=lambda annotation, _: starts.get((annotation.subject, annotation.clip)) or 0,
    )


def _key(folder: ClipFolder) -> Key | None:
    """(s01, s01_ne_01), None of a clip without micro-expression."""
    other = any("nonmicro" in "".join(c for c in part.lower() if c.isalpha()) for part in folder.parts)
    return None if other else clip_key(folder.name)


def _release(folder: ClipFolder) -> str:
    release = release_of(folder)
    if not is_exact(folder):
        return "long"
    return "raw" if release == "long" else release


def _of_camera(tree: Tree, camera: str, source: Source) -> tuple[Tree, list[Finding]]:
    """Returns the folders of one camera; those that name none are taken as HS."""
    cameras = {folder: camera_of(folder.parts[:-1]) for folder in (*tree.clips, *tree.empty)}
    clips = [folder for folder in tree.clips if _key(folder)]
    chosen = replace(
        tree,
        clips=tuple(folder for folder in clips if (cameras[folder] or "HS") == camera),
        empty=tuple(folder for folder in tree.empty if (cameras[folder] or "HS") == camera),
    )
    if not chosen.clips:
        others = sorted({cameras[folder] or "HS" for folder in clips})
        names = " or ".join(f"--source={name}" for name, other in CAMERAS.items() if other in others)
        raise UserError(
            f"{tree.root}: no clip of SMIC's camera {camera}; its folders are of {', '.join(others)} (read as HS "
            f"where none is named): use {names}, or give the folder of {camera}"
        )
    unnamed = next((folder for folder in chosen.clips if not cameras[folder]), None)
    if unnamed is None:
        return chosen, []
    message = "no folder's name says which camera (HS, VIS, NIR): taken as HS"
    return chosen, [Finding("note", source.name, str(unnamed.path), message)]


def _of_folder(source: Source, key: Key, folder: ClipFolder, root: Path) -> Annotation:
    where = folder.path.relative_to(root).as_posix()
    return Annotation(source.name, *key, emotion_of(key[1]), (), None, None, None, where)


def _misplaced(source: Source, key: Key, folder: ClipFolder) -> list[Finding]:
    parent = folder.parent.lower()
    if parent not in EMOTIONS.values() or parent == emotion_of(key[1]):
        return []
    message = f"the folder lies in {parent}; by its name the clip is {emotion_of(key[1])}, which counts"
    return [Finding("note", "/".join((source.name, *key)), str(folder.path), message)]


def _of_entry(source: Source, entry: Entry, has_frames: bool) -> Annotation:
    """A row without frames may hold anything: it is a missing clip."""
    onset, offset = entry.frame_numbers(f"{source.name}/{'/'.join(entry.key)}") if has_frames else (None, None)
    return Annotation(source.name, *entry.key, emotion_of(entry.key[1]), (), onset, None, offset, entry.where)
