"""Every convolution of the package, computed as matrix products.

XLA's own convolution on the CPU is several times slower than a matrix product of the same size. Under ``vmap`` over
folds, XLA's convolution becomes a grouped convolution, which is slower again; a matrix product becomes a batched
product. Nothing else in the package calls a convolution.

``convolve`` and ``convolve_transposed`` reduce every case to a cross-correlation of stride 1. A stride moves into the
channels (space to depth): a 4x4 kernel of stride 2 becomes a 2x2 kernel of stride 1. A transposed convolution becomes a
2x2 kernel with four outputs per pixel. Two methods compute the cross-correlation of stride 1:

- im2col: one product of the image patches and the kernel. The backward pass computes the patches again instead of
  keeping them: for the widest layer the patches take 103 MB, which would replace the activations of the next layers in
  every cache of the CPU.
- Winograd (Winograd 1980; Lavin and Gray 2016), in float32 on the CPU. The image is cut into tiles of n x n pixels,
  n = m + t - 1; each tile determines m x m outputs. In a transformed basis the correlation of tile and kernel is an
  elementwise product: n^2 multiplications instead of m^2 t^2, computed as one matrix product over the channels per
  element. The rounding error is about one digit larger than that of the direct sum: 1e-5 of the largest output for 512
  channels.

Images are NHWC, kernels are HWIO (height, width, input channel, output channel), both float32. ``dtype`` is the type
that the operands of the products are rounded to; sums stay float32.

Axis letters: b batch, h w image, k kernel size, t kernel size of a cross-correlation of stride 1 (taps), i o input and
output channel, m outputs and n pixels of a Winograd tile's side. General matrices are [m, k] and [k, n].
"""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike
from numpy.typing import NDArray

# Winograd is faster where channels are many and pixels are at least as many as channels: then the transforms of tiles
# and kernel cost less than they save (measured per layer on 2 CPU cores, docs/speed.md).
_WINOGRAD_MIN_CHANNELS = 64

# Outputs of a tile's side by kernel size: larger tiles save more and have a larger error. ``tile_side`` has a second
# choice for kernel size 2.
_TILE_SIDES = {2: 3, 3: 4, 4: 3}

# Evaluation points of a tile's polynomials, besides infinity, by n. Small points have the smallest error, and 1/2 with
# -2 a smaller error than 2 with -2: 9e-6 against 2e-5 of the output's scale at 512 channels (measured, n = 6).
_WINOGRAD_POINTS = {3: (0.0, -1.0), 4: (0.0, 1.0, -1.0), 6: (0.0, 1.0, -1.0, 0.5, -2.0)}


