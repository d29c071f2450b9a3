"""The held-out clips of a group of folds: recognised at any step, predicted and synthesised after the last one."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from icegan_jax.data.dataset import Pairs
from icegan_jax.data.folds import Fold
from icegan_jax.evaluation.files import write_arrays
from icegan_jax.evaluation.predictions import Prediction, write_predictions
from icegan_jax.training.engine import Engine
from icegan_jax.training.layout import Layout
from icegan_jax.training.state import TrainState

PREDICTIONS = "predictions.csv"
SYNTHESIS = "synthesis.npz"


def evaluate_group(
    engine: Engine,
    states: TrainState,
    pairs: Pairs,
    filled: Sequence[Fold],
    folders: Sequence[Path | None],
    layout: Layout,
    batch_size: int,
) -> list[int]:
    """Writes ``predictions.csv`` and ``synthesis.npz`` of each fold whose folder is given.

    A generator "none" synthesises nothing and leaves no ``synthesis.npz``.

    Args:
      states: trained, leading axes [r, f] in the order of ``filled``.
      folders: of the first entries of ``filled``, None for a fold that went wrong; the others are copies that fill the
        group up.
      layout: which fold lies where; devices that share batches in training all see the same clips here.

    Returns:
      The places of the folds of which a capsule length is not a finite number; nothing is written of them.
    """
    tests = [fold.test for fold in filled]
    all_lengths = recognise_clips(engine, states, pairs, tests, layout, batch_size)
    all_faces, synthesise = None, engine.synthesise
    if synthesise is not None:
        all_faces = _in_rounds(lambda onset, _: synthesise(states, onset), pairs, tests, layout, batch_size)
    broken = []
    for number, (fold, folder) in enumerate(zip(filled, folders, strict=False)):
        if folder is None:
            continue
        count = len(fold.test)
        if not np.isfinite(all_lengths[number, :count]).all():
            broken.append(number)
            continue
        rows = _predictions(pairs, fold, all_lengths[number, :count])
        write_predictions(folder / PREDICTIONS, rows, pairs.classes)
        if all_faces is not None:
            write_arrays(
                folder / SYNTHESIS,
                onset=pairs.onset[fold.test],
                synthetic=all_faces[number, :count],
                apex=pairs.apex[fold.test],
                label=pairs.label[fold.test],
                clip=pairs.clip[fold.test],
                dataset=pairs.dataset[fold.test],
                subject=pairs.subject[fold.test],
            )
    return broken


def recognise_clips(
    engine: Engine, states: TrainState, pairs: Pairs, clips: Sequence[np.ndarray], layout: Layout, batch_size: int
) -> np.ndarray:
    """Capsule lengths float32[g, m, k] of each fold's clips; the padding behind a fold's own clips is to be dropped.

    ``clips``: indices into ``pairs``, int64[...] for each of g folds, at least one each; m is at least the largest
    number of them.
    """
    return _in_rounds(lambda onset, apex: engine.recognise(states, onset, apex), pairs, clips, layout, batch_size)


def _in_rounds(
    program: Callable[[Any, Any], Any],
    pairs: Pairs,
    clips: Sequence[np.ndarray],
    layout: Layout,
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
        onset, apex = (layout.put(layout.lay(images[index][..., None])) for images in (pairs.onset, pairs.apex))
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
