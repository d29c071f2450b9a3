"""An independent judge of which expression a face shows: HOG of the change, and a linear classifier.

It never sees a synthetic face in training, nor anybody whom the fold holds out, and shares nothing with D.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from skimage.feature import hog
from sklearn.svm import LinearSVC

from icegan_jax.errors import UserError
from icegan_jax.evaluation.synthesis.faces import GrayImages

# The settings of our reference classifier (docs/design.md, "Test faces and the reference classifier").
_HOG = {"orientations": 8, "pixels_per_cell": (16, 16), "cells_per_block": (2, 2)}
_PENALTY = 0.1
_ROUNDS = 10_000  # at most; far more than it takes to converge

Features = NDArray[np.float64]


class LabeledFeatures(NamedTuple):
    """n real pairs to learn from.

    Attributes:
      change: float64[n, d], from ``descriptors``: apex minus onset.
      label: int[n].
      person: (dataset, subject) of each.
    """

    change: Features
    label: NDArray[np.integer]
    subject: Sequence[tuple[str, str]]


def hog_features(faces: GrayImages) -> Features:
    """Histograms of oriented gradients (Dalal and Triggs 2005) of uint8[n, h, w]: float64[n, d]."""
    return np.stack([hog(face, **_HOG) for face in faces])


def train_classifier(real: LabeledFeatures, held_out: Sequence[tuple[str, str]]) -> LinearSVC:
    """A linear support vector machine on the pairs of everybody but the people that a fold holds out.

    Raises:
      UserError: too few people or classes are left to learn from.
    """
    outside = set(held_out)
    kept = np.array([person not in outside for person in real.subject], bool)
    label = np.asarray(real.label)[kept]
    if len(np.unique(label)) < 2:
        names = ", ".join("_".join(person) for person in sorted(outside))[:80]
        raise UserError(f"fold {names}: without these people the data hold fewer than two classes; add clips of others")
    return LinearSVC(C=_PENALTY, random_state=0, max_iter=_ROUNDS).fit(real.change[kept], label)
