"""The sources of clips, and the search for the three databases of MEGC2019 below one folder."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from icegan_jax.data.databases import READERS
from icegan_jax.data.ingest.annotation import Source
from icegan_jax.data.ingest.spreadsheets import find_tables
from icegan_jax.errors import UserError

# The databases of MEGC2019, in the organizers' order but for SMIC (docs/databases.md, "MEGC2019 official list").
MEGC2019_DATABASES = ("casme2", "samm", "smic")
# Sources that are no single database: a clips.csv, and the three databases of MEGC2019 in one folder.
CLIPS_SOURCE, MEGC2019_SOURCE = "clips", "megc2019"
SOURCE_NAMES = (CLIPS_SOURCE, MEGC2019_SOURCE, *READERS)

# Names of a database's folder, in lower-case letters and digits, and words in the names of other databases' folders.
_FOLDER_WORDS = {"casme2": ("casme2", "casmeii"), "samm": ("samm",), "smic": ("smic",)}
_OTHER_FOLDERS = ("casme^2", "cas(me)", "sammlv", "sammlong", "samm long", "samm-long", "samm_long")


def expand_sources(sources: Sequence[Source]) -> list[Source]:
    """Replace each ``MEGC2019_SOURCE`` by the three databases below its root.

    Raises:
        UserError: a name is unknown, a database is given twice, or is not below the root.
    """
    expanded: list[Source] = []
    for source in sources:
        if source.name == MEGC2019_SOURCE:
            expanded += [
                replace(source, name=name, root=find_database(source.root, name)) for name in MEGC2019_DATABASES
            ]
        elif source.name in SOURCE_NAMES:
            expanded.append(source)
        else:
            raise UserError(f"source {source.name!r} is unknown; use one of {', '.join(SOURCE_NAMES)}")
    names = [s.name for s in expanded if s.name != CLIPS_SOURCE]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"source {', '.join(twice)} is given twice; give one folder that holds all of it")
    return expanded


def find_database(root: Path, name: str) -> Path:
    """Return the folder of one of ``MEGC2019_DATABASES``, which is one or two levels below ``root``, by its name.

    Where several folders side by side match, as SMIC_all_raw and SMIC_all_cropped, or where the workbook lies beside
    the matching folder, the parent folder is returned: the readers ignore folders of other databases.

    Raises:
        UserError: no folder matches, or several that are not side by side.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; give the one that holds CASME II, SAMM and SMIC")
    outer = _folders(root)
    for folders in (outer, [inner for folder in outer for inner in _folders(folder)]):
        matching = [folder for folder in folders if _name_matches(folder.name, name)]
        exact = [folder for folder in matching if _letters_and_digits(folder.name) in _FOLDER_WORDS[name]]
        matching = exact if len(exact) == 1 else matching
        parents = {folder.parent for folder in matching}
        if len(parents) > 1:
            names = ", ".join(str(folder.relative_to(root)) for folder in matching)
            raise UserError(
                f"{root}: {len(matching)} folders could be {name}: {names}; give --source={name} --raw=FOLDER for "
                "each database"
            )
        if matching:
            first = matching[0]
            # SMIC_all needs no workbook; the workbook of another database lies in the folder or beside the folder.
            is_complete = len(matching) == 1 and (name == "smic" or find_tables(first))
            return first if is_complete else first.parent
    existing = ", ".join(folder.name for folder in outer[:8]) or "no folder"
    raise UserError(
        f"{root}: no folder here is called like {' or '.join(_FOLDER_WORDS[name])} (found: {existing}); give "
        f"--source={name} --raw=FOLDER for each database"
    )


def _folders(root: Path) -> list[Path]:
    try:
        return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    except OSError as error:
        raise UserError(f"{root}: cannot be read ({error.strerror}); correct its permissions") from None


def _name_matches(folder: str, name: str) -> bool:
    if any(word in folder.lower() for word in _OTHER_FOLDERS):
        return False
    return any(word in _letters_and_digits(folder) for word in _FOLDER_WORDS[name])


def _letters_and_digits(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
