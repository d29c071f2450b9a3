"""The folds of a compared system without a network: features and a linear support vector machine."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from icegan_jax.data.dataset import Pairs
from icegan_jax.data.folds import Fold
from icegan_jax.evaluation.baselines.linear_svm import linear_svm
from icegan_jax.evaluation.predictions import write_predictions
from icegan_jax.run_dir import PREDICTIONS_FILE, fold_dir, is_finished
from icegan_jax.training.evaluate import predictions_of
from icegan_jax.training.fold_result import write_result


def fit_folds(
    pairs: Pairs,
    folds: Sequence[Fold],
    features: Callable[[Pairs], NDArray[np.floating]],
    run_dir: Path,
    *,
    steps: int,
    run: str,
) -> None:
    """Train and test a linear SVM on every fold without a result; a fold ends with predictions.csv and result.json.

    The scores in predictions.csv are 1 for the predicted class and 0 for the others: the machine has no probabilities.

    Args:
      pairs: the prepared pairs.
      folds: all folds of the run.
      features: computes the features float[n, d] of all pairs.
      run_dir: the run directory.
      steps: the number of updates that the config names, which the results repeat.
      run: the id of the run.

    Raises:
      OSError: a file cannot be written.
    """
    unfinished = [fold for fold in folds if not is_finished(run_dir, fold)]
    if not unfinished:
        return
    start = time.perf_counter()
    rows = features(pairs)
    share = (time.perf_counter() - start) / len(unfinished)
    for fold in tqdm(unfinished, desc="folds", unit="fold", dynamic_ncols=True, disable=None):
        start = time.perf_counter()
        predicted = linear_svm(rows, pairs.label, [(fold.train, fold.test)])
        folder = fold_dir(run_dir, fold)
        folder.mkdir(parents=True, exist_ok=True)
        scores = np.eye(len(pairs.classes), dtype=np.float32)[predicted]
        write_predictions(folder / PREDICTIONS_FILE, predictions_of(pairs, fold, scores), pairs.classes)
        about = {"people": fold.people, "num_clips": len(fold.test), "steps": steps, "run": run, "worker": ""}
        wall_s = share + time.perf_counter() - start
        write_result(folder, about | {"wall_s": wall_s, "compile_s": 0.0, "warnings": []})
