"""The results of a run: predictions.csv, resting.csv, results.json and the report, or results.partial.json.

A run that trained on all subjects has no score and none of the two tables; its results.json has ``"scored": false``.
"""

import os
import platform
import resource
import shlex
import shutil
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from icegan_jax import __version__
from icegan_jax.data.dataset import Pairs
from icegan_jax.data.folds import Fold, list_subjects
from icegan_jax.errors import UserError
from icegan_jax.evaluation import metrics
from icegan_jax.evaluation.baselines.references import score_references
from icegan_jax.evaluation.calibration import calibrate, describe_threshold, write_calibration
from icegan_jax.evaluation.predictions import Prediction, read_predictions, write_predictions
from icegan_jax.evaluation.resting import read_resting_predictions, write_resting_predictions
from icegan_jax.evaluation.results import Score, Timing, build_results, build_unscored_results, read_results, score
from icegan_jax.evaluation.score_table import ORACLE_NAME, format_table, score_rows
from icegan_jax.evaluation.selection import best_on_inner, best_test_epoch, predictions_at
from icegan_jax.io import sha256_of, write_json, write_json_with_checksum
from icegan_jax.provenance import PACKAGES
from icegan_jax.report import write_report
from icegan_jax.run_dir import (
    CALIBRATION_FILE,
    EVALUATIONS_FILE,
    OLD_SUFFIX,
    PARTIAL_RESULTS_FILE,
    PREDICTIONS_FILE,
    REPORT_DIR,
    REPORT_WITHOUT_FACES_DIR,
    RESTING_FILE,
    RESULTS_FILE,
    fold_dir,
    is_finished,
)
from icegan_jax.training.evaluate import check_steps, read_evaluations
from icegan_jax.training.fold_result import damage_of, read_result

# Files that only a run with all folds finished has. results.json is first: other programs take a run as finished if the
# file exists.
_RESULT_NAMES = (
    RESULTS_FILE,
    PREDICTIONS_FILE,
    RESTING_FILE,
    CALIBRATION_FILE,
    REPORT_DIR,
    REPORT_WITHOUT_FACES_DIR,
)

_SELECTIONS = {"last": "last", "inner": "inner validation"}  # config.evaluation.selection, as in results.json

_PARTIAL_NOTE = (
    "of the finished folds alone, after their last step: a part of the people is not the run's result, and scores of "
    "different parts cannot be compared"
)


class _Selection(NamedTuple):
    """The predictions at the selected step of each fold, and the scores of all ways to select a step.

    Attributes:
      predictions: The predictions of the run, one per clip.
      last: Those after the last step.
      by_selection: Scores of "last", of "inner" if there are inner validation clips, and, if the oracle is computed,
        {"uf1", "uar"} of the best test epoch, without intervals since this score is not valid.
      inner_steps: The step of each fold, selected on its inner validation clips; empty if there are no such clips.
    """

    predictions: list[Prediction]
    last: list[Prediction]
    by_selection: dict[str, Mapping[str, object]]
    inner_steps: dict[str, int]


def finalize_run(
    pairs: Pairs,
    folds: Sequence[Fold],
    run_dir: Path,
    *,
    selection: str,
    evaluated: bool,
    oracle: bool,
    seed: int,
    batch_size: int,
    machine: str,
) -> None:
    """Pool the predictions of the folds, write scores and report, and print the score table.

    All files are written again at each start: predictions.csv and resting.csv, then results.json with their checksums,
    then the report; results of earlier states of the run are removed last.

    Args:
      pairs: The run's data.
      folds: All folds, finished.
      run_dir: The run directory.
      selection: How the reported step of each fold is selected, a key of ``_SELECTIONS``.
      evaluated: Whether there were evaluations during training, among which "inner" and ``oracle`` select.
      oracle: Whether to score the best test evaluations, too.
      seed: The seed of the run.
      batch_size: Pairs per update.
      machine: Description of the machine or machines that trained.

    Raises:
      UserError: A fold is not finished, or a file of it is damaged or of other clips.
      OSError: A file cannot be written.
    """
    fold_results = _read_fold_results(pairs, folds, run_dir)
    timing = _timing(fold_results, batch_size)
    description: dict[str, Any] = {
        "protocol": _describe_protocol(pairs, folds),
        "selection": _SELECTIONS[selection],
        "seed": seed,
        "timing": timing,
        "versions": {**_versions(), "machine": machine},
        "data_fingerprint": pairs.fingerprint,
    }
    if folds[0].scored:
        steps = int(fold_results[0]["steps"])
        selected = _select_steps(pairs, folds, run_dir, selection, evaluated, oracle, steps)
        write_predictions(run_dir / PREDICTIONS_FILE, selected.predictions, pairs.classes)
        at_rest = [read_resting_predictions(fold_dir(run_dir, fold) / RESTING_FILE)[1] for fold in folds]
        resting = [row for rows in at_rest for row in rows]
        write_resting_predictions(run_dir / RESTING_FILE, resting, pairs.classes)
        calibration = calibrate(selected.last, resting)
        write_calibration(run_dir / CALIBRATION_FILE, calibration)
        results = build_results(
            selected.predictions,
            pairs.classes,
            **description,
            references=_references(pairs, folds, run_dir, description),
            oracle={**selected.by_selection[ORACLE_NAME], "name": ORACLE_NAME} if oracle else None,
            num_folds=len(folds),
        )
        results["by_selection"] = selected.by_selection
        if selection == "inner":
            results["selected_steps"] = selected.inner_steps
        results["files"] = {name: sha256_of(run_dir / name) for name in (PREDICTIONS_FILE, RESTING_FILE)}
        summary = f"{format_table(score_rows(results))}\n{describe_threshold(calibration.threshold, pairs.classes)}"
        paths = f"scores: {run_dir / RESULTS_FILE}"
    else:
        rows = read_predictions(fold_dir(run_dir, folds[0]) / PREDICTIONS_FILE)[1]
        results = build_unscored_results(rows, pairs.classes, **description)
        summary, paths = _describe_fit(results), f"run:    {run_dir}\nuse it: {_predict_command(run_dir)}"
    by_fold = zip(folds, fold_results, strict=True)
    warnings = {fold.name: result["warnings"] for fold, result in by_fold if result.get("warnings")}
    if warnings:
        results["warnings"] = warnings
    write_json_with_checksum(run_dir / RESULTS_FILE, results)
    page = write_report(run_dir)
    remove_old_results(run_dir)
    print(summary)
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts in KiB
    print(
        f"{timing.wall_s:.0f} s, {timing.compile_s:.0f} of them compiling; "
        f"{1 / timing.steps_per_s:.2f} s per update of one fold; peak memory {peak_gib:.1f} GiB"
    )
    print(f"{paths}\nreport: {page}")


