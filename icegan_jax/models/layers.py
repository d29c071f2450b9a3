"""Layers of both networks: convolution and dense layer with spectral norm, instance norm, leaky ReLU.

Axis letters: b batch, h w image, i o input and output channel. All arrays are float32; ``dtype`` is the type that the
operands of matrix products are rounded to (float32 or bfloat16), sums stay float32.
"""

from collections.abc import Callable
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from icegan_jax.models.convolution import convolve, convolve_transposed, matrix_product

Initializer = Callable[..., Any]

LEAK = 0.2  # negative slope of every LeakyReLU (docs/design.md, "Networks")
NORM_EPSILON = 1e-5  # epsilon of batch and instance norm, the common default
WEIGHT_INIT = nn.initializers.normal(0.02)  # docs/design.md, "Networks"
_SPECTRAL_EPSILON = 1e-12  # keeps the direction of a zero vector finite
_INITIAL_POWER_ITERATIONS = 15  # so that the first step already divides by nearly the true norm


def scale_channels(channels: int, width: float) -> int:
    """Return ``channels`` times ``width``, rounded, at least 1."""
    return max(1, round(channels * width))


def leaky_relu(x: jax.Array) -> jax.Array:
    """Apply LeakyReLU with slope 0.2, to any shape."""
    return nn.leaky_relu(x, LEAK)


def instance_norm(x: jax.Array) -> jax.Array:
    """Normalize each image and channel of float[b, h, w, c] to mean 0 and variance 1, without affine parameters."""
    chex.assert_rank(x, 4, custom_message="x: float[b, h, w, c]")
    mean = jnp.mean(x, axis=(1, 2), keepdims=True)
    variance = jnp.mean(jnp.square(x - mean), axis=(1, 2), keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + NORM_EPSILON)


class Convolution(nn.Module):
    """Convolution or 4x4 stride-2 transposed convolution, NHWC, with spectral norm (Miyato et al. 2018).

    The kernel is divided by an estimate of the largest singular value of its matrix [k k i, o]: one power iteration per
    training pass, from the vector in the collection ``spectral``. Where the output is smaller than the kernel, the
    output is divided instead: the result is the same up to rounding, with less memory traffic.

    Evaluation makes one more power iteration and forgets its vector. With ``fixed_norm`` it makes none, as in PyTorch:
    the norm is that of the present kernel along both vectors of the last training pass.

    Attributes:
      features: output channels.
      size: kernel height and width (4 where transposed).
      stride: pixels between neighboring outputs (2 where transposed).
      padding: zero pixels on each side (1 where transposed).
      transposed: whether the convolution is transposed and doubles height and width.
      use_bias: whether a learned bias is added, initially 0.
      spectral: whether the kernel is divided by its spectral norm.
      fixed_norm: whether evaluation makes no power iteration.
      kernel_init: initializer of the kernel.
      dtype: type of the product's operands.
    """

    features: int
    size: int = 4
    stride: int = 2
    padding: int = 1
    transposed: bool = False
    use_bias: bool = True
    spectral: bool = True
    fixed_norm: bool = False
    kernel_init: Initializer = WEIGHT_INIT
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Map float[b, h, w, i] to float[b, h', w', features]; ``train`` updates the power iteration."""
        chex.assert_rank(x, 4, custom_message="x: float[b, h, w, i]")
        shape = (self.size, self.size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        norm = None
        if self.spectral:
            norm = _spectral_norm(self, kernel.reshape(-1, self.features), train, self.fixed_norm)
        if norm is not None and not self._output_is_smaller(x, kernel):
            kernel, norm = kernel / norm, None
        if self.transposed:
            y = convolve_transposed(x, kernel, dtype=self.dtype)
        else:
            y = convolve(x, kernel, stride=self.stride, padding=self.padding, dtype=self.dtype)
        if norm is not None:
            y = y / norm
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,))
            y = y + bias[None, None, None, :]
        return y

    def _output_is_smaller(self, x: jax.Array, kernel: jax.Array) -> bool:
        pixels = x.size // x.shape[3]
        return (pixels * 4 if self.transposed else pixels // self.stride**2) * self.features < kernel.size


class Dense(nn.Module):
    """Dense layer with bias, with or without spectral norm.

    Attributes:
      features: number of outputs.
      spectral: whether the outputs, before the bias, are divided by the kernel's spectral norm (see ``Convolution``).
      fixed_norm: see ``Convolution``.
      kernel_init: initializer of the kernel.
      uniform_start: whether kernel and bias start uniformly within 1 / sqrt(inputs) of 0 instead, as in PyTorch.
      dtype: type of the product's operands.
    """

    features: int
    spectral: bool = False
    fixed_norm: bool = False
    kernel_init: Initializer = nn.initializers.lecun_normal()
    uniform_start: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Map float[b, i] to float[b, features]; ``train`` updates the power iteration."""
        chex.assert_rank(x, 2, custom_message="x: float[b, i]")
        uniform = uniform_within(x.shape[1]) if self.uniform_start else None
        kernel = self.param("kernel", uniform or self.kernel_init, (x.shape[1], self.features))
        y = matrix_product(self.dtype, x, kernel)
        if self.spectral:
            y = y / _spectral_norm(self, kernel, train, self.fixed_norm)
        return y + self.param("bias", uniform or nn.initializers.zeros, (self.features,))[None, :]


