"""Stride-1 correlation with fewer multiplications (Winograd 1980; Lavin and Gray 2016), in float32.

An image is cut into tiles of n x n pixels, n = m + t - 1, each of which decides m x m outputs. Tile and kernel are
moved to a basis in which correlation is a product per element: n^2 multiplications in place of m^2 t^2, and per
element one matrix product over the channels. Rounding costs about one more digit than the direct sum: 1e-5 of
the largest output for 512 channels.

Axis letters: b batch, h w image, t taps, i o input and output channel, m outputs and n pixels of a tile's side.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

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


def correlate(x: jax.Array, kernel: jax.Array, padding: int, side: int) -> jax.Array:
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
