"""Checks of the names of databases, subjects, clips and classes, which become folders and cells of tables."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from icegan_jax.errors import UserError

# First characters that make a spreadsheet program read a cell as a formula (OWASP, CSV injection).
FORMULA_PREFIXES = "=+-@"
# Bytes of a name in UTF-8. The folder of a fold is named DATASET_SUBJECT, and a file system allows 255 bytes.
MAX_NAME_BYTES = 100
_PATH_CHARACTERS = '/\\:"'
_MONTH = "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DATE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?"  # in a workbook
    rf"|\d{{1,4}}/\d{{1,2}}/\d{{1,4}}|\d{{1,2}}-{_MONTH}(-\d{{2,4}})?|{_MONTH}-\d\d"  # in a csv
)


def check_classes(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the classes as a tuple, after checking that data can be labeled with them.

    The names of classes become labels in a csv, columns of predictions.csv and lines of a text file.

    Raises:
        UserError: there is no name, or a name is empty, has spaces around it, has a control character, begins like a
            formula, or occurs twice (in upper or lower case).
    """
    if not names:
        raise UserError("no classes; name at least one")
    folded: set[str] = set()
    for name in names:
        if not name or name != name.strip() or not name.isprintable():
            raise UserError(f"class {name!r} cannot be a name; give words without control characters")
        if name[0] in FORMULA_PREFIXES:
            raise UserError(
                f"class {name!r} begins with {name[0]!r}, which a spreadsheet takes for a formula; rename it"
            )
        if name.casefold() in folded:
            raise UserError(f"class {name!r} is there twice; name each class once")
        folded.add(name.casefold())
    return tuple(names)


def check_name(name: str, field: str) -> str:
    """Return ``name``, after checking that the name can be part of a folder's name and a cell of a table.

    Folders of a run are named after datasets and subjects; names of clips occur in tables only.

    Raises:
        UserError: the name is empty, is longer than 100 bytes, starts with a dot or like a formula, ends with a dot or
            a space, or has a path separator, "..", a control character or an invisible character.
    """
    if not name:
        raise UserError(f"{field} is empty; give it a name")
    text = repr(name) if len(name) <= MAX_NAME_BYTES else f"{name[: MAX_NAME_BYTES // 2]!r}..."
    if _DATE.fullmatch(name):
        raise UserError(f"{field} {text} is a date{date_hint(name)}")
    if ".." in name or name.startswith(".") or any(c in _PATH_CHARACTERS for c in name):
        raise UserError(f"{field} {text} cannot be a folder name; remove '/', '\\', ':', '\"', '..' and leading dots")
    if name[0] in FORMULA_PREFIXES:
        raise UserError(f"{field} {text} begins with {name[0]!r}, which a spreadsheet takes for a formula; rename it")
    if not name.isprintable():
        raise UserError(f"{field} {text} cannot be a folder name; remove control characters and invisible ones")
    if name != name.strip() or name.endswith("."):
        raise UserError(f"{field} {text} cannot be a folder name; remove spaces around it and dots at its end")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise UserError(
            f"{field} {text} is too long for a folder name: {len(name.encode())} bytes; give {MAX_NAME_BYTES} at most"
        )
    return name


def date_hint(text: str) -> str:
    """Return what to do about a cell that a spreadsheet program turned into a date, such as 1-2; "" for other texts."""
    if not _DATE.fullmatch(text):
        return ""
    return ": a spreadsheet program made it of something else; format the column as text and enter the value again"


def check_subjects(people: Iterable[tuple[str, str]]) -> None:
    """Check that every (dataset, subject) can have a folder of its own in a run directory.

    Raises:
        UserError: a name is not allowed, or there is a conflict (``subject_conflicts``).
    """
    people = list(people)
    for dataset, subject in people:
        check_name(dataset, "dataset")
        check_name(subject, "subject")
    for _, message, remedy in subject_conflicts(people):
        raise UserError(f"{message}; {remedy}")


def subject_conflicts(people: Iterable[tuple[str, str]]) -> Iterator[tuple[int, str, str]]:
    """Yield position, error message and remedy of each (dataset, subject) that is one with an earlier one.

    A file system may not distinguish upper from lower case (macOS, Windows), or two encodings of an accent. Subjects
    whose names differ in leading zeros are taken as one person, who must not be in training and test of a fold.
    """
    earlier: dict[str, tuple[str, str]] = {}
    for position, (dataset, subject) in enumerate(people):
        folder = f"{dataset}_{subject}"
        first = earlier.setdefault(normalize_name(folder), (dataset, subject))
        if first == (dataset, subject):
            continue
        names = f"{'/'.join(first)!r} and {f'{dataset}/{subject}'!r}"
        if _fold_case("_".join(first)) == _fold_case(folder):
            problem, remedy = f"two subjects would share the folder {folder}, on some disks at least", "rename one"
        else:
            problem, remedy = "differ in leading zeros only", "give one person one name, and two people different ones"
        yield position, f"{names}: {problem}", f"{remedy} in clips.csv"


def spreadsheet_cell(value: object) -> str:
    """Return a value as the text of a spreadsheet's cell, with an apostrophe before a text that begins like a formula.

    Numbers, including negative numbers, are not changed.
    """
    text = str(value).encode("utf-8", "backslashreplace").decode()  # half of a surrogate pair cannot be encoded
    text = text.replace("\r", " ")  # the csv module does not quote "\r" and reads it as the end of a row
    if not text.lstrip().startswith(tuple(FORMULA_PREFIXES)):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def normalize_name(name: str) -> str:
    """Return a name without case and padding: "s1_ne_1" of "S01_ne_01"."""
    return re.sub("[0-9]+", lambda digits: digits[0].lstrip("0") or "0", _fold_case(name))


def _fold_case(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
