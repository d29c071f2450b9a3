"""SMIC: the clips of SMIC_all, and SMIC-E with its workbook (docs/databases.md, "SMIC")."""

import re
from collections.abc import Sequence
from dataclasses import replace

from icegan_jax.data.ingest.annotation import Annotation, DatabaseAnnotation, Finding, Source, parse_frame_number
from icegan_jax.data.ingest.match_folders import (
    SubjectClip,
    check_clip_folders,
    folder_release,
    match_folders,
    name_words,
)
from icegan_jax.data.ingest.read_database import find_workbook
from icegan_jax.data.ingest.scan import ClipFolder, FolderTree, scan_folders
from icegan_jax.data.ingest.spreadsheets import Row, Table, WrongTableError, find_tables
from icegan_jax.errors import UserError

CAMERAS = {"smic": "HS", "smic_vis": "VIS", "smic_nir": "NIR"}
_WORKBOOKS = {
    "HS": ("SMIC-HS-E_annotation.xlsx", "SMIC-HS-E_annotation_2019.xlsx"),
    "VIS": ("SMIC-VIS-E_annotation.xlsx", "SMIC_VIS_E_annotation.xlsx", "SMIC-HS-E_annotation.xlsx"),
    "NIR": ("SMIC-NIR-E_annotation.xlsx",),
}
# NIR has frame numbers of its own.
_ONSET_OFFSET = {"HS": ("OnsetF", "OffsetF"), "VIS": ("OnsetF", "OffsetF")}
_ONSET_OFFSET["NIR"] = ("OnsetF NIR|OnsetF", "OffsetF NIR|OffsetF")
# The label comes from the clip's name, not from the workbook (docs/databases.md, "SMIC").
_EMOTIONS = {"ne": "negative", "po": "positive", "sur": "surprise"}
_CLIP_NAME = re.compile(r"s(\d{1,3})_(ne|po|sur)_(\d{1,3})", re.IGNORECASE)


def read(source: Source) -> DatabaseAnnotation:
    """Read one camera of SMIC: the sources ``smic`` (HS), ``smic_vis`` and ``smic_nir``.

    A folder of SMIC_all holds exactly onset to offset and needs no workbook; onset and offset of a folder of SMIC-E are
    in the workbook. A clip that is in both is taken from SMIC_all. SMIC has no apex.

    Raises:
        UserError: no clip of SMIC or of the camera, no workbook for SMIC-E, or a cell that cannot be used.
    """
    camera = CAMERAS[source.name]
    tree = scan_folders(source.root)
    check_clip_folders(tree, _folder_key, "SMIC", "s1/micro/negative/s1_ne_01")
    tree, findings = _select_camera(tree, camera, source)
    exact = {key: folder for folder in reversed(tree.clips) if _is_smic_all(folder) and (key := _folder_key(folder))}
    if source.release == "long":
        exact = {}
    long = {key for folder in tree.clips if not _is_smic_all(folder) and (key := _folder_key(folder))} - set(exact)
    if source.release not in (None, "long"):
        long = set()
    annotations = []
    for key, folder in sorted(exact.items()):
        where = folder.path.relative_to(tree.root).as_posix()
        annotations.append(Annotation(source.name, *key, emotion_of(key[1]), (), None, None, None, where))
        if (parent := folder.parent.lower()) in _EMOTIONS.values():
            findings += _emotion_note(source, key, parent, f"the folder lies in {parent}", str(folder.path))
    table, rows, notes = _read_workbook(source, camera, is_required=bool(long))
    findings += notes
    first_frames = {}
    for key, row in rows:
        name, where, emotion = "/".join((source.name, *key)), table.location(row), row.text("Emotion").lower()
        findings += _emotion_note(source, key, emotion, f"the workbook says {emotion!r}", where)
        first_frames[key] = row.integer("FirstF") or 0
        if key in exact:
            continue
        onset = offset = None  # the cells of a clip without frames may hold anything
        if key in long:
            onset, offset = (parse_frame_number(table, row, column, name) for column in _ONSET_OFFSET[camera])
            findings += _further_expressions(name, row, where)
        annotations.append(Annotation(source.name, *key, emotion_of(key[1]), (), onset, None, offset, where))
    return match_folders(
        source,
        replace(tree, clips=tuple(f for f in tree.clips if _is_smic_all(f) or _folder_key(f) not in exact)),
        annotations,
        _folder_key,
        findings=findings,
        release=_release,
        video_start=lambda annotation, _: first_frames.get((annotation.subject, annotation.clip), 0),
    )


def clip_key(name: str) -> SubjectClip | None:
    """Return (s01, s01_ne_01) of a clip's name in any padding; None where the name is none of SMIC's."""
    match = _CLIP_NAME.fullmatch(name)
    if match is None:
        return None
    subject = f"s{int(match[1]):02d}"
    return subject, f"{subject}_{match[2].lower()}_{int(match[3]):02d}"


def emotion_of(clip: str) -> str:
    """Return the emotion, negative, positive or surprise, in a clip's name as ``clip_key`` returns the name."""
    return _EMOTIONS[clip.split("_")[1]]


