"""The bilinear warp against plain loops."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from icegan_jax.models.generator import warp

IMAGE = jax.random.uniform(jax.random.key(0), (2, 5, 7, 1))
MOTION = 4.0 * jax.random.normal(jax.random.key(1), (2, 5, 7, 2))  # well over the border, too


def test_equals_plain_loops() -> None:
    actual = warp(IMAGE, MOTION)
    chex.assert_equal_shape([actual, IMAGE])
    image, motion = np.asarray(IMAGE, np.float64), np.asarray(MOTION, np.float64)
    for b in range(2):
        for row in range(5):
            for column in range(7):
                y = min(max(row + motion[b, row, column, 0], 0), 4)
                x = min(max(column + motion[b, row, column, 1], 0), 6)
                expected = 0.0
                for i in range(5):
                    for j in range(7):
                        share = max(0.0, 1 - abs(y - i)) * max(0.0, 1 - abs(x - j))
                        expected += share * image[b, i, j, 0]
                np.testing.assert_allclose(actual[b, row, column, 0], expected, rtol=1e-4, atol=1e-5)


def test_no_motion_is_a_copy() -> None:
    chex.assert_trees_all_equal(warp(IMAGE, jnp.zeros_like(MOTION)), IMAGE)


def test_a_whole_pixel_shifts_the_picture() -> None:
    down = jnp.zeros_like(MOTION).at[..., 0].set(1.0)
    chex.assert_trees_all_equal(warp(IMAGE, down)[:, :-1], IMAGE[:, 1:])
    chex.assert_trees_all_equal(warp(IMAGE, down)[:, -1], IMAGE[:, -1])


def test_gradients_equal_finite_differences() -> None:
    # Fractions of 0.2 to 0.8: no kink within the step.
    motion = jnp.floor(MOTION) + jax.random.uniform(jax.random.key(2), MOTION.shape, minval=0.2, maxval=0.8)
    cotangent = jax.random.normal(jax.random.key(3), IMAGE.shape)

    def value(image: jax.Array, motion: jax.Array) -> jax.Array:
        return jnp.sum(cotangent * warp(image, motion))

    for argument, point in enumerate((IMAGE, motion)):
        direction = jax.random.normal(jax.random.key(4), point.shape)
        slope = jnp.vdot(jax.grad(value, argument)(IMAGE, motion), direction)
        ends = []
        for sign in (1, -1):
            arguments = [IMAGE, motion]
            arguments[argument] = point + sign * 0.01 * direction
            ends.append(value(*arguments))
        np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 0.02, rtol=1e-2)
