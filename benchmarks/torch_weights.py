"""Conversion of our parameters, statistics and gradients to those of the PyTorch networks."""

from typing import Any

import jax
import numpy as np
import torch
from torch import Tensor

_NAMES = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}


def to_torch(*trees: Any) -> dict[str, Tensor]:
    """Return a ``state_dict`` of a network of ``torch_networks``.

    Args:
      trees: parameters (or their gradients) and statistics of one network, as in ``TrainState``.

    Returns:
      Copies in PyTorch's layout, by name in the PyTorch network.
    """
    arrays: dict[str, Tensor] = {}
    for tree in trees:
        for path, value in jax.tree_util.tree_leaves_with_path(tree):
            # The paths of statistics begin with the name of the collection.
            names = [key.key for key in path if key.key not in ("spectral", "batch_stats")]
            leaf = _NAMES.get(names[-1], names[-1])
            arrays[".".join(["layers", *names[:-1], leaf])] = torch.from_numpy(_torch_layout(names, np.asarray(value)))
    return arrays


def _torch_layout(names: list[str], value: np.ndarray) -> np.ndarray:
    """Return a copy of the array in PyTorch's order of axes."""
    if names[-1] == "kernel" and value.ndim == 4:
        return value.transpose((2, 3, 0, 1) if names[0].startswith("up_") else (3, 2, 0, 1)).copy()
    if names[-1] == "kernel":
        return value.T.copy()
    return value.copy()
