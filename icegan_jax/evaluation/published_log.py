"""Predictions out of a text log: for each subject a line that names it, then two lists in brackets.

Subject: sub01
predicted    : [0, 0, 2]
ground truth : [0, 1, 2]

A log without one line "Subject: NAME" may have "subject NAME" or the bare name instead.
"""

import re
from pathlib import Path

from icegan_jax.errors import UserError

_SUBJECT = re.compile(r"\bsub(?:ject)?(?:[ _]?(?:name|id|no|number))?\s*[:=#]\s*([\w.-]+)", re.IGNORECASE)
_SUBJECT_LINE = re.compile(r"^\W*subject\s+([\w.-]+)\W*$", re.IGNORECASE)
_BARE_LINE = re.compile(r"^\s*([\w.-]*\w)\s*$")  # "sub01" and nothing else
_DATASET = re.compile(r"\b(?:dataset|database)\s*[:=]\s*([\w.-]+)", re.IGNORECASE)
_LIST = re.compile(r"([^\[\]\n]*)\[([^\[\]]*)\]")  # what stands before it on the line, and what it holds
_KINDS = {
    "prediction": re.compile(r"predict|\bpred|_pred\b|\banswer", re.IGNORECASE),
    "truth": re.compile(r"truth|\btrue\b|_true\b|\blabels?\b|\btargets?\b|\bgt\b", re.IGNORECASE),
}
_NUMBER = re.compile(r"(\d+)(?:\.0*)?")

Log = tuple[list[str] | None, list[str], list[str], list[str]]


def read_log(path: Path, text: str) -> Log:
    """Read the two lists of every subject; where a subject has several of a kind, the last counts.

    Args:
      path: of the log, for messages.
      text: what it holds. A list may run over several lines; other lines are passed over.

    Returns:
      For each clip, in the log's order: datasets (None where the log names none), subjects, true
      classes and answers, the classes as decimal numbers.

    Raises:
      UserError: no lists were found, a list has no subject above it, a subject has but one of the
        two lists, the lists differ in length, a list holds something else than whole numbers, or a
        bare name returns after another: it may be any word.
    """
    pieces = _pieces(text)
    bare = not any(_SUBJECT.search(_lead(piece)) for _, piece in pieces)
    named_before: set[tuple[str, str]] = set()
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    person: tuple[str, str] | None = None
    dataset = ""
    for line, piece in pieces:
        brackets = _LIST.search(piece)
        lead = _lead(piece)
        named = _DATASET.search(lead)
        dataset = named.group(1) if named else dataset
        subject = _SUBJECT.search(lead)
        if bare and not brackets:
            subject = _SUBJECT_LINE.match(lead) or _BARE_LINE.match(lead)
        if subject:
            before, person = person, (dataset, subject.group(1))
            if bare and before and person != before and person in named_before:
                raise UserError(
                    f"{path}:{line}: {person[1]!r} again, after {before[1]!r}: "
                    "is it a subject? put a line 'Subject: NAME' above the lists of each"
                )
            named_before.add(person)
        kinds = [kind for kind, pattern in _KINDS.items() if pattern.search(lead)]
        if brackets and kinds:
            if person is None:
                raise UserError(f"{path}:{line}: a list before any subject: put a line 'Subject: NAME' above it")
            found.setdefault(person, {})[kinds[0]] = _numbers(f"{path}:{line}", brackets.group(2))
    if not found:
        raise UserError(
            f"{path}: neither a CSV nor a log: it needs lines with a subject, 'predicted ... [..]' "
            "and 'ground truth ... [..]'"
        )
    datasets: list[str] = []
    subjects: list[str] = []
    truth: list[str] = []
    answered: list[str] = []
    for (dataset, name), lists in found.items():
        right, given = lists.get("truth", []), lists.get("prediction", [])
        if len(right) != len(given) or not right:
            raise UserError(
                f"{path}: subject {name} has {len(given)} predictions and {len(right)} true classes: "
                "give one of each for each clip"
            )
        datasets += [dataset] * len(right)
        subjects += [name] * len(right)
        truth += right
        answered += given
    return datasets if any(datasets) else None, subjects, truth, answered


def _lead(piece: str) -> str:
    """What stands before the list of a piece; all of a piece without one."""
    brackets = _LIST.search(piece)
    return brackets.group(1) if brackets else piece


def _pieces(text: str) -> list[tuple[int, str]]:
    """The lines, numbered from 1; a line whose bracket stays open is joined with those up to its end."""
    pieces: list[tuple[int, str]] = []
    held, start = "", 1
    for number, line in enumerate(text.splitlines(), start=1):
        held, start = (f"{held} {line}", start) if held else (line, number)
        if held.count("[") <= held.count("]"):
            pieces.extend((start, part) for part in _split(held))
            held = ""
    return pieces + ([(start, held)] if held else [])


def _split(line: str) -> list[str]:
    """One piece for each list of a line, what stands before it included."""
    ends = [match.end() for match in _LIST.finditer(line)] or [len(line)]
    return [line[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _numbers(place: str, inside: str) -> list[str]:
    cells = [cell for cell in re.split(r"[\s,;]+", inside) if cell]
    matches = [_NUMBER.fullmatch(cell) for cell in cells]
    if not all(matches):
        wrong = next(cell for cell, match in zip(cells, matches, strict=True) if not match)
        raise UserError(f"{place}: {wrong!r} in the list is not a whole number from 0: write classes as numbers")
    return [str(int(match.group(1))) for match in matches if match]
