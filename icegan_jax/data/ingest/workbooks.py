"""The search for the annotation table of a database among the workbooks and csv files beside its frames."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from icegan_jax.data.ingest.annotation import Columns, Finding, Source
from icegan_jax.data.ingest.spreadsheets import Table, WrongTableError, find_tables, read_table
from icegan_jax.errors import UserError

# docs/databases.md, "Identifiers": EP02_01f; 006_1_2; s1_ne_01; S03-01-002.
_CLIP_NAMES = {
    "CASME II": re.compile(r"ep\d+.*", re.IGNORECASE),
    "SAMM": re.compile(r"\d{1,3}_\d{1,2}_\d{1,3}"),
    "SMIC": re.compile(r"s\d+_(ne|po|sur)_\d+", re.IGNORECASE),
    "MMEW": re.compile(r"s\d+-\d+-\d+", re.IGNORECASE),
}


def has_name_pattern(name: str, title: str) -> bool:
    """Return whether a clip's name has the pattern of the database ``title``, as "CASME II"."""
    return bool(_CLIP_NAMES[title].fullmatch(name))


def guess_database(names: Iterable[str]) -> str | None:
    """Return the database whose pattern most clip names have; None where most have no known pattern.

    CASME and CASME II name their clips alike: both are "CASME II" here.
    """
    counts: Counter[str | None] = Counter()
    for name in names:
        counts[next((title for title in _CLIP_NAMES if has_name_pattern(name, title)), None)] += 1
    return counts.most_common(1)[0][0] if counts else None


def guess_other_database(names: Iterable[str], title: str) -> str | None:
    """Return which other database most clip names belong to; None where they may be those of ``title``."""
    other = guess_database(names) if title in _CLIP_NAMES else None
    return None if other == title else other


def find_workbook(
    source: Source,
    title: str,
    columns: Sequence[str],
    *,
    file_names: Sequence[str],
    clip_column: str = Columns.clip,
    sheet: str | None = None,
    reject: Callable[[Table], str] = lambda table: "",
    is_newer: Callable[[Table], bool] = lambda table: False,
) -> tuple[Table, list[Finding]]:
    """Read ``source.annotation``, or the best table below ``source.root`` that has the columns.

    Of several tables the best is one with a distributed file name, then a newer coding, then the one with the latest
    date in its name, then the one with the most rows.

    Args:
        source: the database, and the table if the user names it.
        title: name of the database, as "CASME II".
        columns: names of the required columns, as ``read_table`` takes them.
        file_names: the file names of the distributed table, for messages and as a preference.
        clip_column: the column that holds the clip's name.
        sheet: the sheet to prefer.
        reject: why a table is of another database; "" where the table fits.
        is_newer: whether a table is a newer coding than others.

    Returns:
        The table, and findings: which of several tables is used, and which could not be read.

    Raises:
        WrongTableError: there are tables, but none has the columns, or they are of another database.
        UserError: there is no table, or none that can be read.
    """

    def read(path: Path) -> Table:
        table = read_table(path, columns, sheet=sheet)
        names = [name for row in table.rows if (name := row.text(clip_column))]
        other = guess_other_database(names, title)
        reason = f"looks like the annotation of {other}, not of {title}" if other else reject(table)
        if reason:
            raise WrongTableError(f"{path}: {reason}; give {' or '.join(file_names)}")
        return table

    if source.annotation is not None:
        return read(source.annotation), []
    paths = find_tables(source.root)
    if not paths:
        raise UserError(
            f"{source.root}: no workbook of {title} (.xlsx, .xls, .csv); put {' or '.join(file_names)} there, "
            "or name it with --annotation"
        )
    tables: list[Table] = []
    wrong: list[UserError] = []
    unreadable: list[tuple[Path, UserError]] = []
    for path in paths:
        try:
            tables.append(read(path))
        except WrongTableError as error:
            wrong.append(error)
        except UserError as error:
            unreadable.append((path, error))
    if not tables:
        raise _no_table(source, title, file_names, [error for _, error in unreadable], wrong)
    best = max(tables, key=lambda table: _rank(table, file_names, is_newer))
    findings = [Finding("note", source.name, str(path), f"not used: {error}") for path, error in unreadable]
    if len(tables) > 1:
        others = ", ".join(table.path.name for table in tables if table is not best)
        message = f"used for the annotation, not {others}"
        findings.append(Finding("note", source.name, str(best.path), message, "name another with --annotation"))
    return best, findings


def _rank(table: Table, file_names: Sequence[str], is_newer: Callable[[Table], bool]) -> tuple[bool, bool, str, int]:
    """Return the key by which tables are compared, the greatest being the best."""
    date = re.search(r"(?<!\d)20\d{6}(?!\d)", table.path.stem)
    stems = [re.split(r"[-_]?\d{4,}", Path(name).stem)[0].lower() for name in file_names]
    has_known_name = any(table.path.stem.lower().startswith(stem) for stem in stems)
    return has_known_name, is_newer(table), date[0] if date else "", len(table.rows)


def _no_table(
    source: Source, title: str, file_names: Sequence[str], unreadable: Sequence[UserError], wrong: Sequence[UserError]
) -> UserError:
    errors = [*unreadable, *wrong]
    if len(errors) == 1:
        return errors[0]
    kind = UserError if unreadable else WrongTableError
    return kind(
        f"{source.root}: none of {len(errors)} tables is the annotation of {title}; put {' or '.join(file_names)} "
        f"there, or name it with --annotation (the first: {errors[0]})"
    )
