"""What an unfinished run shows for itself: results.partial.json, and no results of an earlier state beside it.

What the finished folds of a run come to: predictions.csv, results.json, the report and the last lines.

A run that trained on everybody has no score: no predictions.csv, a results.json that says so, and other last lines.
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

import jax
import numpy as np

from icegan_jax import __version__
from icegan_jax.data.dataset import Pairs
from icegan_jax.data.folds import Fold, people_of
from icegan_jax.errors import UserError
from icegan_jax.evaluation import metrics
from icegan_jax.evaluation.baselines.linear_pixels import linear_on_apex_pixels
from icegan_jax.evaluation.predictions import Prediction, read_predictions, write_predictions
from icegan_jax.evaluation.results import Score, Timing, build_results, build_unscored_results, score
from icegan_jax.evaluation.score_table import ORACLE_NAME, format_table, score_rows
from icegan_jax.evaluation.selection import best_on_inner, best_test_epoch, predictions_at
from icegan_jax.io import sha256_of, write_json, write_json_with_checksum
from icegan_jax.provenance import PACKAGES
from icegan_jax.report import write_report
from icegan_jax.run_dir import EVALUATIONS_FILE, PARTIAL_RESULTS_FILE, PREDICTIONS_FILE, fold_dir, is_finished
from icegan_jax.training.evaluate import check_steps, read_evaluations
from icegan_jax.training.fold_result import damage_of, read_result

# What only a run with all folds has; the first says so.
_WHOLE = ("results.json", "predictions.csv", "report", "report_no_faces")

_OLD = ".old"

_NOTE = (
    "of the finished folds alone, after their last step: a part of the people is not the run's result, and scores of "
    "different parts cannot be compared"
)


def write_partial_results(
    pairs: Pairs, folds: Sequence[Fold], run_dir: Path, *, seed: int, missing: Mapping[str, str]
) -> Path | None:
    """Writes what the finished folds of a stopped run come to so far.

    Args:
      pairs: the run's data.
      folds: all of them.
      run_dir: the run directory.
      seed: of the run.
      missing: why a fold is not finished, by name; of the others it is said that they are not.

    Returns:
      ``results.partial.json``; None, and none is left of an earlier state, where not one fold is finished and intact,
      or the run tests nobody.

    Raises:
      OSError: it cannot be written.
    """
    rows: list[Prediction] = []
    done: list[str] = []
    without: dict[str, str] = {}
    for fold in folds:
        if not fold.scored:
            continue
        folder = fold_dir(run_dir, fold)
        damage = (
            damage_of(folder, fold, pairs) if is_finished(run_dir, fold) else missing.get(fold.name, "not finished")
        )
        if damage is None:
            rows += read_predictions(folder / PREDICTIONS_FILE)[1]
            done.append(fold.name)
        else:
            without[fold.name] = damage
    path = run_dir / PARTIAL_RESULTS_FILE
    if not done:
        path.unlink(missing_ok=True)
        return None
    counts = metrics.confusion([row.label for row in rows], [row.prediction for row in rows], len(pairs.classes))
    score = {"uf1": metrics.uf1(counts), "uar": metrics.uar(counts), "accuracy": metrics.accuracy(counts)}
    content = {
        "partial": True,
        "folds": {"finished": done, "missing": without},
        "num_clips": len(rows),
        "classes": list(pairs.classes),
        "so_far": {**score, "confusion": counts.tolist(), "note": _NOTE},
        "seed": seed,
        "data_fingerprint": pairs.fingerprint,
    }
    write_json(path, content)
    return path


def set_aside_results(run_dir: Path) -> None:
    """Takes results of an earlier state out of the way of a run whose folds are not all finished.

    They are kept as results.json.old, predictions.csv.old, report.old and report_no_faces.old until the run has its
    results again.

    Raises:
      OSError: one cannot be moved.
    """
    for name in _WHOLE:
        path, old = run_dir / name, run_dir / f"{name}{_OLD}"
        if path.exists():
            _remove(old)
            os.replace(path, old)


def remove_partial_results(run_dir: Path) -> None:
    """Removes, of a run that has its results, those of its earlier states.

    Raises:
      OSError: one cannot be removed.
    """
    (run_dir / PARTIAL_RESULTS_FILE).unlink(missing_ok=True)
    for name in _WHOLE:
        _remove(run_dir / f"{name}{_OLD}")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


_SELECTIONS = {"last": "last", "inner": "inner validation"}


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
    processes: int,
    compiled: str,
) -> None:
    """Pools the folds' predictions, writes the scores and the report, prints the table; see above for the other runs.

    Written anew each time: predictions.csv, then results.json, which holds its checksum, then the report; what earlier
    states of the run left goes last.

    Args:
      pairs: the run's data.
      folds: all of them, finished.
      run_dir: the run directory.
      selection: a key of ``_SELECTIONS``: which step of each fold is reported.
      evaluated: whether there were evaluations during training, which "inner" and ``oracle`` choose among.
      oracle: whether to score the best test evaluations too.
      seed: of the run.
      batch_size: pairs per update.
      processes: how many this start had.
      compiled: what to add to the seconds spent compiling.

    Raises:
      UserError: a fold is not finished, or a file of it is damaged or of other clips.
      OSError: a file cannot be written.
    """
    finished = _results(pairs, folds, run_dir)
    timing = _timing(finished, batch_size)
    about: dict[str, Any] = {
        "protocol": _protocol(pairs, folds),
        "selection": _SELECTIONS[selection],
        "seed": seed,
        "timing": timing,
        "versions": _versions(processes),
        "data_fingerprint": pairs.fingerprint,
    }
    if folds[0].scored:
        choice = _choose(pairs, folds, run_dir, selection, evaluated, oracle, steps=int(finished[0]["steps"]))
        write_predictions(run_dir / "predictions.csv", choice.predictions, pairs.classes)
        results = build_results(
            choice.predictions,
            pairs.classes,
            **about,
            references={"linear_on_apex_pixels": _linear_reference(pairs, folds)},
            oracle={**choice.by_selection[ORACLE_NAME], "name": ORACLE_NAME} if oracle else None,
            num_folds=len(folds),
        )
        results["by_selection"] = choice.by_selection
        if selection == "inner":
            results["selected_steps"] = choice.inner_steps
        results["files"] = {"predictions.csv": sha256_of(run_dir / "predictions.csv")}
        summary, written = format_table(score_rows(results)), f"scores: {run_dir / 'results.json'}"
    else:
        rows = read_predictions(fold_dir(run_dir, folds[0]) / PREDICTIONS_FILE)[1]
        results = build_unscored_results(rows, pairs.classes, **about)
        summary, written = _about_fit(results), f"run:    {run_dir}\nuse it: {_example(run_dir)}"
    warnings = {
        fold.name: content["warnings"] for fold, content in zip(folds, finished, strict=True) if content.get("warnings")
    }
    if warnings:
        results["warnings"] = warnings
    write_json_with_checksum(run_dir / "results.json", results)
    page = write_report(run_dir)
    remove_partial_results(run_dir)
    print(summary)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts in KiB
    print(
        f"{timing.wall_s:.0f} s, {timing.compile_s:.0f} of them compiling{compiled}; "
        f"{1 / timing.steps_per_s:.2f} s per update of one fold; peak memory {peak:.1f} GiB"
    )
    print(f"{written}\nreport: {page}")


def _about_fit(results: Mapping[str, Any]) -> str:
    """What there is to say in place of a score table."""
    return (
        "trained on everybody: no score exists\n"
        f"fit: {results['fit']['accuracy']:.3f} of the {results['num_clips']} clips trained on are recognized, "
        "which tells nothing about other people; --config.protocol=loso tests"
    )


def _example(run_dir: Path) -> str:
    """A command that uses the trained network."""
    return f"python -m icegan_jax.predict --workdir={shlex.quote(str(run_dir))} --input=clip.mp4 --out=answers"


class _Choice(NamedTuple):
    """What the folds predicted, and what other choices of a step would have come to.

    Attributes:
      predictions: the run's, one per clip.
      by_selection: {"last": Score}, of "inner" where there are inner clips, and where it is asked for {"uf1", "uar"} of
        the best test epoch, which gets no interval: it is not a valid score.
      inner_steps: of each fold, the step chosen on its inner clips; empty where there are none.
    """

    predictions: list[Prediction]
    by_selection: dict[str, Mapping[str, object]]
    inner_steps: dict[str, int]


def _results(pairs: Pairs, folds: Sequence[Fold], run_dir: Path) -> list[dict[str, Any]]:
    """The result.json of each fold, of which everything it left is intact."""
    results = []
    for fold in folds:
        folder = fold_dir(run_dir, fold)
        why = damage_of(folder, fold, pairs)
        if why is not None:
            raise UserError(f"{why}; start the same command again: the fold runs again from its newest checkpoint")
        results.append(read_result(folder))
    return results


def _choose(
    pairs: Pairs, folds: Sequence[Fold], run_dir: Path, selection: str, evaluated: bool, oracle: bool, steps: int
) -> _Choice:
    number = len(pairs.classes)
    last = [read_predictions(fold_dir(run_dir, fold) / PREDICTIONS_FILE)[1] for fold in folds]
    rows = {"last": [row for found in last for row in found]}
    chosen_steps: dict[str, int] = {}
    histories = []
    if evaluated:
        paths = [fold_dir(run_dir, fold) / EVALUATIONS_FILE for fold in folds]
        histories = [read_evaluations(path, fold, number) for path, fold in zip(paths, folds, strict=True)]
        check_steps(histories, paths, steps)
    if histories and all(len(fold.inner) for fold in folds):
        chosen = [best_on_inner(found, pairs.label[fold.inner]) for fold, found in zip(folds, histories, strict=True)]
        chosen_steps = {fold.name: evaluation.step for fold, evaluation in zip(folds, chosen, strict=True)}
        rows["inner"] = [row for found, best in zip(last, chosen, strict=True) for row in predictions_at(found, best)]
    scores: dict[str, Mapping[str, object]] = {}
    for name, found in rows.items():
        labels, answers = [row.label for row in found], [row.prediction for row in found]
        scores[name] = cast(
            Mapping[str, object], score(labels, answers, [(row.dataset, row.subject) for row in found], number)
        )
    if oracle:
        truth = [pairs.label[fold.test] for fold in folds]
        scores[ORACLE_NAME] = best_test_epoch(list(zip(histories, truth, strict=True)))
    return _Choice(rows[selection], scores, chosen_steps)


def _protocol(pairs: Pairs, folds: Sequence[Fold]) -> str:
    everybody = people_of(pairs)
    held_out = {person for fold in folds for person in fold.people}
    if not held_out:
        trained = np.isin(np.arange(len(pairs.label)), folds[0].train)
        kept = len(everybody) - len(people_of(pairs, trained))
        but = f" but {kept} kept for inner validation" if kept else ""
        return f"all: everybody{but} is trained on, nobody is left to test"
    if held_out == set(everybody):
        return "leave one subject out"
    return f"subject-wise split, {len(held_out)} of {len(everybody)} people held out"


def _timing(results: Sequence[dict[str, object]], batch_size: int) -> Timing:
    """The time of the process that was at work longest, and the steps that all processes made in it.

    Of a group that trained side by side, each fold's result holds its share of the group's seconds. Processes work
    at the same time: their seconds are summed for each process, not over processes.
    """
    spent: dict[object, list[float]] = {}  # of each process: seconds, seconds compiling
    for result in results:
        sums = spent.setdefault(result.get("process", 0), [0.0, 0.0])
        for place, key in enumerate(("wall_s", "compile_s")):
            sums[place] += float(str(result[key]))
    wall, compile_s = max(spent.values())
    rate = sum(float(str(result["steps"])) for result in results) / (wall - compile_s)
    return Timing(wall_s=wall, compile_s=compile_s, steps_per_s=rate, faces_per_s=rate * batch_size)


def _linear_reference(pairs: Pairs, folds: Sequence[Fold]) -> Score:
    """What a linear classifier on the raw apex pixels scores on the same folds: the shortcut to stay above."""
    number = len(pairs.classes)
    rows = [(fold.train, fold.test) for fold in folds]
    guesses = linear_on_apex_pixels(pairs.apex, pairs.label, rows, num_classes=number)
    tested = np.concatenate([fold.test for fold in folds])
    people = list(zip(pairs.dataset[tested].tolist(), pairs.subject[tested].tolist(), strict=True))
    return score(pairs.label[tested].tolist(), guesses.tolist(), people, number)


def _versions(processes: int) -> dict[str, str]:
    versions = {"icegan-jax": __version__, **{name: metadata.version(name) for name in PACKAGES}}
    device = jax.local_devices()[0]
    machine = f"{jax.local_device_count()} x {device.device_kind}, {os.cpu_count()} CPU cores, {platform.machine()}"
    several = f"{processes} processes, the first with " if processes > 1 else ""
    return {"python": platform.python_version(), **versions, "machine": several + machine}
