"""Tells the databases apart by the shape of their clips' names."""

import re
from collections import Counter
from collections.abc import Iterable

# docs/databases.md, "Identifiers": EP02_01f; 006_1_2; s1_ne_01; S03-01-002.
_SHAPES = {
    "CASME II": re.compile(r"ep\d+.*", re.IGNORECASE),
    "SAMM": re.compile(r"\d{1,3}_\d{1,2}_\d{1,3}"),
    "SMIC": re.compile(r"s\d+_(ne|po|sur)_\d+", re.IGNORECASE),
    "MMEW": re.compile(r"s\d+-\d+-\d+", re.IGNORECASE),
}


def has_shape(name: str, title: str) -> bool:
    """Returns whether a clip's name has the shape that the database ``title`` uses: "CASME II"."""
    return bool(_SHAPES[title].fullmatch(name))


def looks_like(names: Iterable[str]) -> str | None:
    """Returns the database whose shape most of the names have; None where most have no known one.

    CASME and CASME II name their clips alike: both are "CASME II" here.
    """
    counts: Counter[str | None] = Counter()
    for name in names:
        counts[next((title for title in _SHAPES if has_shape(name, title)), None)] += 1
    return counts.most_common(1)[0][0] if counts else None


def another_database(names: Iterable[str], title: str) -> str | None:
    """Returns which other database most names belong to; None where they may be those of ``title``."""
    other = looks_like(names) if title in _SHAPES else None
    return None if other == title else other
