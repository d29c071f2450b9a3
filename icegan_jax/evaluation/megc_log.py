"""Predictions out of the log that MEGC2019 asked for (docs/databases.md, "MEGC2019 log").

casme2 sub01
EP02_01f 1 1
EP03_02 0 0
smic s01
s01_ne_01 0 0

A line with database and subject, then a line per clip with its name, true class and answer.
"""

from collections.abc import Sequence
from pathlib import Path

from icegan_jax.errors import UserError

Columns = tuple[list[str], list[str], list[str], list[str], list[str]]

_HEAD, _CLIP = 2, 3  # words on a line


def is_megc_log(lines: Sequence[str]) -> bool:
    """Whether the first line names a database and a subject and the second a clip with two classes."""
    words = [line.split() for line in lines[:2]]
    return [len(found) for found in words] == [_HEAD, _CLIP] and all(word.isdecimal() for word in words[1][1:])


def read_megc_log(path: Path, text: str) -> Columns:
    """Read the log.

    Args:
      path: of the log, for messages.
      text: what it holds; empty lines are passed over.

    Returns:
      For each clip, in the log's order: databases, subjects, clips, true classes and answers, the
      classes as decimal numbers.

    Raises:
      UserError: a line is neither of the two, or a subject has no clip.
    """
    columns: Columns = ([], [], [], [], [])
    head: list[str] = []
    empty = 0  # line of a head that has no clip yet
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if len(words) == _HEAD and not empty:
            head, empty = words, number
        elif len(words) == _CLIP and head and all(word.isdecimal() for word in words[1:]):
            for column, word in zip(columns, [*head, words[0], *(str(int(word)) for word in words[1:])], strict=True):
                column.append(word)
            empty = 0
        elif words:
            raise _neither(path, number)
    if empty:
        raise _neither(path, empty)
    return columns


def _neither(path: Path, number: int) -> UserError:
    return UserError(
        f"{path}:{number}: expected 'DATABASE SUBJECT' and below it 'CLIP TRUTH ANSWER' for each clip: mend the line"
    )
