"""What a run leaves behind: predictions.csv (one row per clip) and results.json (its scores)."""

import csv
import io
import json
import math
import os
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.errors import UserError
from icegan_jax.evaluation import bootstrap, metrics

COLUMNS = ("dataset", "subject", "clip", "label", "prediction")  # then one per class


@dataclass(frozen=True)
class Prediction:
    """The one prediction of a held-out clip.

    Attributes:
      dataset: which database.
      subject: unique within its database only.
      clip: unique within its subject only (DATASETS.md section 0, fact 3).
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


@dataclass(frozen=True)
class Timing:
    """How long a run took.

    Attributes:
      wall_s: seconds from start to results.
      compile_s: seconds of `wall_s` spent compiling.
      steps_per_s: update steps per second, all folds counted, compilation left out.
      faces_per_s: training faces per second, likewise.
    """

    wall_s: float
    compile_s: float
    steps_per_s: float
    faces_per_s: float


class Score(TypedDict):
    """One block of results.json; the intervals are None for a single subject."""

    uf1: float
    uar: float
    accuracy: float
    uf1_ci95: list[float] | None
    uar_ci95: list[float] | None
    confusion: list[list[int]]


def write_predictions(path: Path, rows: Sequence[Prediction], classes: Sequence[str] = EXPRESSIONS) -> None:
    """Write predictions.csv atomically; classes are words, scores have six decimals.

    Args:
      path: of the file.
      rows: one per clip.
      classes: names of the classes, in label order; each gets a column of scores.

    Raises:
      UserError: a capsule length is not a finite number, or a clip appears twice.
      ValueError: a row has not one score per class.
    """
    _require_unique(path, rows)
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
        words = (classes[row.label], classes[row.prediction])
        scores = (f"{score:.6f}" for score in row.scores)
        writer.writerow((row.dataset, row.subject, row.clip, *words, *scores))
    write_text(path, text.getvalue())


def read_predictions(path: Path) -> tuple[tuple[str, ...], list[Prediction]]:
    """Read predictions.csv.

    Returns:
      The names of the classes, as the header has them in label order, and the rows.

    Raises:
      UserError: the file is missing, empty or damaged; the message names the line.
    """
    rows = []
    reader = csv.reader(io.StringIO(_read_text(path)))
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
    _require_unique(path, rows)
    return classes, rows


def score(
    labels: Sequence[int],
    predictions: Sequence[int],
    groups: Sequence[Hashable],
    num_classes: int = metrics.NUM_CLASSES,
) -> Score:
    """Score clips from their pooled counts (DESIGN.md section 6, rules 3 and 4).

    Args:
      labels: int[n], the true classes.
      predictions: int[n], clip for clip.
      groups: n keys, (dataset, subject) of each clip.
      num_classes: how many classes there are.

    Raises:
      ValueError: there is not one clip.
    """
    counts = metrics.confusion(labels, predictions, num_classes)
    intervals = bootstrap.subject_bootstrap(labels, predictions, groups, num_classes=num_classes)
    return {
        "uf1": metrics.uf1(counts),
        "uar": metrics.uar(counts),
        "accuracy": metrics.accuracy(counts),
        "uf1_ci95": None if intervals is None else list(intervals.uf1),
        "uar_ci95": None if intervals is None else list(intervals.uar),
        "confusion": counts.tolist(),
    }


def summarise(predictions: Sequence[Prediction], classes: Sequence[str] = EXPRESSIONS) -> dict[str, Any]:
    """Score a run's predictions, together and database by database.

    Args:
      predictions: one per clip, all folds.
      classes: names of the classes, in label order.

    Returns:
      `overall` (Score), `datasets` {name: Score}, `floors` {name: {uf1, uar}} as DESIGN.md
      section 7 has them, and `dataset_floors` {dataset: floors}: the class frequencies differ.

    Raises:
      UserError: no prediction, or two of one clip.
    """
    if not predictions:
        raise UserError("no predictions to score: train at least one fold")
    _require_unique(Path("predictions"), predictions)
    parts = {
        name: [row for row in predictions if row.dataset == name]
        for name in sorted({row.dataset for row in predictions})
    }
    return {
        "overall": _score_rows(predictions, len(classes)),
        "datasets": {name: _score_rows(rows, len(classes)) for name, rows in parts.items()},
        "floors": bootstrap.floors([row.label for row in predictions], classes),
        "dataset_floors": {
            name: bootstrap.floors([row.label for row in rows], classes) for name, rows in parts.items()
        },
    }


def build_results(
    predictions: Sequence[Prediction],
    classes: Sequence[str] = EXPRESSIONS,
    *,
    protocol: str,
    selection: str,
    seed: int,
    timing: Timing,
    versions: Mapping[str, str],
    data_fingerprint: str,
    references: Mapping[str, Score] | None = None,
    oracle: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Assemble results.json (DESIGN.md section 7).

    Args:
      predictions: one per clip, all folds.
      classes: names of the classes, in label order.
      protocol: how the folds were made, such as "LOSO over (dataset, subject)".
      selection: the rule that chose the reported model, such as "last step".
      seed: of the training.
      timing: of the run.
      versions: {"jax": "0.10.2", ...}.
      data_fingerprint: of the prepared dataset.
      references: scores of other methods on the same clips, {"linear_on_apex_pixels": score(...)}.
      oracle: {"uf1", "uar"} of the best test epoch, if `evaluation.oracle` asked for it; it is
        not a valid score and stands apart under that name.

    Returns:
      A dictionary ready for `write_json`; `num_folds` counts the held-out subjects.

    Raises:
      UserError: no prediction, or two of one clip.
    """
    results: dict[str, Any] = {
        "protocol": protocol,
        "selection": selection,
        "num_clips": len(predictions),
        "num_folds": len({(row.dataset, row.subject) for row in predictions}),
        "seed": seed,
        "classes": list(classes),
        **summarise(predictions, classes),
        "references": dict(references or {}),
        "timing": asdict(timing),
        "versions": dict(versions),
        "data_fingerprint": data_fingerprint,
    }
    if oracle is not None:
        results["oracle"] = dict(oracle)
    return results


