"""MMEW: face crops by emotion, and its workbook (docs/databases.md, "MMEW").

In 16 rows of the distributed workbook the apex or the offset is wrong: ``repair_annotation`` replaces the wrong number.
"""

from collections.abc import Sequence
from dataclasses import replace

from icegan_jax.data.ingest.annotation import (
    Annotation,
    Columns,
    DatabaseAnnotation,
    Finding,
    Source,
    parse_clip_name,
    parse_subject,
)
from icegan_jax.data.ingest.match_folders import SubjectClip
from icegan_jax.data.ingest.read_database import DatabaseFormat, read_database
from icegan_jax.data.ingest.scan import ClipFolder
from icegan_jax.data.ingest.spreadsheets import Row, Table
from icegan_jax.data.ingest.workbooks import has_name_pattern
from icegan_jax.errors import UserError


def _folder_key(folder: ClipFolder) -> SubjectClip | None:
    return (folder.name.split("-")[0], folder.name) if has_name_pattern(folder.name, "MMEW") else None


def _row_key(table: Table, row: Row) -> SubjectClip:
    """Return (S03, S03-01-002): the clip's name starts with its subject."""
    subject, clip = parse_subject(table, row), parse_clip_name(table, row)
    if not has_name_pattern(clip, "MMEW") or int(clip[1:].split("-")[0]) != subject:
        raise UserError(
            f"{table.location(row)}: Filename {clip!r} is no clip of subject {subject}; MMEW's are named "
            f"S{subject:02d}-01-002, say; correct the cell"
        )
    return f"S{subject:02d}", clip


def _replace_repression(annotation: Annotation, row: Row) -> tuple[Sequence[Annotation], list[Finding]]:
    """Replace repression by others: some copies of the workbook use this word for clips without a class."""
    if annotation.emotion != "repression":
        return [annotation], []
    message = "repression in this copy of the workbook is others in MMEW: no class"
    finding = Finding("note", annotation.name, annotation.where, message)
    return [replace(annotation, emotion="others")], [finding]


_FORMAT = DatabaseFormat(
    title="MMEW",
    folder_example="Micro_Expression/disgust/S03-01-002",
    workbooks=("MMEW_Micro_Exp.xlsx",),
    columns=Columns(
        onset="OnsetFrame|Onset",
        apex="ApexFrame|Apex",
        offset="OffsetFrame|Offset",
        emotion="Estimated Emotion|Emotion",
    ),
    folder_key=_folder_key,
    row_key=_row_key,
    revise=_replace_repression,
    video_start=lambda annotation, release: 1,
)


def read(source: Source) -> DatabaseAnnotation:
    """Read MMEW, with a note for each clip that lies in the folder of another emotion than the workbook's.

    Raises:
        UserError: no clip of MMEW, no workbook, or a cell that cannot be used.
    """
    database = read_database(source, _FORMAT)
    notes = [note for annotation in database.annotations for note in _folder_notes(annotation)]
    return replace(database, findings=[*database.findings, *notes])


def _folder_notes(annotation: Annotation) -> list[Finding]:
    folders = {path.parent.name.lower() for path in annotation.frames[:1]}
    if not folders or folders & {annotation.emotion, "repression" if annotation.emotion == "others" else ""}:
        return []
    message = f"lies in the folder {folders.pop()}, but {annotation.where} says {annotation.emotion}, which counts"
    return [Finding("note", annotation.name, str(annotation.frames[0]), message, "correct the workbook if it is wrong")]
