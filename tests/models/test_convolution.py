"""Convolution as matrix products against XLA's convolution."""

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp
import pytest
from jax import Array

from icegan_jax.models.convolution import convolve, convolve_transposed

# kernel size, stride, padding, height, width: every combination of the networks, odd and even images.
SHAPES = [
    (4, 2, 1, 16, 16),
    (4, 2, 1, 15, 16),
    (4, 2, 1, 2, 2),
    (4, 1, 1, 9, 8),
    (1, 1, 0, 5, 6),
    (1, 2, 1, 8, 8),
    (1, 2, 1, 7, 6),
    (3, 1, 1, 8, 7),
    (5, 1, 2, 7, 6),
    (11, 4, 2, 32, 32),
    (11, 4, 2, 33, 31),
    (11, 4, 2, 35, 30),
]
TOLERANCE = 1e-5  # of the largest value


def normal(seed: int, *shape: int) -> Array:
    return jax.random.normal(jax.random.key(seed), shape)


def reference(x: Array, kernel: Array, stride: int, padding: int) -> Array:
    pads = [(padding, padding)] * 2
    return jax.lax.conv_general_dilated(x, kernel, (stride, stride), pads, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def reference_transposed(x: Array, kernel: Array) -> Array:
    return jax.lax.conv_general_dilated(
        x,
        kernel[::-1, ::-1],
        (1, 1),
        [(2, 2), (2, 2)],
        lhs_dilation=(2, 2),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def assert_equal(ours: Array, theirs: Array) -> None:
    chex.assert_equal_shape([ours, theirs])
    chex.assert_type(ours, jnp.float32)
    scale = float(jnp.max(jnp.abs(theirs)))
    chex.assert_trees_all_close(ours, theirs, rtol=0, atol=TOLERANCE * scale)


def assert_same_function(
    ours: Callable[[Array, Array], Array], theirs: Callable[[Array, Array], Array], x: Array, k: Array
) -> None:
    """Equal values, and equal gradients with respect to image and kernel for a random cotangent."""
    y, vjp = jax.vjp(ours, x, k)
    y_theirs, vjp_theirs = jax.vjp(theirs, x, k)
    assert_equal(y, y_theirs)
    cotangent = normal(2, *y.shape)
    for gradient, gradient_theirs in zip(vjp(cotangent), vjp_theirs(cotangent), strict=True):
        assert_equal(gradient, gradient_theirs)


@pytest.mark.parametrize(("size", "stride", "padding", "height", "width"), SHAPES)
def test_convolve_equals_lax(size: int, stride: int, padding: int, height: int, width: int) -> None:
    def ours(x: Array, k: Array) -> Array:
        return convolve(x, k, stride=stride, padding=padding)

    def theirs(x: Array, k: Array) -> Array:
        return reference(x, k, stride, padding)

    assert_same_function(ours, theirs, normal(0, 2, height, width, 3), normal(1, size, size, 3, 5))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 2), (5, 4), (8, 8)])
def test_convolve_transposed_equals_lax(height: int, width: int) -> None:
    x, kernel = normal(0, 2, height, width, 3), normal(1, 4, 4, 3, 5)
    chex.assert_shape(convolve_transposed(x, kernel), (2, 2 * height, 2 * width, 5))
    assert_same_function(convolve_transposed, reference_transposed, x, kernel)


def test_convolve_transposed_is_the_adjoint() -> None:
    x, y, kernel = normal(0, 2, 4, 4, 3), normal(1, 2, 8, 8, 5), normal(2, 4, 4, 3, 5)
    there = jnp.vdot(convolve_transposed(x, kernel), y)
    back = jnp.vdot(x, convolve(y, kernel.transpose(0, 1, 3, 2), stride=2, padding=1))
    chex.assert_trees_all_close(there, back, rtol=1e-4)


@pytest.mark.parametrize(("size", "stride", "padding"), [(4, 2, 1), (4, 1, 1), (1, 2, 1), (3, 1, 1)])
def test_convolve_of_several_folds(size: int, stride: int, padding: int) -> None:
    x, kernels = normal(0, 3, 2, 8, 8, 3), normal(1, 3, size, size, 3, 5)

    def ours(x: Array, k: Array) -> Array:
        return jax.vmap(lambda x, k: convolve(x, k, stride=stride, padding=padding))(x, k)

    def theirs(x: Array, k: Array) -> Array:
        return jnp.stack([reference(x[f], k[f], stride, padding) for f in range(3)])

    assert_same_function(ours, theirs, x, kernels)


def test_convolve_transposed_of_several_folds() -> None:
    def theirs(x: Array, k: Array) -> Array:
        return jnp.stack([reference_transposed(x[f], k[f]) for f in range(3)])

    assert_same_function(jax.vmap(convolve_transposed), theirs, normal(0, 3, 2, 4, 4, 3), normal(1, 3, 4, 4, 3, 5))


def test_several_folds_stay_matrix_products() -> None:
    """There is no convolution primitive, not even under vmap or in the gradient."""

    def loss(x: Array, k: Array, t: Array) -> Array:
        return jnp.sum(convolve_transposed(convolve(x, k, stride=2, padding=1), t))

    folds = jax.vmap(jax.grad(loss, argnums=(0, 1, 2)))
    program = str(jax.make_jaxpr(folds)(normal(0, 3, 2, 8, 8, 3), normal(1, 3, 4, 4, 3, 5), normal(2, 3, 4, 4, 5, 3)))
    assert "conv_general_dilated" not in program
    assert "dot_general" in program


def test_products_in_bfloat16_give_float32() -> None:
    """The operands have three digits; sums and derivatives are float32."""
    x, kernel, up = normal(0, 2, 8, 8, 3), normal(1, 4, 4, 3, 5), normal(2, 4, 4, 3, 5)
    half = jnp.bfloat16

    def down(x: Array, k: Array) -> Array:
        return convolve(x, k, stride=2, padding=1, dtype=half)

    def grown(x: Array, k: Array) -> Array:
        return convolve_transposed(x, k, dtype=half)

    for ours, theirs, k in (
        (down, lambda x, k: reference(x, k, 2, 1), kernel),
        (grown, reference_transposed, up),
    ):
        y, vjp = jax.vjp(ours, x, k)
        expected, vjp_expected = jax.vjp(theirs, x, k)
        exact = [expected, *vjp_expected(expected)]
        rounded = [y, *vjp(expected)]
        chex.assert_type(rounded, jnp.float32)
        for one, other in zip(rounded, exact, strict=True):
            error = float(jnp.max(jnp.abs(one - other)) / jnp.max(jnp.abs(other)))
            assert 1e-5 < error < 1e-2, "not rounded to bfloat16, or rounded more than once"


@pytest.mark.parametrize("shape", [(4, 4, 2, 5), (4, 3, 3, 5)])
def test_kernels_of_another_shape_raise_an_error(shape: tuple[int, ...]) -> None:
    x = normal(0, 2, 8, 8, 3)
    with pytest.raises(AssertionError, match=r"kernel: float32\[k, k, i, o\]"):
        convolve(x, normal(1, *shape), stride=2, padding=1)
    with pytest.raises(AssertionError, match=r"kernel: float32\[4, 4, i, o\]"):
        convolve_transposed(x, normal(1, *shape))


def test_a_transposed_kernel_is_4x4() -> None:
    with pytest.raises(AssertionError, match=r"kernel: float32\[4, 4, i, o\]"):
        convolve_transposed(normal(0, 2, 8, 8, 3), normal(1, 3, 3, 3, 5))