def uniform_within(fan_in: int) -> Initializer:
    """Return PyTorch's default initializer of weights and biases, uniform within 1 / sqrt(fan_in)."""
    bound = fan_in**-0.5

    def initialize(key: jax.Array, shape: Any, dtype: Any = jnp.float32) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return initialize


def _spectral_norm(module: nn.Module, matrix: jax.Array, train: bool, fixed: bool) -> jax.Array:
    """Return an estimate float32[] of the spectral norm of float32[m, n], from the module's vector ``direction``.

    With ``fixed`` the other vector of the last training pass, ``left``, is kept too.
    """
    direction = module.variable("spectral", "direction", lambda: _initial_direction(module.make_rng("params"), matrix))
    last = module.variable("spectral", "left", lambda: _unit(matrix @ direction.value)) if fixed else None
    if last is not None and not train:
        return last.value @ matrix @ direction.value
    norm, left, right = _largest_singular_value(matrix, direction.value)
    if train and not module.is_initializing():
        direction.value = right
        if last is not None:
            last.value = left
    return norm


@jax.custom_vjp
def _largest_singular_value(matrix: jax.Array, direction: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Do a power iteration on float32[m, n] from float32[n]; return the estimate float32[] and both new vectors.

    The vectors are ``left`` float32[m] and ``right`` float32[n]. The derivative is that of ``left @ matrix @ right``
    with both constant: their outer product.
    """
    return _power_iteration(matrix, direction)


def _power_iteration(matrix: jax.Array, direction: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    left = _unit(matrix @ direction)
    right = left @ matrix
    # left @ matrix @ unit(right) is the norm of right: the estimate needs no third pass over the matrix.
    return jnp.linalg.norm(right), left, _unit(right)


def _singular_forward(
    matrix: jax.Array, direction: jax.Array
) -> tuple[tuple[jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
    norm, left, right = _power_iteration(matrix, direction)
    return (norm, left, right), (left, right)


def _singular_backward(
    residuals: tuple[jax.Array, jax.Array], cotangents: tuple[jax.Array, jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    left, right = residuals
    return cotangents[0] * left[:, None] * right[None, :], jnp.zeros_like(right)


_largest_singular_value.defvjp(_singular_forward, _singular_backward)


def _unit(vector: jax.Array) -> jax.Array:
    return vector / (jnp.linalg.norm(vector) + _SPECTRAL_EPSILON)


def _initial_direction(key: jax.Array, matrix: jax.Array) -> jax.Array:
    def iterate(_: int, direction: jax.Array) -> jax.Array:
        return _unit(_unit(matrix @ direction) @ matrix)

    start = _unit(jax.random.normal(key, (matrix.shape[1],)))
    return jax.lax.fori_loop(0, _INITIAL_POWER_ITERATIONS, iterate, start)
