"""SMIC: the clips of SMIC_all, and SMIC-E with its workbook (docs/databases.md, "SMIC")."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from icegan_jax.data.ingest.annotation import Annotation, DatabaseAnnotation, Finding, Source, parse_frame_number
from icegan_jax.data.ingest.match_folders import (
    SubjectClip,
    check_clip_folders,
    folder_release,
    match_folders,
    name_words,
)
from icegan_jax.data.ingest.scan import ClipFolder, FolderTree, scan_folders
from icegan_jax.data.ingest.spreadsheets import Row, Table, WrongTableError, find_tables
from icegan_jax.data.ingest.workbooks import find_workbook
from icegan_jax.errors import UserError

TITLE = "SMIC"
CAMERAS = {"smic": "HS", "smic_vis": "VIS", "smic_nir": "NIR"}
_WORKBOOKS = {
    "HS": ("SMIC-HS-E_annotation.xlsx", "SMIC-HS-E_annotation_2019.xlsx"),
    "VIS": ("SMIC-VIS-E_annotation.xlsx", "SMIC_VIS_E_annotation.xlsx", "SMIC-HS-E_annotation.xlsx"),
    "NIR": ("SMIC-NIR-E_annotation.xlsx",),
}
_COLUMNS = {
    "HS": ("Subject", "Filename", "OnsetF", "OffsetF"),
    "VIS": ("Subject", "Filename", "OnsetF", "OffsetF"),
    "NIR": ("Subject", "Filename", "OnsetF NIR|OnsetF", "OffsetF NIR|OffsetF"),  # NIR has frame numbers of its own
}
# The label comes from the clip's name, not from the workbook (docs/databases.md, "SMIC").
EMOTIONS = {"ne": "negative", "po": "positive", "sur": "surprise"}
_CLIP_NAME = re.compile(r"s(\d{1,3})_(ne|po|sur)_(\d{1,3})", re.IGNORECASE)


@dataclass(frozen=True)
class WorkbookRow:
    """A row of the workbook of SMIC-E, its clip as MEGC2019 names it, and the columns of onset and offset."""

    key: SubjectClip
    table: Table
    row: Row
    columns: tuple[str, str]

    @property
    def where(self) -> str:
        """File and row, for messages."""
        return self.table.location(self.row)

    @property
    def first_frame(self) -> int | None:
        """The number of the long clip's first frame."""
        return self.row.integer("FirstF")

    def frame_numbers(self, clip: str) -> tuple[int, int]:
        """Return onset and offset of the first micro-expression.

        Raises:
            UserError: one is no frame number.
        """
        onset, offset = (parse_frame_number(self.table, self.row, column, clip) for column in self.columns)
        return onset, offset


