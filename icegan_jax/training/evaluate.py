"""The held-out clips of a group of folds, after the last step: one prediction and one synthesis sheet row each."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from icegan_jax.data.dataset import Pairs
from icegan_jax.data.folds import Fold
from icegan_jax.evaluation.records import Prediction, write_predictions
from icegan_jax.training.engine import Engine
from icegan_jax.training.layout import Layout
from icegan_jax.training.state import TrainState


def evaluate_group(
    engine: Engine,
    states: TrainState,
    pairs: Pairs,
    filled: Sequence[Fold],
    folders: Sequence[Path],
    layout: Layout,
    batch_size: int,
) -> None:
    """Writes ``predictions.csv`` and ``synthesis.npz`` of each fold that has a folder.

    Folds hold between one and dozens of clips: each is padded with its own first clip to a whole number of
    batches, and every fold goes through as many batches as the longest; padding is dropped.

    Args:
      states: trained, leading axes [r, f] in the order of ``filled``.
      folders: of the first entries of ``filled``; the others are copies that fill the group up.
      layout: which fold lies where; devices that share batches in training all see the same clips here.
    """
    rounds = math.ceil(max(len(fold.test) for fold in filled) / batch_size)
    tests = np.stack([_padded(fold, rounds * batch_size) for fold in filled])
    lengths, faces = [], []
    for start in range(0, rounds * batch_size, batch_size):
        index = tests[:, start : start + batch_size]
        onset, apex = (layout.put(layout.lay(images[index][..., None])) for images in (pairs.onset, pairs.apex))
        lengths.append(engine.recognise(states, onset, apex))
        faces.append(engine.synthesise(states, onset))
    all_lengths, all_faces = (
        np.concatenate([layout.gather(np.asarray(values)) for values in found], axis=1) for found in (lengths, faces)
    )
    for number, (fold, folder) in enumerate(zip(filled, folders, strict=False)):
        count = len(fold.test)
        rows = _predictions(pairs, fold, all_lengths[number, :count])
        write_predictions(folder / "predictions.csv", rows, pairs.classes)
        np.savez_compressed(
            folder / "synthesis.npz",
            onset=pairs.onset[fold.test],
            synthetic=all_faces[number, :count],
            apex=pairs.apex[fold.test],
            label=pairs.label[fold.test],
            clip=pairs.clip[fold.test],
        )


def _padded(fold: Fold, size: int) -> np.ndarray:
    return np.concatenate([fold.test, np.full(size - len(fold.test), fold.test[0])])


def _predictions(pairs: Pairs, fold: Fold, lengths: np.ndarray) -> list[Prediction]:
    """One prediction per held-out clip: the class of the longest capsule of ``lengths`` float32[clips, k]."""
    return [
        Prediction(
            dataset=fold.dataset,
            subject=fold.subject,
            clip=str(pairs.clip[index]),
            label=int(pairs.label[index]),
            prediction=int(np.argmax(row)),
            scores=tuple(row.tolist()),
        )
        for index, row in zip(fold.test, lengths, strict=True)
    ]
