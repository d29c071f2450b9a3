"""What a recogniser answered, from whatever file somebody published it in.

Read are a run directory or its predictions.csv, any CSV with columns that can be recognised (a
clips.csv among them, which holds no answers), and a text log (`published_log.py`).
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from icegan_jax.data.clips import EXPRESSIONS, label_of
from icegan_jax.errors import UserError
from icegan_jax.evaluation import predictions
from icegan_jax.evaluation.files import read_text
from icegan_jax.evaluation.megc_log import is_megc_log, read_megc_log
from icegan_jax.evaluation.published_log import read_log
from icegan_jax.evaluation.results import refuse_unscored

# The names under which each column is known, in any case; of several that are there, the first counts.
NAMES = {
    "dataset": ("dataset", "database", "db"),
    "subject": ("subject", "subject_id", "subjectid", "sub", "person"),
    "clip": ("clip", "filename", "file", "video", "sample", "clip_name"),
    "label": ("label", "truth", "ground_truth", "gt", "target", "y_true", "true", "emotion", "expression"),
    "prediction": ("prediction", "predicted", "pred", "y_pred", "answer", "output"),
}


@dataclass(frozen=True)
class Answers:
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
    def people(self) -> list[tuple[str, str]]:
        """(dataset, subject) of each clip; the dataset is empty where the file names none."""
        return list(zip(self.dataset or [""] * len(self.subject), self.subject, strict=True))


def read_answers(path: Path) -> Answers:
    """Read a run directory, a predictions.csv, another CSV or a text log.

    Raises:
      UserError: the file is missing or damaged, a column that is needed cannot be recognised, or the answers are those
        of a run that trained on everybody.
    """
    if path.is_dir():
        path = path / "predictions.csv"
    if path.name == "predictions.csv":
        refuse_unscored(path.parent)
        refuse_unscored(path.absolute().parent.parent.parent)  # of RUN/folds/all
    text = read_text(path).removeprefix("\ufeff")
    try:
        return _read(path, text)
    except csv.Error as error:
        raise UserError(f"{path}: {error}: write the file again as CSV") from error


def classes_of(files: Sequence[Answers], names: Sequence[str] | None = None) -> tuple[str, ...]:
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


def to_numbers(path: Path, cells: Sequence[str], classes: Sequence[str]) -> npt.NDArray[np.int64]:
    """The index of each cell's class: its name, an emotion of it, or its number from 0 (a name in 1, 2, 3).

    Raises:
      UserError: a cell is none of them; the message has the file and the cell.
    """
    return np.array([_number(path, cell, classes) for cell in cells], np.int64)


def _read(path: Path, text: str) -> Answers:
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise UserError(f"{path}: the file is empty: give the predictions of a recogniser")
    delimiter = max(",;\t", key=lines[0].count)
    header = _cells(lines[0], delimiter)
    own = len(predictions.COLUMNS)
    first_label = _cells("".join(lines[1:2]), delimiter)[3:4]
    if tuple(header[:own]) == predictions.COLUMNS and set(first_label) & set(header[own:]):
        return _read_own(path)
    if is_megc_log(lines):
        return Answers(path, *read_megc_log(path, text), None)
    header = [name.casefold() for name in header]
    is_log = path.suffix.casefold() in (".txt", ".log") or not set(header) & set(NAMES["subject"])
    if len(header) == 1 or (is_log and "[" in text):
        dataset, subject, label, prediction = read_log(path, text)
        return Answers(path, dataset, subject, None, label, prediction, None)
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


def _read_own(path: Path) -> Answers:
    classes, rows = predictions.read_predictions(path)
    return Answers(
        path,
        [row.dataset for row in rows],
        [row.subject for row in rows],
        [row.clip for row in rows],
        [classes[row.label] for row in rows],
        [classes[row.prediction] for row in rows],
        classes,
    )


def _read_table(path: Path, text: str, delimiter: str, header: list[str]) -> Answers:
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
    return Answers(
        path,
        columns.get("dataset"),
        columns["subject"],
        columns.get("clip"),
        columns["label"],
        columns.get("prediction"),
        None,
    )
