"""What the names of SMIC's folders and clips say (docs/databases.md, "SMIC").

The workbook of SMIC-E: onset and offset of each long clip (docs/databases.md, "SMIC").

SMIC: the clips of SMIC_all, and SMIC-E with its workbook (docs/databases.md, "SMIC").
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from icegan_jax.data.ingest.annotation import Annotation
from icegan_jax.data.ingest.annotation import DatabaseAnnotation
from icegan_jax.data.ingest.annotation import Finding
from icegan_jax.data.ingest.annotation import Source
from icegan_jax.data.ingest.annotation import parse_frame_number
from icegan_jax.data.ingest.match_folders import SubjectClip
from icegan_jax.data.ingest.match_folders import match_folders
from icegan_jax.data.ingest.match_folders import check_clip_folders
from icegan_jax.data.ingest.match_folders import name_words
from icegan_jax.data.ingest.match_folders import folder_release
from icegan_jax.data.ingest.scan import ClipFolder, FolderTree, scan_folders
from icegan_jax.data.ingest.spreadsheets import WrongTableError
from icegan_jax.data.ingest.spreadsheets import Row
from icegan_jax.data.ingest.spreadsheets import Table
from icegan_jax.data.ingest.spreadsheets import find_tables
from icegan_jax.data.ingest.workbooks import find_workbook
from icegan_jax.errors import UserError

TITLE = "SMIC"

CAMERAS = {"smic": "HS", "smic_vis": "VIS", "smic_nir": "NIR"}

# The label comes from the clip's name, not from the workbook (docs/databases.md, "SMIC").
EMOTIONS = {"ne": "negative", "po": "positive", "sur": "surprise"}

_NAME = re.compile(r"s(\d{1,3})_(ne|po|sur)_(\d{1,3})", re.IGNORECASE)


def clip_key(name: str) -> SubjectClip | None:
    """Returns (s01, s01_ne_01) of a clip's name in any padding; None where it is none of SMIC's."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    subject = f"s{int(match[1]):02d}"
    return subject, f"{subject}_{match[2].lower()}_{int(match[3]):02d}"


def emotion_of(clip: str) -> str:
    """Returns negative, positive or surprise of a clip's name, as ``clip_key`` gives it."""
    return EMOTIONS[clip.split("_")[1]]


def camera_of(names: Sequence[str]) -> str | None:
    """Returns HS, VIS or NIR of the innermost name that has it as a word: HS of "SMIC-HS-E", "HS_long"."""
    for name in reversed(names):
        found = [word.upper() for word in name_words(name) if word.upper() in CAMERAS.values()]
        if found:
            return found[0]
    return None


def is_smic_all(folder: ClipFolder) -> bool:
    """Returns whether a folder is of SMIC_all: it holds onset..offset, no more; others are SMIC-E's.

    SMIC_all sorts its clips into micro/negative, micro/positive, micro/surprise; SMIC-E into subjects.
    """
    return folder.parent.lower() in ("micro", *EMOTIONS.values())


_COLUMNS = {
    "HS": ("Subject", "Filename", "OnsetF", "OffsetF"),
    "VIS": ("Subject", "Filename", "OnsetF", "OffsetF"),
    "NIR": ("Subject", "Filename", "OnsetF NIR|OnsetF", "OffsetF NIR|OffsetF"),  # numbers of its own
}

_USUAL = {
    "HS": ("SMIC-HS-E_annotation.xlsx", "SMIC-HS-E_annotation_2019.xlsx"),
    "VIS": ("SMIC-VIS-E_annotation.xlsx", "SMIC_VIS_E_annotation.xlsx", "SMIC-HS-E_annotation.xlsx"),
    "NIR": ("SMIC-NIR-E_annotation.xlsx",),
}


@dataclass(frozen=True)
class WorkbookRow:
    """A row, its clip as MEGC2019 names it, and the columns of onset and offset."""

    key: SubjectClip
    table: Table
    row: Row
    columns: tuple[str, str]

    @property
    def where(self) -> str:
        """File and row."""
        return self.table.place(self.row)

    @property
    def first(self) -> int | None:
        """Number of the long clip's first frame."""
        return self.row.integer("firstf")

    def frame_numbers(self, clip: str) -> tuple[int, int]:
        """Returns onset and offset of the first micro-expression.

        Raises:
            UserError: one is no frame number.
        """
        onset, offset = (parse_frame_number(self.table, self.row, column, clip) for column in self.columns)
        return onset, offset


def read_workbook(source: Source, camera: str, needed: bool) -> tuple[list[WorkbookRow], list[Finding]]:
    """Reads the rows of a camera, up to the first without an integer Subject.

    Args:
        needed: whether there are clips of SMIC-E; without, a workbook that cannot be read is a
            finding, and no workbook is nothing to say.

    Returns:
        The rows, and findings about the choice of the workbook.

    Raises:
        UserError: no workbook of the camera, formulas without values, a row without a clip's name.
    """
    if not needed and source.annotation is None and not find_tables(source.root):
        return [], []

    def refuse(table: Table) -> str:
        other = camera_of([table.path.stem, "nir" if "onsetfnir" in table.columns else "", table.sheet])
        return f"holds the camera {other}, not {camera}" if other not in (None, camera) else ""

    try:
        table, findings = find_workbook(
            source, TITLE, _COLUMNS[camera], usual=_USUAL[camera], sheet=camera, refuse=refuse
        )
    except UserError as error:
        if needed or source.annotation is not None:
            raise
        if isinstance(error, WrongTableError):
            return [], []
        return [], [Finding("note", source.name, str(source.root), f"no workbook is used, none is needed: {error}")]
    entries = []
    onset, offset = (name.split("|")[0] for name in _COLUMNS[camera][2:])
    for row in table.rows:
        subject = row.integer("subject")
        if subject is None:
            break
        entries.append(WorkbookRow(_row_key(table, row, subject), table, row, (onset, offset)))
    if not entries:
        raise UserError(f"{table.path}: no row below the header has a whole number as Subject; restore the column")
    return entries, findings


