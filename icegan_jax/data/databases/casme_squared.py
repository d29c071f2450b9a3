"""CAS(ME)^2: micro-expressions in long videos (docs/databases.md, "CAS(ME)^2")."""

from collections.abc import Sequence
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
from icegan_jax.data.ingest.scan import ClipFolder, scan_folders, subject_number
from icegan_jax.data.ingest.spreadsheets import WrongTableError
from icegan_jax.data.ingest.spreadsheets import Row
from icegan_jax.data.ingest.spreadsheets import Table
from icegan_jax.data.ingest.workbooks import find_workbook
from icegan_jax.errors import UserError

_TITLE = "CAS(ME)^2"
_COLUMNS = ("Subject", "Filename", "Onset", "Apex", "Offset", "Emotion", "Type")
_HEADER = (
    f"{_TITLE}'s workbook has no header row, and the order of its columns is not known here: write the first row "
    f"{', '.join(_COLUMNS)} above its columns (Type: micro or macro), or give such a csv with --annotation"
)


def read(source: Source) -> DatabaseAnnotation:
    """Reads CAS(ME)^2 from a table whose columns are named: Subject, Filename, Onset, Apex, Offset, Emotion, Type.

    The distributed CAS(ME)^2code_final.xlsx has no header, and docs/databases.md does not know what its
    columns are: nothing is guessed, the names must be written above them. Type says micro or macro;
    macro-expressions are not used. Emotion is the class: positive, negative, surprise or others.

    Assumed, as docs/databases.md does not know the folders either: Filename is the folder of frames, or
    the video, of the long recording, in a folder per subject. One recording holds several
    expressions, so a clip is called by its file and onset: anger1_1_557. An offset of 0 is none:
    the apex then stands in for it.

    Raises:
        UserError: no frames, no table with these columns, or a cell that cannot be used.
    """
    tree = scan_folders(source.root)
    check_clip_folders(tree, _key, _TITLE, "s15/FILENAME, a folder per subject and recording")
    try:
        table, findings = find_workbook(source, _TITLE, _COLUMNS, usual=(f"a table with {', '.join(_COLUMNS)}",))
    except WrongTableError as error:
        raise UserError(f"{error}; {_HEADER}") from None
    rows = [row for row in table.rows if not is_remark_row(row, onset="onset")]
    micro = [row for row in rows if _is_micro(table, row)]
    if len(micro) < len(rows):
        message = f"macro-expressions, not used: {len(rows) - len(micro)}"
        findings.append(Finding("note", source.name, str(table.path), message))
    annotations: list[Annotation] = []
    for row in micro:
        subject, clip = f"s{parse_subject(table, row):02d}", f"{parse_clip_name(table, row)}_{row.integer('onset')}"
        annotation, notes = parse_annotation(
            table, row, source.name, subject, clip, emotion="emotion", onset="onset", apex="apex", offset="offset"
        )
        kept, more = _with_end(annotation)
        annotations += kept
        findings += [*notes, *more]
    return match_folders(
        source,
        tree,
        annotations,
        _key,
        findings=findings,
        folder_key=lambda annotation: (annotation.subject, annotation.clip.rpartition("_")[0]),
        video_start=lambda annotation, release: 0,
    )


def _key(folder: ClipFolder) -> SubjectClip | None:
    number = subject_number(folder.parent)
    return (f"s{number}", folder.name) if number is not None else None


def _is_micro(table: Table, row: Row) -> bool:
    word = row.text("type").lower()
    if not word.startswith(("micro", "macro")):
        raise UserError(f"{table.place(row)}: Type {row.text('type')!r} is neither micro nor macro; correct the cell")
    return word.startswith("micro")


def _with_end(annotation: Annotation) -> tuple[Sequence[Annotation], list[Finding]]:
    """An offset of 0 says that none was seen (docs/databases.md, "CAS(ME)^2"); the recording goes on for minutes."""
    if annotation.offset != 0:
        return [annotation], []
    if annotation.apex is None or annotation.onset is None or annotation.apex <= annotation.onset:
        message, remedy = "offset 0 and no apex after the onset: its end is not known", "write the offset into the cell"
        return [], [Finding("missing", annotation.name, annotation.where, message, remedy)]
    message = f"offset 0: the apex, frame {annotation.apex}, is taken as the offset"
    found = Finding("repair", annotation.name, annotation.where, message, "give the offset in a --repairs file")
    return [replace(annotation, offset=annotation.apex)], [found]
