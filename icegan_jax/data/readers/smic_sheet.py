"""The workbook of SMIC-E: onset and offset of each long clip (docs/databases.md, "SMIC")."""

from dataclasses import dataclass

from icegan_jax.data.annotation import Finding
from icegan_jax.data.readers.matching import Key
from icegan_jax.data.readers.rows import frame_number
from icegan_jax.data.readers.smic_names import TITLE, camera_of, clip_key, emotion_of
from icegan_jax.data.readers.source import Source
from icegan_jax.data.readers.workbook import find_workbook
from icegan_jax.data.tables import OtherTable, Row, Table, find_tables
from icegan_jax.errors import UserError

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
class Entry:
    """A row, its clip as MEGC2019 names it, and the columns of onset and offset."""

    key: Key
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
        onset, offset = (frame_number(self.table, self.row, column, clip) for column in self.columns)
        return onset, offset


def read_sheet(source: Source, camera: str, needed: bool) -> tuple[list[Entry], list[Finding]]:
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
        if isinstance(error, OtherTable):
            return [], []
        return [], [Finding("note", source.name, str(source.root), f"no workbook is used, none is needed: {error}")]
    entries = []
    onset, offset = (name.split("|")[0] for name in _COLUMNS[camera][2:])
    for row in table.rows:
        subject = row.integer("subject")
        if subject is None:
            break
        entries.append(Entry(_key(table, row, subject), table, row, (onset, offset)))
    if not entries:
        raise UserError(f"{table.path}: no row below the header has a whole number as Subject; restore the column")
    return entries, findings


def _key(table: Table, row: Row, subject: int) -> Key:
    key = clip_key(row.text("filename"))
    if key is None or key[0] != f"s{subject:02d}":
        raise UserError(
            f"{table.place(row)}: Filename {row.text('filename')!r} is no clip of subject {subject}; SMIC's are "
            f"named s{subject}_ne_01, say; correct the cell"
        )
    return key


def emotion_notes(dataset: str, entry: Entry) -> list[Finding]:
    """Returns a finding where the workbook's Emotion is not the clip's by its name."""
    emotion, by_name = entry.row.text("emotion").lower(), emotion_of(entry.key[1])
    if emotion in ("", by_name):
        return []
    message = f"the workbook says {emotion!r}, the clip's name {by_name}, which counts"
    return [Finding("note", "/".join((dataset, *entry.key)), entry.where, message)]


def further_notes(dataset: str, entry: Entry) -> list[Finding]:
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
