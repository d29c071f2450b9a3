"""A classifier of expressions that is independent of D: HOG features of apex minus onset, and a linear SVM.

The classifier is trained on real faces only, without those of the subjects that a fold holds out.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from skimage.feature import hog
from sklearn.svm import LinearSVC

from icegan_jax.errors import UserError
from icegan_jax.evaluation.synthesis.faces import GrayImages

# The settings of the reference classifier (docs/design.md, "Test faces and the reference classifier").
_HOG = {"orientations": 8, "pixels_per_cell": (16, 16), "cells_per_block": (2, 2)}
_PENALTY = 0.1
_MAX_ITERATIONS = 10_000  # far more than the solver takes to converge

HogFeatures = NDArray[np.float64]


class LabeledFeatures(NamedTuple):
    """Features of n real pairs, to train on.

    Attributes:
      features: float64[n, d], ``hog_features`` of the apex minus those of the onset.
      label: int[n].
      subject: (dataset, subject) of each pair.
    """

    features: HogFeatures
    label: NDArray[np.integer]
    subject: Sequence[tuple[str, str]]


def hog_features(faces: GrayImages) -> HogFeatures:
    """Return the histograms of oriented gradients (Dalal and Triggs 2005) of uint8[n, h, w] as float64[n, d]."""
    return np.stack([hog(face, **_HOG) for face in faces])


def train_classifier(pairs: LabeledFeatures, held_out: Sequence[tuple[str, str]]) -> LinearSVC:
    """Train a linear support vector machine on the pairs of all subjects except those that a fold holds out.

    Args:
      pairs: of all subjects.
      held_out: (dataset, subject) of the subjects to leave out.

    Raises:
      UserError: fewer than two classes remain to train on.
    """
    excluded = set(held_out)
    kept = np.array([subject not in excluded for subject in pairs.subject], bool)
    label = np.asarray(pairs.label)[kept]
    if len(np.unique(label)) < 2:
        names = ", ".join("_".join(subject) for subject in sorted(excluded))[:80]
        raise UserError(
            f"fold {names}: without these subjects the data hold fewer than two classes; add clips of others"
        )
    return LinearSVC(C=_PENALTY, random_state=0, max_iter=_MAX_ITERATIONS).fit(pairs.features[kept], label)
