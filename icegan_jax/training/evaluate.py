"""Evaluation of a group of folds: predictions.csv, resting.csv and synthesis.npz, and evaluations.jsonl before the end.

Each line of evaluations.jsonl holds the capsule lengths of the test and inner validation clips of a fold at one step.
"""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from icegan_jax.data.dataset import Pairs
from icegan_jax.data.folds import Fold
from icegan_jax.data.resting import disturbed_resting_faces
from icegan_jax.errors import UserError
from icegan_jax.evaluation.metrics import group_ids
from icegan_jax.evaluation.predictions import Prediction, write_predictions
from icegan_jax.evaluation.resting import RestingPrediction, write_resting_predictions
from icegan_jax.evaluation.selection import Evaluation
from icegan_jax.io import CHECKSUM, checksum_of, has_valid_checksum, write_arrays
from icegan_jax.run_dir import PREDICTIONS_FILE, RESTING_FILE, SYNTHESIS_FILE
from icegan_jax.training.logging import append
from icegan_jax.training.parallel import FoldLayout, ParallelPrograms
from icegan_jax.training.state import TrainState

# Indices of pairs int64[g, b] to two faces uint8[g, b, n, n, 1].
ReadFaces = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def evaluate_group(
    programs: ParallelPrograms,
    states: TrainState,
    pairs: Pairs,
    filled: Sequence[Fold],
    folders: Sequence[Path | None],
    layout: FoldLayout,
    batch_size: int,
) -> list[int]:
    """Predict the test clips and their resting pairs; write ``predictions.csv``, ``resting.csv``, ``synthesis.npz``.

    Without a generator there is no ``synthesis.npz``, and of a compared system no ``resting.csv``, either.

    Args:
      programs: the compiled programs.
      states: the trained states, with leading axes [r, f] in the order of ``filled``.
      pairs: the prepared pairs.
      filled: the folds of the group, then copies of the first fold that fill the group.
      folders: the folders of the folds, without the copies; None for a fold that failed.
      layout: which fold is on which device; devices that share batches in training all get the same clips here.
      batch_size: clips per call.

    Returns:
      The indices of the folds with a capsule length that is not finite; nothing is written for these folds.
    """
    tests = [fold.test for fold in filled]
    all_lengths = recognize_clips(programs, states, pairs, tests, layout, batch_size)
    all_faces, synthesize = None, programs.synthesize_classes
    if synthesize is not None:
        all_faces = _run_in_batches(
            lambda onset, _: synthesize(states, onset), pairs.network_input, tests, layout, batch_size
        )
    resting, rest_lengths = list[np.ndarray](), None
    if pairs.input is None:
        resting = _resting_pairs(pairs, filled)
        rest_lengths = _run_in_batches(
            lambda onset, rest: programs.predict(states, onset, rest),
            lambda index: (pairs.onset[index][..., None], disturbed_resting_faces(pairs, index)[..., None]),
            resting,
            layout,
            batch_size,
        )
    nonfinite = []
    for number, (fold, folder) in enumerate(zip(filled, folders, strict=False)):
        if folder is None:
            continue
        count = len(fold.test)
        at_rest = None if rest_lengths is None else rest_lengths[number, : len(resting[number])]
        lengths = (all_lengths[number, :count], *(() if at_rest is None else (at_rest,)))
        if not all(np.isfinite(rows).all() for rows in lengths):
            nonfinite.append(number)
            continue
        rows = predictions_of(pairs, fold, all_lengths[number, :count])
        write_predictions(folder / PREDICTIONS_FILE, rows, pairs.classes)
        if at_rest is not None:
            rest_rows = _resting_predictions(pairs, resting[number], at_rest)
            write_resting_predictions(folder / RESTING_FILE, rest_rows, pairs.classes)
        if all_faces is not None:
            write_arrays(
                folder / SYNTHESIS_FILE,
                onset=pairs.onset[fold.test],
                synthetic=all_faces[number, :count],
                apex=pairs.apex[fold.test],
                label=pairs.label[fold.test],
                clip=pairs.clip[fold.test],
                dataset=pairs.dataset[fold.test],
                subject=pairs.subject[fold.test],
            )
    return nonfinite


