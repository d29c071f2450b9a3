"""The compact graph reasoning module against plain loops."""

import math
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.typing import NDArray

from icegan_jax.models.graph_reasoning import CompactGraphReasoning
from tests.models.test_graph_reasoning import randomized

Array64 = NDArray[np.float64]


def reasoned_by_loops(p: Any, f: Array64) -> Array64:
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


def test_equals_plain_loops() -> None:
    module = CompactGraphReasoning(adjacency_std=0.02)
    f = jax.random.normal(jax.random.key(0), (2, 3, 2, 12))
    params = randomized(2, jax.eval_shape(module.init, jax.random.key(1), f)["params"])
    for image, actual in zip(np.asarray(f, np.float64), module.apply({"params": params}, f), strict=True):
        np.testing.assert_allclose(actual, reasoned_by_loops(params, image), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("channels", "nodes"), [(64, 16), (512, 128), (3, 1)])
def test_a_quarter_of_the_channels_are_nodes(channels: int, nodes: int) -> None:
    shapes = jax.eval_shape(CompactGraphReasoning(0.02).init, jax.random.key(0), jnp.zeros((1, 2, 2, channels)))
    number = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes["params"]))
    up_and_down = 3 * channels * nodes + 2 * nodes
    assert number == up_and_down + 2 * (nodes * nodes + nodes)
    if channels == 4 * nodes:
        assert number == 14 * nodes**2 + 4 * nodes


def test_initial_gradients_and_standard_deviation() -> None:
    module = CompactGraphReasoning(adjacency_std=0.5)
    f = jax.random.normal(jax.random.key(0), (2, 4, 4, 128))
    params = module.init(jax.random.key(1), f)["params"]
    assert 0.45 < float(jnp.std(params["adjacency"])) < 0.55
    cotangent = jax.random.normal(jax.random.key(2), f.shape) / f.size
    gradient = jax.grad(lambda p: jnp.sum(cotangent * module.apply({"params": p}, f)))(params)
    for path, leaf in jax.tree_util.tree_flatten_with_path(gradient)[0]:
        assert float(jnp.max(jnp.abs(leaf))) > 1e-6, path
    chex.assert_tree_all_finite(gradient)
