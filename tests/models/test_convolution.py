"""Convolution as matrix products against XLA's convolution, and Winograd's method against the direct correlation."""

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from icegan_jax.models import convolution
from icegan_jax.models.convolution import convolve, convolve_transposed, im2col_correlate

# kernel size, stride, padding, height, width: the combinations of the networks, odd and even images.
SHAPES = [
    (4, 2, 1, 15, 16),
    (4, 2, 1, 2, 2),
    (4, 1, 1, 9, 8),
    (1, 1, 0, 5, 6),
    (1, 2, 1, 7, 6),
    (3, 1, 1, 8, 7),
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
    shape = jax.eval_shape(ours, x, k).shape
    cotangent = normal(2, *shape)

    @jax.jit
    def both(x: Array, k: Array) -> list[tuple[Array, ...]]:
        results = [jax.vjp(function, x, k) for function in (ours, theirs)]
        return [(y, *vjp(cotangent)) for y, vjp in results]

    for one, other in zip(*both(x, k), strict=True):
        assert_equal(one, other)


@pytest.mark.parametrize(("size", "stride", "padding", "height", "width"), SHAPES)
def test_convolve_equals_lax(size: int, stride: int, padding: int, height: int, width: int) -> None:
    def ours(x: Array, k: Array) -> Array:
        return convolve(x, k, stride=stride, padding=padding)

    def theirs(x: Array, k: Array) -> Array:
        return reference(x, k, stride, padding)

    assert_same_function(ours, theirs, normal(0, 2, height, width, 3), normal(1, size, size, 3, 5))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 4)])
def test_convolve_transposed_equals_lax(height: int, width: int) -> None:
    x, kernel = normal(0, 2, height, width, 3), normal(1, 4, 4, 3, 5)
    chex.assert_shape(convolve_transposed(x, kernel), (2, 2 * height, 2 * width, 5))
    assert_same_function(convolve_transposed, reference_transposed, x, kernel)


@pytest.mark.parametrize(("size", "stride", "padding"), [(4, 2, 1), (1, 2, 1), (3, 1, 1)])
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


# Winograd's method.

# taps, side of a tile's outputs, padding, height, width: whole tiles and tiles beyond the border.
WINOGRAD = [(2, 2, 0, 5, 5), (2, 3, 1, 8, 5), (3, 4, 1, 8, 7), (4, 3, 1, 9, 6)]


@pytest.mark.parametrize(("taps", "side", "padding", "height", "width"), WINOGRAD)
def test_winograd_equals_the_direct_correlation(taps: int, side: int, padding: int, height: int, width: int) -> None:
    assert_same_function(
        lambda x, k: convolution.winograd_correlate(x, k, padding, side),
        lambda x, k: im2col_correlate(jnp.float32, padding, x, k),
        normal(0, 2, height, width, 6),
        normal(1, taps, taps, 6, 5),
    )


def test_the_error_for_512_channels_is_below_1e_5() -> None:
    """The PatchGAN's widest layer against float64."""
    random = np.random.default_rng(0)
    x, kernel = random.standard_normal((1, 15, 15, 512)), 0.02 * random.standard_normal((4, 4, 512, 16))
    padded = np.pad(x[0], ((1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (4, 4), axis=(0, 1))
    expected = np.einsum("hwiuv,uvio->hwo", windows, kernel)
    actual = convolution.winograd_correlate(jnp.asarray(x, jnp.float32), jnp.asarray(kernel, jnp.float32), 1, 3)
    assert np.max(np.abs(np.asarray(actual[0]) - expected)) < 1e-5 * np.max(np.abs(expected))


def test_wide_layers_use_winograd_on_a_cpu_and_equal_the_direct_correlation(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    original = convolution.winograd_correlate

    def counted(x: Array, kernel: Array, padding: int, side: int) -> Array:
        taken.append((kernel.shape, side))
        return original(x, kernel, padding, side)

    monkeypatch.setattr(convolution, "winograd_correlate", counted)
    x, kernel = normal(0, 8, 16, 16, 64), 0.05 * normal(1, 4, 4, 64, 64)
    ways: list[Callable[[Array], Array]] = [
        lambda x: convolve(x, kernel, stride=1, padding=1),
        lambda x: convolve(x, kernel, stride=2, padding=1),
        lambda x: convolve_transposed(x, kernel),
    ]
    fast = [way(x) for way in ways]
    folds = [jax.vmap(way)(jnp.stack([x, -x])) for way in ways]
    assert [shape[0] for shape, _ in taken] == [4, 2, 2] * 2
    taken.clear()
    monkeypatch.setattr(convolution, "_WINOGRAD_MIN_CHANNELS", 1_000)
    direct = [way(x) for way in ways]
    assert not taken
    for one, both, other in zip(fast, folds, direct, strict=True):
        tolerance = 1e-5 * float(jnp.max(jnp.abs(other)))
        chex.assert_trees_all_close(one, other, rtol=0, atol=tolerance)
        chex.assert_trees_all_close(both, jnp.stack([other, -other]), rtol=0, atol=tolerance)


def test_bfloat16_and_narrow_layers_use_im2col(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "winograd_correlate", None)
    wide = normal(0, 4, 4, 64, 64)
    convolve(normal(1, 3, 16, 16, 64), wide, stride=1, padding=1, dtype=jnp.bfloat16)
    convolve(normal(1, 3, 16, 16, 63), wide[:, :, :63], stride=1, padding=1)
    convolve(normal(1, 1, 4, 4, 64), wide, stride=1, padding=1)  # fewer pixels than channels
