"""The annotation of a database before protocol and repairs, and the parsing of a table's row into an ``Annotation``."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from icegan_jax.data.ingest.spreadsheets import Row, Table
from icegan_jax.data.names import check_name, date_hint
from icegan_jax.errors import UserError, did_you_mean

# Forms in which frames are distributed, the preferred one first: whole recordings, uncropped frames from onset to
# offset, the distributors' face crops, SMIC-E's longer clips. Whole faces come before the distributors' crops, so that
# all databases get the same crop (docs/databases.md, "Rules for reading", rule 5).
RELEASES = ("raw", "selected", "cropped", "long")

_ACTION_UNIT_COLUMNS = ("Action Units", "AU", "AUs")  # names that the databases use, where they have the column

ClipKey = tuple[str, str, str]  # (dataset, subject, clip), which is unique


@dataclass(frozen=True)
class Annotation:
    """One annotated micro-expression as the database has it: nothing is left out and nothing is repaired.

    Attributes:
        dataset: name of the database, as "casme2".
        subject: the person, padded as in the MEGC2019 log: "sub01", "006", "s01".
        clip: name of the clip, unique within (dataset, subject).
        emotion: the database's word in lower case: an emotion, "others", or a class.
        frames: folders or videos that hold the frames, the preferred one first; empty where there is none.
        onset: frame number; None: the first existing frame.
        apex: frame number; None: not annotated, or not a number.
        offset: frame number; None: the last existing frame.
        where: file and row of the annotation, for messages: "CASME2-coding.xlsx, row 17".
        action_units: numbers of the action units, ascending; empty where none are annotated.
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
    action_units: tuple[int, ...] = ()

    @property
    def key(self) -> ClipKey:
        """(dataset, subject, clip)."""
        return (self.dataset, self.subject, self.clip)

    @property
    def name(self) -> str:
        """``dataset/subject/clip``, for messages."""
        return "/".join(self.key)


@dataclass(frozen=True)
class Finding:
    """One observation about the data that a user should know, with its place and remedy.

    Attributes:
        kind: "error" (stops preparation), "missing" (an expected clip that is absent), "surplus" (a folder or row that
            no clip uses), "excluded" (left out by the protocol's rule), "repair" (a change to come), "assumed" (a
            database's layout that was never tried), "shared" (frames of a clip of another subject), or "note".
        clip: ``dataset/subject/clip``, or the database's name where the finding is about no single clip.
        where: the file, row or folder.
        message: the observation.
        remedy: what the user can do; empty where nothing needs doing.
    """

    kind: str
    clip: str
    where: str
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class DatabaseAnnotation:
    """The annotation of a whole database.

    Attributes:
        annotations: every annotated clip, in the order of the table.
        findings: folders without a row, unusual cells, the choice of the table.
    """

    annotations: Sequence[Annotation]
    findings: Sequence[Finding] = ()


@dataclass(frozen=True)
class Source:
    """One database to read, as the command line gives it.

    Attributes:
        name: key of ``READERS``, and the ``dataset`` of its annotations: "casme2".
        root: folder of the unpacked database: frames at any depth, usually the workbook too.
        annotation: the workbook to use instead of the one found below ``root``.
        release: one of ``RELEASES``, whose folders alone are used; None: the preferred release of each clip.

    Raises:
        UserError: the release is unknown.
    """

    name: str
    root: Path
    annotation: Path | None = None
    release: str | None = None

    def __post_init__(self) -> None:
        if self.release is not None and self.release not in RELEASES:
            hint = did_you_mean(self.release, RELEASES)
            raise UserError(f"release {self.release!r} of {self.name}{hint}: give one of {', '.join(RELEASES)}")


@dataclass(frozen=True)
class Columns:
    """Names of the columns of an annotation table, in any case and spacing; "a|b" means either of two names.

    The defaults are those of CASME II.
    """

    subject: str = "Subject"
    clip: str = "Filename"
    onset: str = "OnsetFrame"
    apex: str = "ApexFrame"
    offset: str = "OffsetFrame"
    emotion: str = "Estimated Emotion"


def is_remark_row(row: Row, columns: Columns) -> bool:
    """Return whether a row holds a remark instead of a clip: neither a clip's name nor an onset."""
    return not row.text(columns.clip) and row.integer(columns.onset) is None


def parse_frame_number(table: Table, row: Row, column: str, clip: str) -> int:
    """Return the frame number in a cell.

    Raises:
        UserError: the cell holds no whole number of 0 or more.
    """
    number = row.integer(column)
    if number is None or number < 0:
        raise _cell_error(table, row, column, f"of clip {clip} is not a frame number")
    return number


def parse_subject(table: Table, row: Row, column: str = Columns.subject) -> int:
    """Return the subject's number: 1 of "01", "sub01", 1.

    Raises:
        UserError: the cell holds no number.
    """
    match = re.fullmatch(r"[^0-9]*([0-9]{1,9})", re.sub(r"\.0*$", "", row.text(column)))
    if match is None or row.text(column).startswith("-"):
        raise _cell_error(table, row, column, "is not a subject's number")
    return int(match[1])


def parse_clip_name(table: Table, row: Row, column: str = Columns.clip) -> str:
    """Return the text of a cell that names a clip.

    Raises:
        UserError: the cell is empty, or cannot be a folder's name.
    """
    try:
        return check_name(row.text(column), column)
    except UserError as error:
        raise UserError(f"{table.location(row)}: {error}") from None


def parse_action_units(text: str) -> tuple[int, ...]:
    """Return the numbers of the action units in a cell, ascending; () of "?" or an empty cell.

    Sides, intensities and alternatives are not kept: "(R6 or R12)+L15B" is 6, 12 and 15.
    """
    return tuple(sorted({int(unit) for unit in re.findall(r"(?<![0-9])[1-9][0-9]?(?![0-9])", text)}))


def parse_annotation(
    table: Table, row: Row, dataset: str, subject: str, clip: str, columns: Columns
) -> tuple[Annotation, list[Finding]]:
    """Return the annotation of a row, still without frames, and a note on an apex that is no number.

    An apex outside onset to offset is kept: ``repair_annotation`` replaces it later (docs/databases.md, "Rules for
    reading", rule 3).

    Raises:
        UserError: onset or offset is no frame number, or the emotion is empty.
    """
    name, where, emotion = f"{dataset}/{subject}/{clip}", table.location(row), row.text(columns.emotion).lower()
    if not emotion:
        raise _cell_error(table, row, columns.emotion, f"of clip {name} is empty")
    onset, offset = (parse_frame_number(table, row, column, name) for column in (columns.onset, columns.offset))
    apex, findings = row.integer(columns.apex), []
    if apex is None or apex < 0:
        apex = None
        message = (
            f"the apex is {text!r}, not a frame number" if (text := row.text(columns.apex)) else "the apex is empty"
        )
        findings.append(Finding("note", name, where, message, "it is spotted where the clip is used"))
    units = parse_action_units("+".join(row.text(column) for column in _ACTION_UNIT_COLUMNS))
    return Annotation(dataset, subject, clip, emotion, (), onset, apex, offset, where, units), findings


def _cell_error(table: Table, row: Row, column: str, problem: str) -> UserError:
    name, text = column.split("|")[0], row.text(column)
    return UserError(f"{table.location(row)}: {name} {text!r} {problem}{date_hint(text)}; correct the cell")
