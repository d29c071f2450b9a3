"""Predictions out of the log that MEGC2019 asked for (docs/databases.md, "MEGC2019 log").

casme2 sub01
EP02_01f 1 1
EP03_02 0 0
smic s01
s01_ne_01 0 0

A line with database and subject, then a line per clip with its name, true class and answer.

Predictions out of a text log: for each subject a line that names it, then two lists in brackets.

Subject: sub01
predicted    : [0, 0, 2]
ground truth : [0, 1, 2]

A log without one line "Subject: NAME" may have "subject NAME" or the bare name instead.

What a recognizer answered, from whatever file somebody published it in.

Read are a run directory or its predictions.csv, any CSV with columns that can be recognized (a
clips.csv among them, which holds no answers), and a text log (`published_log.py`).
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from icegan_jax.data.clips import EXPRESSIONS, label_of
from icegan_jax.errors import UserError
from icegan_jax.evaluation import predictions
from icegan_jax.evaluation.results import require_scored
from icegan_jax.io import read_text

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


def read_text_log(path: Path, text: str) -> Log:
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


# The names under which each column is known, in any case; of several that are there, the first counts.
NAMES = {
    "dataset": ("dataset", "database", "db"),
    "subject": ("subject", "subject_id", "subjectid", "sub", "person"),
    "clip": ("clip", "filename", "file", "video", "sample", "clip_name"),
    "label": ("label", "truth", "ground_truth", "gt", "target", "y_true", "true", "emotion", "expression"),
    "prediction": ("prediction", "predicted", "pred", "y_pred", "answer", "output"),
}


@dataclass(frozen=True)
class PublishedPredictions:
    """The clips of one file, n of them, words as the file has them; None: there is no such column.

    Attributes:
      path: the file, for messages.
      dataset: the database of each clip.
      subject: the person of each clip, unique within the database only.
      clip: the name of each clip.
      label: the true class of each clip, as a word or a number.
      prediction: the class answered, likewise.
      classes: names of the classes in label order, where the file tells them.
    """

    path: Path
    dataset: list[str] | None
    subject: list[str]
    clip: list[str] | None
    label: list[str]
    prediction: list[str] | None
    classes: tuple[str, ...] | None

    @property
    def subject_keys(self) -> list[tuple[str, str]]:
        """(dataset, subject) of each clip; the dataset is empty where the file names none."""
        return list(zip(self.dataset or [""] * len(self.subject), self.subject, strict=True))


def read_published_predictions(path: Path) -> PublishedPredictions:
    """Read a run directory, a predictions.csv, another CSV or a text log.

    Raises:
      UserError: the file is missing or damaged, a column that is needed cannot be recognized, or the answers are those
        of a run that trained on everybody.
    """
    if path.is_dir():
        path = path / "predictions.csv"
    if path.name == "predictions.csv":
        require_scored(path.parent)
        require_scored(path.absolute().parent.parent.parent)  # of RUN/folds/all
    text = read_text(path).removeprefix("\ufeff")
    try:
        return _read_by_format(path, text)
    except csv.Error as error:
        raise UserError(f"{path}: {error}: write the file again as CSV") from error


def infer_classes(files: Sequence[PublishedPredictions], names: Sequence[str] | None = None) -> tuple[str, ...]:
    """The classes, in label order, that the words and numbers of these files stand for.

    `names` where given; else those that a file tells; else negative, positive and surprise where
    every word is one of them or an emotion of theirs, or every number is below three; else the
    numbers up to the largest, or the words themselves in alphabetical order. Numbers among which 0
    never occurs and 1 does count from 1: the classes are "1" to the largest.
    """
    if names:
        return tuple(names)
    for answers in files:
        if answers.classes:
            return answers.classes
    cells = {cell for answers in files for cell in (*answers.label, *(answers.prediction or ()))}
    numbers = {int(cell) for cell in cells if cell.isdecimal()}
    words = {cell for cell in cells if not cell.isdecimal()}
    if not words and 1 in numbers and 0 not in numbers:
        return tuple(str(number) for number in range(1, max(numbers) + 1))
    if max(numbers, default=0) < len(EXPRESSIONS) and all(_is_expression(word) for word in words):
        return EXPRESSIONS
    if words:
        return tuple(sorted({word.casefold() for word in words}))
    return tuple(map(str, range(max(numbers) + 1)))


def class_indices(path: Path, cells: Sequence[str], classes: Sequence[str]) -> npt.NDArray[np.int64]:
    """The index of each cell's class: its name, an emotion of it, or its number from 0 (a name in 1, 2, 3).

    Raises:
      UserError: a cell is none of them; the message has the file and the cell.
    """
    return np.array([_number(path, cell, classes) for cell in cells], np.int64)


def _read_by_format(path: Path, text: str) -> PublishedPredictions:
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise UserError(f"{path}: the file is empty: give the predictions of a recognizer")
    delimiter = max(",;\t", key=lines[0].count)
    header = _cells(lines[0], delimiter)
    own = len(predictions.COLUMNS)
    first_label = _cells("".join(lines[1:2]), delimiter)[3:4]
    if tuple(header[:own]) == predictions.COLUMNS and set(first_label) & set(header[own:]):
        return _read_own(path)
    if is_megc_log(lines):
        return PublishedPredictions(path, *read_megc_log(path, text), None)
    header = [name.casefold() for name in header]
    is_log = path.suffix.casefold() in (".txt", ".log") or not set(header) & set(NAMES["subject"])
    if len(header) == 1 or (is_log and "[" in text):
        dataset, subject, label, prediction = read_text_log(path, text)
        return PublishedPredictions(path, dataset, subject, None, label, prediction, None)
    return _read_table(path, text, delimiter, header)


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]


def _number(path: Path, cell: str, classes: Sequence[str]) -> int:
    if cell.isdecimal() and cell not in classes and (cell := str(int(cell))) not in classes:
        if int(cell) < len(classes):
            return int(cell)
        raise UserError(f"{path}: class {cell} is not in 0..{len(classes) - 1} ({', '.join(classes)}): give --classes")
    try:
        return label_of(cell, classes)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _is_expression(word: str) -> bool:
    try:
        label_of(word)
    except UserError:
        return False
    return True


def _read_own(path: Path) -> PublishedPredictions:
    classes, rows = predictions.read_predictions(path)
    return PublishedPredictions(
        path,
        [row.dataset for row in rows],
        [row.subject for row in rows],
        [row.clip for row in rows],
        [classes[row.label] for row in rows],
        [classes[row.prediction] for row in rows],
        classes,
    )


def _read_table(path: Path, text: str, delimiter: str, header: list[str]) -> PublishedPredictions:
    place = {}
    for field, names in NAMES.items():
        found = [header.index(name) for name in names if name in header]
        if found:
            place[field] = found[0]
        elif field in ("subject", "label"):
            raise UserError(
                f"{path}: no column {field} among {', '.join(header)}: "
                f"name it {' or '.join(names[:3])} in the first line"
            )
    columns: dict[str, list[str]] = {field: [] for field in place}
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    rows = (cells for cells in reader if any(cell.strip() for cell in cells))
    next(rows)
    for cells in rows:
        if len(cells) != len(header):
            raise UserError(
                f"{path}:{reader.line_num}: {len(cells)} cells where {len(header)} columns are expected: "
                "correct the line"
            )
        for field, at in place.items():
            cell = cells[at].strip()
            if not cell and field != "dataset":
                raise UserError(f"{path}:{reader.line_num}: the {field} is empty: fill it in, or remove the line")
            columns[field].append(cell)
    if not columns["subject"]:
        raise UserError(f"{path}: not one clip: give a file with a line for each clip")
    return PublishedPredictions(
        path,
        columns.get("dataset"),
        columns["subject"],
        columns.get("clip"),
        columns["label"],
        columns.get("prediction"),
        None,
    )
