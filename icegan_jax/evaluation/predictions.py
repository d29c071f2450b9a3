"""predictions.csv: the one prediction of each held-out clip."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.errors import UserError
from icegan_jax.io import read_text, write_text

COLUMNS = ("dataset", "subject", "clip", "label", "prediction")  # then one per class


@dataclass(frozen=True)
class Prediction:
    """The one prediction of a held-out clip.

    Attributes:
      dataset: name of the database.
      subject: unique within its database only.
      clip: unique within its subject only (docs/databases.md, "Identifiers").
      label: the true class, an index into the run's classes.
      prediction: the predicted class, likewise.
      scores: the capsule length of each class.
    """

    dataset: str
    subject: str
    clip: str
    label: int
    prediction: int
    scores: tuple[float, ...]


def write_predictions(path: Path, rows: Sequence[Prediction], classes: Sequence[str] = EXPRESSIONS) -> None:
    """Write predictions.csv atomically, with classes as names and scores with six decimals.

    Args:
      path: of the file.
      rows: one per clip.
      classes: names of the classes, in label order, which become the columns of scores.

    Raises:
      UserError: a capsule length is not a finite number, or a clip appears twice.
      ValueError: a row does not have one score per class.
    """
    require_unique(path, rows)
    names = ((row.dataset, row.subject, row.clip, classes[row.label], classes[row.prediction]) for row in rows)
    write_scores(path, COLUMNS, classes, names, [row.scores for row in rows])


def read_predictions(path: Path) -> tuple[tuple[str, ...], list[Prediction]]:
    """Read predictions.csv.

    Returns:
      The names of the classes in label order, from the header, and the rows.

    Raises:
      UserError: the file is missing, empty or damaged; the message names the line.
    """
    classes, table = read_scores(path, COLUMNS)
    rows = []
    for place, (dataset, subject, clip, *words), scores in table:
        named = zip(COLUMNS[3:], words, strict=True)
        label, prediction = (class_index(place, column, word, classes) for column, word in named)
        rows.append(Prediction(dataset, subject, clip, label, prediction, scores))
    require_unique(path, rows)
    return classes, rows


def write_scores(
    path: Path,
    columns: Sequence[str],
    classes: Sequence[str],
    names: Iterable[Sequence[object]],
    scores: Sequence[Sequence[float]],
) -> None:
    """Write a table of capsule lengths atomically: the columns, then one column per class with six decimals.

    Args:
      path: of the file.
      columns: names of the first columns.
      classes: names of the classes, in label order, which become the columns of scores.
      names: the cells of the first columns of each row; the first three are dataset, subject and clip.
      scores: the capsule lengths of each row, one per class.

    Raises:
      UserError: a capsule length is not a finite number.
      ValueError: a row does not have one score per class.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*columns, *classes))
    for cells, lengths in zip(names, scores, strict=True):
        if len(lengths) != len(classes):
            raise ValueError(f"{cells[2]}: {len(lengths)} scores for {len(classes)} classes")
        if not all(math.isfinite(length) for length in lengths):
            raise UserError(
                f"{' '.join(map(str, cells[:3]))}: a capsule length is not a finite number: "
                "the training diverged, lower the learning rate"
            )
        writer.writerow((*cells, *(f"{length:.6f}" for length in lengths)))
    write_text(path, text.getvalue())


def read_scores(
    path: Path, columns: Sequence[str]
) -> tuple[tuple[str, ...], list[tuple[str, list[str], tuple[float, ...]]]]:
    """Read a table that ``write_scores`` wrote.

    Returns:
      The names of the classes, and of each row its place for messages (``FILE:LINE``), the cells of the first columns,
      and the capsule lengths.

    Raises:
      UserError: the file is missing, empty or damaged; the message names the line.
    """
    rows = []
    reader = csv.reader(io.StringIO(read_text(path)))
    try:
        header = tuple(next(reader, []))
        classes = header[len(columns) :]
        if header[: len(columns)] != tuple(columns) or not classes or len(set(classes)) != len(classes):
            raise UserError(f"{path}:1: expected the header {','.join(columns)}, then each class once")
        for cells in reader:
            if cells:
                place = f"{path}:{reader.line_num}"
                rows.append((place, cells[: len(columns)], _parse_scores(place, cells, len(columns), len(classes))))
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num}: {error}: write the file again") from error
    if not rows:
        raise UserError(f"{path}: not one prediction: evaluate the run again")
    return classes, rows


def class_index(place: str, column: str, name: str, classes: Sequence[str]) -> int:
    """Return the index of a class by its name; raise UserError, whose message begins with the place, if unknown."""
    if name not in classes:
        raise UserError(f"{place}: {column} {name!r} is none of {', '.join(classes)}")
    return classes.index(name)


def require_unique(path: Path, rows: Sequence[Prediction]) -> None:
    """Raise UserError, whose message names the path, if two rows are of the same clip."""
    seen = set()
    for row in rows:
        key = (row.dataset, row.subject, row.clip)
        if key in seen:
            raise UserError(f"{path}: two predictions of the clip {' '.join(key)}: keep one")
        seen.add(key)


def _parse_scores(place: str, cells: Sequence[str], columns: int, classes: int) -> tuple[float, ...]:
    if len(cells) != columns + classes:
        raise UserError(f"{place}: {len(cells)} cells where {columns + classes} columns are expected")
    try:
        scores = np.array(cells[columns:], dtype=np.float64)
    except ValueError as error:
        raise UserError(f"{place}: {','.join(cells[columns:])!r} are not all numbers") from error
    if not np.isfinite(scores).all():
        raise UserError(f"{place}: a capsule length is not a finite number: the training diverged")
    return tuple(scores.tolist())
