"""Tells the databases apart by the shape of their clips' names.

Finds the annotation of a database among the tables that lie beside its frames.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from icegan_jax.data.ingest.annotation import Finding, Source
from icegan_jax.data.ingest.spreadsheets import WrongTableError
from icegan_jax.data.ingest.spreadsheets import Table
from icegan_jax.data.ingest.spreadsheets import find_tables
from icegan_jax.data.ingest.spreadsheets import read_table
from icegan_jax.errors import UserError

# docs/databases.md, "Identifiers": EP02_01f; 006_1_2; s1_ne_01; S03-01-002.
_SHAPES = {
    "CASME II": re.compile(r"ep\d+.*", re.IGNORECASE),
    "SAMM": re.compile(r"\d{1,3}_\d{1,2}_\d{1,3}"),
    "SMIC": re.compile(r"s\d+_(ne|po|sur)_\d+", re.IGNORECASE),
    "MMEW": re.compile(r"s\d+-\d+-\d+", re.IGNORECASE),
}


def has_name_pattern(name: str, title: str) -> bool:
    """Returns whether a clip's name has the shape that the database ``title`` uses: "CASME II"."""
    return bool(_SHAPES[title].fullmatch(name))


def guess_database(names: Iterable[str]) -> str | None:
    """Returns the database whose shape most of the names have; None where most have no known one.

    CASME and CASME II name their clips alike: both are "CASME II" here.
    """
    counts: Counter[str | None] = Counter()
    for name in names:
        counts[next((title for title in _SHAPES if has_name_pattern(name, title)), None)] += 1
    return counts.most_common(1)[0][0] if counts else None


def guess_other_database(names: Iterable[str], title: str) -> str | None:
    """Returns which other database most names belong to; None where they may be those of ``title``."""
    other = guess_database(names) if title in _SHAPES else None
    return None if other == title else other


def find_workbook(
    source: Source,
    title: str,
    columns: Sequence[str],
    *,
    usual: Sequence[str],
    clip: str = "filename",
    sheet: str | None = None,
    refuse: Callable[[Table], str] = lambda table: "",
    newer: Callable[[Table], bool] = lambda table: False,
) -> tuple[Table, list[Finding]]:
    """Reads ``source.annotation``, or the best table below ``source.root`` that has the columns.

    Of several: one with a usual name before others, then ``newer`` ones, then by the date in the
    name, then the one with more rows.

    Args:
        title: name of the database, as "CASME II".
        columns: what ``read_table`` requires.
        usual: the file names that the database comes with, for messages and preference.
        clip: the column that holds the clip's name.
        sheet: the sheet to prefer.
        refuse: why a table is not wanted; "" where it is.
        newer: whether a table is a newer coding than those without.

    Returns:
        The table, and findings: which of several was used, and which could not be read.

    Raises:
        OtherTable: tables, but none with the columns, or another database's.
        UserError: no table, or none that can be read.
    """

    def read(path: Path) -> Table:
        table = read_table(path, columns, sheet=sheet)
        other = guess_other_database((row.text(clip) for row in table.rows if row.text(clip)), title)
        reason = f"looks like the annotation of {other}, not of {title}" if other else ""
        if reason := reason or refuse(table):
            raise WrongTableError(f"{path}: {reason}; give {' or '.join(usual)}")
        return table

    if source.annotation is not None:
        return read(source.annotation), []
    paths = find_tables(source.root)
    if not paths:
        raise UserError(
            f"{source.root}: no workbook of {title} (.xlsx, .xls, .csv); put {' or '.join(usual)} there, "
            "or name it with --annotation"
        )
    tables: list[Table] = []
    other_tables: list[UserError] = []
    damaged: list[tuple[Path, UserError]] = []
    for path in paths:
        try:
            tables.append(read(path))
        except WrongTableError as error:
            other_tables.append(error)
        except UserError as error:
            damaged.append((path, error))
    if not tables:
        raise _none_fits(source, title, usual, [error for _, error in damaged], other_tables)
    best = max(tables, key=lambda table: _rank(table, usual, newer))
    findings = [Finding("note", source.name, str(path), f"not used: {error}") for path, error in damaged]
    if len(tables) > 1:
        others = ", ".join(table.path.name for table in tables if table is not best)
        message = f"used for the annotation, not {others}"
        findings.append(Finding("note", source.name, str(best.path), message, "name another with --annotation"))
    return best, findings


def _rank(table: Table, usual: Sequence[str], newer: Callable[[Table], bool]) -> tuple[bool, bool, str, int]:
    date = re.search(r"(?<!\d)20\d{6}(?!\d)", table.path.stem)
    stems = [re.split(r"[-_]?\d{4,}", Path(name).stem)[0].lower() for name in usual]
    known = any(table.path.stem.lower().startswith(stem) for stem in stems)
    return known, newer(table), date[0] if date else "", len(table.rows)


def _none_fits(
    source: Source, title: str, usual: Sequence[str], damaged: Sequence[UserError], other_tables: Sequence[UserError]
) -> UserError:
    errors = [*damaged, *other_tables]
    if len(errors) == 1:
        return errors[0]
    kind = UserError if damaged else WrongTableError
    return kind(
        f"{source.root}: none of {len(errors)} tables is the annotation of {title}; put {' or '.join(usual)} "
        f"there, or name it with --annotation (the first: {errors[0]})"
    )