def recognize_clips(
    programs: ParallelPrograms,
    states: TrainState,
    pairs: Pairs,
    clips: Sequence[np.ndarray],
    layout: FoldLayout,
    batch_size: int,
) -> np.ndarray:
    """Compute the capsule lengths float32[g, m, k] of the clips of each fold.

    ``clips`` holds indices into ``pairs``, int64[...] for each of g folds, at least one each. The axis m is at least as
    long as the longest list; the caller drops the padding behind the clips of a fold. The other arguments are as in
    ``evaluate_group``.
    """
    return _run_in_batches(
        lambda onset, apex: programs.predict(states, onset, apex), pairs.network_input, clips, layout, batch_size
    )


def _resting_pairs(pairs: Pairs, folds: Sequence[Fold]) -> list[np.ndarray]:
    """Return for each fold the indices int64[m] of all pairs, neighbors included, of the clips of ``fold.test``."""
    clips = group_ids(zip(pairs.dataset.tolist(), pairs.subject.tolist(), pairs.clip.tolist(), strict=True))
    return [np.flatnonzero(np.isin(clips, clips[fold.test])) for fold in folds]


def _run_in_batches(
    program: Callable[[Any, Any], Any],
    read: ReadFaces,
    clips: Sequence[np.ndarray],
    layout: FoldLayout,
    batch_size: int,
) -> np.ndarray:
    """Run a program of two faces [r, f, b, ...] on the clips of every fold, and return its results [g, m, ...].

    Folds have between one and dozens of clips. Each list is padded with its first clip to the same whole number of
    batches, so that one compiled program computes all folds. ``read`` returns both faces of the clips int64[g, b].
    """
    size = math.ceil(max(map(len, clips)) / batch_size) * batch_size
    padded = np.stack([np.concatenate([index, np.full(size - len(index), index[0])]) for index in clips])
    results = []
    for start in range(0, size, batch_size):
        index = padded[:, start : start + batch_size]
        onset, face = (layout.device_put(layout.shard(images)) for images in read(index))
        results.append(program(onset, face))
    return np.concatenate([layout.gather(np.asarray(values)) for values in results], axis=1)


def predictions_of(pairs: Pairs, fold: Fold, lengths: np.ndarray) -> list[Prediction]:
    """Return one prediction per test clip: the class of the longest capsule of ``lengths`` float32[clips, k]."""
    return [
        Prediction(
            dataset=str(pairs.dataset[index]),
            subject=str(pairs.subject[index]),
            clip=str(pairs.clip[index]),
            label=int(pairs.label[index]),
            prediction=int(np.argmax(row)),
            scores=tuple(row.tolist()),
        )
        for index, row in zip(fold.test, lengths, strict=True)
    ]


def _resting_predictions(pairs: Pairs, index: np.ndarray, lengths: np.ndarray) -> list[RestingPrediction]:
    """Return one prediction per resting pair of ``index`` int64[m]: the class of the longest of ``lengths`` [m, k]."""
    return [
        RestingPrediction(
            dataset=str(pairs.dataset[i]),
            subject=str(pairs.subject[i]),
            clip=str(pairs.clip[i]),
            shift=int(pairs.shift[i]),
            prediction=int(np.argmax(row)),
            scores=tuple(row.tolist()),
        )
        for i, row in zip(index, lengths, strict=True)
    ]


def write_evaluations(
    programs: ParallelPrograms,
    states: TrainState,
    step: int,
    pairs: Pairs,
    filled: Sequence[Fold],
    streams: Sequence[TextIO | None],
    layout: FoldLayout,
    batch_size: int,
) -> list[int]:
    """Predict the test and inner validation clips of each fold, and append a line to each stream.

    Args:
      states: the states after ``step``; they must not be donated before the function returns.
      step: the number of updates so far.
      streams: evaluations.jsonl of the folds, without the copies; None for a fold that failed.

    The other arguments are as in ``evaluate_group``.

    Returns:
      The indices of the folds with a capsule length that is not finite; nothing is written for these folds.

    Raises:
      OSError: as ``logging.append``.
    """
    tests = recognize_clips(programs, states, pairs, [fold.test for fold in filled], layout, batch_size)
    inner = np.empty((len(filled), 0, tests.shape[2]))
    if all(len(fold.inner) for fold in filled):
        inner = recognize_clips(programs, states, pairs, [fold.inner for fold in filled], layout, batch_size)
    nonfinite = []
    for index, (fold, stream, *lengths) in enumerate(zip(filled, streams, tests, inner, strict=False)):
        if stream is None:
            continue
        if not all(np.isfinite(rows).all() for rows in lengths):
            nonfinite.append(index)
            continue
        test, kept = (_digits(rows[: len(clips)]) for rows, clips in zip(lengths, (fold.test, fold.inner), strict=True))
        line = {"step": step, "test": test, "inner": kept}
        append(stream, {**line, CHECKSUM: checksum_of(line)})
    return nonfinite


