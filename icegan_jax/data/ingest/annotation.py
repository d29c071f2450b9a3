"""What the reader of a database yields: its annotation as it stands, before protocol and repairs.

Where a database lies, as the command line says it.

From a table's row to an ``Annotation``: casts whose errors name file, row and clip.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from icegan_jax.data.ingest.spreadsheets import Row, Table
from icegan_jax.data.names import check_name
from icegan_jax.errors import UserError


@dataclass(frozen=True)
class Annotation:
    """One annotated micro-expression, as the database says it: nothing left out, nothing repaired.

    Attributes:
        dataset: name of the database, as "casme2".
        subject: the person, padded as the MEGC2019 log does: "sub01", "006", "s01".
        clip: name of the clip, unique within (dataset, subject).
        emotion: the database's word, in lower case: an emotion, "others", or a class.
        frames: folders or videos that hold its frames, the preferred one first; empty: none found.
        onset: frame number; None: the first frame there is.
        apex: frame number; None: not annotated, or not a number.
        offset: frame number; None: the last frame there is.
        where: file and row that say so, for messages: "CASME2-coding.xlsx, row 17".
    """

    dataset: str
    subject: str
    clip: str
    emotion: str
    frames: tuple[Path, ...]
    onset: int | None
    apex: int | None
    offset: int | None
    where: str

    @property
    def name(self) -> str:
        """``dataset/subject/clip``, as messages name it."""
        return f"{self.dataset}/{self.subject}/{self.clip}"


@dataclass(frozen=True)
class Finding:
    """One thing that a user should know about the data, with where it is and what to do.

    Attributes:
        kind: "error" (stops preparation), "missing" (a clip that should be there and is not),
            "surplus" (a folder or row that no clip uses), "excluded" (left out by the protocol's
            rule), "repair" (will be changed, and how), or "note".
        clip: ``dataset/subject/clip``, or the database's name where it is about no single clip.
        where: the file, row or folder.
        message: what is found there.
        remedy: what the user can do; empty where nothing needs doing.
    """

    kind: str
    clip: str
    where: str
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class DatabaseAnnotation:
    """All that a reader found in a database's folder.

    Attributes:
        annotations: every annotated clip, in the order of the annotation.
        findings: what else was seen there: folders without a row, odd cells, releases used.
    """

    annotations: Sequence[Annotation]
    findings: Sequence[Finding] = ()


# What a folder of frames is, in order of preference: the whole recording, the frames onset..offset
# uncropped, the distributors' face crops, SMIC-E's longer clips. Whole faces come before the
# distributors' crops, so that every database gets the same crop (docs/databases.md, "Rules for reading", rule 5).
RELEASES = ("raw", "selected", "cropped", "long")


@dataclass(frozen=True)
class Source:
    """One database to read.

    Attributes:
        name: key of ``READERS``, and the ``dataset`` of its annotations: "casme2".
        root: folder of the unpacked database: frames at any depth, usually the workbook too.
        annotation: the workbook to use, instead of the one found below ``root``.
        release: one of ``RELEASES``: use these folders only; None: the best there is of each clip.

    Raises:
        UserError: an unknown release.
    """

    name: str
    root: Path
    annotation: Path | None = None
    release: str | None = None

    def __post_init__(self) -> None:
        if self.release is not None and self.release not in RELEASES:
            raise UserError(f"release {self.release!r} of {self.name}: give one of {', '.join(RELEASES)}")


def is_remark_row(row: Row, subject: str = "subject", clip: str = "filename", onset: str = "onsetframe") -> bool:
    """Returns whether a row is a remark below or between the clips: no clip's name and no onset."""
    return not row.text(clip) and row.integer(onset) is None


def parse_frame_number(table: Table, row: Row, column: str, clip: str) -> int:
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


def parse_apex(table: Table, row: Row, column: str, clip: str) -> tuple[int | None, list[Finding]]:
    """Returns the apex in a cell, or None and a finding that names what stands there instead."""
    number = row.integer(column)
    if number is not None and number >= 0:
        return number, []
    text = row.text(column)
    message = f"the apex is {text!r}, not a frame number" if text else "the apex is empty"
    return None, [Finding("note", clip, table.place(row), message, "it is spotted where the clip is used")]


def parse_subject(table: Table, row: Row, column: str = "subject") -> int:
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


def parse_clip_name(table: Table, row: Row, column: str = "filename") -> str:
    """Returns the clip's name.

    Raises:
        UserError: the cell is empty, or cannot be a folder's name.
    """
    try:
        return check_name(row.text(column), column)
    except UserError as error:
        raise UserError(f"{table.place(row)}: {error}") from None


def parse_emotion(table: Table, row: Row, column: str, clip: str) -> str:
    """Returns the emotion word in lower case.

    Raises:
        UserError: the cell is empty.
    """
    word = row.text(column).lower()
    if not word:
        raise UserError(f"{table.place(row)}: {column} of clip {clip} is empty; give its emotion")
    return word


def parse_annotation(
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
        emotion: name of that column, as ``normalized``; likewise onset, apex and offset.

    Raises:
        UserError: onset or offset is no frame number, or the emotion is empty.
    """
    name = f"{dataset}/{subject}/{clip}"
    spotted, findings = parse_apex(table, row, apex, name)
    annotation = Annotation(
        dataset=dataset,
        subject=subject,
        clip=clip,
        emotion=parse_emotion(table, row, emotion, name),
        frames=(),
        onset=parse_frame_number(table, row, onset, name),
        apex=spotted,
        offset=parse_frame_number(table, row, offset, name),
        where=table.place(row),
    )
    return annotation, findings
