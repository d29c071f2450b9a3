"""The organizers' list of the MEGC2019 clips: an optional further check for users who have the list."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.data.ingest.annotation import ClipKey, Finding
from icegan_jax.data.ingest.expected_counts import MEGC2019_COUNTS, compare_with_expected_counts
from icegan_jax.data.ingest.protocol import ClipSelection
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
    where = table.location(row)
    dataset = _DATASETS.get(normalize_column(row.text("dataset")))
    if dataset is None:
        raise UserError(
            f"{where}: database {row.text('dataset')!r} is none of {', '.join(MEGC2019_COUNTS)}; correct the cell"
        )
    number = re.search(r"([0-9]{1,3})(\.0)?$", row.text("subject"))
    if number is None:
        raise UserError(f"{where}: subject {row.text('subject')!r} has no number; correct the cell")
    label = _label(row.text("label"))
    if label is None:
        raise UserError(f"{where}: label {row.text('label')!r} is none of 0, 1, 2; correct the cell")
    subject = _SUBJECTS[dataset].format(int(number[1]))
    clip = row.text("clip")
    if dataset != "casme2":  # the clip's name begins with the subject, padded or not
        clip = re.sub(r"^s?[0-9]+_", f"{subject}_", clip, flags=re.IGNORECASE)
    if not clip:
        raise UserError(f"{where}: the clip's name is empty; correct the cell")
    return OfficialClip(dataset, subject, clip, label, where)


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
    reported = {f.clip for f in compare_with_expected_counts(selection, present)}
    reasons = {f.clip: f.message for f in selection.findings if f.kind == "excluded"}
    rows = {listed.key: listed for listed in official}
    with_frames = set(present)
    for dataset in selection.datasets:
        if not any(listed.dataset == dataset for listed in official):
            findings.append(Finding("note", dataset, official[0].where, "the organizers' list has no clip of it"))
            continue
        for annotation, label in selection.annotations:
            if annotation.dataset != dataset or annotation.key not in with_frames:
                continue
            match = rows.get(annotation.key)
            if match is None and annotation.key == _NOT_441:
                message = "not in the organizers' list: it is the form of 441 rows, which lacks this clip alone"
                findings.append(Finding("note", annotation.name, annotation.where, message))
            elif match is None and annotation.name not in reported:
                remedy = "correct the annotation, or remove --official"
                message = "not in the organizers' list"
                findings.append(Finding("surplus", annotation.name, annotation.where, message, remedy))
            elif match is not None and match.label != label:
                message = f"{EXPRESSIONS[label]} here, {EXPRESSIONS[match.label]} in {match.where}"
                remedy = "correct the annotation, or remove --official"
                findings.append(Finding("error", annotation.name, annotation.where, message, remedy))
        for listed in official:
            name = "/".join(listed.key)
            if listed.dataset == dataset and listed.key not in with_frames and name not in reported:
                why = f"but was left out: {reasons[name]}" if name in reasons else "but not in the annotation"
                message, remedy = f"in the organizers' list, {why}", "correct the annotation, or remove --official"
                findings.append(Finding("missing", name, listed.where, message, remedy))
    return findings
