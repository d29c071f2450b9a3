"""A linear reader of raw pixels, printed beside the network's score.

If a ridge classifier on unprocessed apex pixels scores as well as the network, the data hold a
shortcut (a lamp, a scale, a crop that differs by class) and the network's score shows little.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from icegan_jax.evaluation import metrics

# Pixels in [0, 1], penalty 1: scikit-learn's RidgeClassifier as it comes. Fixed, never tuned: a
# reference that looked at test scores would be none.
PENALTY = 1.0

PIXEL_BLOCK = 2048  # columns converted to float64 at once: 36 MB for 2,200 faces


def linear_on_apex_pixels(
    apex: npt.NDArray[np.uint8],
    label: npt.NDArray[np.integer],
    folds: Iterable[tuple[npt.NDArray[np.integer], npt.NDArray[np.integer]]],
    *,
    penalty: float = PENALTY,
    num_classes: int = metrics.NUM_CLASSES,
) -> npt.NDArray[np.int64]:
    """Ridge classifier on raw apex pixels, one against the rest, on the folds of a run.

    Trains on the rows that the network of a fold is trained on (apexes and their neighbours) and predicts the rows
    that it is tested on. Targets are +1 and -1, the intercept is free, the largest output wins.

    One matrix serves all folds. With C the centred Gram matrix of all n rows, the residuals of ridge with a free
    intercept are R Y, R = penalty (C + penalty I)^-1 - 1/n; leaving out rows S, their residuals become
    R_SS^-1 (R Y)_S. That is exactly the fit without those rows, its mean taken from the training rows alone (case
    deletion: Cook and Weisberg, "Residuals and Influence in Regression", 1982); the tests hold it against
    scikit-learn refitted per fold. S is every row that is not trained on, inner validation included.

    Args:
      apex: uint8[n, h, w].
      label: int[n], classes 0..num_classes - 1.
      folds: of each fold the rows trained on and the rows tested, int[...], without a common one.
      penalty: of the squared weights, pixels being in [0, 1].
      num_classes: how many classes there are; one without a row is never predicted.

    Returns:
      int64[m]: a class for each tested row, fold after fold.

    Raises:
      ValueError: lengths differ, or a fold trains on nothing or on what it tests.
    """
    rows = len(apex)
    if rows != len(label):
        raise ValueError("apex and label must have one entry per row")
    targets = np.where(np.arange(num_classes) == np.asarray(label)[:, None], 1.0, -1.0)
    inverse = np.linalg.inv(_centered_gram(apex) + penalty * np.eye(rows))
    to_residuals = penalty * inverse - 1 / rows
    residuals = to_residuals @ targets

    answers = []
    for train, test in folds:
        left_out = np.setdiff1d(np.arange(rows), train)
        if not len(train) or not np.isin(test, left_out).all():
            raise ValueError("a fold needs rows to train on, and must not train on those it tests")
        block = to_residuals[np.ix_(left_out, left_out)]
        outputs = targets[left_out] - np.linalg.solve(block, residuals[left_out])
        answers.append(np.argmax(outputs[np.searchsorted(left_out, test)], axis=1))
    return np.concatenate(answers).astype(np.int64)


def _centered_gram(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Inner products of the images in [0, 1], each less the mean image: float64[n, n]."""
    flat = images.reshape(len(images), -1)
    gram = np.zeros((len(flat), len(flat)))
    for start in range(0, flat.shape[1], PIXEL_BLOCK):
        block = flat[:, start : start + PIXEL_BLOCK] / 255.0
        block -= block.mean(axis=0)
        gram += block @ block.T
    return gram
