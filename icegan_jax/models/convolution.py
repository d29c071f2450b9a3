"""Every convolution of the program, each computed as one matrix product.

XLA's own convolution on the CPU is several times slower than a matrix product of the same size, and under
``vmap`` over folds it becomes a grouped convolution, slower again; a product stays a (batched) product. A strided
convolution first moves its stride into the channels (space to depth), so that a 4x4 kernel of stride 2 needs
four shifted views of its input instead of sixteen. Nothing else in the package calls a convolution.

Images are NHWC, kernels HWIO (height, width, input channel, output channel), float32 or bfloat16.
"""

import jax
import jax.numpy as jnp


def convolve(x: jax.Array, kernel: jax.Array, *, stride: int, padding: int) -> jax.Array:
    """Cross-correlation with symmetric zero padding.

    Args:
      x: float[b, h, w, i].
      kernel: float[k, k, i, o].
      stride: pixels between neighbouring outputs.
      padding: zero pixels added on each side.

    Returns:
      float[b, (h + 2 padding - k) // stride + 1, likewise for w, o].

    Raises:
      ValueError: the kernel is not square, or its input channels are not those of ``x``.
    """
    size = kernel.shape[0]
    if kernel.shape[1] != size or kernel.shape[2] != x.shape[3]:
        raise ValueError(f"kernel {kernel.shape} does not fit the image {x.shape}")
    height, width = ((n + 2 * padding - size) // stride + 1 for n in x.shape[1:3])
    if size == 1:
        x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
        return x[:, ::stride, ::stride] @ kernel[0, 0]
    taps = -(-size // stride)  # kernel size after the stride has moved into the channels
    blocks = _space_to_depth(_fit(x, padding, (height + taps - 1, width + taps - 1), stride), stride)
    patches = jnp.concatenate(
        [blocks[:, u : u + height, v : v + width] for u in range(taps) for v in range(taps)], axis=3
    )
    return patches @ _kernel_matrix(kernel, stride, taps)


def convolve_transposed(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Transposed convolution, 4x4, stride 2, padding 1: doubles height and width.

    The adjoint (with the channel roles exchanged) of ``convolve(stride=2, padding=1)``: input pixel ``i`` adds
    ``kernel[t]`` to output pixel ``2 i - 1 + t``. Each 2x2 window of the padded input therefore decides a 2x2
    block of the output, which is one product with a matrix of 4 i rows and 4 o columns.

    Args:
      x: float[b, h, w, i].
      kernel: float[4, 4, i, o].

    Returns:
      float[b, 2 h, 2 w, o].

    Raises:
      ValueError: the kernel is not 4x4, or its input channels are not those of ``x``.
    """
    if kernel.shape[:3] != (4, 4, x.shape[3]):
        raise ValueError(f"kernel {kernel.shape} does not fit the image {x.shape}")
    b, h, w, _ = x.shape
    i, o = kernel.shape[2:]
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = jnp.concatenate([x[:, u : u + h + 1, v : v + w + 1] for u in (0, 1) for v in (0, 1)], axis=3)
    # Window u of the block's row a (0: row 2w - 1, 1: row 2w) uses tap 2 + a - 2u: index [u, a] below.
    taps = kernel.reshape(2, 2, 2, 2, i, o)[::-1, :, ::-1]
    matrix = taps.transpose(0, 2, 4, 1, 3, 5).reshape(4 * i, 4 * o)
    blocks = (windows @ matrix).reshape(b, h + 1, w + 1, 2, 2, o)
    image = blocks.transpose(0, 1, 3, 2, 4, 5).reshape(b, 2 * h + 2, 2 * w + 2, o)
    return image[:, 1:-1, 1:-1]


def _fit(x: jax.Array, padding: int, blocks: tuple[int, int], stride: int) -> jax.Array:
    """Zero-pads, then adds or cuts rows and columns at the end until the image is ``blocks`` strides large."""
    ends = [n * stride - size - padding for n, size in zip(blocks, x.shape[1:3], strict=True)]
    x = jnp.pad(x, ((0, 0), *((padding, max(end, 0)) for end in ends), (0, 0)))
    return x[:, : blocks[0] * stride, : blocks[1] * stride]


def _space_to_depth(x: jax.Array, stride: int) -> jax.Array:
    """float[b, h, w, c] to float[b, h / stride, w / stride, stride * stride * c]."""
    if stride == 1:
        return x
    b, h, w, c = x.shape
    x = x.reshape(b, h // stride, stride, w // stride, stride, c)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(b, h // stride, w // stride, stride * stride * c)


def _kernel_matrix(kernel: jax.Array, stride: int, taps: int) -> jax.Array:
    """The kernel as the matrix that the patches multiply, zero rows where ``taps * stride`` exceeds its size."""
    size, _, i, o = kernel.shape
    end = taps * stride - size
    kernel = jnp.pad(kernel, ((0, end), (0, end), (0, 0), (0, 0)))
    kernel = kernel.reshape(taps, stride, taps, stride, i, o)
    return kernel.transpose(0, 2, 1, 3, 4, 5).reshape(taps * taps * stride * stride * i, o)
