"""Dual-Inception: two Inception streams on the components of the optical flow (Zhou et al. 2019, MEGC2019).

Axis letters: b batch, h w side, c channel, k class.
"""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from icegan_jax.models.baselines.layers import GLOROT, Convolution2D, dense, max_pool

_FILTERS = (6, 16)  # of each branch of the first and of the second block
_HIDDEN = 1024


class DualInception(nn.Module):
    """Two Inception blocks on u and on v each, with weights of their own; 6,449,963 parameters for three classes.

    Each component is read as three equal channels, as in the published code. Feature maps of 28, 14 and 7 pixels;
    Keras' default initializer (Glorot uniform).

    Attributes:
      classes: number of expressions k.
    """

    classes: int = 3

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Return logits float[b, k] of motion pictures float[b, 28, 28, c], whose first channels are u and v.

        ``train`` has no effect: the network has neither dropout nor batch norm.
        """
        chex.assert_shape(x, (None, 28, 28, None), custom_message="x: float[b, 28, 28, c]")
        streams = []
        for index, component in enumerate("uv"):
            y = jnp.repeat(x[..., index : index + 1], 3, axis=3)
            for block, filters in enumerate(_FILTERS, start=1):
                y = max_pool(_Inception(filters, name=f"{component}_block_{block}")(y), 2)
            streams.append(y.reshape(len(x), -1))
        y = nn.relu(dense(_HIDDEN, jnp.concatenate(streams, axis=1), "dense", GLOROT))
        return dense(self.classes, y, "output", GLOROT)


class _Inception(nn.Module):
    """The branches 1x1, 1x1 and 3x3, 1x1 and 5x5, and 3x3 maximum and 1x1, side by side.

    Attributes:
      filters: channels of every convolution.
    """

    filters: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return float[b, h, w, 4 * filters] of float[b, h, w, c]."""

        def convolution(y: jax.Array, size: int, name: str) -> jax.Array:
            return nn.relu(Convolution2D(self.filters, size, kernel_init=GLOROT, name=name)(y))

        branches = [
            convolution(x, 1, "branch_1"),
            convolution(convolution(x, 1, "reduce_3"), 3, "branch_3"),
            convolution(convolution(x, 1, "reduce_5"), 5, "branch_5"),
            convolution(max_pool(x, 3, padding=1, stride=1), 1, "branch_pool"),
        ]
        return jnp.concatenate(branches, axis=3)
