"""Features of the change from onset to apex: differences of HOG features, and mean optical flow."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from icegan_jax.evaluation.synthesis.classifier import hog_features
from icegan_jax.evaluation.synthesis.measures import optical_flow

_CELL = 16  # pixels on a side of the squares over which the flow is averaged, as the cells of the HOG features

Pair = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]  # onset and apex, uint8[h, w] each
Features = npt.NDArray[np.float64]


def hog_differences(pairs: Iterable[Pair]) -> Features:
    """Return the histograms of oriented gradients of the apex minus those of the onset: float64[n, d]."""
    return np.stack([after - before for before, after in (hog_features(np.stack(pair)) for pair in pairs)])


def mean_flows(pairs: Iterable[Pair]) -> Features:
    """Return the optical flow from onset to apex, averaged over squares of 16 pixels: float64[n, 2 h w / 256]."""
    features = []
    for onset, apex in pairs:
        rows, columns = (side // _CELL for side in onset.shape)
        flow = optical_flow(onset, apex)[: rows * _CELL, : columns * _CELL].astype(np.float64)
        features.append(flow.reshape(rows, _CELL, columns, _CELL, 2).mean(axis=(1, 3)).ravel())
    return np.stack(features)
