"""UF1, UAR and accuracy from counts pooled over all folds.

Source: the metrics of MEGC2019 (See, Yap, Li, Hong, Wang: "MEGC 2019 - The Second Facial Micro-Expressions Grand
Challenge", FG 2019; docs/databases.md, "MEGC2019 folds and metrics"): true positives, false positives and false
negatives are summed over all folds before the division. A mean of per-fold scores is a different number (15 of the 68
folds have one or two clips) and is never computed here.
"""

from collections.abc import Hashable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

NUM_CLASSES = 3  # of EXPRESSIONS (docs/databases.md, "Classes and emotion words")

Counts = npt.NDArray[np.int64]
Ratios = npt.NDArray[np.float64]


def confusion(
    labels: Sequence[int] | npt.NDArray[np.integer],
    predictions: Sequence[int] | npt.NDArray[np.integer],
    num_classes: int = NUM_CLASSES,
) -> Counts:
    """Count the clips of each (truth, prediction) pair.

    Args:
      labels: int[n], the true classes.
      predictions: int[n], the predicted classes, clip for clip.
      num_classes: number of classes.

    Returns:
      int64[num_classes, num_classes]; rows are the truth, columns the prediction.

    Raises:
      ValueError: lengths differ, or a class lies outside 0..num_classes - 1.
    """
    truth = np.asarray(labels, dtype=np.int64)
    predicted = np.asarray(predictions, dtype=np.int64)
    if truth.ndim != 1 or truth.shape != predicted.shape:
        raise ValueError(f"labels {truth.shape} and predictions {predicted.shape} must be two lists")
    for name, values in (("label", truth), ("prediction", predicted)):
        if values.size and not (0 <= values.min() and values.max() < num_classes):
            raise ValueError(f"a {name} lies outside 0..{num_classes - 1}")
    pairs = np.bincount(truth * num_classes + predicted, minlength=num_classes**2)
    return pairs.reshape(num_classes, num_classes).astype(np.int64)


def f1_per_class(confusion: Counts) -> Ratios:
    """Return F1_c = 2 TP / (2 TP + FP + FN) (See et al. 2019).

    Args:
      confusion: int64[..., k, k], counts pooled over all folds, rows truth.

    Returns:
      float64[..., k]; NaN for a class that occurs neither in truth nor in prediction.
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return _ratio(2 * hits, confusion.sum(axis=-1) + confusion.sum(axis=-2))


def precision_per_class(confusion: Counts) -> Ratios:
    """Return precision_c = TP / (TP + FP).

    Args:
      confusion: int64[..., k, k], counts pooled over all folds, rows truth.

    Returns:
      float64[..., k]; NaN for a class that is never predicted.
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return _ratio(hits, confusion.sum(axis=-2))


def recall_per_class(confusion: Counts) -> Ratios:
    """Return recall_c = TP / n_c, with n_c the true clips of class c over all folds (See et al. 2019).

    Args:
      confusion: int64[..., k, k], counts pooled over all folds, rows truth.

    Returns:
      float64[..., k]; NaN for a class without a true clip.
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return _ratio(hits, confusion.sum(axis=-1))


def uf1(confusion: Counts) -> float:
    """Return the unweighted F1: the mean of F1_c (See et al. 2019).

    The mean is over the classes that occur in truth or prediction, as in scikit-learn's macro F1. MEGC2019 divides by
    C = 3; the two are equal wherever all three classes occur, as in each database of MEGC2019.

    Args:
      confusion: int64[k, k], counts pooled over all folds, rows truth.

    Raises:
      ValueError: there is not one clip.
    """
    return float(np.nanmean(f1_per_class(_nonempty(confusion))))


def uar(confusion: Counts) -> float:
    """Return the unweighted average recall: the mean of recall_c (See et al. 2019).

    The mean is over the classes that occur in the truth.

    Args:
      confusion: int64[k, k], counts pooled over all folds, rows truth.

    Raises:
      ValueError: there is not one clip.
    """
    return float(np.nanmean(recall_per_class(_nonempty(confusion))))


def accuracy(confusion: Counts) -> float:
    """Return the share of clips classified correctly.

    Args:
      confusion: int64[k, k], counts pooled over all folds, rows truth.

    Raises:
      ValueError: there is not one clip.
    """
    counts = _nonempty(confusion)
    return float(np.trace(counts) / counts.sum())


def score_all(confusion: Counts) -> Ratios:
    """Return UF1, UAR and accuracy of many confusion matrices at once.

    Args:
      confusion: int64[..., k, k], rows truth; each matrix counts at least one clip.

    Returns:
      float64[..., 3].
    """
    hits = np.trace(confusion, axis1=-2, axis2=-1)
    scores = (
        np.nanmean(f1_per_class(confusion), axis=-1),
        np.nanmean(recall_per_class(confusion), axis=-1),
        hits / confusion.sum(axis=(-2, -1)),
    )
    return np.stack(scores, axis=-1)


def group_ids(groups: Iterable[Hashable]) -> npt.NDArray[np.int64]:
    """Number the groups 0, 1, ... in the order in which they first appear.

    A subject is keyed by (dataset, subject), since subject ids collide across databases
    (docs/databases.md, "Identifiers"): ``group_ids(zip(datasets, subjects))``.

    Returns:
      int64[n].
    """
    seen: dict[Hashable, int] = {}
    return np.array([seen.setdefault(group, len(seen)) for group in groups], dtype=np.int64)


def _nonempty(counts: Counts) -> Counts:
    if not np.any(counts):
        raise ValueError("there is not one clip to score")
    return counts


def _ratio(numerator: Counts, denominator: Counts) -> Ratios:
    nan = np.full(denominator.shape, np.nan)
    return np.divide(numerator, denominator, out=nan, where=denominator > 0)
