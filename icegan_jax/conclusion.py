"""What the finished folds of a run come to: predictions.csv, results.json, the report and the last lines."""

import os
import platform
import resource
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import jax

from icegan_jax import __version__
from icegan_jax.data.dataset import Pairs
from icegan_jax.data.folds import Fold
from icegan_jax.errors import UserError
from icegan_jax.evaluation.baselines import linear_on_apex_pixels
from icegan_jax.evaluation.records import (
    Prediction,
    Score,
    Timing,
    build_results,
    read_json,
    read_predictions,
    score,
    write_json,
    write_predictions,
)
from icegan_jax.evaluation.table import format_table, score_rows
from icegan_jax.report import write_report
from icegan_jax.training.plan import RESULT, fold_dir

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")


def conclude(
    pairs: Pairs, folds: Sequence[Fold], run_dir: Path, *, seed: int, batch_size: int, processes: int, compiled: str
) -> None:
    """Pools the folds' predictions, writes the scores and the report, prints the table.

    Args:
      pairs: the run's data.
      folds: all of them, finished.
      run_dir: the run directory.
      seed: of the run.
      batch_size: pairs per update.
      processes: how many this start had.
      compiled: what to add to the seconds spent compiling.

    Raises:
      UserError: a fold's predictions are damaged, or of other classes.
    """
    predictions = _predictions(pairs, folds, run_dir)
    write_predictions(run_dir / "predictions.csv", predictions, pairs.classes)
    timing = _timing([read_json(fold_dir(run_dir, fold) / RESULT) for fold in folds], batch_size)
    results = build_results(
        predictions,
        pairs.classes,
        protocol="leave one subject out",
        selection="last",
        seed=seed,
        timing=timing,
        versions=_versions(processes),
        data_fingerprint=pairs.fingerprint,
        references={"linear_on_apex_pixels": _linear_reference(pairs)},
    )
    write_json(run_dir / "results.json", results)
    page = write_report(run_dir)
    print(format_table(score_rows(results)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts in KiB
    print(
        f"{timing.wall_s:.0f} s, {timing.compile_s:.0f} of them compiling{compiled}; "
        f"{1 / timing.steps_per_s:.2f} s per update of one fold; peak memory {peak:.1f} GiB"
    )
    print(f"scores: {run_dir / 'results.json'}\nreport: {page}")


def _predictions(pairs: Pairs, folds: Sequence[Fold], run_dir: Path) -> list[Prediction]:
    """What the folds predicted, one row per clip."""
    predictions = []
    for fold in folds:
        path = fold_dir(run_dir, fold) / "predictions.csv"
        classes, rows = read_predictions(path)
        if classes != pairs.classes:
            raise UserError(
                f"{path}: its classes are {', '.join(classes)}, the data's {', '.join(pairs.classes)}; "
                "remove the fold's folder to train it again"
            )
        predictions += rows
    return predictions


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


def _linear_reference(pairs: Pairs) -> Score:
    """What a linear classifier on the raw apex pixels scores on the same folds: the shortcut to stay above."""
    people = list(zip(pairs.dataset.tolist(), pairs.subject.tolist(), strict=True))
    apexes = pairs.shift == 0
    number = len(pairs.classes)
    guesses = linear_on_apex_pixels(pairs.apex, pairs.label, people, pairs.shift, num_classes=number)
    tested = [who for who, is_apex in zip(people, apexes, strict=True) if is_apex]
    return score(pairs.label[apexes].tolist(), guesses.tolist(), tested, number)


def _versions(processes: int) -> dict[str, str]:
    versions = {"icegan-jax": __version__, **{name: metadata.version(name) for name in _PACKAGES}}
    device = jax.local_devices()[0]
    machine = f"{jax.local_device_count()} x {device.device_kind}, {os.cpu_count()} CPU cores, {platform.machine()}"
    several = f"{processes} processes, the first with " if processes > 1 else ""
    return {"python": platform.python_version(), **versions, "machine": several + machine}
