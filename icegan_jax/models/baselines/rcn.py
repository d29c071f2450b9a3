"""RCN-A: a recurrent convolution with attention without parameters (Xia et al. 2020).

Axis letters: b batch, h w side, c channel, p q row and column of the pooled map, k class.
"""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp

from icegan_jax.models.baselines.layers import (
    KAIMING,
    Convolution2D,
    adaptive_mean,
    batch_norm,
    dropout,
    max_pool,
)

_REPEATS = 2  # of the recurrent convolution, with one set of weights
_TINY = 1e-8  # a map whose range is smaller counts as constant


class RCNA(nn.Module):
    """Convolution, recurrent block, pooling to p x p, attention, dense layer.

    15,331 parameters with 32 maps and p = 5; 55,747 with 64 maps and p = 7 (three classes). Feature maps of 56, 28 and
    14 pixels. Convolutions start from Kaiming's normal distribution over the outputs, the dense layer from N(0, 0.01),
    biases from 0. The attention reads the first convolution's map after pooling and dropout.

    Attributes:
      classes: number of expressions k.
      maps: channels of all convolutions.
      pool: side p.
    """

    classes: int = 3
    maps: int = 32
    pool: int = 5

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Return logits float[b, k] of motion pictures float[b, 60, 60, 3] in [0, 1]: u, v and strain."""
        chex.assert_shape(x, (None, 60, 60, 3), custom_message="x: float[b, 60, 60, 3]")
        y = Convolution2D(self.maps, 5, padding=0, kernel_init=KAIMING, name="conv_1")(x)
        x = dropout(max_pool(nn.relu(batch_norm(y, "norm_1", train)), 2), 0.5, train)
        y = Convolution2D(self.maps, 1, kernel_init=KAIMING, name="conv_feed")(x)
        y = nn.relu(batch_norm(y, "norm_feed", train))
        # Both passes have the same weights, scales and running statistics.
        recurrent = Convolution2D(self.maps, 3, kernel_init=KAIMING, name="conv_recurrent")
        norm = nn.BatchNorm(use_running_average=not train, momentum=0.9, name="norm_recurrent")
        for _ in range(_REPEATS):
            y = nn.relu(norm(recurrent(x + y)))
        features = adaptive_mean(dropout(max_pool(y, 2), 0.5, train), self.pool)
        shape = (self.pool, self.pool, self.maps, self.classes)
        weights = self.param("output_kernel", nn.initializers.normal(0.01), shape)
        bias = self.param("output_bias", nn.initializers.zeros, (self.classes,))
        features = features * attention(adaptive_mean(x, self.pool), weights)[..., None]
        return jnp.einsum("bpqc,pqck->bk", features, weights) + bias[None, :]


def attention(maps: jax.Array, weights: jax.Array) -> jax.Array:
    """Return the attention float[b, p, q] in [0, 1] to each place of the pooled maps.

    The response of each class, the mean over the channels of maps times weights, is scaled to [0, 1]; the result is the
    mean over the classes. A constant response has attention 0 and no gradient.

    Args:
      maps: float[b, p, q, c].
      weights: float[p, q, c, k], the weights of the dense layer.
    """
    chex.assert_rank(maps, 4, custom_message="maps: float[b, p, q, c]")
    chex.assert_shape(weights, (*maps.shape[1:], None), custom_message="weights: float[p, q, c, k]")
    response = jnp.einsum("bpqc,pqck->bkpq", maps, weights) / maps.shape[3]
    low = jnp.min(response, axis=(2, 3), keepdims=True)
    span = jnp.max(response, axis=(2, 3), keepdims=True) - low
    # The range of 1 replaces one near 0, whose gradient times 0 would not be a number.
    scaled = jnp.where(span > _TINY, (response - low) / jnp.where(span > _TINY, span, 1.0), 0.0)
    return jnp.mean(scaled, axis=1)
