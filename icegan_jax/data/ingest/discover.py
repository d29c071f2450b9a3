"""Which sources there are, and where the three databases of MEGC2019 lie below one folder."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from icegan_jax.data.databases import READERS, Source
from icegan_jax.data.ingest.spreadsheets import find_tables
from icegan_jax.errors import UserError

# The databases of MEGC2019, in the organisers' order but for SMIC (docs/databases.md, "MEGC2019 official list").
MEGC2019_DATABASES = ("casme2", "samm", "smic")
# Sources that are no database: a clips.csv, and the three of MEGC2019 in one folder.
CLIPS_SOURCE, MEGC2019_SOURCE = "clips", "megc2019"
SOURCE_NAMES = (CLIPS_SOURCE, MEGC2019_SOURCE, *READERS)

# What a database's folder is called, in small letters and digits, and what it is not.
_FOLDER_WORDS = {"casme2": ("casme2", "casmeii"), "samm": ("samm",), "smic": ("smic",)}
_OTHER_FOLDERS = ("casme^2", "cas(me)", "sammlv", "sammlong", "samm long", "samm-long", "samm_long")


def expand_sources(sources: Sequence[Source]) -> list[Source]:
    """Replaces each ``ALL_THREE`` by the three databases found under its root.

    Raises:
        UserError: a name is unknown, a database is given twice, or is not found under the root.
    """
    found: list[Source] = []
    for source in sources:
        if source.name == MEGC2019_SOURCE:
            found += [replace(source, name=name, root=find_database(source.root, name)) for name in MEGC2019_DATABASES]
        elif source.name in SOURCE_NAMES:
            found.append(source)
        else:
            raise UserError(f"source {source.name!r} is unknown; use one of {', '.join(SOURCE_NAMES)}")
    names = [s.name for s in found if s.name != CLIPS_SOURCE]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"source {', '.join(twice)} is given twice; give one folder that holds all of it")
    return found


def find_database(root: Path, name: str) -> Path:
    """Returns the folder of one of ``COMPOSITE`` below ``root``, by its name, one or two levels down.

    Where several folders beside each other could be it, as SMIC_all_raw and SMIC_all_cropped, or
    where the workbook lies beside the one, it is the folder that holds them: readers pass over
    what is not theirs.

    Raises:
        UserError: there is none, or several that do not lie beside each other.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; give the one that holds CASME II, SAMM and SMIC")
    outer = _folders(root)
    for folders in (outer, [inner for folder in outer for inner in _folders(folder)]):
        matching = [folder for folder in folders if _could_be(folder.name, name)]
        exact = [folder for folder in matching if _plain(folder.name) in _FOLDER_WORDS[name]]
        matching = exact if len(exact) == 1 else matching
        parents = {folder.parent for folder in matching}
        if len(parents) > 1:
            names = ", ".join(str(folder.relative_to(root)) for folder in matching)
            raise UserError(
                f"{root}: {len(matching)} folders could be {name}: {names}; give --source={name} --raw=FOLDER for "
                "each database"
            )
        if matching:
            whole = matching[0]
            # SMIC_all needs no workbook; the others' lies within or beside.
            alone = len(matching) == 1 and (name == "smic" or find_tables(whole))
            return whole if alone else whole.parent
    held = ", ".join(folder.name for folder in outer[:8]) or "no folder"
    raise UserError(
        f"{root}: no folder here is called like {' or '.join(_FOLDER_WORDS[name])} (found: {held}); give "
        f"--source={name} --raw=FOLDER for each database"
    )


def _folders(root: Path) -> list[Path]:
    try:
        return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    except OSError as error:
        raise UserError(f"{root}: cannot be read ({error.strerror}); correct its permissions") from None


def _could_be(folder: str, name: str) -> bool:
    if any(word in folder.lower() for word in _OTHER_FOLDERS):
        return False
    return any(word in _plain(folder) for word in _FOLDER_WORDS[name])


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