def write_partial_results(
    pairs: Pairs, folds: Sequence[Fold], run_dir: Path, *, seed: int, missing: Mapping[str, str]
) -> Path | None:
    """Write the scores of the finished folds of a stopped run.

    Args:
      pairs: The run's data.
      folds: All folds.
      run_dir: The run directory.
      seed: The seed of the run.
      missing: The reasons why folds are not finished, by name; other unfinished folds are listed as "not finished".

    Returns:
      The path of ``results.partial.json``; None if no fold is finished and intact, or the run has no test clips. An
      older file is removed then.

    Raises:
      UserError: A file of a fold cannot be read at present.
      OSError: The file cannot be written.
    """
    rows: list[Prediction] = []
    finished: list[str] = []
    reasons: dict[str, str] = {}
    for fold in folds:
        if not fold.scored:
            continue
        folder = fold_dir(run_dir, fold)
        if is_finished(run_dir, fold):
            reason = damage_of(folder, fold, pairs)
        else:
            reason = missing.get(fold.name, "not finished")
        if reason is None:
            rows += read_predictions(folder / PREDICTIONS_FILE)[1]
            finished.append(fold.name)
        else:
            reasons[fold.name] = reason
    path = run_dir / PARTIAL_RESULTS_FILE
    if not finished:
        path.unlink(missing_ok=True)
        return None
    counts = metrics.confusion([row.label for row in rows], [row.prediction for row in rows], len(pairs.classes))
    scores = {"uf1": metrics.uf1(counts), "uar": metrics.uar(counts), "accuracy": metrics.accuracy(counts)}
    content = {
        "partial": True,
        "folds": {"finished": finished, "missing": reasons},
        "num_clips": len(rows),
        "classes": list(pairs.classes),
        "so_far": {**scores, "confusion": counts.tolist(), "note": _PARTIAL_NOTE},
        "seed": seed,
        "data_fingerprint": pairs.fingerprint,
    }
    write_json(path, content)
    return path


def rename_old_results(run_dir: Path) -> None:
    """Rename results that are older than the folds: results.json becomes results.json.old, and so on.

    A run whose folds are not all finished must not have results under their final names. The renamed ones stay until
    the run has its results again.

    Raises:
      OSError: A file cannot be renamed.
    """
    for name in _RESULT_NAMES:
        path, old = run_dir / name, run_dir / f"{name}{OLD_SUFFIX}"
        if path.exists():
            _remove(old)
            os.replace(path, old)


def remove_old_results(run_dir: Path) -> None:
    """Remove partial and renamed results from a run that has its results.

    Raises:
      OSError: A file cannot be removed.
    """
    (run_dir / PARTIAL_RESULTS_FILE).unlink(missing_ok=True)
    for name in _RESULT_NAMES:
        _remove(run_dir / f"{name}{OLD_SUFFIX}")


