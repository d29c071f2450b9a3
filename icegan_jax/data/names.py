"""Names from data: of databases, people, clips and classes, which become folders, cells of tables and text on pages."""

import unicodedata
from collections.abc import Iterable, Sequence

from icegan_jax.errors import UserError

# First characters that make a spreadsheet take a cell for a formula (OWASP, CSV injection).
FORMULA = "=+-@"
# Bytes in UTF-8 of a name. A fold's folder is called DATASET_SUBJECT, and a name on a disk has 255 bytes at most.
LONGEST = 100
_PATH_CHARACTERS = '/\\:"'


def check_classes(names: Sequence[str]) -> tuple[str, ...]:
    """Returns the names of classes, in label order, where data can be labelled with them.

    They become labels in a csv, columns of predictions.csv and lines of a text file.

    Raises:
        UserError: there is none, or one is empty, has spaces around it, holds a control character,
            begins like a formula, or is there twice (in any case).
    """
    if not names:
        raise UserError("no classes; name at least one")
    seen: set[str] = set()
    for name in names:
        if not name or name != name.strip() or not name.isprintable():
            raise UserError(f"class {name!r} cannot be a name; give words without control characters")
        if name[0] in FORMULA:
            raise UserError(
                f"class {name!r} begins with {name[0]!r}, which a spreadsheet takes for a formula; rename it"
            )
        if name.casefold() in seen:
            raise UserError(f"class {name!r} is there twice; name each class once")
        seen.add(name.casefold())
    return tuple(names)


def check_name(name: str, field: str) -> str:
    """Returns ``name`` where it can serve as part of a folder's name, and as a cell of a table.

    Folders of a run are called after datasets and subjects; clips are only written down.

    Raises:
        UserError: it is empty, is longer than 100 bytes, starts with a dot or like a formula, ends with a
            dot or a space, or holds a path separator, "..", a control character or an invisible one.
    """
    if not name:
        raise UserError(f"{field} is empty; give it a name")
    text = repr(name) if len(name) <= LONGEST else f"{name[: LONGEST // 2]!r}..."
    if ".." in name or name.startswith(".") or any(c in _PATH_CHARACTERS for c in name):
        raise UserError(f"{field} {text} cannot be a folder name; remove '/', '\\', ':', '\"', '..' and leading dots")
    if name[0] in FORMULA:
        raise UserError(f"{field} {text} begins with {name[0]!r}, which a spreadsheet takes for a formula; rename it")
    if not name.isprintable():
        raise UserError(f"{field} {text} cannot be a folder name; remove control characters and invisible ones")
    if name != name.strip() or name.endswith("."):
        raise UserError(f"{field} {text} cannot be a folder name; remove spaces around it and dots at its end")
    if len(name.encode()) > LONGEST:
        raise UserError(
            f"{field} {text} is too long for a folder name: {len(name.encode())} bytes; give {LONGEST} at most"
        )
    return name


def check_people(people: Iterable[tuple[str, str]]) -> None:
    """Refuses people, (dataset, subject) each, whose folders in a run directory would be one.

    A disk may take upper and lower case for the same (macOS, Windows), or two ways to write an accent.

    Raises:
        UserError: a name is none, or two people would share the folder DATASET_SUBJECT.
    """
    folders: dict[str, tuple[str, str]] = {}
    for dataset, subject in people:
        check_name(dataset, "dataset")
        check_name(subject, "subject")
        folder = f"{dataset}_{subject}"
        first = folders.setdefault(_on_any_disk(folder), (dataset, subject))
        if first != (dataset, subject):
            raise UserError(
                f"{'/'.join(first)!r} and {f'{dataset}/{subject}'!r}: two subjects would share the folder {folder}, on "
                "some disks at least; rename one in clips.csv"
            )


def cell(value: object) -> str:
    """Text for a cell that a person opens in a spreadsheet: what looks like a formula gets an apostrophe in front.

    Numbers, negative ones too, stay as they are.
    """
    text = str(value).encode("utf-8", "backslashreplace").decode()  # half of a surrogate pair is no text
    text = text.replace("\r", " ")  # which the csv module does not quote, and reads as the end of a row
    if not text.lstrip().startswith(tuple(FORMULA)):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def _on_any_disk(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
