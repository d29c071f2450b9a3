"""MMEW: face crops by emotion, and its workbook (docs/databases.md, "MMEW")."""

from dataclasses import replace

from icegan_jax.data.ingest.annotation import Annotation
from icegan_jax.data.ingest.annotation import DatabaseAnnotation
from icegan_jax.data.ingest.annotation import Finding
from icegan_jax.data.ingest.annotation import Source
from icegan_jax.data.ingest.annotation import parse_annotation
from icegan_jax.data.ingest.annotation import parse_clip_name
from icegan_jax.data.ingest.annotation import is_remark_row
from icegan_jax.data.ingest.annotation import parse_subject
from icegan_jax.data.ingest.match_folders import SubjectClip
from icegan_jax.data.ingest.match_folders import match_folders
from icegan_jax.data.ingest.match_folders import check_clip_folders
from icegan_jax.data.ingest.scan import ClipFolder, scan_folders
from icegan_jax.data.ingest.spreadsheets import Row, Table
from icegan_jax.data.ingest.workbooks import find_workbook, has_name_pattern
from icegan_jax.errors import UserError

_TITLE = "MMEW"
_COLUMNS = (
    "Subject",
    "Filename",
    "OnsetFrame|Onset",
    "ApexFrame|Apex",
    "OffsetFrame|Offset",
    "Estimated Emotion|Emotion",
)
_USUAL = ("MMEW_Micro_Exp.xlsx",)


def read(source: Source) -> DatabaseAnnotation:
    """Reads MMEW: Micro_Expression/disgust/S03-01-002 with frames 1.jpg, 2.jpg ...

    16 rows of the distributed workbook have a wrong apex or offset; they pass as they stand and are
    repaired, with a reason, when clips are settled. What some copies call repression is others
    there: such clips are given no class, with a note. A clip that lies in the folder of another
    emotion is noted; the workbook's word counts.

    Raises:
        UserError: not MMEW, no workbook of it, or a cell that cannot be used.
    """
    tree = scan_folders(source.root)
    check_clip_folders(tree, _key, _TITLE, "Micro_Expression/disgust/S03-01-002")
    table, findings = find_workbook(source, _TITLE, _COLUMNS, usual=_USUAL)
    annotations: list[Annotation] = []
    for row in table.rows:
        if is_remark_row(row):
            continue
        annotation, notes = parse_annotation(table, row, source.name, *_names(table, row))
        if annotation.emotion == "repression":
            message = "repression in this copy of the workbook is others in MMEW: no class"
            notes.append(Finding("note", annotation.name, annotation.where, message))
            annotation = replace(annotation, emotion="others")
        annotations.append(annotation)
        findings += notes
    reading = match_folders(
        source, tree, annotations, _key, findings=findings, video_start=lambda annotation, release: 1
    )
    notes = [note for annotation in reading.annotations for note in _misplaced(annotation)]
    return DatabaseAnnotation(reading.annotations, [*reading.findings, *notes])


def _names(table: Table, row: Row) -> SubjectClip:
    """S03, S03-01-002: the clip's name starts with its subject."""
    subject, clip = parse_subject(table, row), parse_clip_name(table, row)
    if not has_name_pattern(clip, _TITLE) or int(clip[1:].split("-")[0]) != subject:
        raise UserError(
            f"{table.place(row)}: Filename {clip!r} is no clip of subject {subject}; MMEW's are named "
            f"S{subject:02d}-01-002, say; correct the cell"
        )
    return f"S{subject:02d}", clip


def _key(folder: ClipFolder) -> SubjectClip | None:
    return (folder.name.split("-")[0], folder.name) if has_name_pattern(folder.name, _TITLE) else None


def _misplaced(annotation: Annotation) -> list[Finding]:
    """A note where the emotion's folder and the workbook disagree."""
    folders = {path.parent.name.lower() for path in annotation.frames[:1]}
    if not folders or folders & {annotation.emotion, "repression" if annotation.emotion == "others" else ""}:
        return []
    message = f"lies in the folder {folders.pop()}, but {annotation.where} says {annotation.emotion}, which counts"
    return [Finding("note", annotation.name, str(annotation.frames[0]), message, "correct the workbook if it is wrong")]
