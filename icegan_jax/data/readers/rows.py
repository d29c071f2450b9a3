"""From a table's row to an ``Annotation``: casts whose errors name file, row and clip."""

from icegan_jax.data.annotation import Annotation, Finding
from icegan_jax.data.names import check_name
from icegan_jax.data.tables import Row, Table
from icegan_jax.errors import UserError


def is_remark(row: Row, subject: str = "subject", clip: str = "filename", onset: str = "onsetframe") -> bool:
    """Returns whether a row is a remark below or between the clips: no clip's name and no onset."""
    return not row.text(clip) and row.integer(onset) is None


def frame_number(table: Table, row: Row, column: str, clip: str) -> int:
    """Returns the frame number in a cell.

    Raises:
        UserError: the cell holds no whole number of 0 or more.
    """
    number = row.integer(column)
    if number is None or number < 0:
        raise UserError(
            f"{table.place(row)}: {column} {row.text(column)!r} of clip {clip} is not a frame number; correct the cell"
        )
    return number


def apex_number(table: Table, row: Row, column: str, clip: str) -> tuple[int | None, list[Finding]]:
    """Returns the apex in a cell, or None and a finding that names what stands there instead."""
    number = row.integer(column)
    if number is not None and number >= 0:
        return number, []
    text = row.text(column)
    message = f"the apex is {text!r}, not a frame number" if text else "the apex is empty"
    return None, [Finding("note", clip, table.place(row), message, "it is spotted where the clip is used")]


def subject_cell(table: Table, row: Row, column: str = "subject") -> int:
    """Returns the subject's number: 1 of "01", "sub01", 1.

    Raises:
        UserError: the cell holds no number.
    """
    digits = "".join(c for c in row.text(column) if c.isascii() and c.isdigit())
    number = row.integer(column)
    if number is None and 0 < len(digits) < 10 and row.text(column).endswith(digits):
        number = int(digits)
    if number is None or number < 0:
        raise UserError(
            f"{table.place(row)}: {column} {row.text(column)!r} is not a subject's number; correct the cell"
        )
    return number


def clip_cell(table: Table, row: Row, column: str = "filename") -> str:
    """Returns the clip's name.

    Raises:
        UserError: the cell is empty, or cannot be a folder's name.
    """
    try:
        return check_name(row.text(column), column)
    except UserError as error:
        raise UserError(f"{table.place(row)}: {error}") from None


def emotion_cell(table: Table, row: Row, column: str, clip: str) -> str:
    """Returns the emotion word in lower case.

    Raises:
        UserError: the cell is empty.
    """
    word = row.text(column).lower()
    if not word:
        raise UserError(f"{table.place(row)}: {column} of clip {clip} is empty; give its emotion")
    return word


def annotation_of(
    table: Table,
    row: Row,
    dataset: str,
    subject: str,
    clip: str,
    *,
    emotion: str = "estimatedemotion",
    onset: str = "onsetframe",
    apex: str = "apexframe",
    offset: str = "offsetframe",
) -> tuple[Annotation, list[Finding]]:
    """Returns a row's annotation, frames still empty, and the finding on an apex that is no number.

    Apexes outside onset..offset pass as they are (docs/databases.md, "Rules for reading", rule 3: repaired later).

    Args:
        emotion: name of that column, as ``normalised``; likewise onset, apex and offset.

    Raises:
        UserError: onset or offset is no frame number, or the emotion is empty.
    """
    name = f"{dataset}/{subject}/{clip}"
    spotted, findings = apex_number(table, row, apex, name)
    annotation = Annotation(
        dataset=dataset,
        subject=subject,
        clip=clip,
        emotion=emotion_cell(table, row, emotion, name),
        frames=(),
        onset=frame_number(table, row, onset, name),
        apex=spotted,
        offset=frame_number(table, row, offset, name),
        where=table.place(row),
    )
    return annotation, findings
