"""The graph reasoning modules against plain loops."""

from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.typing import NDArray

from icegan_jax.models.graph_reasoning import CompactGraphReasoning, GraphReasoning

Array64 = NDArray[np.float64]


def randomized(seed: int, shapes: Any) -> Any:
    """Parameters of these shapes, normally distributed: no bias is 0, its initial value."""
    leaves, structure = jax.tree.flatten(shapes)
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    values = [jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, values)


def reasoned_by_loops(p: Any, f: Array64) -> Array64:
    """Equations 1 to 3 for one feature map float64[h, w, c], each sum written out."""
    h, w, c = f.shape

    def pointwise(x: Array64, name: str) -> Array64:
        kernel, bias = np.asarray(p[name]["kernel"], np.float64)[0, 0], np.asarray(p[name]["bias"], np.float64)
        y = np.zeros_like(x)
        for row in range(h):
            for column in range(w):
                for o in range(c):
                    y[row, column, o] = bias[o] + sum(x[row, column, i] * kernel[i, o] for i in range(c))
        return y

    t = pointwise(f, "transform")
    phi, theta = pointwise(t, "phi"), pointwise(t, "theta")
    nodes = np.zeros((c, c))
    for i in range(c):
        for j in range(c):
            for row in range(h):
                for column in range(w):
                    nodes[i, j] += phi[row, column, i] * theta[row, column, j] / (h * w)
    adjacency, weight = np.asarray(p["adjacency"], np.float64), np.asarray(p["weight"], np.float64)
    reasoned = np.zeros((c, c))
    for i in range(c):
        for m in range(c):
            total = 0.0
            for j in range(c):
                for k in range(c):
                    total += (adjacency[i, j] + (i == j)) * nodes[j, k] * weight[k, m]
            reasoned[i, m] = max(0.0, total)
    projected = np.zeros_like(f)
    for row in range(h):
        for column in range(w):
            for i in range(c):
                projected[row, column, i] = sum(reasoned[i, j] * theta[row, column, j] for j in range(c))
    return f + pointwise(projected, "back_projection")


def test_equals_plain_loops() -> None:
    module = GraphReasoning(adjacency_std=0.02)
    f = jax.random.normal(jax.random.key(0), (2, 3, 2, 4))
    shapes = jax.eval_shape(module.init, jax.random.key(1), f)["params"]
    params = randomized(2, shapes)
    y = module.apply({"params": params}, f)
    chex.assert_equal_shape([f, y])
    for image, actual in zip(np.asarray(f, np.float64), y, strict=True):
        expected = reasoned_by_loops(params, image)
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def compactly_reasoned_by_loops(p: Any, f: Array64) -> Array64:
    """One feature map float64[h, w, c], each sum written out; s nodes are projections of the c channels."""
    h, w, c = f.shape
    s = c // 4
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), p)

    def project(name: str) -> Array64:
        kernel = p[name]["kernel"][0, 0]
        return np.array([[x @ kernel + p[name]["bias"] for x in row] for row in f])

    phi, theta = project("phi"), project("theta")
    nodes = np.zeros((s, s))
    for i in range(s):
        for j in range(s):
            nodes[i, j] = sum(phi[y, x, i] * theta[y, x, j] for y in range(h) for x in range(w)) / s
    related = np.zeros((s, s))
    for i in range(s):
        for k in range(s):
            total = sum(nodes[i, j] * p["adjacency"][k, j] for j in range(s)) + p["adjacency_bias"][k]
            related[i, k] = max(0.0, total + nodes[i, k])
    reasoned = np.zeros((s, s))
    for k in range(s):
        for j in range(s):
            reasoned[k, j] = sum(p["weight"][k, i] * related[i, j] for i in range(s)) + p["weight_bias"][k]
    assert "bias" not in p["back_projection"]
    added = np.array(
        [[reasoned @ theta[y, x] @ p["back_projection"]["kernel"][0, 0] for x in range(w)] for y in range(h)]
    )
    mean, variance = added.mean(axis=(0, 1)), added.var(axis=(0, 1))
    return f + (added - mean) / np.sqrt(variance + 1e-5)


def test_the_compact_module_equals_plain_loops() -> None:
    module = CompactGraphReasoning(adjacency_std=0.02)
    f = jax.random.normal(jax.random.key(0), (2, 3, 2, 12))
    params = randomized(2, jax.eval_shape(module.init, jax.random.key(1), f)["params"])
    for image, actual in zip(np.asarray(f, np.float64), module.apply({"params": params}, f), strict=True):
        np.testing.assert_allclose(actual, compactly_reasoned_by_loops(params, image), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("module", [GraphReasoning(adjacency_std=0.5), CompactGraphReasoning(adjacency_std=0.5)])
def test_initial_gradients_are_large_enough_for_adam(module: nn.Module) -> None:
    """With small initial matrices, of which six are multiplied, the gradient was below Adam's epsilon of 1e-8."""
    f = jax.random.normal(jax.random.key(0), (2, 4, 4, 64))

    @jax.jit
    def build(key: jax.Array) -> tuple[Any, Any]:
        params = module.init(key, f)["params"]
        cotangent = jax.random.normal(jax.random.key(2), f.shape) / f.size
        return params, jax.grad(lambda p: jnp.sum(cotangent * module.apply({"params": p}, f)))(params)

    params, gradient = build(jax.random.key(1))
    assert 0.4 < float(jnp.std(params["adjacency"])) < 0.6
    for path, leaf in jax.tree_util.tree_flatten_with_path(gradient)[0]:
        assert "bias" in jax.tree_util.keystr(path) or float(jnp.max(jnp.abs(leaf))) > 1e-6, path
    chex.assert_tree_all_finite(gradient)


@pytest.mark.parametrize(("size", "channels"), [(16, 256), (4, 512), (2, 512)])
def test_a_released_start_adds_little(size: int, channels: int) -> None:
    """0.15 to 1.0 of the input's deviation; the norm alone, after a larger start, gives 1.5 and more."""
    f = nn.leaky_relu(jax.random.normal(jax.random.key(0), (2, size, size, channels)), 0.2)
    for released, low, high in ((True, 0.15, 1.0), (False, 1.3, 7.0)):
        module = CompactGraphReasoning(adjacency_std=0.02, released_start=released)
        added = module.init_with_output(jax.random.key(1), f)[0] - f
        assert low < float(jnp.std(added) / jnp.std(f)) < high
