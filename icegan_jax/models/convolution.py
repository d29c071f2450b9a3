"""Every convolution of the program, each computed as matrix products.

XLA's own convolution on the CPU is several times slower than a matrix product of the same size, and under
``vmap`` over folds it becomes a grouped convolution, slower again; a product stays a (batched) product. A strided
convolution first moves its stride into the channels (space to depth), so that a 4x4 kernel of stride 2 is a 2x2
kernel of stride 1, and a transposed one is a 2x2 kernel with four outputs per pixel. Nothing else in the package
calls a convolution.

Images are NHWC, kernels HWIO (height, width, input channel, output channel), float32; ``dtype`` is what the
operands of the products are rounded to.
"""

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from icegan_jax.models import winograd
from icegan_jax.models.correlation import correlate, product

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
        return product(dtype, x.reshape(-1, x.shape[3]), kernel[0, 0]).reshape(*x.shape[:3], -1)
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
        pixels = product(dtype, x.reshape(-1, i), kernel.transpose(2, 0, 1, 3).reshape(i, 16 * o))
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
        return winograd.correlate(x, kernel, padding, winograd.tile_side(taps, height, width))
    return correlate(dtype, padding, x, kernel)


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