def intact_until(path: Path, every: int, steps: int) -> int:
    """Return the last step from which a fold can continue without a gap in its evaluations.

    All evaluations that were due until that step are intact. A fold that continued from a later checkpoint would not
    repeat a lost evaluation.

    Args:
      path: evaluations.jsonl of the fold; a missing file holds no evaluation.
      every: updates between evaluations.
      steps: steps of the whole training; there is an evaluation after the last step.
    """
    lines = path.read_bytes().split(b"\n") if path.is_file() else []
    intact = {step for line in lines if (step := _step_of(line))}
    due = sorted({*range(every, steps + 1, every), steps})
    return next((step - 1 for step in due if step not in intact), steps)


def read_evaluations(path: Path, fold: Fold, classes: int) -> list[Evaluation]:
    """Read the evaluations of a finished fold, by rising step.

    Raises:
      UserError: the file is missing, damaged or belongs to other clips, or a capsule length is not finite.
    """
    again = "remove the fold's folder to train it again"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise UserError(f"{path}: cannot be read as text; {again}") from None
    if not lines:
        raise UserError(f"{path}: not one evaluation; {again}")
    evaluations: list[Evaluation] = []
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            step = int(entry["step"])
            test, inner = (np.array(entry[name], np.float64).reshape(-1, classes) for name in ("test", "inner"))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            raise UserError(
                f'{path}:{number}: not a line like {{"step": 10, "test": [], "inner": []}}; {again}'
            ) from None
        if (len(test), len(inner)) != (len(fold.test), len(fold.inner)):
            raise UserError(
                f"{path}:{number}: {len(test)} test and {len(inner)} inner clips, but the fold has "
                f"{len(fold.test)} and {len(fold.inner)}; {again}"
            )
        if not (np.isfinite(test).all() and np.isfinite(inner).all()):
            raise UserError(
                f"{path}:{number}: a capsule length is not a finite number: the training diverged, "
                "lower the learning rate"
            )
        if evaluations and step <= evaluations[-1].step:
            raise UserError(f"{path}:{number}: step {step} after step {evaluations[-1].step}; {again}")
        evaluations.append(Evaluation(step, test, inner))
    return evaluations


def check_steps(histories: Sequence[Sequence[Evaluation]], paths: Sequence[Path], steps: int) -> None:
    """Check that all folds were evaluated after the same steps, and after the last step.

    Args:
      histories: the evaluations of each fold, from ``read_evaluations``.
      paths: the file of each fold.
      steps: steps of the whole training.

    Raises:
      UserError: a fold lacks an evaluation that another fold has, or that of the last step.
    """
    evaluated = [{evaluation.step for evaluation in history} for history in histories]
    due = {steps}.union(*evaluated)
    for path, own in zip(paths, evaluated, strict=True):
        if own != due:
            raise UserError(
                f"{path}: no evaluation after step {min(due - own)}; remove the fold's folder to train it again"
            )


def _step_of(line: bytes) -> int:
    """Return the step of an intact line; 0 for a damaged line."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return 0
    return int(entry["step"]) if isinstance(entry, dict) and has_valid_checksum(entry) else 0


def _digits(lengths: np.ndarray) -> list[list[float]]:
    """Round to nine digits, which distinguish any two float32; with six decimals, lengths of a clip may be equal."""
    return [[float(f"{value:.9g}") for value in row] for row in lengths.tolist()]
