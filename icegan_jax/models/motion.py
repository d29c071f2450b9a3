"""Moving the pixels of a face: what a micro-expression does to skin."""

import jax
import jax.numpy as jnp


def move(image: jax.Array, motion: jax.Array) -> jax.Array:
    """Fetches every pixel from where ``motion`` points, bilinearly; beyond the border lies the border.

    Differentiable in both arguments; where a pixel is fetched from a whole position, the derivative is that of
    the interval to its lower right.

    Args:
      image: float[b, h, w, 1], h and w at least 2.
      motion: float[b, h, w, 2], rows and columns from each pixel to the one it is fetched from, in pixels.

    Returns:
      float[b, h, w, 1].
    """
    b, h, w, _ = image.shape
    row = jnp.clip(jnp.arange(h, dtype=motion.dtype)[None, :, None] + motion[..., 0], 0, h - 1)
    column = jnp.clip(jnp.arange(w, dtype=motion.dtype)[None, None, :] + motion[..., 1], 0, w - 1)
    top = jnp.minimum(jnp.floor(row), h - 2).astype(jnp.int32)
    left = jnp.minimum(jnp.floor(column), w - 2).astype(jnp.int32)
    down, right = row - top, column - left
    pixels = image.reshape(b, h * w)

    def fetch(rows: int, columns: int) -> jax.Array:
        index = ((top + rows) * w + left + columns).reshape(b, h * w)
        return jnp.take_along_axis(pixels, index, axis=1).reshape(b, h, w)

    upper = fetch(0, 0) * (1.0 - right) + fetch(0, 1) * right
    lower = fetch(1, 0) * (1.0 - right) + fetch(1, 1) * right
    return (upper * (1.0 - down) + lower * down)[..., None]
