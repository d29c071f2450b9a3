"""resting.csv: the predictions of pairs of held-out subjects in which nothing but noise, blinks or the head moves.

No class is right for such a pair. The file shows how long the capsules become without an expression, and thereby which
length means "no expression".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.errors import UserError
from icegan_jax.evaluation.predictions import class_index, read_scores, write_scores

COLUMNS = ("dataset", "subject", "clip", "shift", "prediction")  # then one per class


@dataclass(frozen=True)
class RestingPrediction:
    """The prediction of one resting pair of a held-out clip, see ``data.resting``.

    Attributes:
      dataset: name of the database.
      subject: unique within its database only.
      clip: unique within its subject only.
      shift: shift of the prepared pair whose resting face it is, -2 to 2; a clip has one resting pair per shift.
      prediction: the class with the longest capsule, an index into the run's classes.
      scores: the capsule length of each class.
    """

    dataset: str
    subject: str
    clip: str
    shift: int
    prediction: int
    scores: tuple[float, ...]


def write_resting_predictions(
    path: Path, rows: Sequence[RestingPrediction], classes: Sequence[str] = EXPRESSIONS
) -> None:
    """Write resting.csv atomically, with classes as names and scores with six decimals.

    Args:
      path: of the file.
      rows: one per resting pair.
      classes: names of the classes, in label order, which become the columns of scores.

    Raises:
      UserError: a capsule length is not a finite number.
      ValueError: a row does not have one score per class.
    """
    names = ((row.dataset, row.subject, row.clip, row.shift, classes[row.prediction]) for row in rows)
    write_scores(path, COLUMNS, classes, names, [row.scores for row in rows])


def read_resting_predictions(path: Path) -> tuple[tuple[str, ...], list[RestingPrediction]]:
    """Read resting.csv.

    Returns:
      The names of the classes in label order, from the header, and the rows.

    Raises:
      UserError: the file is missing, empty or damaged; the message names the line.
    """
    classes, table = read_scores(path, COLUMNS)
    rows = []
    for place, (dataset, subject, clip, shift, word), scores in table:
        try:
            number = int(shift)
        except ValueError:
            raise UserError(f"{place}: shift {shift!r} is not a whole number") from None
        prediction = class_index(place, COLUMNS[4], word, classes)
        rows.append(RestingPrediction(dataset, subject, clip, number, prediction, scores))
    return classes, rows
