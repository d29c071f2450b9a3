"""The faces of one order: every portrait with every expression and noise draw, at any intensity."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from icegan_jax.use.model import Model
from icegan_jax.use.synthesis.placing import place
from icegan_jax.use.synthesis.portrait import Portrait

Colour = NDArray[np.uint8]

_AT_ONCE = 16  # faces that the networks are asked for between two moves of the progress bar


@dataclass(frozen=True)
class Painter:
    """Makes the faces.

    Attributes:
        model: the networks.
        portraits: the neutral faces.
        labels: of the expressions asked for.
        draws: numbers of the noise draws.
        changes: float32[len(portraits), len(labels) * len(draws), n, n, 3] for changed pictures, see ``Model.change``;
            None for the networks' own faces.
    """

    model: Model
    portraits: Sequence[Portrait]
    labels: Sequence[int]
    draws: Sequence[int]
    changes: NDArray[np.float32] | None

    def onsets(self) -> list[Colour]:
        """The neutral face of each portrait, uint8[h, w, 3], as it is shown beside the others."""
        if self.changes is not None:
            return [portrait.picture for portrait in self.portraits]
        return [_colour(portrait.onset) for portrait in self.portraits]

    def faces(self, intensity: float) -> list[list[Colour]]:
        """For each portrait its faces uint8[h, w, 3]: of each expression the draws, one after another."""
        if self.changes is not None:
            return [
                [place(portrait.picture, portrait.box, change, intensity) for change in row]
                for portrait, row in zip(self.portraits, self.changes, strict=True)
            ]
        onset, label, draw = asked(self.portraits, self.labels, self.draws)
        drawn = self.model.synthesise(onset, label, draw, np.full(len(label), intensity, np.float32))
        count = len(self.labels) * len(self.draws)
        return [[_colour(face) for face in drawn[i : i + count]] for i in range(0, len(drawn), count)]


def painter(
    model: Model, portraits: Sequence[Portrait], labels: Sequence[int], draws: Sequence[int], *, crop: bool
) -> Painter:
    """Asks the networks for the changes, unless it is their own faces (``crop``) that are wanted."""
    if crop:
        return Painter(model, portraits, labels, draws, None)
    onset, label, draw = asked(portraits, labels, draws)
    found = [model.change(onset[at], label[at], draw[at]) for at in _batches(len(label))]
    n = model.size
    changes = np.concatenate(found).reshape(len(portraits), -1, n, n, 3)
    return Painter(model, portraits, labels, draws, changes)


def asked(
    portraits: Sequence[Portrait], labels: Sequence[int], draws: Sequence[int]
) -> tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.int32]]:
    """Onset uint8[b, n, n], label and draw int32[b] of every face, portrait by portrait."""
    count = len(labels) * len(draws)
    onset = np.repeat(np.stack([portrait.onset for portrait in portraits]), count, axis=0)
    label = np.tile(np.repeat(np.array(labels, np.int32), len(draws)), len(portraits))
    draw = np.tile(np.array(draws, np.int32), len(labels) * len(portraits))
    return onset, label, draw


def _batches(count: int) -> Iterator[slice]:
    starts = range(0, count, _AT_ONCE)
    bar = tqdm(starts, desc="synthesising", unit="batch", disable=None if len(starts) > 1 else True)
    return (slice(start, start + _AT_ONCE) for start in bar)


def _colour(grey: NDArray[np.uint8]) -> Colour:
    return np.repeat(grey[..., None], 3, axis=2)