def camera_of(names: Sequence[str]) -> str | None:
    """Return the camera, HS, VIS or NIR, of the innermost name that contains one as a word: HS of "SMIC-HS-E"."""
    words = [word.upper() for name in names for word in name_words(name)]
    return next((word for word in reversed(words) if word in CAMERAS.values()), None)


def _is_smic_all(folder: ClipFolder) -> bool:
    """Return whether a folder is of SMIC_all, with exactly onset to offset; other folders are of SMIC-E.

    SMIC_all sorts its clips into micro/negative, micro/positive and micro/surprise, SMIC-E into subjects.
    """
    return folder.parent.lower() in ("micro", *_EMOTIONS.values())


def _folder_key(folder: ClipFolder) -> SubjectClip | None:
    """Return (s01, s01_ne_01), and None for a clip without a micro-expression."""
    other = any("nonmicro" in "".join(name_words(part)) for part in folder.parts)
    return None if other else clip_key(folder.name)


def _release(folder: ClipFolder) -> str:
    release = folder_release(folder)
    if not _is_smic_all(folder):
        return "long"
    return "raw" if release == "long" else release


def _select_camera(tree: FolderTree, camera: str, source: Source) -> tuple[FolderTree, list[Finding]]:
    """Return the folders of one camera; folders without a camera's name count as HS."""
    clips = [folder for folder in tree.clips if _folder_key(folder)]
    cameras = {folder: camera_of(folder.parts[:-1]) for folder in clips}
    selected = replace(tree, clips=tuple(folder for folder in clips if (cameras[folder] or "HS") == camera))
    if not selected.clips:
        others = sorted({cameras[folder] or "HS" for folder in clips})
        names = " or ".join(f"--source={name}" for name, other in CAMERAS.items() if other in others)
        raise UserError(
            f"{tree.root}: no clip of SMIC's camera {camera}; its folders are of {', '.join(others)} (read as HS "
            f"where none is named): use {names}, or give the folder of {camera}"
        )
    unnamed = next((folder for folder in selected.clips if not cameras[folder]), None)
    if unnamed is None:
        return selected, []
    message = "no folder's name says which camera (HS, VIS, NIR): taken as HS"
    return selected, [Finding("note", source.name, str(unnamed.path), message)]


def _emotion_note(source: Source, key: SubjectClip, emotion: str, text: str, where: str) -> list[Finding]:
    """Return a note where another emotion is given than the one in the clip's name."""
    by_name = emotion_of(key[1])
    if emotion in ("", by_name):
        return []
    message = f"{text}, the clip's name {by_name}, which counts"
    return [Finding("note", "/".join((source.name, *key)), where, message)]


def _further_expressions(name: str, row: Row, where: str) -> list[Finding]:
    """Return a note for each further micro-expression of a clip: MEGC2019 counts clips by name."""
    numbers = {column: row.integer(column) for column in ("Onset2F", "Onset3F")}
    text = "a further micro-expression from frame {} ({}) is left out: a clip counts once"
    return [Finding("note", name, where, text.format(n, column)) for column, n in numbers.items() if n]


def _read_workbook(
    source: Source, camera: str, is_required: bool
) -> tuple[Table, list[tuple[SubjectClip, Row]], list[Finding]]:
    """Read the rows of a camera, up to the first row without an integer Subject.

    Without clips of SMIC-E no workbook is required: a missing one is no error, and one that cannot be read is a
    finding.

    Returns:
        The table, (key, row) of each clip with the key of ``clip_key``, and findings about the choice of the table.

    Raises:
        UserError: no workbook of the camera, formulas without values, or a row without a clip's name.
    """
    none = Table(source.root, "", (), ())
    if not is_required and source.annotation is None and not find_tables(source.root):
        return none, [], []

    def reject(table: Table) -> str:
        other = camera_of([table.path.stem, "nir" if "onsetfnir" in table.columns else "", table.sheet])
        return f"holds the camera {other}, not {camera}" if other not in (None, camera) else ""

    columns = ("Subject", "Filename", *_ONSET_OFFSET[camera])
    try:
        table, findings = find_workbook(
            source, "SMIC", columns, file_names=_WORKBOOKS[camera], sheet=camera, reject=reject
        )
    except UserError as error:
        if is_required or source.annotation is not None:
            raise
        if isinstance(error, WrongTableError):
            return none, [], []
        message = f"no workbook is used, none is needed: {error}"
        return none, [], [Finding("note", source.name, str(source.root), message)]
    rows: list[tuple[SubjectClip, Row]] = []
    for row in table.rows:
        subject = row.integer("Subject")
        if subject is None:
            break
        key = clip_key(row.text("Filename"))
        if key is None or key[0] != f"s{subject:02d}":
            raise UserError(
                f"{table.location(row)}: Filename {row.text('Filename')!r} is no clip of subject {subject}; SMIC's are "
                f"named s{subject}_ne_01, say; correct the cell"
            )
        rows.append((key, row))
    if not rows:
        raise UserError(f"{table.path}: no row below the header has a whole number as Subject; restore the column")
    return table, rows, findings
