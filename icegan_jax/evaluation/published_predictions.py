"""Predictions of a recognizer, read from any file in which they may have been published.

Four forms are read:

* a run directory or its predictions.csv;
* a CSV with recognizable columns; a clips.csv is one, without predictions;
* the log that MEGC2019 asked for (docs/databases.md, "MEGC2019 log"): a line with database and subject, then a line
  per clip with its name, true class and predicted class::

      casme2 sub01
      EP02_01f 1 1
      EP03_02 0 0
      smic s01
      s01_ne_01 0 0

* a text log: for each subject a line with the subject's name, then two lists in brackets. A log without any line
  "Subject: NAME" may have "subject NAME" or the bare name instead::

      Subject: sub01
      predicted    : [0, 0, 2]
      ground truth : [0, 1, 2]
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

# The known names of each column, in any case; of several names in one header, the first counts.
COLUMN_NAMES = {
    "dataset": ("dataset", "database", "db"),
    "subject": ("subject", "subject_id", "subjectid", "sub", "person"),
    "clip": ("clip", "filename", "file", "video", "sample", "clip_name"),
    "label": ("label", "truth", "ground_truth", "gt", "target", "y_true", "true", "emotion", "expression"),
    "prediction": ("prediction", "predicted", "pred", "y_pred", "answer", "output"),
}

_MEGC_SUBJECT_WORDS, _MEGC_CLIP_WORDS = 2, 3  # words on a line

_SUBJECT = re.compile(r"\bsub(?:ject)?(?:[ _]?(?:name|id|no|number))?\s*[:=#]\s*([\w.-]+)", re.IGNORECASE)
_SUBJECT_LINE = re.compile(r"^\W*subject\s+([\w.-]+)\W*$", re.IGNORECASE)
_BARE_LINE = re.compile(r"^\s*([\w.-]*\w)\s*$")  # "sub01" and nothing else
_DATASET = re.compile(r"\b(?:dataset|database)\s*[:=]\s*([\w.-]+)", re.IGNORECASE)
_LIST = re.compile(r"([^\[\]\n]*)\[([^\[\]]*)\]")  # the text before the list on its line, and the list's content
_LIST_KINDS = {
    "prediction": re.compile(r"predict|\bpred|_pred\b|\banswer", re.IGNORECASE),
    "truth": re.compile(r"truth|\btrue\b|_true\b|\blabels?\b|\btargets?\b|\bgt\b", re.IGNORECASE),
}
_WHOLE_NUMBER = re.compile(r"(\d+)(?:\.0*)?")

MegcColumns = tuple[list[str], list[str], list[str], list[str], list[str]]
LogColumns = tuple[list[str] | None, list[str], list[str], list[str]]


@dataclass(frozen=True)
class PublishedPredictions:
    """The n clips of one file, with words as the file has them; None stands for a column that is absent.

    Attributes:
      path: the file, for messages.
      dataset: the database of each clip.
      subject: the subject of each clip, unique within the database only.
      clip: the name of each clip.
      label: the true class of each clip, as a word or a number.
      prediction: the predicted class of each clip, likewise.
      classes: names of the classes in label order, where the file has them.
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
    """Read a run directory, a predictions.csv, another CSV or a log.

    Raises:
      UserError: the file is missing or damaged, a required column cannot be recognized, or the predictions are those
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
    """Return the classes, in label order, that the words and numbers of these files stand for.

    The first of these rules that applies decides: `names`; the classes of the first file that has them; "1" to the
    largest number, where all cells are numbers among which 1 occurs and 0 does not; negative, positive and surprise,
    where every word is one of them or an emotion of theirs and every number is below three; the words in alphabetical
    order; the numbers from 0 to the largest.
    """
    if names:
        return tuple(names)
    for file in files:
        if file.classes:
            return file.classes
    cells = {cell for file in files for cell in (*file.label, *(file.prediction or ()))}
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
    """Return the class index of each cell, which holds a class name, an emotion of a class, or the index itself.

    Args:
      path: the file, for messages.
      cells: n cells of a column.
      classes: names of the classes in label order; names may be numbers ("1", "2", "3").

    Returns:
      int64[n].

    Raises:
      UserError: a cell is none of these; the message has the file and the cell.
    """
    return np.array([_class_index(path, cell, classes) for cell in cells], np.int64)


def is_megc_log(lines: Sequence[str]) -> bool:
    """Return whether the first line names a database and a subject and the second line a clip with two classes."""
    words = [line.split() for line in lines[:2]]
    lengths = [len(line) for line in words]
    return lengths == [_MEGC_SUBJECT_WORDS, _MEGC_CLIP_WORDS] and all(word.isdecimal() for word in words[1][1:])


def read_megc_log(path: Path, text: str) -> MegcColumns:
    """Read the log that MEGC2019 asked for.

    Args:
      path: of the log, for messages.
      text: content of the log; empty lines are skipped.

    Returns:
      For each clip, in the log's order: databases, subjects, clips, true classes and predicted classes, the classes as
      decimal numbers.

    Raises:
      UserError: a line has neither form, or a subject has no clip.
    """
    columns: MegcColumns = ([], [], [], [], [])
    subject: list[str] = []
    without_clip = 0  # number of a subject's line after which no clip has come yet
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if len(words) == _MEGC_SUBJECT_WORDS and not without_clip:
            subject, without_clip = words, number
        elif len(words) == _MEGC_CLIP_WORDS and subject and all(word.isdecimal() for word in words[1:]):
            cells = [*subject, words[0], *(str(int(word)) for word in words[1:])]
            for column, cell in zip(columns, cells, strict=True):
                column.append(cell)
            without_clip = 0
        elif words:
            raise _megc_line_error(path, number)
    if without_clip:
        raise _megc_line_error(path, without_clip)
    return columns


def read_text_log(path: Path, text: str) -> LogColumns:
    """Read the two lists of every subject; where a subject has several lists of a kind, the last counts.

    Args:
      path: of the log, for messages.
      text: content of the log. A list may run over several lines; other lines are skipped.

    Returns:
      For each clip, in the log's order: datasets (None where the log names none), subjects, true classes and predicted
      classes, the classes as decimal numbers.

    Raises:
      UserError: there are no lists, a list has no subject above it, a subject has only one of the two lists, the lists
        differ in length, a list holds something else than whole numbers, or a bare name appears again after another
        one: such a line may be any word.
    """
    pieces = _split_pieces(text)
    bare_names = not any(_SUBJECT.search(_text_before_list(piece)) for _, piece in pieces)
    seen: set[tuple[str, str]] = set()
    lists_of: dict[tuple[str, str], dict[str, list[str]]] = {}
    current: tuple[str, str] | None = None
    dataset = ""
    for line, piece in pieces:
        brackets = _LIST.search(piece)
        before = _text_before_list(piece)
        dataset_match = _DATASET.search(before)
        dataset = dataset_match.group(1) if dataset_match else dataset
        subject_match = _SUBJECT.search(before)
        if bare_names and not brackets:
            subject_match = _SUBJECT_LINE.match(before) or _BARE_LINE.match(before)
        if subject_match:
            previous, current = current, (dataset, subject_match.group(1))
            if bare_names and previous and current != previous and current in seen:
                raise UserError(
                    f"{path}:{line}: {current[1]!r} again, after {previous[1]!r}: "
                    "is it a subject? put a line 'Subject: NAME' above the lists of each"
                )
            seen.add(current)
        kinds = [kind for kind, pattern in _LIST_KINDS.items() if pattern.search(before)]
        if brackets and kinds:
            if current is None:
                raise UserError(f"{path}:{line}: a list before any subject: put a line 'Subject: NAME' above it")
            lists_of.setdefault(current, {})[kinds[0]] = _whole_numbers(f"{path}:{line}", brackets.group(2))
    if not lists_of:
        raise UserError(
            f"{path}: neither a CSV nor a log: it needs lines with a subject, 'predicted ... [..]' "
            "and 'ground truth ... [..]'"
        )
    columns: tuple[list[str], list[str], list[str], list[str]] = ([], [], [], [])
    for (dataset, subject), lists in lists_of.items():
        truth, predicted = lists.get("truth", []), lists.get("prediction", [])
        if len(truth) != len(predicted) or not truth:
            raise UserError(
                f"{path}: subject {subject} has {len(predicted)} predictions and {len(truth)} true classes: "
                "give one of each for each clip"
            )
        n = len(truth)
        for column, cells in zip(columns, ([dataset] * n, [subject] * n, truth, predicted), strict=True):
            column += cells
    datasets, subjects, truth, predicted = columns
    return datasets if any(datasets) else None, subjects, truth, predicted


def _read_by_format(path: Path, text: str) -> PublishedPredictions:
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise UserError(f"{path}: the file is empty: give the predictions of a recognizer")
    delimiter = max(",;\t", key=lines[0].count)
    header = _split_cells(lines[0], delimiter)
    own_columns = len(predictions.COLUMNS)
    first_label = _split_cells("".join(lines[1:2]), delimiter)[3:4]
    if tuple(header[:own_columns]) == predictions.COLUMNS and set(first_label) & set(header[own_columns:]):
        return _read_predictions_csv(path)
    if is_megc_log(lines):
        return PublishedPredictions(path, *read_megc_log(path, text), None)
    header = [name.casefold() for name in header]
    is_log = path.suffix.casefold() in (".txt", ".log") or not set(header) & set(COLUMN_NAMES["subject"])
    if len(header) == 1 or (is_log and "[" in text):
        dataset, subject, label, prediction = read_text_log(path, text)
        return PublishedPredictions(path, dataset, subject, None, label, prediction, None)
    return _read_table(path, text, delimiter, header)


def _split_cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]


def _read_predictions_csv(path: Path) -> PublishedPredictions:
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
    column_of = {}
    for field, names in COLUMN_NAMES.items():
        known = [header.index(name) for name in names if name in header]
        if known:
            column_of[field] = known[0]
        elif field in ("subject", "label"):
            raise UserError(
                f"{path}: no column {field} among {', '.join(header)}: "
                f"name it {' or '.join(names[:3])} in the first line"
            )
    columns: dict[str, list[str]] = {field: [] for field in column_of}
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    rows = (cells for cells in reader if any(cell.strip() for cell in cells))
    next(rows)
    for cells in rows:
        if len(cells) != len(header):
            raise UserError(
                f"{path}:{reader.line_num}: {len(cells)} cells where {len(header)} columns are expected: "
                "correct the line"
            )
        for field, column in column_of.items():
            cell = cells[column].strip()
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


def _class_index(path: Path, cell: str, classes: Sequence[str]) -> int:
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


def _megc_line_error(path: Path, number: int) -> UserError:
    return UserError(
        f"{path}:{number}: expected 'DATABASE SUBJECT' and below it 'CLIP TRUTH PREDICTION' for each clip: "
        "correct the line"
    )


def _text_before_list(piece: str) -> str:
    """Return the text before the list of a piece; the whole piece where there is no list."""
    brackets = _LIST.search(piece)
    return brackets.group(1) if brackets else piece


def _split_pieces(text: str) -> list[tuple[int, str]]:
    """Split a text into (line number from 1, piece), each piece with at most one list.

    A line whose bracket stays open is joined with the lines up to the closing bracket.
    """
    pieces: list[tuple[int, str]] = []
    pending, start = "", 1
    for number, line in enumerate(text.splitlines(), start=1):
        pending, start = (f"{pending} {line}", start) if pending else (line, number)
        if pending.count("[") <= pending.count("]"):
            ends = [match.end() for match in _LIST.finditer(pending)] or [len(pending)]
            pieces.extend((start, pending[begin:end]) for begin, end in zip([0, *ends], ends, strict=False))
            pending = ""
    return pieces + ([(start, pending)] if pending else [])


def _whole_numbers(place: str, content: str) -> list[str]:
    cells = [cell for cell in re.split(r"[\s,;]+", content) if cell]
    matches = [_WHOLE_NUMBER.fullmatch(cell) for cell in cells]
    if not all(matches):
        wrong = next(cell for cell, match in zip(cells, matches, strict=True) if not match)
        raise UserError(f"{place}: {wrong!r} in the list is not a whole number from 0: write classes as numbers")
    return [str(int(match.group(1))) for match in matches if match]
