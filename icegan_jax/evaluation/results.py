"""results.json: the scores of a run, how the scores were computed, and how long the run took.

Source: docs/design.md, "Evaluation rules" and "Results file".
"""

import contextlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypedDict

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.errors import UserError
from icegan_jax.evaluation import bootstrap, metrics
from icegan_jax.evaluation.predictions import Prediction, require_unique
from icegan_jax.io import read_json, read_json_with_checksum
from icegan_jax.run_dir import RESULTS_FILE

# The fields of results.json; those of a run that trained on everybody lack the scores.
_FIELDS = (
    "protocol",
    "selection",
    "num_clips",
    "num_folds",
    "seed",
    "classes",
    "timing",
    "versions",
    "data_fingerprint",
)
_SCORES = ("overall", "datasets", "floors", "dataset_floors", "references")

RERUN_HINT = "start the command that trained the run again: it writes the results anew from the finished folds"


class Score(TypedDict):
    """One block of results.json; the intervals are None for a single subject."""

    uf1: float
    uar: float
    accuracy: float
    uf1_ci95: list[float] | None
    uar_ci95: list[float] | None
    confusion: list[list[int]]


@dataclass(frozen=True)
class Timing:
    """The durations of a run, and its speed.

    Attributes:
      wall_s: seconds from start to results.
      compile_s: seconds of `wall_s` spent compiling.
      steps_per_s: update steps per second, over all folds, without compilation.
      faces_per_s: training faces per second, likewise.
    """

    wall_s: float
    compile_s: float
    steps_per_s: float
    faces_per_s: float


def score(
    labels: Sequence[int],
    predictions: Sequence[int],
    groups: Sequence[Hashable],
    num_classes: int = metrics.NUM_CLASSES,
) -> Score:
    """Score clips from their pooled counts (docs/design.md, "Evaluation rules", rules 3 and 4).

    Args:
      labels: int[n], the true classes.
      predictions: int[n], the predicted classes, clip for clip.
      groups: n keys, (dataset, subject) of each clip.
      num_classes: number of classes.

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


def score_predictions(predictions: Sequence[Prediction], classes: Sequence[str] = EXPRESSIONS) -> dict[str, Any]:
    """Score a run's predictions, together and database by database.

    Args:
      predictions: one per clip, all folds.
      classes: names of the classes, in label order.

    Returns:
      `overall` (Score), `datasets` {name: Score}, `floors` {name: {uf1, uar}} (docs/design.md, "Results file"), and
      `dataset_floors` {dataset: floors}, as the class frequencies of the databases differ.

    Raises:
      UserError: there is no prediction, or a clip has two.
    """
    if not predictions:
        raise UserError("no predictions to score: train at least one fold")
    require_unique(Path("predictions"), predictions)
    names = sorted({row.dataset for row in predictions})
    by_dataset = {name: [row for row in predictions if row.dataset == name] for name in names}
    return {
        "overall": _score_rows(predictions, len(classes)),
        "datasets": {name: _score_rows(rows, len(classes)) for name, rows in by_dataset.items()},
        "floors": bootstrap.floors([row.label for row in predictions], classes),
        "dataset_floors": {
            name: bootstrap.floors([row.label for row in rows], classes) for name, rows in by_dataset.items()
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
    oracle: Mapping[str, Any] | None = None,
    num_folds: int | None = None,
) -> dict[str, Any]:
    """Assemble results.json (docs/design.md, "Results file").

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
      oracle: {"uf1", "uar"} of the best test epoch, where `evaluation.oracle` is set. The oracle is not a valid score
        and is stored apart from the scores.
      num_folds: number of networks trained; one per held-out subject if not given.

    Returns:
      A dictionary ready for `write_json`; `num_folds` counts the folds, `num_people` the held-out subjects.

    Raises:
      UserError: there is no prediction, or a clip has two.
    """
    num_subjects = len({(row.dataset, row.subject) for row in predictions})
    results: dict[str, Any] = {
        "protocol": protocol,
        "selection": selection,
        "num_clips": len(predictions),
        "num_folds": num_subjects if num_folds is None else num_folds,
        "num_people": num_subjects,
        "seed": seed,
        "classes": list(classes),
        **score_predictions(predictions, classes),
        "references": dict(references or {}),
        "timing": asdict(timing),
        "versions": dict(versions),
        "data_fingerprint": data_fingerprint,
    }
    if oracle is not None:
        results["oracle"] = dict(oracle)
    return results


def build_unscored_results(
    predictions: Sequence[Prediction],
    classes: Sequence[str] = EXPRESSIONS,
    *,
    protocol: str,
    selection: str,
    seed: int,
    timing: Timing,
    versions: Mapping[str, str],
    data_fingerprint: str,
) -> dict[str, Any]:
    """Assemble results.json of a run that trained one network on every subject, and so has no score.

    Args:
      predictions: one per clip of the training data, at least one.
      classes: names of the classes; ``build_results`` describes this argument and those that follow.

    Returns:
      A dictionary ready for `write_json`: ``scored`` is false, ``fit.accuracy`` is the accuracy on the training clips,
      `num_people` counts the subjects trained on.
    """
    correct = sum(row.label == row.prediction for row in predictions)
    return {
        "scored": False,
        "protocol": protocol,
        "selection": selection,
        "num_clips": len(predictions),
        "num_folds": 1,
        "num_people": len({(row.dataset, row.subject) for row in predictions}),
        "seed": seed,
        "classes": list(classes),
        "fit": {"accuracy": correct / len(predictions)},  # on the training clips, no score
        "timing": asdict(timing),
        "versions": dict(versions),
        "data_fingerprint": data_fingerprint,
        "files": {},
    }


def read_results(path: Path) -> dict[str, Any]:
    """Read results.json, after a check of its checksum.

    Raises:
      UserError: the file is missing, damaged, changed by hand or of another version; the message names the file.
    """
    try:
        results = read_json_with_checksum(path)
        required = {*_FIELDS, *(_SCORES if results.get("scored", True) else ())}
        if missing := sorted(required - results.keys()):
            raise UserError(f"{path}: the field {missing[0]} is missing")
    except UserError as error:
        if not path.is_file():
            raise
        raise UserError(f"{error}; remove the file and {RERUN_HINT}") from error
    return results


def read_scored_results(path: Path) -> dict[str, Any]:
    """Read results.json, as ``read_results`` does, of a run that has a score.

    Raises:
      UserError: the file is missing or damaged, or the run trained on everybody.
    """
    results = read_results(path)
    if results.get("scored", True) is False:
        raise _unscored_error(path.parent)
    return results


def require_scored(run_dir: Path) -> None:
    """Raise UserError if results.json of a run directory is of a run that trained on everybody, and has no score."""
    content: dict[str, Any] = {}
    with contextlib.suppress(UserError):  # the function that needs a missing or damaged file raises
        content = read_json(run_dir / RESULTS_FILE)
    if content.get("scored") is False:
        raise _unscored_error(run_dir)


def _unscored_error(run_dir: Path) -> UserError:
    return UserError(
        f"{run_dir}: trained on everybody (protocol=all): it has no score; give a run with --config.protocol=loso"
    )


def _score_rows(rows: Sequence[Prediction], num_classes: int) -> Score:
    return score(
        [row.label for row in rows],
        [row.prediction for row in rows],
        [(row.dataset, row.subject) for row in rows],
        num_classes,
    )
