"""A ridge classifier on raw apex pixels, scored beside the network.

If this classifier scores as well as the network, the data hold a shortcut (lighting, scale or a crop that differs by
class), and the network's score shows little.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from icegan_jax.evaluation import metrics

# Pixels in [0, 1] and penalty 1 are the defaults of scikit-learn's RidgeClassifier. The penalty is fixed: a reference
# that is tuned on test scores would not be a reference.
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
    """Predict the test rows of each fold by a one-against-the-rest ridge classifier on raw apex pixels.

    The classifier is trained on the rows that the network of the fold is trained on (apexes and their neighbors).
    Targets are +1 and -1, the intercept is not penalized, and the class of the largest output is predicted.

    One matrix serves all folds. With C the centered Gram matrix of all n rows, the residuals of ridge with a free
    intercept are R Y, R = penalty (C + penalty I)^-1 - 1/n. With rows S left out, the residuals of S become
    R_SS^-1 (R Y)_S: exactly those of a fit without S, whose mean is taken from the training rows alone (case deletion:
    Cook and Weisberg, "Residuals and Influence in Regression", 1982). The tests compare with scikit-learn refitted per
    fold. S is every row that is not trained on, inner validation included.

    Args:
      apex: uint8[n, h, w].
      label: int[n], classes 0..num_classes - 1.
      folds: the training rows and the test rows of each fold, int[...] and int[...], without a common row.
      penalty: of the squared weights, for pixels in [0, 1].
      num_classes: number of classes; a class without a row is never predicted.

    Returns:
      int64[m]: the predicted class of each test row, fold after fold.

    Raises:
      ValueError: lengths differ, or a fold has no training row or trains on a test row.
    """
    rows = len(apex)
    if rows != len(label):
        raise ValueError("apex and label must have one entry per row")
    targets = np.where(np.arange(num_classes) == np.asarray(label)[:, None], 1.0, -1.0)
    inverse = np.linalg.inv(_centered_gram(apex) + penalty * np.eye(rows))
    to_residuals = penalty * inverse - 1 / rows
    residuals = to_residuals @ targets

    predictions = []
    for train, test in folds:
        left_out = np.setdiff1d(np.arange(rows), train)
        if not len(train) or not np.isin(test, left_out).all():
            raise ValueError("a fold needs rows to train on, and must not train on those it tests")
        block = to_residuals[np.ix_(left_out, left_out)]
        outputs = targets[left_out] - np.linalg.solve(block, residuals[left_out])
        predictions.append(np.argmax(outputs[np.searchsorted(left_out, test)], axis=1))
    return np.concatenate(predictions).astype(np.int64)


def _centered_gram(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Return the inner products of the images in [0, 1] minus the mean image, float64[n, n]."""
    flat = images.reshape(len(images), -1)
    gram = np.zeros((len(flat), len(flat)))
    for start in range(0, flat.shape[1], PIXEL_BLOCK):
        block = flat[:, start : start + PIXEL_BLOCK] / 255.0
        block -= block.mean(axis=0)
        gram += block @ block.T
    return gram
