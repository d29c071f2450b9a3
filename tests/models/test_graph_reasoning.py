"""The graph reasoning module against plain loops."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from icegan_jax.models.graph_reasoning import GraphReasoning

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


def test_the_adjacency_has_the_given_standard_deviation() -> None:
    f = jnp.zeros((1, 2, 2, 64))
    params = GraphReasoning(adjacency_std=0.5).init(jax.random.key(0), f)["params"]
    chex.assert_shape(params["adjacency"], (64, 64))
    assert 0.45 < float(jnp.std(params["adjacency"])) < 0.55


def test_gradients_are_large_enough_for_adam_to_act_on() -> None:
    """With small initial matrices, of which six are multiplied, the gradient was below Adam's epsilon of 1e-8."""
    module = GraphReasoning(adjacency_std=0.02)
    f = jax.random.normal(jax.random.key(0), (2, 8, 8, 8))
    params = module.init(jax.random.key(1), f)["params"]
    cotangent = jax.random.normal(jax.random.key(2), f.shape) / f.size
    gradient = jax.grad(lambda p: jnp.sum(cotangent * module.apply({"params": p}, f)))(params)
    for name in ("adjacency", "weight"):
        assert float(jnp.max(jnp.abs(gradient[name]))) > 1e-6, name
    for name in ("transform", "phi", "theta", "back_projection"):
        assert float(jnp.max(jnp.abs(gradient[name]["kernel"]))) > 1e-6, name
