"""The organizers' list of the MEGC2019 clips: an optional further check for users who have the list."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.data.ingest.annotation import ClipKey, Finding
from icegan_jax.data.ingest.expected_counts import compare_with_expected_counts
from icegan_jax.data.ingest.protocol import MEGC2019_DATABASES, ClipSelection
from icegan_jax.data.ingest.spreadsheets import Row, Table, normalize_column, read_headerless_table, read_table
from icegan_jax.errors import UserError

# Without a header the columns are these; with one they have these names (docs/databases.md, "MEGC2019 official list").
_COLUMNS = ("dataset", "subject", "clip", "label")
_HEADER = ("dataset|data|database", "subject|sub", "clip|filename_o|filename", "label")

# Patterns of the subjects' names, and spellings of the databases' names.
_SUBJECTS = {"casme2": "sub{:02d}", "samm": "{:03d}", "smic": "s{:02d}"}
_DATASETS = {"casme2": "casme2", "casmeii": "casme2", "samm": "samm", "smic": "smic", "smichs": "smic"}

# The clip that the form of 441 rows lacks (docs/databases.md, "MEGC2019 official list").
_NOT_441 = ("samm", "032", "032_3_1")


@dataclass(frozen=True)
class OfficialClip:
    """One row of the list, with the names of ``Annotation``: dataset "casme2", subject "sub01", "006" or "s01"."""

    dataset: str
    subject: str
    clip: str
    label: int
    where: str

    @property
    def key(self) -> ClipKey:
        """(dataset, subject, clip)."""
        return (self.dataset, self.subject, self.clip)


def read_official_list(path: str | Path) -> list[OfficialClip]:
    """Read the organizers' csv in any of its forms (docs/databases.md, "MEGC2019 official list").

    The forms have 442 or 441 rows, may have a header, blank lines and further columns, and write subjects with or
    without padding and prefix.

    Raises:
        UserError: the file cannot be read, a row names no clip of MEGC2019, or a clip occurs twice. The message names
            the row.
    """
    table = read_headerless_table(path, _COLUMNS)
    if _label(table.rows[0].text("label")) is None:
        table = read_table(path, _HEADER)
    rows: dict[ClipKey, OfficialClip] = {}
    for row in table.rows:
        listed = _official_clip(row, table)
        if listed.key in rows:
            raise UserError(
                f"{listed.where}: clip {'/'.join(listed.key)} is already in {rows[listed.key].where}; remove one"
            )
        rows[listed.key] = listed
    if not rows:
        raise UserError(f"{table.path}: holds no clips; give the organizers' csv")
    return list(rows.values())


def _official_clip(row: Row, table: Table) -> OfficialClip:
    dataset = _DATASETS.get(normalize_column(row.text("dataset")))
    number = re.search(r"([0-9]{1,3})(\.0)?$", row.text("subject"))
    clip, label = row.text("clip"), _label(row.text("label"))
    if dataset is None or number is None or not clip or label is None:
        cells = {"dataset": dataset, "subject": number, "clip": clip or None, "label": label}
        column = next(name for name, value in cells.items() if value is None)
        raise UserError(
            f"{table.location(row)}: {column} {row.text(column)!r} is none of MEGC2019, whose databases are "
            f"{', '.join(MEGC2019_DATABASES)} and whose labels are 0, 1, 2; correct the cell"
        )
    subject = _SUBJECTS[dataset].format(int(number[1]))
    if dataset != "casme2":  # the clip's name begins with the subject, padded or not
        clip = re.sub(r"^s?[0-9]+_", f"{subject}_", clip, flags=re.IGNORECASE)
    return OfficialClip(dataset, subject, clip, label, table.location(row))


def _label(text: str) -> int | None:
    return int(float(text)) if re.fullmatch(r"[0-2](\.0*)?", text) else None


def compare_with_official_list(
    official: Sequence[OfficialClip], selection: ClipSelection, present: Collection[ClipKey]
) -> list[Finding]:
    """Compare the clips that the rules select with the organizers' list.

    Only databases that the user gives and that are in the list are compared. A clip that
    ``compare_with_expected_counts`` reports is not reported again.

    Args:
        official: the rows of the list.
        selection: the clips of protocol "megc2019".
        present: (dataset, subject, clip) of the clips that have frames.

    Returns:
        A "missing" or "surplus" finding for each clip, an "error" for each label that differs, and notes.

    Raises:
        UserError: the protocol is another one.
    """
    if selection.protocol != "megc2019":
        raise UserError(
            f"the organizers' list is of protocol megc2019, not {selection.protocol}; "
            "remove --official or use --protocol=megc2019"
        )
    findings: list[Finding] = []
    remedy = "correct the annotation, or remove --official"
    reported = {f.clip for f in compare_with_expected_counts(selection, present)}
    reasons = {f.clip: f.message for f in selection.findings if f.kind == "excluded"}
    rows = {listed.key: listed for listed in official}
    databases = {listed.dataset for listed in official}
    for dataset in selection.datasets:
        if dataset not in databases:
            findings.append(Finding("note", dataset, official[0].where, "the organizers' list has no clip of it"))
    for annotation, label in selection.annotations:
        if annotation.dataset not in databases or annotation.key not in present:
            continue
        listed, name, where = rows.get(annotation.key), annotation.name, annotation.where
        if listed is None and annotation.key == _NOT_441:
            message = "not in the organizers' list: it is the form of 441 rows, which lacks this clip alone"
            findings.append(Finding("note", name, where, message))
        elif listed is None and name not in reported:
            findings.append(Finding("surplus", name, where, "not in the organizers' list", remedy))
        elif listed is not None and listed.label != label:
            message = f"{EXPRESSIONS[label]} here, {EXPRESSIONS[listed.label]} in {listed.where}"
            findings.append(Finding("error", name, where, message, remedy))
    for listed in official:
        name = "/".join(listed.key)
        if listed.dataset in selection.datasets and listed.key not in present and name not in reported:
            why = f"but was left out: {reasons[name]}" if name in reasons else "but not in the annotation"
            findings.append(Finding("missing", name, listed.where, f"in the organizers' list, {why}", remedy))
    return findings