def convolve(
    x: jax.Array, kernel: jax.Array, *, stride: int, padding: int, dtype: DTypeLike = jnp.float32
) -> jax.Array:
    """Compute the cross-correlation of image and kernel, with symmetric zero padding.

    Args:
      x: float32[b, h, w, i].
      kernel: float32[k, k, i, o].
      stride: pixels between neighboring outputs.
      padding: zero pixels added on each side, below k where the stride is 1.
      dtype: of the products' operands, float32 or bfloat16.

    Returns:
      float32[b, (h + 2 padding - k) // stride + 1, likewise for w, o].

    Raises:
      AssertionError: ``x`` is not an image batch, or the kernel is not square or has other input channels than ``x``.
    """
    chex.assert_rank(x, 4, custom_message="x: float32[b, h, w, i]")
    size = kernel.shape[0]
    chex.assert_shape(kernel, (size, size, x.shape[3], None), custom_message="kernel: float32[k, k, i, o]")
    if size == 1:
        x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))[:, ::stride, ::stride]
        return matrix_product(dtype, x.reshape(-1, x.shape[3]), kernel[0, 0]).reshape(*x.shape[:3], -1)
    if stride == 1:
        return _correlate(x, kernel, padding, dtype)
    height, width = ((n + 2 * padding - size) // stride + 1 for n in x.shape[1:3])
    taps = -(-size // stride)  # kernel size after the stride has moved into the channels
    blocks = _space_to_depth(_pad_or_crop(x, padding, (height + taps - 1, width + taps - 1), stride), stride)
    return _correlate(blocks, _kernel_blocks(kernel, stride, taps), 0, dtype)


def convolve_transposed(x: jax.Array, kernel: jax.Array, *, dtype: DTypeLike = jnp.float32) -> jax.Array:
    """Compute the transposed 4x4 convolution of stride 2 and padding 1, which doubles height and width.

    The function is the adjoint of ``convolve(stride=2, padding=1)`` with the channel roles exchanged: input pixel ``i``
    adds ``kernel[t]`` to output pixel ``2 i - 1 + t``. Each 2x2 window of the padded input therefore determines a 2x2
    block of the output: a correlation with 4 o outputs. Where 4 o is small (the last layer), every pixel is multiplied
    once instead of once per window, and the 16 contributions of each pixel are added up.

    Args:
      x: float32[b, h, w, i].
      kernel: float32[4, 4, i, o].
      dtype: of the products' operands, float32 or bfloat16.

    Returns:
      float32[b, 2 h, 2 w, o].

    Raises:
      AssertionError: ``x`` is not an image batch, or the kernel is not 4x4 or has other input channels than ``x``.
    """
    chex.assert_rank(x, 4, custom_message="x: float32[b, h, w, i]")
    chex.assert_shape(kernel, (4, 4, x.shape[3], None), custom_message="kernel: float32[4, 4, i, o]")
    b, h, w, _ = x.shape
    i, o = kernel.shape[2:]
    # Window u of a block's row a (0: row 2h - 1, 1: row 2h) uses tap 2 + a - 2u; the same for the columns.
    if 4 * o < i:
        pixels = matrix_product(dtype, x.reshape(-1, i), kernel.transpose(2, 0, 1, 3).reshape(i, 16 * o))
        pixels = jnp.pad(pixels.reshape(b, h, w, 16 * o), ((0, 0), (1, 1), (1, 1), (0, 0)))
        pixels = pixels.reshape(b, h + 2, w + 2, 2, 2, 2, 2, o)  # tap 2 (1 - u) + a as [1 - u, a]
        windows = [pixels[:, u : u + h + 1, v : v + w + 1, 1 - u, :, 1 - v] for u in (0, 1) for v in (0, 1)]
        blocks = windows[0] + windows[1] + windows[2] + windows[3]
    else:
        taps = kernel.reshape(2, 2, 2, 2, i, o)[::-1, :, ::-1]  # [u, a, v, b, i, o]
        matrix = taps.transpose(0, 2, 4, 1, 3, 5).reshape(2, 2, i, 4 * o)
        blocks = _correlate(x, matrix, 1, dtype).reshape(b, h + 1, w + 1, 2, 2, o)
    image = blocks.transpose(0, 1, 3, 2, 4, 5).reshape(b, 2 * h + 2, 2 * w + 2, o)
    return image[:, 1:-1, 1:-1]


def _correlate(x: jax.Array, kernel: jax.Array, padding: int, dtype: DTypeLike) -> jax.Array:
    """Compute the cross-correlation of stride 1 by the method that is faster for these shapes on this platform."""
    taps, _, i, o = kernel.shape
    height, width = (n + 2 * padding - taps + 1 for n in x.shape[1:3])
    large = min(i, o) >= _WINOGRAD_MIN_CHANNELS and x.shape[0] * height * width >= max(i, o)
    if jax.default_backend() == "cpu" and dtype == jnp.float32 and taps in (2, 3, 4) and large:
        return winograd_correlate(x, kernel, padding, tile_side(taps, height, width))
    return im2col_correlate(dtype, padding, x, kernel)


def _pad_or_crop(x: jax.Array, padding: int, blocks: tuple[int, int], stride: int) -> jax.Array:
    """Zero-pad the image, then pad or crop its end so that its sides are ``blocks`` times the stride."""
    ends = [n * stride - size - padding for n, size in zip(blocks, x.shape[1:3], strict=True)]
    x = jnp.pad(x, ((0, 0), *((padding, max(end, 0)) for end in ends), (0, 0)))
    return x[:, : blocks[0] * stride, : blocks[1] * stride]


def _space_to_depth(x: jax.Array, stride: int) -> jax.Array:
    """Reshape float[b, h, w, c] to float[b, h / stride, w / stride, stride * stride * c]."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // stride, stride, w // stride, stride, c)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(b, h // stride, w // stride, stride * stride * c)


def _kernel_blocks(kernel: jax.Array, stride: int, taps: int) -> jax.Array:
    """Zero-pad a kernel [k, k, i, o] and move its stride into the channels: [taps, taps, stride stride i, o]."""
    size, _, i, o = kernel.shape
    end = taps * stride - size
    kernel = jnp.pad(kernel, ((0, end), (0, end), (0, 0), (0, 0)))
    kernel = kernel.reshape(taps, stride, taps, stride, i, o)
    return kernel.transpose(0, 2, 1, 3, 4, 5).reshape(taps, taps, stride * stride * i, o)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def matrix_product(dtype: DTypeLike, a: jax.Array, b: jax.Array) -> jax.Array:
    """Compute ``a @ b`` of float32[m, k] and float32[k, n], the operands rounded to ``dtype``, as float32[m, n]."""
    chex.assert_rank(a, 2, custom_message="a: float32[m, k]")
    chex.assert_shape(b, (a.shape[1], None), custom_message="b: float32[k, n]")
    return _dot(dtype, a, b, 1, 0)


def _matrix_product_forward(
    dtype: DTypeLike, a: jax.Array, b: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return matrix_product(dtype, a, b), (a, b)


def _matrix_product_backward(
    dtype: DTypeLike, residuals: tuple[jax.Array, jax.Array], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array]:
    a, b = residuals
    return _dot(dtype, cotangent, b, 1, 1), _gram(dtype, a, cotangent)


matrix_product.defvjp(_matrix_product_forward, _matrix_product_backward)


def rounded_einsum(dtype: DTypeLike, formula: str, *operands: jax.Array) -> jax.Array:
    """Compute ``jnp.einsum`` of operands rounded to ``dtype``; the result is float32."""
    return jnp.einsum(formula, *(x.astype(dtype) for x in operands), preferred_element_type=jnp.float32)


def _gram(dtype: DTypeLike, a: jax.Array, b: jax.Array) -> jax.Array:
    """Compute ``a^T b`` of float32[m, k] and float32[m, n]."""
    # Both operands of this product are transposed. Without the barrier XLA fuses their producer into a strided copy,
    # which took up to 180 ms of a 4.4 s step on the CPU.
    a, b = lax.optimization_barrier((a, b))
    return _dot(dtype, a, b, 0, 0)


def _dot(dtype: DTypeLike, a: jax.Array, b: jax.Array, a_axis: int, b_axis: int) -> jax.Array:
    """Contract one axis of each matrix: float32 sums of operands rounded to ``dtype``."""
    contract = (((a_axis,), (b_axis,)), ((), ()))
    return lax.dot_general(a.astype(dtype), b.astype(dtype), contract, preferred_element_type=jnp.float32)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def im2col_correlate(dtype: DTypeLike, padding: int, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Compute the cross-correlation of stride 1 with zero padding on each side, by im2col.

    Args:
      dtype: type that the operands are rounded to; sums and the result are float32.
      padding: zero pixels on each side, below t.
      x: float32[b, h, w, i].
      kernel: float32[t, t, i, o].

    Returns:
      float32[b, h + 2 padding - t + 1, likewise for w, o].
    """
    chex.assert_rank(x, 4, custom_message="x: float32[b, h, w, i]")
    taps, _, i, o = kernel.shape
    chex.assert_shape(kernel, (taps, taps, x.shape[3], None), custom_message="kernel: float32[t, t, i, o]")
    patches = _im2col(x.astype(dtype), taps, padding)
    y = _dot(dtype, patches.reshape(-1, taps * taps * i), kernel.reshape(-1, o), 1, 0)
    return y.reshape(*patches.shape[:3], o)


def _im2col_forward(
    dtype: DTypeLike, padding: int, x: jax.Array, kernel: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return im2col_correlate(dtype, padding, x, kernel), (x, kernel)


def _im2col_backward(
    dtype: DTypeLike, padding: int, residuals: tuple[jax.Array, jax.Array], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = residuals
    taps, _, i, o = kernel.shape
    rows = cotangent.reshape(-1, o)
    patches = _im2col(x.astype(dtype), taps, padding).reshape(-1, taps * taps * i)
    kernel_cotangent = _gram(dtype, patches, rows).reshape(kernel.shape)
    if rows.shape[0] > o and 4 * i > o:  # a gather is cheaper than a scatter, unless the kernel is the larger array
        flipped = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
        return im2col_correlate(dtype, taps - 1 - padding, cotangent, flipped), kernel_cotangent
    patch_cotangent = _dot(dtype, rows, kernel.reshape(-1, o), 1, 1).reshape(*cotangent.shape[:3], taps, taps, i)
    col2im = jax.linear_transpose(lambda image: _im2col(image, taps, padding), x)
    return col2im(patch_cotangent)[0], kernel_cotangent


im2col_correlate.defvjp(_im2col_forward, _im2col_backward)


def _im2col(x: jax.Array, taps: int, padding: int) -> jax.Array:
    """Return the patch of each output pixel: float[b, h, w, i] to [b, h', w', t, t, i]."""
    x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    height, width = (n - taps + 1 for n in x.shape[1:3])
    x = jnp.stack(
        [x[:, :, tap : tap + width] for tap in range(taps)], axis=3
    )  # XLA fuses a stack, but no concatenation
    return jnp.stack([x[:, tap : tap + height] for tap in range(taps)], axis=3)


def tile_side(taps: int, height: int, width: int) -> int:
    """Return the outputs m of a tile's side for a kernel size ``taps`` in 2, 3, 4 and ``height`` x ``width`` outputs.

    For kernel size 2, m = 3 if that saves over a fifth of the multiplications of m = 2 (tiles beyond the border waste
    some), otherwise m = 2, which has cheaper transforms.
    """

    def multiplications(side: int) -> int:
        return -(-height // side) * -(-width // side) * (side + taps - 1) ** 2

    return 2 if taps == 2 and multiplications(3) > 0.8 * multiplications(2) else _TILE_SIDES[taps]


def winograd_correlate(x: jax.Array, kernel: jax.Array, padding: int, side: int) -> jax.Array:
    """Compute the cross-correlation of stride 1 with zero padding on each side, by Winograd's method.

    Args:
      x: float32[b, h, w, i].
      kernel: float32[t, t, i, o], t in 2, 3, 4.
      padding: zero pixels on each side.
      side: outputs of a tile's side, from ``tile_side``.

    Returns:
      float32[b, h + 2 padding - t + 1, likewise for w, o].
    """
    chex.assert_rank(x, 4, custom_message="x: float32[b, h, w, i]")
    taps, _, i, o = kernel.shape
    chex.assert_shape(kernel, (taps, taps, x.shape[3], None), custom_message="kernel: float32[t, t, i, o]")
    b = x.shape[0]
    n = side + taps - 1
    height, width = (size + 2 * padding - taps + 1 for size in x.shape[1:3])
    to_outputs, to_kernel, to_tile = _winograd_transforms(side, taps)
    rows, columns = -(-height // side), -(-width // side)
    tiles = _extract_tiles(x, padding, (rows, columns), side, n)
    tiles = (jnp.asarray(np.kron(to_tile, to_tile)) @ tiles.reshape(n * n, -1)).reshape(n * n, -1, i)
    weights = (jnp.asarray(np.kron(to_kernel, to_kernel)) @ kernel.reshape(taps * taps, -1)).reshape(n * n, i, o)
    products = lax.dot_general(tiles, weights, (((2,), (1,)), ((0,), (0,))))
    y = jnp.asarray(np.kron(to_outputs, to_outputs)) @ products.reshape(n * n, -1)
    y = y.reshape(side, side, b, rows, columns, o).transpose(2, 3, 0, 4, 1, 5)
    return y.reshape(b, rows * side, columns * side, o)[:, :height, :width]


def _extract_tiles(x: jax.Array, padding: int, grid: tuple[int, int], side: int, n: int) -> jax.Array:
    """Cut float32[b, h, w, i] into overlapping tiles [n, n, b, rows, columns, i]."""
    blocks = -(-n // side)  # blocks of side x side pixels that one tile overlaps, per axis
    ends = [(count + blocks - 1) * side - size - padding for count, size in zip(grid, x.shape[1:3], strict=True)]
    x = jnp.pad(x, ((0, 0), *((padding, max(end, 0)) for end in ends), (0, 0)))
    rows, columns = grid
    b, i = x.shape[0], x.shape[3]
    x = x[:, : (rows + blocks - 1) * side, : (columns + blocks - 1) * side]
    x = x.reshape(b, rows + blocks - 1, side, columns + blocks - 1, side, i)
    x = jnp.concatenate([x[:, block : block + rows] for block in range(blocks)], axis=2)[:, :, :n]
    x = jnp.concatenate([x[:, :, :, block : block + columns] for block in range(blocks)], axis=4)[:, :, :, :, :n]
    return x.transpose(2, 4, 0, 1, 3, 5)


@functools.cache
def _winograd_transforms(side: int, taps: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return the matrices A float32[m, n], G [n, t] and D [n, n] with y = A @ ((G @ g) * (D @ d)).

    ``y_k = sum_j g_j d_(k+j)`` is the transpose of the product of two polynomials with m and t coefficients, which
    their values at n points (the last at infinity: the leading coefficient) determine.
    """
    n = side + taps - 1
    points = np.array(_WINOGRAD_POINTS[n])

    def values(degree: int) -> NDArray[np.float64]:
        """Return the powers 0 .. degree of each point, a row per point, then a row for the leading coefficient."""
        return np.vstack([points[:, None] ** np.arange(degree + 1), np.eye(degree + 1)[-1:]])

    outputs, kernel, tile = values(side - 1).T, values(taps - 1), np.linalg.inv(values(n - 1)).T
    # Give corresponding rows of tile and kernel the same norm, by powers of two, which do not round.
    scale = 2.0 ** np.round(np.log2(np.linalg.norm(tile, axis=1) / np.linalg.norm(kernel, axis=1)))
    return tuple(np.float32(m) for m in (outputs, kernel * scale[:, None], tile / scale[:, None]))  # type: ignore[return-value]
