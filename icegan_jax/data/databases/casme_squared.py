"""CAS(ME)^2: micro-expressions in long videos (docs/databases.md, "CAS(ME)^2").

The distributed CAS(ME)^2code_final.xlsx has no header, and the order of its columns is not known: the user must write
the names of the columns above the columns, and the program guesses none.
"""

from collections.abc import Sequence
from dataclasses import astuple, replace

from icegan_jax.data.ingest.annotation import Annotation, Columns, DatabaseAnnotation, Finding, Source
from icegan_jax.data.ingest.match_folders import SubjectClip
from icegan_jax.data.ingest.read_database import DatabaseFormat, read_database
from icegan_jax.data.ingest.scan import ClipFolder, subject_number
from icegan_jax.data.ingest.spreadsheets import Row, Table, WrongTableError
from icegan_jax.errors import UserError

_COLUMNS = Columns(onset="Onset", apex="Apex", offset="Offset", emotion="Emotion")
_COLUMN_NAMES = ", ".join((*astuple(_COLUMNS), "Type"))
_HEADER = (
    "CAS(ME)^2's workbook has no header row, and the order of its columns is not known here: write the first row "
    f"{_COLUMN_NAMES} above its columns (Type: micro or macro), or give such a csv with --annotation"
)


def _folder_key(folder: ClipFolder) -> SubjectClip | None:
    number = subject_number(folder.parent)
    return (f"s{number}", folder.name) if number is not None else None


def _skip_macro(table: Table, row: Row) -> str:
    word = row.text("Type").lower()
    if not word.startswith(("micro", "macro")):
        raise UserError(
            f"{table.location(row)}: Type {row.text('Type')!r} is neither micro nor macro; correct the cell"
        )
    return "macro-expressions" if word.startswith("macro") else ""


def _replace_offset(annotation: Annotation, row: Row) -> tuple[Sequence[Annotation], list[Finding]]:
    """Replace an offset of 0, which means that none was seen, by the apex, as the recording goes on for minutes."""
    if annotation.offset != 0:
        return [annotation], []
    if annotation.apex is None or annotation.onset is None or annotation.apex <= annotation.onset:
        message, remedy = "offset 0 and no apex after the onset: its end is not known", "write the offset into the cell"
        return [], [Finding("missing", annotation.name, annotation.where, message, remedy)]
    message = f"offset 0: the apex, frame {annotation.apex}, is taken as the offset"
    finding = Finding("repair", annotation.name, annotation.where, message, "give the offset in a --repairs file")
    return [replace(annotation, offset=annotation.apex)], [finding]


# The folder tree is not known: Filename is assumed to be the folder of frames, or the video, of a long recording, in a
# folder for each subject.
_FORMAT = DatabaseFormat(
    title="CAS(ME)^2",
    folder_example="s15/FILENAME, a folder per subject and recording",
    workbooks=(f"a table with {_COLUMN_NAMES}",),
    columns=_COLUMNS,
    extra_columns=("Type",),
    folder_key=_folder_key,
    subject="s{:02d}",
    onset_in_clip=True,
    skip_row=_skip_macro,
    revise=_replace_offset,
    video_start=lambda annotation, release: 0,
)


def read(source: Source) -> DatabaseAnnotation:
    """Read the micro-expressions of CAS(ME)^2.

    Raises:
        UserError: no frames, no table with a header, or a cell that cannot be used.
    """
    try:
        return read_database(source, _FORMAT)
    except WrongTableError as error:
        raise UserError(f"{error}; {_HEADER}") from None
