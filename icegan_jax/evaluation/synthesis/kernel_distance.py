"""Kernel distance of two sets of features, as in the Kernel Inception Distance (Binkowski et al. 2018)."""

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.floating]


def kernel_distance(real: Features, synthetic: Features) -> float:
    """Squared maximum mean discrepancy of float[m, d] and float[n, d], by the unbiased estimator.

    Gretton et al. 2012, eq. 3, with the cubic kernel (x . y / d + 1)^3 of Binkowski et al. 2018, section 4. Being
    unbiased, it can be negative where the sets are alike, and is where each face of one is a near copy of one of the
    other. NaN where a set has fewer than two faces.
    """
    x, y = np.asarray(real, np.float64), np.asarray(synthetic, np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"features {x.shape} beside {y.shape}")
    if min(len(x), len(y)) < 2:
        return float("nan")
    return _mean_of_different(_kernel(x, x)) + _mean_of_different(_kernel(y, y)) - 2 * float(_kernel(x, y).mean())


def _kernel(x: Features, y: Features) -> Features:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _mean_of_different(kernel: Features) -> float:
    """Mean over pairs of different faces: all but the diagonal of float[n, n]."""
    n = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (n * (n - 1)))
