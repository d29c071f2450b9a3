"""Stride-1 correlation as one matrix product of patches and kernel, and the two products of its derivative.

The patches (t^2 times the image) are not kept for the backward pass: to write them again costs less than to hold
103 MB for the widest layer, which the forward pass of the next layers would have pushed out of every cache. What a
product of two transposed operands needs is materialised first (``optimization_barrier``): otherwise XLA folds the
producer into a strided copy, which took up to 180 ms of a 4.4 s step on the CPU.

Axis letters: b batch, h w image, t taps, i o input and output channel.

Stride-1 correlation with fewer multiplications (Winograd 1980; Lavin and Gray 2016), in float32.

An image is cut into tiles of n x n pixels, n = m + t - 1, each of which decides m x m outputs. Tile and kernel are
moved to a basis in which correlation is a product per element: n^2 multiplications in place of m^2 t^2, and per
element one matrix product over the channels. Rounding costs about one more digit than the direct sum: 1e-5 of
the largest output for 512 channels.

Axis letters: b batch, h w image, t taps, i o input and output channel, m outputs and n pixels of a tile's side.

Every convolution of the program, each computed as matrix products.

XLA's own convolution on the CPU is several times slower than a matrix product of the same size, and under
``vmap`` over folds it becomes a grouped convolution, slower again; a product stays a (batched) product. A strided
convolution first moves its stride into the channels (space to depth), so that a 4x4 kernel of stride 2 is a 2x2
kernel of stride 1, and a transposed one is a 2x2 kernel with four outputs per pixel. Nothing else in the package
calls a convolution.

Images are NHWC, kernels HWIO (height, width, input channel, output channel), float32; ``dtype`` is what the
operands of the products are rounded to.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike
from numpy.typing import NDArray


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def matrix_product(dtype: DTypeLike, a: jax.Array, b: jax.Array) -> jax.Array:
    """``a @ b``, float32[m, k] and float32[k, n] to float32[m, n], the operands rounded to ``dtype``."""
    return _dot(dtype, a, b, 1, 0)


def _matrix_product_forward(
    dtype: DTypeLike, a: jax.Array, b: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return matrix_product(dtype, a, b), (a, b)


def _matrix_product_backward(
    dtype: DTypeLike, kept: tuple[jax.Array, jax.Array], change: jax.Array
) -> tuple[jax.Array, jax.Array]:
    a, b = kept
    return _dot(dtype, change, b, 1, 1), _gram(dtype, a, change)


matrix_product.defvjp(_matrix_product_forward, _matrix_product_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def im2col_correlate(dtype: DTypeLike, padding: int, x: jax.Array, kernel: jax.Array) -> jax.Array:
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
    patches = _im2col(x.astype(dtype), taps, padding)
    y = _dot(dtype, patches.reshape(-1, taps * taps * i), kernel.reshape(-1, o), 1, 0)
    return y.reshape(*patches.shape[:3], o)


def _im2col_forward(
    dtype: DTypeLike, padding: int, x: jax.Array, kernel: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return im2col_correlate(dtype, padding, x, kernel), (x, kernel)


def _im2col_backward(
    dtype: DTypeLike, padding: int, kept: tuple[jax.Array, jax.Array], change: jax.Array
) -> tuple[jax.Array, jax.Array]:
    x, kernel = kept
    taps, _, i, o = kernel.shape
    rows = change.reshape(-1, o)
    patches = _im2col(x.astype(dtype), taps, padding).reshape(-1, taps * taps * i)
    kernel_change = _gram(dtype, patches, rows).reshape(kernel.shape)
    if rows.shape[0] > o and 4 * i > o:  # gather: cheaper than to scatter, unless the kernel is the larger array
        flipped = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
        return im2col_correlate(dtype, taps - 1 - padding, change, flipped), kernel_change
    patch_change = _dot(dtype, rows, kernel.reshape(-1, o), 1, 1).reshape(*change.shape[:3], taps, taps, i)
    spread = jax.linear_transpose(lambda image: _im2col(image, taps, padding), x)
    return spread(patch_change)[0], kernel_change


im2col_correlate.defvjp(_im2col_forward, _im2col_backward)


def rounded_einsum(dtype: DTypeLike, formula: str, *operands: jax.Array) -> jax.Array:
    """``jnp.einsum`` of operands rounded to ``dtype``, sums and result in float32."""
    return jnp.einsum(formula, *(x.astype(dtype) for x in operands), preferred_element_type=jnp.float32)


def _im2col(x: jax.Array, taps: int, padding: int) -> jax.Array:
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


# The points that the polynomials of a tile are evaluated at, besides infinity, by n. Small ones err least, and 1/2
# with -2 less than 2 with -2: at 512 channels 9e-6 of the output's scale against 2e-5 (measured, n = 6).
_POINTS = {3: (0.0, -1.0), 4: (0.0, 1.0, -1.0), 6: (0.0, 1.0, -1.0, 0.5, -2.0)}

# Outputs of a tile's side by taps: larger tiles save more and err more. 2 taps have a second choice, see tile_side.
_SIDES = {2: 3, 3: 4, 4: 3}


def tile_side(taps: int, height: int, width: int) -> int:
    """The outputs m of a tile's side for ``taps`` (2, 3 or 4) and an output of ``height`` x ``width``.

    2 taps: 3 where that saves over a fifth of the multiplications of 2 (tiles that stick out waste some), else 2,
    whose transforms are cheaper.
    """

    def cost(side: int) -> int:
        return -(-height // side) * -(-width // side) * (side + taps - 1) ** 2

    return 2 if taps == 2 and cost(3) > 0.8 * cost(2) else _SIDES[taps]


def winograd_correlate(x: jax.Array, kernel: jax.Array, padding: int, side: int) -> jax.Array:
    """Cross-correlation of stride 1, zero padding on each side.

    Args:
      x: float32[b, h, w, i].
      kernel: float32[t, t, i, o], t in 2, 3, 4.
      padding: zero pixels on each side.
      side: outputs of a tile's side, from ``tile_side``.

    Returns:
      float32[b, h + 2 padding - t + 1, likewise for w, o].
    """
    taps, _, i, o = kernel.shape
    b = x.shape[0]
    n = side + taps - 1
    height, width = (size + 2 * padding - taps + 1 for size in x.shape[1:3])
    to_outputs, to_kernel, to_tile = _transforms(side, taps)
    rows, columns = -(-height // side), -(-width // side)
    tiles = _tiles(x, padding, (rows, columns), side, n)
    tiles = (jnp.asarray(np.kron(to_tile, to_tile)) @ tiles.reshape(n * n, -1)).reshape(n * n, -1, i)
    weights = (jnp.asarray(np.kron(to_kernel, to_kernel)) @ kernel.reshape(taps * taps, -1)).reshape(n * n, i, o)
    products = lax.dot_general(tiles, weights, (((2,), (1,)), ((0,), (0,))))
    y = jnp.asarray(np.kron(to_outputs, to_outputs)) @ products.reshape(n * n, -1)
    y = y.reshape(side, side, b, rows, columns, o).transpose(2, 3, 0, 4, 1, 5)
    return y.reshape(b, rows * side, columns * side, o)[:, :height, :width]


def _tiles(x: jax.Array, padding: int, grid: tuple[int, int], side: int, n: int) -> jax.Array:
    """float32[b, h, w, i] to the overlapping tiles [n, n, b, rows, columns, i]."""
    blocks = -(-n // side)  # of side x side pixels, that a tile reaches into
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
def _transforms(side: int, taps: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """The matrices float32 [m, n], [n, t] and [n, n] with y = first @ ((second @ g) * (third @ d)).

    ``y_k = sum_j g_j d_(k+j)`` is the transpose of the product of two polynomials with m and t coefficients, which
    their values at n points (the last at infinity: the leading coefficient) determine.
    """
    n = side + taps - 1
    points = np.array(_POINTS[n])

    def values(degree: int) -> NDArray[np.float64]:
        """Row per point: its powers 0 .. degree; last the leading coefficient."""
        return np.vstack([points[:, None] ** np.arange(degree + 1), np.eye(degree + 1)[-1:]])

    outputs, kernel, tile = values(side - 1).T, values(taps - 1), np.linalg.inv(values(n - 1)).T
    # Rows of tile and kernel brought to the same length, by powers of two, which round nothing.
    scale = 2.0 ** np.round(np.log2(np.linalg.norm(tile, axis=1) / np.linalg.norm(kernel, axis=1)))
    return tuple(np.float32(m) for m in (outputs, kernel * scale[:, None], tile / scale[:, None]))  # type: ignore[return-value]


# Winograd's products pay where channels are many, and pixels at least as many as channels: then the transforms of
# tiles and kernel cost less than they save (measured per layer on 2 CPU cores, docs/speed.md).
_CHANNELS = 64


def convolve(
    x: jax.Array, kernel: jax.Array, *, stride: int, padding: int, dtype: DTypeLike = jnp.float32
) -> jax.Array:
    """Cross-correlation with symmetric zero padding.

    Args:
      x: float32[b, h, w, i].
      kernel: float32[k, k, i, o].
      stride: pixels between neighbouring outputs.
      padding: zero pixels added on each side, below k where the stride is 1.
      dtype: of the products' operands, float32 or bfloat16.

    Returns:
      float32[b, (h + 2 padding - k) // stride + 1, likewise for w, o].

    Raises:
      ValueError: the kernel is not square, or its input channels are not those of ``x``.
    """
    size = kernel.shape[0]
    if kernel.shape[1] != size or kernel.shape[2] != x.shape[3]:
        raise ValueError(f"kernel {kernel.shape} does not fit the image {x.shape}")
    if size == 1:
        x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))[:, ::stride, ::stride]
        return matrix_product(dtype, x.reshape(-1, x.shape[3]), kernel[0, 0]).reshape(*x.shape[:3], -1)
    if stride == 1:
        return _correlate(x, kernel, padding, dtype)
    height, width = ((n + 2 * padding - size) // stride + 1 for n in x.shape[1:3])
    taps = -(-size // stride)  # kernel size after the stride has moved into the channels
    blocks = _space_to_depth(_fit(x, padding, (height + taps - 1, width + taps - 1), stride), stride)
    return _correlate(blocks, _kernel_blocks(kernel, stride, taps), 0, dtype)


def convolve_transposed(x: jax.Array, kernel: jax.Array, *, dtype: DTypeLike = jnp.float32) -> jax.Array:
    """Transposed convolution, 4x4, stride 2, padding 1: doubles height and width.

    The adjoint (with the channel roles exchanged) of ``convolve(stride=2, padding=1)``: input pixel ``i`` adds
    ``kernel[t]`` to output pixel ``2 i - 1 + t``. Each 2x2 window of the padded input therefore decides a 2x2
    block of the output: a correlation with 4 o outputs. Where these are few (the last layer), every pixel is
    multiplied once instead of once per window, and its 16 contributions are added up.

    Args:
      x: float32[b, h, w, i].
      kernel: float32[4, 4, i, o].
      dtype: of the products' operands, float32 or bfloat16.

    Returns:
      float32[b, 2 h, 2 w, o].

    Raises:
      ValueError: the kernel is not 4x4, or its input channels are not those of ``x``.
    """
    if kernel.shape[:3] != (4, 4, x.shape[3]):
        raise ValueError(f"kernel {kernel.shape} does not fit the image {x.shape}")
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
    """Stride 1, by the way that is fastest for these shapes on this platform."""
    taps, _, i, o = kernel.shape
    height, width = (n + 2 * padding - taps + 1 for n in x.shape[1:3])
    large = min(i, o) >= _CHANNELS and x.shape[0] * height * width >= max(i, o)
    if jax.default_backend() == "cpu" and dtype == jnp.float32 and taps in (2, 3, 4) and large:
        return winograd_correlate(x, kernel, padding, tile_side(taps, height, width))
    return im2col_correlate(dtype, padding, x, kernel)


def _fit(x: jax.Array, padding: int, blocks: tuple[int, int], stride: int) -> jax.Array:
    """Zero-pads, then adds or cuts rows and columns at the end until the image is ``blocks`` strides large."""
    ends = [n * stride - size - padding for n, size in zip(blocks, x.shape[1:3], strict=True)]
    x = jnp.pad(x, ((0, 0), *((padding, max(end, 0)) for end in ends), (0, 0)))
    return x[:, : blocks[0] * stride, : blocks[1] * stride]


def _space_to_depth(x: jax.Array, stride: int) -> jax.Array:
    """float[b, h, w, c] to float[b, h / stride, w / stride, stride * stride * c]."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // stride, stride, w // stride, stride, c)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(b, h // stride, w // stride, stride * stride * c)


def _kernel_blocks(kernel: jax.Array, stride: int, taps: int) -> jax.Array:
    """The kernel [k, k, i, o] for the image in blocks: [taps, taps, stride stride i, o], zeros beyond k."""
    size, _, i, o = kernel.shape
    end = taps * stride - size
    kernel = jnp.pad(kernel, ((0, end), (0, end), (0, 0), (0, 0)))
    kernel = kernel.reshape(taps, stride, taps, stride, i, o)
    return kernel.transpose(0, 2, 1, 3, 4, 5).reshape(taps, taps, stride * stride * i, o)
