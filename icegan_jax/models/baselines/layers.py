"""Layers that several compared networks share.

Axis letters: b batch, h w side, c i o channel (input, output), p side of a pooled map.
"""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from icegan_jax.models.convolution import convolve
from icegan_jax.models.layers import Initializer, uniform_within

GLOROT = nn.initializers.glorot_uniform()
KAIMING = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


class Convolution2D(nn.Module):
    """A convolution with bias, computed as ``models.convolution`` does.

    Attributes:
      features: output channels o.
      size: kernel side.
      stride: pixels between neighboring outputs.
      padding: zero pixels on each side; None: half the kernel, so that stride 1 keeps the size of the picture.
      use_bias: whether a bias is added.
      kernel_init: initializer of the kernel, with biases of 0; None: PyTorch's default for both.
    """

    features: int
    size: int
    stride: int = 1
    padding: int | None = None
    use_bias: bool = True
    kernel_init: Initializer | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map float[b, h, w, i] to float[b, h', w', features]."""
        chex.assert_rank(x, 4, custom_message="x: float[b, h, w, i]")
        shape = (self.size, self.size, x.shape[3], self.features)
        uniform = uniform_within(self.size**2 * x.shape[3])
        kernel = self.param("kernel", self.kernel_init or uniform, shape)
        padding = self.size // 2 if self.padding is None else self.padding
        y = convolve(x, kernel, stride=self.stride, padding=padding)
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros if self.kernel_init else uniform, (self.features,))
            y = y + bias[None, None, None, :]
        return y


def dense(features: int, x: jax.Array, name: str, kernel_init: Initializer | None = None) -> jax.Array:
    """Apply a new dense layer to float[..., i]; the result is float[..., features].

    The layer becomes a submodule of the Flax module that calls this function. Without ``kernel_init`` weights and
    biases have PyTorch's default initializer, with it biases start from 0.
    """
    if kernel_init is not None:
        return nn.Dense(features, kernel_init=kernel_init, name=name)(x)
    uniform = uniform_within(x.shape[-1])
    return nn.Dense(features, kernel_init=uniform, bias_init=uniform, name=name)(x)


def batch_norm(x: jax.Array, name: str, train: bool) -> jax.Array:
    """Apply a new batch norm to float[..., c]; epsilon (1e-5) and momentum are PyTorch's defaults."""
    return nn.BatchNorm(use_running_average=not train, momentum=0.9, name=name)(x)


def dropout(x: jax.Array, rate: float, train: bool) -> jax.Array:
    """Set each number to 0 with probability ``rate`` in training, and scale the others up."""
    return nn.Dropout(rate, deterministic=not train)(x)


def max_pool(x: jax.Array, size: int, padding: int = 0, stride: int | None = None) -> jax.Array:
    """Return the maxima of squares.

    These are maxima over an axis of the squares or, where squares overlap, over shifted pictures, so that the gradient
    needs no scatter; it is divided among equal maxima.

    Args:
      x: float[b, h, w, c]. Rows and columns that fill no square are dropped.
      size: side of the squares.
      padding: rows and columns of minus infinity on every side.
      stride: pixels between neighboring squares; None: ``size``, the squares do not overlap.

    Returns:
      float[b, (h + 2 padding - size) // stride + 1, likewise for w, c].
    """
    stride = stride or size
    sides = (padding, padding)
    x = jnp.pad(x, ((0, 0), sides, sides, (0, 0)), constant_values=-jnp.inf)
    if stride == size:
        batch, height, width, channels = x.shape
        rows, columns = height // size, width // size
        x = x[:, : rows * size, : columns * size].reshape(batch, rows, size, columns, size, channels)
        return jnp.max(x, axis=(2, 4))
    for axis in (1, 2):
        outputs = (x.shape[axis] - size) // stride + 1
        shifted = [
            jax.lax.slice_in_dim(x, start, start + (outputs - 1) * stride + 1, stride, axis) for start in range(size)
        ]
        x = jnp.max(jnp.stack(shifted), axis=0)
    return x


def adaptive_mean(x: jax.Array, size: int) -> jax.Array:
    """Return the means of float[b, h, w, c] over p x p parts (p: ``size``), which overlap where p divides no side.

    Part n has the rows floor(n h / p) to ceil((n + 1) h / p), as in PyTorch's adaptive pooling.
    """

    def matrix(side: int) -> np.ndarray:
        means = np.zeros((size, side), np.float32)
        for part in range(size):
            start, end = part * side // size, -(-(part + 1) * side // size)
            means[part, start:end] = 1 / (end - start)
        return means

    return jnp.einsum("ph,bhwc,qw->bpqc", matrix(x.shape[1]), x, matrix(x.shape[2]))
