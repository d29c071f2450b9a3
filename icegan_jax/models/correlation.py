"""Stride-1 correlation as one matrix product of patches and kernel, and the two products of its derivative.

The patches (t^2 times the image) are not kept for the backward pass: to write them again costs less than to hold
103 MB for the widest layer, which the forward pass of the next layers would have pushed out of every cache. What a
product of two transposed operands needs is materialised first (``optimization_barrier``): otherwise XLA folds the
producer into a strided copy, which took up to 180 ms of a 4.4 s step on the CPU.

Axis letters: b batch, h w image, t taps, i o input and output channel.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def product(dtype: DTypeLike, a: jax.Array, b: jax.Array) -> jax.Array:
    """``a @ b``, float32[m, k] and float32[k, n] to float32[m, n], the operands rounded to ``dtype``."""
    return _dot(dtype, a, b, 1, 0)


def _product_forward(dtype: DTypeLike, a: jax.Array, b: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return product(dtype, a, b), (a, b)


def _product_backward(
    dtype: DTypeLike, kept: tuple[jax.Array, jax.Array], change: jax.Array
) -> tuple[jax.Array, jax.Array]:
    a, b = kept
    return _dot(dtype, change, b, 1, 1), _gram(dtype, a, change)


product.defvjp(_product_forward, _product_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def correlate(dtype: DTypeLike, padding: int, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Cross-correlation of stride 1, zero padding on each side.

    Args:
      dtype: the operands are rounded to it; sums and the result are float32.
      padding: zero pixels on each side, below t.
      x: float32[b, h, w, i].
      kernel: float32[t, t, i, o].

    Returns:
      float32[b, h + 2 padding - t + 1, likewise for w, o].
    """
    taps, _, i, o = kernel.shape
    patches = _patches(x.astype(dtype), taps, padding)
    y = _dot(dtype, patches.reshape(-1, taps * taps * i), kernel.reshape(-1, o), 1, 0)
    return y.reshape(*patches.shape[:3], o)


def _correlate_forward(
    dtype: DTypeLike, padding: int, x: jax.Array, kernel: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return correlate(dtype, padding, x, kernel), (x, kernel)


def _correlate_backward(
    dtype: DTypeLike, padding: int, kept: tuple[jax.Array, jax.Array], change: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = kept
    taps, _, i, o = kernel.shape
    rows = change.reshape(-1, o)
    patches = _patches(x.astype(dtype), taps, padding).reshape(-1, taps * taps * i)
    kernel_change = _gram(dtype, patches, rows).reshape(kernel.shape)
    if rows.shape[0] > o and 4 * i > o:  # gather: cheaper than to scatter, unless the kernel is the larger array
        flipped = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
        return correlate(dtype, taps - 1 - padding, change, flipped), kernel_change
    patch_change = _dot(dtype, rows, kernel.reshape(-1, o), 1, 1).reshape(*change.shape[:3], taps, taps, i)
    spread = jax.linear_transpose(lambda image: _patches(image, taps, padding), x)
    return spread(patch_change)[0], kernel_change


correlate.defvjp(_correlate_forward, _correlate_backward)


def rounded_einsum(dtype: DTypeLike, formula: str, *operands: jax.Array) -> jax.Array:
    """``jnp.einsum`` of operands rounded to ``dtype``, sums and result in float32."""
    return jnp.einsum(formula, *(x.astype(dtype) for x in operands), preferred_element_type=jnp.float32)


def _patches(x: jax.Array, taps: int, padding: int) -> jax.Array:
    """float[b, h, w, i] to [b, h', w', t, t, i]: what each output pixel sees."""
    x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    height, width = (n - taps + 1 for n in x.shape[1:3])
    x = jnp.stack([x[:, :, tap : tap + width] for tap in range(taps)], axis=3)  # fuses; a concatenation does not
    return jnp.stack([x[:, tap : tap + height] for tap in range(taps)], axis=3)


def _gram(dtype: DTypeLike, a: jax.Array, b: jax.Array) -> jax.Array:
    """``a^T b`` of float32[m, k] and float32[m, n]."""
    a, b = lax.optimization_barrier((a, b))
    return _dot(dtype, a, b, 0, 0)


def _dot(dtype: DTypeLike, a: jax.Array, b: jax.Array, a_axis: int, b_axis: int) -> jax.Array:
    """Sums over one axis of each matrix; float32 sums of operands in ``dtype``."""
    contract = (((a_axis,), (b_axis,)), ((), ()))
    return lax.dot_general(a.astype(dtype), b.astype(dtype), contract, preferred_element_type=jnp.float32)
