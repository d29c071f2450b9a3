"""A linear reader of raw pixels, printed beside the network's score.

If a ridge classifier on unprocessed apex pixels scores as well as the network, the data hold a
shortcut (a lamp, a scale, a crop that differs by class) and the network's score shows little.
"""

from collections.abc import Hashable, Iterable

import numpy as np
import numpy.typing as npt

from icegan_jax.errors import UserError
from icegan_jax.evaluation import metrics

# Pixels in [0, 1], penalty 1: scikit-learn's RidgeClassifier as it comes. Fixed, never tuned: a
# reference that looked at test scores would be none.
PENALTY = 1.0

PIXEL_BLOCK = 2048  # columns converted to float64 at once: 36 MB for 2,200 faces


def linear_on_apex_pixels(
    apex: npt.NDArray[np.uint8],
    label: npt.NDArray[np.integer],
    groups: Iterable[Hashable],
    shift: npt.NDArray[np.integer],
    *,
    penalty: float = PENALTY,
    num_classes: int = metrics.NUM_CLASSES,
) -> npt.NDArray[np.int64]:
    """Leave-one-subject-out ridge classifier on raw apex pixels, one against the rest.

    Trains on all frames of the other subjects (apexes and their neighbours) and predicts the
    held-out subject's apexes, as the network does. Targets are +1 and -1, the intercept is free,
    the largest output wins.

    One matrix serves all folds. With C the centred Gram matrix, the residuals of ridge with a free
    intercept are R Y, R = penalty (C + penalty I)^-1 - 1/n; leaving out the rows S of a subject,
    their residuals become R_SS^-1 (R Y)_S. That is exactly the fit without those rows, its mean
    taken from the training rows alone (case deletion: Cook and Weisberg, "Residuals and Influence
    in Regression", 1982); the tests hold it against scikit-learn refitted per fold.

    Args:
      apex: uint8[n, h, w].
      label: int[n], classes 0..num_classes - 1.
      groups: n keys, (dataset, subject) of each row.
      shift: int[n], 0 where the row is the apex itself.
      penalty: of the squared weights, pixels being in [0, 1].
      num_classes: how many classes there are; one without a row is never predicted.

    Returns:
      int64[m]: a class for each row with shift 0, in the order of those rows.

    Raises:
      UserError: fewer than two subjects.
    """
    owner = metrics.group_ids(groups)
    rows = len(apex)
    if not rows == len(label) == len(owner) == len(shift):
        raise ValueError("apex, label, groups and shift must have one entry per row")
    if len(np.unique(owner)) < 2:
        raise UserError("leave-one-subject-out needs at least two subjects: add clips of another")

    targets = np.where(np.arange(num_classes) == np.asarray(label)[:, None], 1.0, -1.0)
    inverse = np.linalg.inv(_centred_gram(apex) + penalty * np.eye(rows))
    to_residuals = penalty * inverse - 1 / rows
    residuals = to_residuals @ targets

    outputs = np.empty_like(targets)
    for subject in np.unique(owner):
        held_out = np.flatnonzero(owner == subject)
        block = to_residuals[np.ix_(held_out, held_out)]
        outputs[held_out] = targets[held_out] - np.linalg.solve(block, residuals[held_out])
    return np.argmax(outputs[np.asarray(shift) == 0], axis=1).astype(np.int64)


def _centred_gram(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Inner products of the images in [0, 1], each less the mean image: float64[n, n]."""
    flat = images.reshape(len(images), -1)
    gram = np.zeros((len(flat), len(flat)))
    for start in range(0, flat.shape[1], PIXEL_BLOCK):
        block = flat[:, start : start + PIXEL_BLOCK] / 255.0
        block -= block.mean(axis=0)
        gram += block @ block.T
    return gram
