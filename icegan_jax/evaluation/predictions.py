"""predictions.csv: the one prediction of each held-out clip."""

import csv
import io
import math
from collections.abc import Sequence
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
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*COLUMNS, *classes))
    for row in rows:
        if len(row.scores) != len(classes):
            raise ValueError(f"{row.clip}: {len(row.scores)} scores for {len(classes)} classes")
        if not all(math.isfinite(score) for score in row.scores):
            raise UserError(
                f"{row.dataset} {row.subject} {row.clip}: a capsule length is not a finite number: "
                "the training diverged, lower the learning rate"
            )
        names = (classes[row.label], classes[row.prediction])
        scores = (f"{score:.6f}" for score in row.scores)
        writer.writerow((row.dataset, row.subject, row.clip, *names, *scores))
    write_text(path, text.getvalue())


def read_predictions(path: Path) -> tuple[tuple[str, ...], list[Prediction]]:
    """Read predictions.csv.

    Returns:
      The names of the classes in label order, from the header, and the rows.

    Raises:
      UserError: the file is missing, empty or damaged; the message names the line.
    """
    rows = []
    reader = csv.reader(io.StringIO(read_text(path)))
    try:
        header = tuple(next(reader, []))
        classes = header[len(COLUMNS) :]
        if header[: len(COLUMNS)] != COLUMNS or not classes or len(set(classes)) != len(classes):
            raise UserError(f"{path}:1: expected the header {','.join(COLUMNS)}, then each class once")
        for cells in reader:
            if cells:
                rows.append(_parse_row(f"{path}:{reader.line_num}", cells, classes))
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num}: {error}: write the file again") from error
    if not rows:
        raise UserError(f"{path}: not one prediction: evaluate the run again")
    require_unique(path, rows)
    return classes, rows


def require_unique(path: Path, rows: Sequence[Prediction]) -> None:
    """Raise UserError, whose message names the path, if two rows are of the same clip."""
    seen = set()
    for row in rows:
        key = (row.dataset, row.subject, row.clip)
        if key in seen:
            raise UserError(f"{path}: two predictions of the clip {' '.join(key)}: keep one")
        seen.add(key)


def _parse_row(place: str, cells: Sequence[str], classes: Sequence[str]) -> Prediction:
    width = len(COLUMNS) + len(classes)
    if len(cells) != width:
        raise UserError(f"{place}: {len(cells)} cells where {width} columns are expected")
    for name, word in (("label", cells[3]), ("prediction", cells[4])):
        if word not in classes:
            raise UserError(f"{place}: {name} {word!r} is none of {', '.join(classes)}")
    try:
        scores = np.array(cells[len(COLUMNS) :], dtype=np.float64)
    except ValueError as error:
        raise UserError(f"{place}: {','.join(cells[len(COLUMNS) :])!r} are not all numbers") from error
    if not np.isfinite(scores).all():
        raise UserError(f"{place}: a capsule length is not a finite number: the training diverged")
    return Prediction(
        dataset=cells[0],
        subject=cells[1],
        clip=cells[2],
        label=classes.index(cells[3]),
        prediction=classes.index(cells[4]),
        scores=tuple(scores.tolist()),
    )
