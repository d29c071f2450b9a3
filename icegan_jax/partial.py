"""What an unfinished run shows for itself: results.partial.json, and no results of an earlier state beside it."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from icegan_jax.data.dataset import Pairs
from icegan_jax.data.folds import Fold
from icegan_jax.evaluation import metrics
from icegan_jax.evaluation.files import write_json
from icegan_jax.evaluation.predictions import Prediction, read_predictions
from icegan_jax.evaluation.results import PARTIAL
from icegan_jax.training.evaluate import PREDICTIONS
from icegan_jax.training.fold_result import damage_of
from icegan_jax.training.plan import finished, fold_dir

# What only a run with all folds has; the first says so.
_WHOLE = ("results.json", "predictions.csv", "report", "report_no_faces")
_OLD = ".old"
_NOTE = (
    "of the finished folds alone, after their last step: a part of the people is not the run's result, and scores of "
    "different parts cannot be compared"
)


def conclude_partly(
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
        damage = damage_of(folder, fold, pairs) if finished(run_dir, fold) else missing.get(fold.name, "not finished")
        if damage is None:
            rows += read_predictions(folder / PREDICTIONS)[1]
            done.append(fold.name)
        else:
            without[fold.name] = damage
    path = run_dir / PARTIAL
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


def withdraw_results(run_dir: Path) -> None:
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


def forget_parts(run_dir: Path) -> None:
    """Removes, of a run that has its results, those of its earlier states.

    Raises:
      OSError: one cannot be removed.
    """
    (run_dir / PARTIAL).unlink(missing_ok=True)
    for name in _WHOLE:
        _remove(run_dir / f"{name}{_OLD}")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
