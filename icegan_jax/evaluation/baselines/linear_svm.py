"""A linear support vector machine on features of pairs, trained and tested on the folds of the network."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from sklearn.svm import SVC

# The default of scikit-learn's SVC. The penalty is fixed: a reference that is tuned on test scores would not be one.
PENALTY = 1.0


def linear_svm(
    features: npt.NDArray[np.floating],
    label: npt.NDArray[np.integer],
    folds: Iterable[tuple[npt.NDArray[np.integer], npt.NDArray[np.integer]]],
) -> npt.NDArray[np.int64]:
    """Predict the test rows of each fold.

    The machine is trained on the rows that the network of the fold is trained on (apexes and their neighbors). Classes
    are weighted inversely to their frequency, as UF1 and UAR weigh them equally. The inner products of the rows are
    computed once for all folds, and divided by the mean squared length of the training rows, so that the penalty does
    not depend on the unit of the features.

    Args:
      features: float[n, d].
      label: int[n].
      folds: the training rows and the test rows of each fold, int[...] and int[...], without a common row.

    Returns:
      int64[m]: the predicted class of each test row, fold after fold.
    """
    products = features @ features.T
    predictions = []
    for train, test in folds:
        if len(np.unique(label[train])) < 2:
            predictions.append(np.full(len(test), label[train][0]))
            continue
        scale = max(float(products[train, train].mean()), np.finfo(np.float64).tiny)
        machine = SVC(C=PENALTY, kernel="precomputed", class_weight="balanced")
        machine.fit(products[np.ix_(train, train)] / scale, label[train])
        predictions.append(machine.predict(products[np.ix_(test, train)] / scale))
    return np.concatenate(predictions).astype(np.int64)