def _remove(path: Path) -> None:
    """Remove a file or folder if it exists; unlike ``io.remove``, raise errors."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _describe_fit(results: Mapping[str, Any]) -> str:
    """Return the text that a run without score prints in place of the score table."""
    return (
        "trained on everybody: no score exists\n"
        f"fit: {results['fit']['accuracy']:.3f} of the {results['num_clips']} clips trained on are recognized, "
        "which is no estimate for other people; --config.protocol=loso tests"
    )


def _predict_command(run_dir: Path) -> str:
    """Return an example of a command that uses the trained network."""
    return f"python -m icegan_jax.predict --workdir={shlex.quote(str(run_dir))} --input=clip.mp4 --out=predictions"


def _read_fold_results(pairs: Pairs, folds: Sequence[Fold], run_dir: Path) -> list[dict[str, Any]]:
    """Return the content of each fold's result.json; raise a UserError if a file of a fold is damaged."""
    results = []
    for fold in folds:
        folder = fold_dir(run_dir, fold)
        damage = damage_of(folder, fold, pairs)
        if damage is not None:
            raise UserError(f"{damage}; start the same command again: the fold runs again from its newest checkpoint")
        results.append(read_result(folder))
    return results


def _select_steps(
    pairs: Pairs, folds: Sequence[Fold], run_dir: Path, selection: str, evaluated: bool, oracle: bool, steps: int
) -> _Selection:
    """Select a step for each fold and score the predictions (docs/design.md, "Evaluation rules", rule 2)."""
    num_classes = len(pairs.classes)
    last = [read_predictions(fold_dir(run_dir, fold) / PREDICTIONS_FILE)[1] for fold in folds]
    predictions = {"last": [row for rows in last for row in rows]}
    inner_steps: dict[str, int] = {}
    histories = []
    if evaluated:
        paths = [fold_dir(run_dir, fold) / EVALUATIONS_FILE for fold in folds]
        histories = [read_evaluations(path, fold, num_classes) for path, fold in zip(paths, folds, strict=True)]
        check_steps(histories, paths, steps)
    if histories and all(len(fold.inner) for fold in folds):
        best = [best_on_inner(history, pairs.label[fold.inner]) for fold, history in zip(folds, histories, strict=True)]
        inner_steps = {fold.name: evaluation.step for fold, evaluation in zip(folds, best, strict=True)}
        predictions["inner"] = [
            row for rows, evaluation in zip(last, best, strict=True) for row in predictions_at(rows, evaluation)
        ]
    scores: dict[str, Mapping[str, object]] = {}
    for name, rows in predictions.items():
        labels, predicted = [row.label for row in rows], [row.prediction for row in rows]
        people = [(row.dataset, row.subject) for row in rows]
        scores[name] = cast(Mapping[str, object], score(labels, predicted, people, num_classes))
    if oracle:
        labels_of_folds = [pairs.label[fold.test] for fold in folds]
        scores[ORACLE_NAME] = best_test_epoch(list(zip(histories, labels_of_folds, strict=True)))
    return _Selection(predictions[selection], predictions["last"], scores, inner_steps)


def _describe_protocol(pairs: Pairs, folds: Sequence[Fold]) -> str:
    everybody = list_subjects(pairs)
    held_out = {person for fold in folds for person in fold.people}
    if not held_out:
        trained = np.isin(np.arange(len(pairs.label)), folds[0].train)
        num_inner = len(everybody) - len(list_subjects(pairs, trained))
        exception = f" but {num_inner} kept for inner validation" if num_inner else ""
        return f"all: everybody{exception} is trained on, nobody is left to test"
    if held_out == set(everybody):
        return "leave one subject out"
    return f"subject-wise split, {len(held_out)} of {len(everybody)} people held out"


def _references(
    pairs: Pairs, folds: Sequence[Fold], run_dir: Path, description: Mapping[str, Any]
) -> Mapping[str, Score]:
    """Return the scores of classifiers without a network: those of earlier results of the same data and programs."""
    try:
        earlier = read_results(run_dir / RESULTS_FILE)
    except UserError:
        earlier = {}
    if all(earlier.get(name) == description[name] for name in ("protocol", "seed", "versions", "data_fingerprint")):
        return cast(Mapping[str, Score], earlier["references"])
    return score_references(pairs, folds)


def _timing(results: Sequence[dict[str, object]], batch_size: int) -> Timing:
    """Return the time of the slowest worker, and the rate of all workers' steps in that time.

    The result of a fold that trained in a group has its share of the group's seconds. Workers train at the same time:
    seconds are summed per worker, not over workers.
    """
    seconds: dict[object, list[float]] = {}  # by worker: in total, for compilation
    for result in results:
        sums = seconds.setdefault(result.get("worker", ""), [0.0, 0.0])
        for index, key in enumerate(("wall_s", "compile_s")):
            sums[index] += float(str(result[key]))
    wall_s, compile_s = max(seconds.values())
    rate = sum(float(str(result["steps"])) for result in results) / (wall_s - compile_s)
    return Timing(wall_s=wall_s, compile_s=compile_s, steps_per_s=rate, faces_per_s=rate * batch_size)


def _versions() -> dict[str, str]:
    """Return the versions of Python and packages."""
    packages = {name: metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "icegan-jax": __version__, **packages}