def read_results(path: Path) -> dict[str, Any]:
    """Read results.json and check that every field the report shows is there.

    Runs from before there were other classes name none: they are given the three.

    Raises:
      UserError: the file is missing or damaged, or a field is absent; the message names it.
    """
    results = read_json(path)
    for field in ("protocol", "selection", "num_clips", "num_folds", "seed", "data_fingerprint"):
        _require(path, results, field, (str, int))
    for field in ("overall", "datasets", "floors", "timing", "versions"):
        _require(path, results, field, dict)
    classes = results.setdefault("classes", list(EXPRESSIONS))
    if not _words(classes):
        raise UserError(f"{path}: the field classes is damaged: evaluate the run again")
    _check_score(path, results["overall"], "overall", len(classes))
    for group in ("datasets", "references"):
        for name, block in _require(path, results, group, dict, default={}).items():
            _check_score(path, block, f"{group}.{name}", len(classes))
    floors = {"floors": results["floors"]}
    for name, block in _require(path, results, "dataset_floors", dict, default={}).items():
        floors[f"dataset_floors.{name}"] = block
    for place, block in floors.items():
        always = [f"always_{word}" for word in classes]
        constant = next((name for name in always if isinstance(block, dict) and name in block), always[0])
        for name in (constant, "prior_random"):
            _check_pair(path, _require(path, block, name, dict, place), f"{place}.{name}")
    if "oracle" in results:
        _check_pair(path, _require(path, results, "oracle", dict), "oracle")
    return results


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON atomically, indented, keys in the given order.

    Raises:
      ValueError: a number is NaN or infinite, which JSON does not have.
    """
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
      UserError: the file is missing, or is not a JSON object; the message names the line.
    """
    try:
        content = json.loads(_read_text(path))
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: not JSON ({error.msg}): write it again") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file so that a reader sees the old content or the new, never a part.

    The text goes to a temporary file beside it, which then takes its place (os.replace).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _read_text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file: is this a finished run directory?") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error.reason}): write it again") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def _score_rows(rows: Sequence[Prediction], num_classes: int) -> Score:
    return score(
        [row.label for row in rows],
        [row.prediction for row in rows],
        [(row.dataset, row.subject) for row in rows],
        num_classes,
    )


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


def _require_unique(path: Path, rows: Sequence[Prediction]) -> None:
    seen = set()
    for row in rows:
        key = (row.dataset, row.subject, row.clip)
        if key in seen:
            raise UserError(f"{path}: two predictions of the clip {' '.join(key)}: keep one")
        seen.add(key)


def _check_score(path: Path, block: Any, place: str, size: int) -> None:
    _check_pair(path, block, place)
    _require(path, block, "accuracy", (float, int), place)
    for name in ("uf1_ci95", "uar_ci95"):
        interval = _require(path, block, name, (list, type(None)), place)
        if interval is not None and not _numbers(interval, 2):
            raise UserError(f"{path}: {place}.{name} is not [low, high]: evaluate the run again")
    counts = _require(path, block, "confusion", list, place)
    if len(counts) != size or not all(_numbers(row, size) for row in counts):
        raise UserError(f"{path}: {place}.confusion is not {size} by {size}: evaluate it again")


def _check_pair(path: Path, block: Any, place: str) -> None:
    for name in ("uf1", "uar"):
        _require(path, block, name, (float, int), place)


def _words(values: Any) -> bool:
    """Whether it is a list of names, each once, at least one."""
    return (
        isinstance(values, list)
        and all(isinstance(value, str) for value in values)
        and 0 < len(values) == len(set(values))
    )


def _numbers(values: Any, length: int) -> bool:
    return (
        isinstance(values, list) and len(values) == length and all(isinstance(value, int | float) for value in values)
    )


def _require(
    path: Path,
    block: Any,
    field: str,
    kind: type | tuple[type, ...],
    place: str = "",
    default: Any = None,
) -> Any:
    value = block.get(field, default) if isinstance(block, dict) else None
    named = f"{place}.{field}" if place else field
    missing = not isinstance(block, dict) or (field not in block and default is None)
    if missing or not isinstance(value, kind):
        raise UserError(f"{path}: the field {named} is missing or damaged: evaluate the run again")
    return value
