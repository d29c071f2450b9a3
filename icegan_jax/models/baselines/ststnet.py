"""STSTNet: three shallow streams on optical flow and strain (Liong et al. 2019, arXiv 1902.03634).

Axis letters: b batch, k class.
"""

from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from icegan_jax.models.baselines.layers import (
    GLOROT,
    Convolution2D,
    adaptive_mean,
    batch_norm,
    dense,
    dropout,
    max_pool,
)

_STREAMS = (3, 5, 8)  # filters of each stream


def _start_streams(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    """Start the filters of each stream as those of a convolution of its own."""
    keys = jax.random.split(key, len(_STREAMS))
    kernels = [GLOROT(key, (*shape[:3], filters), dtype) for key, filters in zip(keys, _STREAMS, strict=True)]
    return jnp.concatenate(kernels, axis=3)


class STSTNet(nn.Module):
    """Three streams of one convolution, batch norm after ReLU and before pooling; 1,683 parameters for three classes.

    The streams read the same pictures and meet in the last layer alone. They are computed as one convolution of 16
    filters, which takes half the time on a CPU.

    The form is that of the authors' MATLAB network: feature maps of 28, 10 (3x3 pooling with a padding of 1) and 5
    pixels. The subtraction of the mean picture belongs to the input. Weights start as MATLAB's default has them since
    2019 (Glorot uniform, biases 0); the authors' are unknown.

    Attributes:
      classes: number of expressions k.
    """

    classes: int = 3

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Return logits float[b, k] of motion pictures float[b, 28, 28, 3]: u, v and strain."""
        chex.assert_shape(x, (None, 28, 28, 3), custom_message="x: float[b, 28, 28, 3]")
        y = nn.relu(Convolution2D(sum(_STREAMS), 3, kernel_init=_start_streams, name="conv")(x))
        y = max_pool(batch_norm(y, "norm", train), 3, padding=1)
        features = adaptive_mean(dropout(y, 0.5, train), 5)
        return dense(self.classes, features.reshape(len(x), -1), "output", GLOROT)