def _row_key(table: Table, row: Row, subject: int) -> SubjectClip:
    key = clip_key(row.text("filename"))
    if key is None or key[0] != f"s{subject:02d}":
        raise UserError(
            f"{table.place(row)}: Filename {row.text('filename')!r} is no clip of subject {subject}; SMIC's are "
            f"named s{subject}_ne_01, say; correct the cell"
        )
    return key


def emotion_findings(dataset: str, entry: WorkbookRow) -> list[Finding]:
    """Returns a finding where the workbook's Emotion is not the clip's by its name."""
    emotion, by_name = entry.row.text("emotion").lower(), emotion_of(entry.key[1])
    if emotion in ("", by_name):
        return []
    message = f"the workbook says {emotion!r}, the clip's name {by_name}, which counts"
    return [Finding("note", "/".join((dataset, *entry.key)), entry.where, message)]


def further_expression_findings(dataset: str, entry: WorkbookRow) -> list[Finding]:
    """Returns a finding for each further micro-expression of a clip: MEGC2019 counts clips by name."""
    return [
        Finding(
            "note",
            "/".join((dataset, *entry.key)),
            entry.where,
            f"a further micro-expression from frame {number} ({column}) is left out: a clip counts once",
        )
        for column in ("Onset2F", "Onset3F")
        if (number := entry.row.integer(column))
    ]


def read(source: Source) -> DatabaseAnnotation:
    """Reads one camera of SMIC: sources ``smic`` (HS), ``smic_vis``, ``smic_nir``.

    A clip's emotion comes from its name (docs/databases.md, "SMIC"). A folder of SMIC_all holds
    onset..offset and needs no workbook; one of SMIC-E takes both from it. A clip that is in both is
    taken from SMIC_all. SMIC has no apex.

    Raises:
        UserError: not SMIC, another camera, no workbook for SMIC-E, or a cell that cannot be used.
    """
    camera = CAMERAS[source.name]
    tree = scan_folders(source.root)
    check_clip_folders(tree, _key, TITLE, "s1/micro/negative/s1_ne_01")
    tree, findings = _of_camera(tree, camera, source)
    exact = {key: folder for folder in reversed(tree.clips) if is_smic_all(folder) and (key := _key(folder))}
    if source.release == "long":
        exact = {}
    long = {key for folder in tree.clips if not is_smic_all(folder) and (key := _key(folder))} - set(exact)
    if source.release not in (None, "long"):
        long = set()
    annotations = [_of_folder(source, key, folder, tree.root) for key, folder in sorted(exact.items())]
    findings += [note for key, folder in sorted(exact.items()) for note in _misplaced(source, key, folder)]
    entries, notes = read_workbook(source, camera, needed=bool(long))
    findings += notes
    for entry in entries:
        findings += emotion_findings(source.name, entry)
        findings += further_expression_findings(source.name, entry) if entry.key in long else []
    annotations += [_of_entry(source, entry, entry.key in long) for entry in entries if entry.key not in exact]
    starts = {entry.key: entry.first for entry in entries}
    return match_folders(
        source,
        replace(tree, clips=tuple(f for f in tree.clips if is_smic_all(f) or _key(f) not in exact)),
        annotations,
        _key,
        findings=findings,
        release=_release,
        video_start=lambda annotation, _: starts.get((annotation.subject, annotation.clip)) or 0,
    )


def _key(folder: ClipFolder) -> SubjectClip | None:
    """(s01, s01_ne_01), None of a clip without micro-expression."""
    other = any("nonmicro" in "".join(c for c in part.lower() if c.isalpha()) for part in folder.parts)
    return None if other else clip_key(folder.name)


def _release(folder: ClipFolder) -> str:
    release = folder_release(folder)
    if not is_smic_all(folder):
        return "long"
    return "raw" if release == "long" else release


def _of_camera(tree: FolderTree, camera: str, source: Source) -> tuple[FolderTree, list[Finding]]:
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


def _of_folder(source: Source, key: SubjectClip, folder: ClipFolder, root: Path) -> Annotation:
    where = folder.path.relative_to(root).as_posix()
    return Annotation(source.name, *key, emotion_of(key[1]), (), None, None, None, where)


def _misplaced(source: Source, key: SubjectClip, folder: ClipFolder) -> list[Finding]:
    parent = folder.parent.lower()
    if parent not in EMOTIONS.values() or parent == emotion_of(key[1]):
        return []
    message = f"the folder lies in {parent}; by its name the clip is {emotion_of(key[1])}, which counts"
    return [Finding("note", "/".join((source.name, *key)), str(folder.path), message)]


def _of_entry(source: Source, entry: WorkbookRow, has_frames: bool) -> Annotation:
    """A row without frames may hold anything: it is a missing clip."""
    onset, offset = entry.frame_numbers(f"{source.name}/{'/'.join(entry.key)}") if has_frames else (None, None)
    return Annotation(source.name, *entry.key, emotion_of(entry.key[1]), (), onset, None, offset, entry.where)
