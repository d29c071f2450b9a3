"""Winograd's method against the direct correlation, with derivatives and under vmap."""

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from icegan_jax.models import convolution
from icegan_jax.models.convolution import convolve, convolve_transposed, im2col_correlate

# taps, side of a tile's outputs, padding, height, width: whole tiles and tiles beyond the border.
SHAPES = [(2, 2, 0, 5, 5), (2, 2, 1, 4, 6), (2, 3, 1, 8, 5), (3, 4, 1, 8, 7), (4, 3, 1, 16, 15), (4, 3, 0, 6, 9)]


def normal(seed: int, *shape: int) -> Array:
    return jax.random.normal(jax.random.key(seed), shape)


@pytest.mark.parametrize(("taps", "side", "padding", "height", "width"), SHAPES)
def test_equals_the_direct_correlation(taps: int, side: int, padding: int, height: int, width: int) -> None:
    x, kernel = normal(0, 2, height, width, 6), normal(1, taps, taps, 6, 5)
    expected, vjp_expected = jax.vjp(lambda x, k: im2col_correlate(jnp.float32, padding, x, k), x, kernel)
    actual, vjp = jax.vjp(lambda x, k: convolution.winograd_correlate(x, k, padding, side), x, kernel)
    change = normal(2, *expected.shape)
    chex.assert_equal_shape([actual, expected])
    for ours, theirs in zip([actual, *vjp(change)], [expected, *vjp_expected(change)], strict=True):
        chex.assert_trees_all_close(ours, theirs, rtol=0, atol=1e-5 * float(jnp.max(jnp.abs(theirs))))


@pytest.mark.parametrize(("side", "taps"), [(2, 2), (3, 2), (4, 3), (3, 4)])
def test_transforms_are_exact_except_for_rounding(side: int, taps: int) -> None:
    """One row of pixels, in float64: the identity behind the tiles."""
    outputs, kernel, tile = (matrix.astype(np.float64) for matrix in convolution._winograd_transforms(side, taps))
    random = np.random.default_rng(0)
    g, d = random.standard_normal(taps), random.standard_normal(side + taps - 1)
    np.testing.assert_allclose(outputs @ ((kernel @ g) * (tile @ d)), np.correlate(d, g, "valid"), atol=1e-6)


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
