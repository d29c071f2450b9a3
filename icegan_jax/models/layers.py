"""The layers both networks are built of: spectrally normalised convolution and normalisation.

Axis letters: b batch, h w image, i o input and output channel. All arrays are float32.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from icegan_jax.models.convolution import convolve, convolve_transposed

LEAK = 0.2  # slope of every LeakyReLU (DESIGN section 2, from the authors' definitions)
NORM_EPSILON = 1e-5  # of batch and instance norm, the common default
WEIGHT_INIT = nn.initializers.normal(0.02)  # DESIGN section 2
_INITIAL_POWER_ITERATIONS = 15  # so that the first step already divides by nearly the true norm


def scaled(channels: int, width: float) -> int:
    """``channels`` times ``width``, rounded, at least 1."""
    return max(1, round(channels * width))


def leaky_relu(x: jax.Array) -> jax.Array:
    """LeakyReLU with slope 0.2, any shape."""
    return nn.leaky_relu(x, LEAK)


def instance_norm(x: jax.Array) -> jax.Array:
    """Instance norm without affine: float[b, h, w, c], each image and channel to mean 0, variance 1."""
    mean = jnp.mean(x, axis=(1, 2), keepdims=True)
    variance = jnp.mean(jnp.square(x - mean), axis=(1, 2), keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + NORM_EPSILON)


class Convolution(nn.Module):
    """Convolution or 4x4 stride-2 transposed convolution, NHWC, with spectral norm (Miyato et al. 2018).

    The kernel is divided by an estimate of the largest singular value of its matrix [k k i, o]: one power
    iteration a training pass, from the vector kept in the collection ``spectral``.

    Attributes:
      features: output channels.
      size: kernel height and width (4 where transposed).
      stride: pixels between outputs (2 where transposed).
      padding: zero pixels on each side (1 where transposed).
      transposed: doubles the image instead of shrinking it.
      use_bias: adds a learned bias, initially 0.
      spectral: divides the kernel by its spectral norm.
      kernel_init: initialiser of the kernel.
    """

    features: int
    size: int = 4
    stride: int = 2
    padding: int = 1
    transposed: bool = False
    use_bias: bool = True
    spectral: bool = True
    kernel_init: Callable[..., Any] = WEIGHT_INIT

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """float[b, h, w, i] to float[b, h', w', features]; ``train`` moves the power iteration on."""
        shape = (self.size, self.size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        if self.spectral:
            kernel = kernel / self._spectral_norm(kernel, train)
        if self.transposed:
            y = convolve_transposed(x, kernel)
        else:
            y = convolve(x, kernel, stride=self.stride, padding=self.padding)
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,))
            y = y + bias[None, None, None, :]
        return y

    def _spectral_norm(self, kernel: jax.Array, train: bool) -> jax.Array:
        matrix = kernel.reshape(-1, self.features)
        direction = self.variable("spectral", "direction", lambda: _initial_direction(self.make_rng("params"), matrix))
        fixed = jax.lax.stop_gradient(matrix)
        left = _unit(fixed @ direction.value)
        right = _unit(left @ fixed)
        if train and not self.is_initializing():
            direction.value = right
        return left @ matrix @ right


def _unit(vector: jax.Array) -> jax.Array:
    return vector / (jnp.linalg.norm(vector) + 1e-12)


def _initial_direction(key: jax.Array, matrix: jax.Array) -> jax.Array:
    def iterate(_: int, direction: jax.Array) -> jax.Array:
        return _unit(_unit(matrix @ direction) @ matrix)

    start = _unit(jax.random.normal(key, (matrix.shape[1],)))
    return jax.lax.fori_loop(0, _INITIAL_POWER_ITERATIONS, iterate, start)
