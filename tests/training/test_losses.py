"""Every loss, a value per example, against numbers computed by hand."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icegan_jax.training import losses


def faces(*gray: float) -> jax.Array:
    """float32[b, 2, 2, 1]: constant faces of these gray levels."""
    return jnp.broadcast_to(jnp.array(gray)[:, None, None, None], (len(gray), 2, 2, 1))


def assert_per_example(actual: jax.Array, expected: list[float]) -> None:
    chex.assert_shape(actual, (len(expected),))
    chex.assert_type(actual, jnp.float32)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-7)


def test_margin() -> None:
    lengths = jnp.array([[0.7, 0.3, 0.05], [0.95, 0.1, 0.5], [0.5, 0.5, 0.5]])
    expected = [
        0.2**2 + 0.5 * 0.2**2,  # short of 0.9 by 0.2; 0.3 is 0.2 over 0.1; 0.05 is not over it
        0.4**2 + 0.5 * 0.85**2,  # label 2: 0.5 is 0.4 short; 0.95 is 0.85 over; 0.1 is at the margin
        0.4**2 + 2 * 0.5 * 0.4**2,
    ]
    assert_per_example(losses.margin(lengths, jnp.array([0, 2, 1])), expected)


def test_margin_is_zero_between_the_margins() -> None:
    assert_per_example(losses.margin(jnp.array([[0.95, 0.05, 0.0]]), jnp.array([0])), [0.0])


def test_margin_without_squares() -> None:
    lengths = jnp.array([[0.7, 0.3, 0.05], [0.95, 0.1, 0.5]])
    assert_per_example(losses.margin(lengths, jnp.array([0, 2]), 1), [0.2 + 0.5 * 0.2, 0.4 + 0.5 * 0.85])


def test_cross_entropy() -> None:
    probabilities = jnp.array([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5]])
    assert_per_example(losses.cross_entropy(probabilities, jnp.array([1, 2])), [-math.log(0.2), -math.log(0.5)])


def test_cross_entropy_of_an_impossible_class_is_finite() -> None:
    value, gradient = jax.value_and_grad(lambda p: jnp.sum(losses.cross_entropy(p, jnp.array([0]))))(
        jnp.array([[0.0, 1.0]])
    )
    chex.assert_tree_all_finite((value, gradient))


def test_l1() -> None:
    synthetic = faces(0.5, -1.0).at[0, 0, 0, 0].set(1.5)
    assert_per_example(losses.l1(synthetic, faces(0.25, 1.0)), [(1.25 + 3 * 0.25) / 4, 2.0])


def test_perceptual() -> None:
    synthetic = faces(2.0, 1.0).at[1, 1, 1, 0].set(4.0)
    assert_per_example(losses.perceptual(faces(0.0, 1.0), synthetic), [4.0, 9.0 / 4])


def test_reconstruction() -> None:
    assert_per_example(losses.reconstruction(faces(0.5, 1.0), faces(0.25, 0.0)), [0.0625, 1.0])


def test_adversarial_both_ways() -> None:
    real_prob = jnp.array([0.5, 0.9, 0.2])
    assert_per_example(losses.adversarial(real_prob, True), [-math.log(p) for p in (0.5, 0.9, 0.2)])
    assert_per_example(losses.adversarial(real_prob, False), [-math.log(1 - p) for p in (0.5, 0.9, 0.2)])


@pytest.mark.parametrize("real", [True, False])
def test_adversarial_is_finite_at_both_ends(real: bool) -> None:
    ends = jnp.array([0.0, 1.0])
    chex.assert_tree_all_finite(losses.adversarial(ends, real))
    chex.assert_tree_all_finite(jax.grad(lambda p: jnp.sum(losses.adversarial(p, real)))(ends))