def read(source: Source) -> DatabaseAnnotation:
    """Read one camera of SMIC: the sources ``smic`` (HS), ``smic_vis`` and ``smic_nir``.

    A folder of SMIC_all holds exactly onset to offset and needs no workbook; onset and offset of a folder of SMIC-E are
    in the workbook. A clip that is in both is taken from SMIC_all. SMIC has no apex.

    Raises:
        UserError: no clip of SMIC or of the camera, no workbook for SMIC-E, or a cell that cannot be used.
    """
    camera = CAMERAS[source.name]
    tree = scan_folders(source.root)
    check_clip_folders(tree, _folder_key, TITLE, "s1/micro/negative/s1_ne_01")
    tree, findings = _select_camera(tree, camera, source)
    exact = {key: folder for folder in reversed(tree.clips) if is_smic_all(folder) and (key := _folder_key(folder))}
    if source.release == "long":
        exact = {}
    long = {key for folder in tree.clips if not is_smic_all(folder) and (key := _folder_key(folder))} - set(exact)
    if source.release not in (None, "long"):
        long = set()
    annotations = [
        Annotation(
            source.name,
            *key,
            emotion_of(key[1]),
            frames=(),
            onset=None,
            apex=None,
            offset=None,
            where=folder.path.relative_to(tree.root).as_posix(),
        )
        for key, folder in sorted(exact.items())
    ]
    findings += [note for key, folder in sorted(exact.items()) for note in _folder_notes(source, key, folder)]
    rows, notes = read_workbook(source, camera, required=bool(long))
    findings += notes
    for row in rows:
        findings += emotion_findings(source.name, row)
        findings += further_expression_findings(source.name, row) if row.key in long else []
        if row.key not in exact:
            annotations.append(_row_annotation(source, row, has_frames=row.key in long))
    first_frames = {row.key: row.first_frame for row in rows}
    return match_folders(
        source,
        replace(tree, clips=tuple(f for f in tree.clips if is_smic_all(f) or _folder_key(f) not in exact)),
        annotations,
        _folder_key,
        findings=findings,
        release=_release,
        video_start=lambda annotation, _: first_frames.get((annotation.subject, annotation.clip)) or 0,
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
    return EMOTIONS[clip.split("_")[1]]


def camera_of(names: Sequence[str]) -> str | None:
    """Return the camera, HS, VIS or NIR, of the innermost name that contains one as a word: HS of "SMIC-HS-E"."""
    for name in reversed(names):
        cameras = [word.upper() for word in name_words(name) if word.upper() in CAMERAS.values()]
        if cameras:
            return cameras[0]
    return None


def is_smic_all(folder: ClipFolder) -> bool:
    """Return whether a folder is of SMIC_all, with exactly onset to offset; other folders are of SMIC-E.

    SMIC_all sorts its clips into micro/negative, micro/positive and micro/surprise, SMIC-E into subjects.
    """
    return folder.parent.lower() in ("micro", *EMOTIONS.values())


def _folder_key(folder: ClipFolder) -> SubjectClip | None:
    """Return (s01, s01_ne_01), and None for a clip without a micro-expression."""
    other = any("nonmicro" in "".join(c for c in part.lower() if c.isalpha()) for part in folder.parts)
    return None if other else clip_key(folder.name)


def _release(folder: ClipFolder) -> str:
    release = folder_release(folder)
    if not is_smic_all(folder):
        return "long"
    return "raw" if release == "long" else release


def _select_camera(tree: FolderTree, camera: str, source: Source) -> tuple[FolderTree, list[Finding]]:
    """Return the folders of one camera; folders without a camera's name count as HS."""
    cameras = {folder: camera_of(folder.parts[:-1]) for folder in (*tree.clips, *tree.empty)}
    clips = [folder for folder in tree.clips if _folder_key(folder)]
    selected = replace(
        tree,
        clips=tuple(folder for folder in clips if (cameras[folder] or "HS") == camera),
        empty=tuple(folder for folder in tree.empty if (cameras[folder] or "HS") == camera),
    )
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


def _folder_notes(source: Source, key: SubjectClip, folder: ClipFolder) -> list[Finding]:
    parent = folder.parent.lower()
    if parent not in EMOTIONS.values() or parent == emotion_of(key[1]):
        return []
    message = f"the folder lies in {parent}; by its name the clip is {emotion_of(key[1])}, which counts"
    return [Finding("note", "/".join((source.name, *key)), str(folder.path), message)]


def read_workbook(source: Source, camera: str, required: bool) -> tuple[list[WorkbookRow], list[Finding]]:
    """Read the rows of a camera, up to the first row without an integer Subject.

    Args:
        source: the database.
        camera: HS, VIS or NIR.
        required: whether there are clips of SMIC-E; without them a missing workbook is no error, and a workbook that
            cannot be read is a finding.

    Returns:
        The rows, and findings about the choice of the workbook.

    Raises:
        UserError: no workbook of the camera, formulas without values, or a row without a clip's name.
    """
    if not required and source.annotation is None and not find_tables(source.root):
        return [], []

    def reject(table: Table) -> str:
        other = camera_of([table.path.stem, "nir" if "onsetfnir" in table.columns else "", table.sheet])
        return f"holds the camera {other}, not {camera}" if other not in (None, camera) else ""

    try:
        table, findings = find_workbook(
            source, TITLE, _COLUMNS[camera], file_names=_WORKBOOKS[camera], sheet=camera, reject=reject
        )
    except UserError as error:
        if required or source.annotation is not None:
            raise
        if isinstance(error, WrongTableError):
            return [], []
        return [], [Finding("note", source.name, str(source.root), f"no workbook is used, none is needed: {error}")]
    rows = []
    onset, offset = _COLUMNS[camera][2:]
    for row in table.rows:
        subject = row.integer("Subject")
        if subject is None:
            break
        rows.append(WorkbookRow(_row_key(table, row, subject), table, row, (onset, offset)))
    if not rows:
        raise UserError(f"{table.path}: no row below the header has a whole number as Subject; restore the column")
    return rows, findings


def _row_key(table: Table, row: Row, subject: int) -> SubjectClip:
    key = clip_key(row.text("Filename"))
    if key is None or key[0] != f"s{subject:02d}":
        raise UserError(
            f"{table.location(row)}: Filename {row.text('Filename')!r} is no clip of subject {subject}; SMIC's are "
            f"named s{subject}_ne_01, say; correct the cell"
        )
    return key


def emotion_findings(dataset: str, row: WorkbookRow) -> list[Finding]:
    """Return a note where the workbook's Emotion is not the emotion in the clip's name."""
    emotion, by_name = row.row.text("Emotion").lower(), emotion_of(row.key[1])
    if emotion in ("", by_name):
        return []
    message = f"the workbook says {emotion!r}, the clip's name {by_name}, which counts"
    return [Finding("note", "/".join((dataset, *row.key)), row.where, message)]


def further_expression_findings(dataset: str, row: WorkbookRow) -> list[Finding]:
    """Return a note for each further micro-expression of a clip: MEGC2019 counts clips by name."""
    return [
        Finding(
            "note",
            "/".join((dataset, *row.key)),
            row.where,
            f"a further micro-expression from frame {number} ({column}) is left out: a clip counts once",
        )
        for column in ("Onset2F", "Onset3F")
        if (number := row.row.integer(column))
    ]


def _row_annotation(source: Source, row: WorkbookRow, has_frames: bool) -> Annotation:
    """Return a row's annotation, without the numbers of a clip that has no frames, whose cells may hold anything."""
    onset, offset = row.frame_numbers(f"{source.name}/{'/'.join(row.key)}") if has_frames else (None, None)
    return Annotation(source.name, *row.key, emotion_of(row.key[1]), (), onset, None, offset, row.where)
