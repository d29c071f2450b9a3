"""The held-out clips of a group of folds: recognized at any step, predicted and synthesized after the last one.

A fold's evaluations.jsonl: how long the capsules of its test and inner validation clips were during training.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from icegan_jax.data.dataset import Pairs
from icegan_jax.data.folds import Fold
from icegan_jax.errors import UserError
from icegan_jax.evaluation.predictions import Prediction, write_predictions
from icegan_jax.evaluation.selection import Evaluation
from icegan_jax.io import CHECKSUM, checksum_of, has_valid_checksum, write_arrays
from icegan_jax.run_dir import PREDICTIONS_FILE, SYNTHESIS_FILE
from icegan_jax.training.logging import append
from icegan_jax.training.parallel import FoldLayout, ParallelPrograms
from icegan_jax.training.state import TrainState


def evaluate_group(
    programs: ParallelPrograms,
    states: TrainState,
    pairs: Pairs,
    filled: Sequence[Fold],
    folders: Sequence[Path | None],
    layout: FoldLayout,
    batch_size: int,
) -> list[int]:
    """Writes ``predictions.csv`` and ``synthesis.npz`` of each fold whose folder is given.

    A generator "none" synthesizes nothing and leaves no ``synthesis.npz``.

    Args:
      states: trained, leading axes [r, f] in the order of ``filled``.
      folders: of the first entries of ``filled``, None for a fold that went wrong; the others are copies that fill the
        group up.
      layout: which fold lies where; devices that share batches in training all see the same clips here.

    Returns:
      The places of the folds of which a capsule length is not a finite number; nothing is written of them.
    """
    tests = [fold.test for fold in filled]
    all_lengths = recognize_clips(programs, states, pairs, tests, layout, batch_size)
    all_faces, synthesize = None, programs.synthesize_classes
    if synthesize is not None:
        all_faces = _in_rounds(lambda onset, _: synthesize(states, onset), pairs, tests, layout, batch_size)
    broken = []
    for number, (fold, folder) in enumerate(zip(filled, folders, strict=False)):
        if folder is None:
            continue
        count = len(fold.test)
        if not np.isfinite(all_lengths[number, :count]).all():
            broken.append(number)
            continue
        rows = _predictions(pairs, fold, all_lengths[number, :count])
        write_predictions(folder / PREDICTIONS_FILE, rows, pairs.classes)
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
    return broken


def recognize_clips(
    programs: ParallelPrograms,
    states: TrainState,
    pairs: Pairs,
    clips: Sequence[np.ndarray],
    layout: FoldLayout,
    batch_size: int,
) -> np.ndarray:
    """Capsule lengths float32[g, m, k] of each fold's clips; the padding behind a fold's own clips is to be dropped.

    ``clips``: indices into ``pairs``, int64[...] for each of g folds, at least one each; m is at least the largest
    number of them.
    """
    return _in_rounds(lambda onset, apex: programs.predict(states, onset, apex), pairs, clips, layout, batch_size)


def _in_rounds(
    program: Callable[[Any, Any], Any],
    pairs: Pairs,
    clips: Sequence[np.ndarray],
    layout: FoldLayout,
    batch_size: int,
) -> np.ndarray:
    """What a program of onset and apex [r, f, b, ...] says of every fold's clips, [g, m, ...].

    Folds have between one and dozens of clips: each is padded with its own first clip to a whole number of batches,
    and every fold goes through as many batches as the longest, so that one compiled program serves all.
    """
    size = math.ceil(max(map(len, clips)) / batch_size) * batch_size
    padded = np.stack([np.concatenate([index, np.full(size - len(index), index[0])]) for index in clips])
    found = []
    for start in range(0, size, batch_size):
        index = padded[:, start : start + batch_size]
        onset, apex = (
            layout.device_put(layout.shard(images[index][..., None])) for images in (pairs.onset, pairs.apex)
        )
        found.append(program(onset, apex))
    return np.concatenate([layout.gather(np.asarray(values)) for values in found], axis=1)


def _predictions(pairs: Pairs, fold: Fold, lengths: np.ndarray) -> list[Prediction]:
    """One prediction per held-out clip: the class of the longest capsule of ``lengths`` float32[clips, k]."""
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
    """Recognizes the test and inner clips of each fold, and appends a line to each stream.

    Args:
      states: after ``step``, leading axes [r, f] in the order of ``filled``; not to be donated before this returns.
      streams: of the first entries of ``filled``, None for a fold that went wrong; the others are copies that fill the
        group up.

    Returns:
      The places of the folds of which a capsule length is not a finite number; nothing is written of them.

    Raises:
      OSError: as ``fold_log.append``.
    """
    tests = recognize_clips(programs, states, pairs, [fold.test for fold in filled], layout, batch_size)
    inner = np.empty((len(filled), 0, tests.shape[2]))
    if all(len(fold.inner) for fold in filled):
        inner = recognize_clips(programs, states, pairs, [fold.inner for fold in filled], layout, batch_size)
    broken = []
    for place, (fold, stream, *lengths) in enumerate(zip(filled, streams, tests, inner, strict=False)):
        if stream is None:
            continue
        if not all(np.isfinite(rows).all() for rows in lengths):
            broken.append(place)
            continue
        test, kept = (_digits(rows[: len(clips)]) for rows, clips in zip(lengths, (fold.test, fold.inner), strict=True))
        line = {"step": step, "test": test, "inner": kept}
        append(stream, {**line, CHECKSUM: checksum_of(line)})
    return broken


def intact_until(path: Path, every: int, steps: int) -> int:
    """The last step from which a fold can go on without a gap in its evaluations: what was due until then is intact.

    What was due later is evaluated again, what was due before is not: a checkpoint of a later step is of no use.

    Args:
      path: the fold's evaluations; missing ones are none.
      every: updates between evaluations.
      steps: of the whole training, after which there is an evaluation in any case.
    """
    lines = path.read_bytes().split(b"\n") if path.is_file() else []
    found = {step for line in lines if (step := _step_of(line))}
    due = sorted({*range(every, steps + 1, every), steps})
    return next((step - 1 for step in due if step not in found), steps)


def read_evaluations(path: Path, fold: Fold, classes: int) -> list[Evaluation]:
    """Reads a finished fold's evaluations, by rising step.

    Raises:
      UserError: the file is missing or damaged, of other clips, or a capsule length is not a finite number.
    """
    again = "remove the fold's folder to train it again"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise UserError(f"{path}: cannot be read as text; {again}") from None
    if not lines:
        raise UserError(f"{path}: not one evaluation; {again}")
    found: list[Evaluation] = []
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
        if found and step <= found[-1].step:
            raise UserError(f"{path}:{number}: step {step} after step {found[-1].step}; {again}")
        found.append(Evaluation(step, test, inner))
    return found


def check_steps(histories: Sequence[Sequence[Evaluation]], paths: Sequence[Path], steps: int) -> None:
    """Refuses folds that were not evaluated after the same steps, the last of them the end of the training.

    Args:
      histories: of each fold, as ``read_evaluations`` gives it.
      paths: the file of each.
      steps: of the whole training.

    Raises:
      UserError: a fold lacks the evaluation of the last step, or was evaluated after other steps than most folds.
    """
    again = "remove the fold's folder to train it again"
    found = [tuple(evaluation.step for evaluation in history) for history in histories]
    for path, own in zip(paths, found, strict=True):
        if own[-1:] != (steps,):
            raise UserError(f"{path}: no evaluation at the end, after step {steps}; {again}")
    counts = Counter(found)
    usual = max(found, key=lambda own: (counts[own], len(own)), default=())
    for path, own in zip(paths, found, strict=True):
        if own != usual:
            differing = ", ".join(map(str, sorted(set(own) ^ set(usual))))
            raise UserError(
                f"{path}: evaluated after other steps than {paths[found.index(usual)]} ({differing}); {again}"
            )


def _step_of(line: bytes) -> int:
    """The step of an intact line; 0 of any other."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return 0
    return int(entry["step"]) if isinstance(entry, dict) and has_valid_checksum(entry) else 0


def _digits(lengths: np.ndarray) -> list[list[float]]:
    """Nine digits tell any two float32 apart: of six decimals, several lengths of a clip may be equal."""
    return [[float(f"{value:.9g}") for value in row] for row in lengths.tolist()]
