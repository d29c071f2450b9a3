"""Pooling of the compared networks, by hand and against Flax."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icegan_jax.models.baselines.layers import adaptive_mean, max_pool


@pytest.mark.parametrize(("size", "padding", "stride"), [(2, 0, 2), (3, 1, 3), (3, 1, 2), (3, 1, 1), (3, 0, 3)])
def test_max_pool_equals_that_of_flax(size: int, padding: int, stride: int) -> None:
    x = jax.random.normal(jax.random.key(0), (2, 28, 20, 3))
    expected = nn.max_pool(x, (size, size), (stride, stride), ((padding, padding), (padding, padding)))
    np.testing.assert_array_equal(max_pool(x, size, padding, stride), expected)


def test_ststnet_pools_28_pixels_to_10() -> None:
    assert max_pool(jnp.zeros((1, 28, 28, 1)), 3, padding=1).shape == (1, 10, 10, 1)


def test_adaptive_mean_of_7_pixels_over_3_parts() -> None:
    """The parts are pixels 0 to 2, 2 to 4 and 4 to 6, as in PyTorch."""
    x = jnp.broadcast_to(jnp.arange(7.0)[None, :, None, None], (1, 7, 7, 1))
    np.testing.assert_allclose(adaptive_mean(x, 3)[0, :, 0, 0], [1.0, 3.0, 5.0], rtol=1e-6)
