"""4DME: a table of micro-expressions and the folders that it names (docs/databases.md, "4DME").

A label such as "surprise+positive" is kept: the protocol leaves out clips of more than one class.
"""

from collections.abc import Sequence
from functools import partial

from icegan_jax.data.ingest.annotation import Annotation, Columns, parse_clip_name
from icegan_jax.data.ingest.match_folders import SubjectClip
from icegan_jax.data.ingest.read_database import DatabaseFormat, read_database
from icegan_jax.data.ingest.spreadsheets import Row, Table
from icegan_jax.errors import UserError

_COLUMNS = Columns("sub_ID", "fold_name", onset="Onset", apex="Apex", offset="Offset", emotion="Emotion")


def _row_key(table: Table, row: Row) -> SubjectClip:
    return parse_clip_name(table, row, _COLUMNS.subject), parse_clip_name(table, row, _COLUMNS.clip)


def _check_fold_names(annotations: Sequence[Annotation]) -> None:
    """Raise ``UserError`` where two subjects have one fold_name, as the folders do not name the subject."""
    first: dict[str, Annotation] = {}
    for annotation in annotations:
        other = first.setdefault(annotation.clip.casefold(), annotation)
        if other.subject != annotation.subject:
            raise UserError(
                f"{annotation.where}: fold_name {annotation.clip!r} is of subject {annotation.subject} here and of "
                f"{other.subject} in {other.where}; which folder is whose is not known: prepare these clips with "
                "--source=clips"
            )


# The folder tree is not known: the frames of a clip, of one kind of camera, are assumed to be in a folder (or a video
# whose frames are numbered from 0) named as fold_name, at any depth below the root.
read = partial(
    read_database,
    database=DatabaseFormat(
        title="4DME",
        folder_example="FOLD_NAME, as the table calls them",
        workbooks=("the table of 4DME",),
        columns=_COLUMNS,
        folder_key=lambda folder: ("", folder.name),
        row_key=_row_key,
        annotation_folder_key=lambda annotation: ("", annotation.clip),
        check=_check_fold_names,
        video_start=lambda annotation, release: 0,
    ),
)
