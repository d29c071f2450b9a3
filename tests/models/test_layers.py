"""Spectral norm against numpy's singular values, instance norm against numpy's moments."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from icegan_jax.models.layers import Convolution, Dense, instance_norm, leaky_relu

KEY = jax.random.key(0)
IMAGE = jax.random.normal(jax.random.key(1), (2, 8, 8, 3))


def layer(*, transposed: bool = False, spectral: bool = True) -> Convolution:
    return Convolution(5, transposed=transposed, spectral=spectral, use_bias=False)


def iterated(module: Convolution, variables: Any, times: int) -> Any:
    """Return the variables after ``times`` training passes."""

    def training_pass(_: int, spectral: Any) -> Any:
        fixed = {"params": variables["params"], "spectral": spectral}
        return module.apply(fixed, IMAGE, train=True, mutable=["spectral"])[1]["spectral"]

    spectral = jax.jit(lambda s: jax.lax.fori_loop(0, times, training_pass, s))(variables["spectral"])
    return {"params": variables["params"], "spectral": spectral}


@pytest.mark.parametrize("transposed", [False, True])
def test_the_kernel_is_divided_by_its_largest_singular_value(transposed: bool) -> None:
    module = layer(transposed=transposed)
    variables = iterated(module, module.init(KEY, IMAGE, train=True), 300)
    kernel = variables["params"]["kernel"]
    largest = np.linalg.svd(np.asarray(kernel).reshape(-1, 5), compute_uv=False)[0]

    divided = module.apply(variables, IMAGE, train=False)
    plain = layer(transposed=transposed, spectral=False).apply({"params": {"kernel": kernel}}, IMAGE, train=False)
    chex.assert_trees_all_close(divided * largest, plain, rtol=1e-4, atol=1e-6)


def test_the_first_pass_already_divides_by_nearly_the_norm() -> None:
    module = layer()
    variables = module.init(KEY, IMAGE, train=True)
    kernel = variables["params"]["kernel"]
    largest = np.linalg.svd(np.asarray(kernel).reshape(-1, 5), compute_uv=False)[0]
    plain = layer(spectral=False).apply({"params": {"kernel": kernel}}, IMAGE, train=False)
    divided = module.apply(variables, IMAGE, train=False)
    chex.assert_trees_all_close(divided * largest, plain, rtol=0.05, atol=1e-3)


def test_only_training_updates_the_power_iteration() -> None:
    module = layer()
    variables = module.init(KEY, IMAGE, train=True)
    start = jax.random.normal(jax.random.key(2), (5,))
    variables = {"params": variables["params"], "spectral": {"direction": start / jnp.linalg.norm(start)}}

    _, still = module.apply(variables, IMAGE, train=False, mutable=["spectral"])
    chex.assert_trees_all_equal(still["spectral"], variables["spectral"])
    _, moved = module.apply(variables, IMAGE, train=True, mutable=["spectral"])
    matrix = np.asarray(variables["params"]["kernel"]).reshape(-1, 5)
    left = matrix @ variables["spectral"]["direction"]
    right = left @ matrix
    chex.assert_trees_all_close(moved["spectral"]["direction"], right / np.linalg.norm(right), rtol=1e-4)


def test_spectral_gradient_holds_the_singular_vectors_fixed() -> None:
    """d<G, W / s> / dW = G / s - <G, W> / s^2 u v^T for s = u^T W v, u and v constant (Miyato et al. 2018)."""
    module = Convolution(4, size=1, stride=1, padding=0, use_bias=False)
    identity = jnp.eye(3)[None, :, None, :]  # [1, 3, 1, 3]: a pixel per input channel shows the matrix itself
    variables = module.init(KEY, identity, train=True)
    cotangent = jax.random.normal(jax.random.key(3), (1, 3, 1, 4))

    def loss(kernel: Array) -> Array:
        fixed = {"params": {"kernel": kernel}, "spectral": variables["spectral"]}
        return jnp.sum(cotangent * module.apply(fixed, identity, train=False))

    kernel = variables["params"]["kernel"]
    actual = np.asarray(jax.grad(loss)(kernel))[0, 0]

    w, g = np.asarray(kernel, np.float64)[0, 0], np.asarray(cotangent, np.float64)[0, :, 0]
    u = w @ np.asarray(variables["spectral"]["direction"], np.float64)
    u /= np.linalg.norm(u)
    v = u @ w / np.linalg.norm(u @ w)
    s = u @ w @ v
    np.testing.assert_allclose(actual, g / s - np.sum(g * w) / s**2 * np.outer(u, v), rtol=1e-3, atol=1e-4)


def test_a_layer_without_spectral_norm_keeps_no_direction() -> None:
    variables = layer(spectral=False).init(KEY, IMAGE, train=True)
    assert set(variables) == {"params"}
    chex.assert_shape(variables["params"]["kernel"], (4, 4, 3, 5))


def test_biases_start_at_zero_and_are_added() -> None:
    module = Convolution(5)
    variables = module.init(KEY, IMAGE, train=True)
    chex.assert_trees_all_equal(variables["params"]["bias"], jnp.zeros(5))
    shifted = {**variables, "params": {**variables["params"], "bias": jnp.arange(5.0)}}
    difference = module.apply(shifted, IMAGE, train=False) - module.apply(variables, IMAGE, train=False)
    chex.assert_trees_all_close(difference, jnp.broadcast_to(jnp.arange(5.0), (2, 4, 4, 5)), atol=1e-5)


ROWS = jax.random.normal(jax.random.key(4), (3, 6))


def test_a_dense_layer_is_a_matrix_and_a_bias() -> None:
    module = Dense(4)
    variables = module.init(KEY, ROWS, train=True)
    assert set(variables) == {"params"}
    params = {"kernel": variables["params"]["kernel"], "bias": jnp.arange(4.0)}
    expected = np.asarray(ROWS) @ np.asarray(params["kernel"]) + np.arange(4.0)
    np.testing.assert_allclose(module.apply({"params": params}, ROWS, train=False), expected, rtol=1e-5, atol=1e-6)


def test_a_dense_layer_s_matrix_is_divided_by_its_norm_but_not_its_bias() -> None:
    module = Dense(4, spectral=True)
    variables = module.init(KEY, ROWS, train=True)
    kernel = variables["params"]["kernel"]
    right = np.linalg.svd(np.asarray(kernel))[2][0]
    fitting = {"params": {"kernel": kernel, "bias": jnp.arange(4.0)}, "spectral": {"direction": jnp.asarray(right)}}
    expected = np.asarray(ROWS) @ np.asarray(kernel) / np.linalg.norm(kernel, 2) + np.arange(4.0)
    np.testing.assert_allclose(module.apply(fitting, ROWS, train=False), expected, rtol=1e-4, atol=1e-5)
    away = {**fitting, "spectral": {"direction": jnp.ones(4) / 2}}
    assert module.apply(away, ROWS, train=False, mutable=["spectral"])[1]["spectral"]["direction"][0] == 0.5
    moved = module.apply(away, ROWS, train=True, mutable=["spectral"])[1]["spectral"]["direction"]
    assert abs(float(moved @ right)) > abs(float(jnp.ones(4) / 2 @ right))


def test_instance_norm_by_numpy() -> None:
    x = 3 * IMAGE + jnp.arange(3.0)[None, None, None, :]
    y = instance_norm(x)
    chex.assert_equal_shape([x, y])
    pixels = np.asarray(x, np.float64)
    expected = np.empty_like(pixels)
    for b in range(2):
        for c in range(3):
            channel = pixels[b, :, :, c]
            expected[b, :, :, c] = (channel - channel.mean()) / np.sqrt(channel.var() + 1e-5)
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_instance_norm_of_a_flat_map_is_zero() -> None:
    flat = jnp.full((1, 4, 4, 2), 7.0)
    value, gradient = jax.value_and_grad(lambda x: jnp.sum(instance_norm(x) ** 2))(flat)
    assert float(value) == 0.0
    chex.assert_tree_all_finite(gradient)


def test_leaky_relu() -> None:
    np.testing.assert_allclose(leaky_relu(jnp.array([-1.0, 0.0, 2.0])), [-0.2, 0.0, 2.0], rtol=1e-6)


def test_evaluation_with_a_fixed_norm_keeps_both_vectors_of_the_last_training_pass() -> None:
    """u W v with the vectors of the last pass and the present kernel, as in PyTorch."""
    module = layer().clone(fixed_norm=True)
    variables = module.init(KEY, IMAGE, train=True)
    start = np.full(5, 5**-0.5)
    variables["spectral"]["direction"] = jnp.asarray(start)
    spectral = module.apply(variables, IMAGE, train=True, mutable=["spectral"])[1]["spectral"]
    matrix = np.asarray(variables["params"]["kernel"], np.float64).reshape(-1, 5)
    left = matrix @ start / np.linalg.norm(matrix @ start)
    right = left @ matrix / np.linalg.norm(left @ matrix)

    kernel = variables["params"]["kernel"] + 0.01 * jax.random.normal(jax.random.key(5), (4, 4, 3, 5))
    divided = module.apply({"params": {"kernel": kernel}, "spectral": spectral}, IMAGE, train=False)
    plain = layer(spectral=False).apply({"params": {"kernel": kernel}}, IMAGE, train=False)
    norm = left @ np.asarray(kernel, np.float64).reshape(-1, 5) @ right
    chex.assert_trees_all_close(divided * norm, plain, rtol=1e-4, atol=1e-6)
    other = layer().apply({"params": {"kernel": kernel}, "spectral": spectral}, IMAGE, train=False)
    assert float(jnp.max(jnp.abs(divided - other))) > 1e-3


def test_a_uniform_start() -> None:
    params = Dense(200, uniform_start=True).init(KEY, jnp.zeros((1, 100)), train=True)["params"]
    for values in params.values():
        assert float(jnp.max(jnp.abs(values))) <= 0.1
        np.testing.assert_allclose(jnp.std(values), 0.1 / np.sqrt(3), rtol=0.15)
