"""Squash by hand, routing against plain loops (Sabour et al. 2017, procedure 1)."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.typing import NDArray

from icegan_jax.models.capsules import RoutedCapsules, dynamic_routing, length, squash

Array64 = NDArray[np.float64]
VOTES = jax.random.normal(jax.random.key(0), (2, 5, 3, 4))


def squash_by_loops(s: Array64) -> Array64:
    norm = np.sqrt(np.sum(s**2))
    return norm**2 / (1 + norm**2) * s / norm


def route_by_loops(votes: Array64, iterations: int) -> tuple[Array64, Array64]:
    """Output capsules float64[k, d] of one example's votes float64[p, k, d], and the last coefficients [p, k]."""
    primary, classes, _ = votes.shape
    logits = np.zeros((primary, classes))
    for iteration in range(iterations):
        coefficients = np.zeros_like(logits)
        for i in range(primary):
            total = sum(np.exp(logits[i, k]) for k in range(classes))
            for j in range(classes):
                coefficients[i, j] = np.exp(logits[i, j]) / total
        outputs = np.stack(
            [squash_by_loops(sum(coefficients[i, j] * votes[i, j] for i in range(primary))) for j in range(classes)]
        )
        if iteration < iterations - 1:
            for i in range(primary):
                for j in range(classes):
                    logits[i, j] += np.dot(votes[i, j], outputs[j])
    return outputs, coefficients


def test_squash_by_hand() -> None:
    # (3, 4) has length 5: 25 / 26 of the unit vector (0.6, 0.8).
    np.testing.assert_allclose(squash(jnp.array([3.0, 4.0])), [0.6 * 25 / 26, 0.8 * 25 / 26], rtol=1e-6)
    np.testing.assert_allclose(length(squash(jnp.array([[0.0, 1.0], [2.0, 0.0]]))), [0.5, 0.8], rtol=1e-4)


def test_length_by_hand() -> None:
    actual = length(jnp.array([[3.0, 4.0], [0.0, -2.0]]))
    chex.assert_shape(actual, (2,))
    np.testing.assert_allclose(actual, [5.0, 2.0], rtol=1e-6)


def test_a_zero_capsule_is_short_and_differentiable() -> None:
    zero = jnp.zeros(4)
    assert float(length(squash(zero))) < 1e-4
    chex.assert_tree_all_finite(jax.grad(lambda s: length(squash(s)))(zero))


@pytest.mark.parametrize("iterations", [1, 2, 3, 5])
def test_routing_equals_plain_loops(iterations: int) -> None:
    actual = dynamic_routing(VOTES, iterations)
    chex.assert_shape(actual, (2, 3, 4))
    for example, capsules in zip(np.asarray(VOTES, np.float64), actual, strict=True):
        np.testing.assert_allclose(capsules, route_by_loops(example, iterations)[0], rtol=1e-4, atol=1e-6)


def test_routing_prefers_the_capsule_on_which_the_votes_agree() -> None:
    """The votes for output 0 are equal, those for output 1 cancel: routing lengthens 0 and shortens 1."""
    votes = jnp.zeros((1, 4, 2, 2)).at[:, :, 0].set(jnp.array([1.0, 0.0]))
    votes = votes.at[0, :, 1].set(jnp.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
    equal, routed = length(dynamic_routing(votes, 1))[0], length(dynamic_routing(votes, 3))[0]
    assert routed[0] > equal[0] > routed[1]


def test_gradient_is_that_of_the_last_weighted_sum() -> None:
    cotangent = jax.random.normal(jax.random.key(1), (2, 3, 4))
    actual = jax.grad(lambda votes: jnp.sum(cotangent * dynamic_routing(votes, 3)))(VOTES)
    coefficients = jnp.asarray(np.stack([route_by_loops(v, 3)[1] for v in np.asarray(VOTES, np.float64)]), jnp.float32)

    def last_iteration(votes: jax.Array) -> jax.Array:
        return jnp.sum(cotangent * squash(jnp.sum(coefficients[..., None] * votes, axis=1)))

    chex.assert_trees_all_close(actual, jax.grad(last_iteration)(VOTES), rtol=1e-4, atol=1e-6)


def test_capsule_layer_votes_with_its_own_matrix_per_pair() -> None:
    module = RoutedCapsules(capsules=3, dimension=4, iterations=3, init_std=0.5)
    u = jax.random.normal(jax.random.key(2), (2, 5, 6))
    variables = module.init(jax.random.key(3), u)
    chex.assert_shape(variables["params"]["transform"], (5, 6, 12))
    actual = module.apply(variables, u)
    chex.assert_shape(actual, (2, 3, 4))
    transform = np.asarray(variables["params"]["transform"], np.float64).reshape(5, 6, 3, 4)
    for example, capsules in zip(np.asarray(u, np.float64), actual, strict=True):
        votes = np.stack([[example[p] @ transform[p, :, k] for k in range(3)] for p in range(5)])
        np.testing.assert_allclose(capsules, route_by_loops(votes, 3)[0], rtol=1e-4, atol=1e-6)


def test_one_capsule_is_routing_to_one_capsule() -> None:
    module = RoutedCapsules(capsules=1, dimension=4, iterations=3, init_std=0.5)
    u = jax.random.normal(jax.random.key(2), (2, 5, 6))
    variables = module.init(jax.random.key(3), u)
    votes = jnp.einsum("bpi,pid->bpd", u, variables["params"]["transform"])[:, :, None, :]
    chex.assert_trees_all_close(module.apply(variables, u), dynamic_routing(votes, 3), rtol=1e-5, atol=1e-6)


def test_couplings_over_the_input_capsules_make_weighted_means() -> None:
    """Equal couplings are 1 / p; then those of input capsules that agree with the output grow."""
    votes = np.asarray(VOTES, np.float64)
    means = np.stack([[squash_by_loops(votes[b, :, k].mean(axis=0)) for k in range(3)] for b in range(2)])
    np.testing.assert_allclose(dynamic_routing(VOTES, 1, "input"), means, rtol=1e-4, atol=1e-6)
    agreement = np.exp(np.einsum("bpkd,bkd->bpk", votes, means))
    couplings = agreement / agreement.sum(axis=1, keepdims=True)
    summed = np.einsum("bpk,bpkd->bkd", couplings, votes)
    expected = np.stack([[squash_by_loops(s) for s in example] for example in summed])
    np.testing.assert_allclose(dynamic_routing(VOTES, 2, "input"), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("capsules", [1, 3])
def test_a_layer_routes_over_its_axis(capsules: int) -> None:
    """With couplings over the input capsules even a single output capsule is not the sum of its votes."""
    module = RoutedCapsules(capsules=capsules, dimension=4, iterations=3, init_std=0.5, axis="input")
    u = jax.random.normal(jax.random.key(2), (2, 5, 6))
    variables = module.init(jax.random.key(3), u)
    votes = jnp.einsum("bpi,pid->bpd", u, variables["params"]["transform"]).reshape(2, 5, capsules, 4)
    actual = module.apply(variables, u)
    chex.assert_trees_all_close(actual, dynamic_routing(votes, 3, "input"), rtol=1e-5, atol=1e-6)
    assert float(jnp.max(jnp.abs(actual - module.clone(axis="output").apply(variables, u)))) > 0.01


def test_the_transform_has_the_given_standard_deviation() -> None:
    u = jnp.zeros((1, 32, 8))
    transform = RoutedCapsules(3, 16, 3, init_std=0.1).init(jax.random.key(0), u)["params"]["transform"]
    assert 0.095 < float(jnp.std(transform)) < 0.105


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-7])
def test_exact_capsules_equal_the_released_formulas(scale: float) -> None:
    """A capsule of 1e-3 becomes one of 1e-6, below our own floor of 3e-5."""
    s = scale * VOTES[0, :, 0]
    by_hand = np.asarray(s, np.float64)
    q = np.sum(by_hand**2, axis=-1, keepdims=True)
    expected = by_hand * (q / (1 + q)) / np.sqrt(q + 1e-12)
    np.testing.assert_allclose(squash(s, exact=True), expected, rtol=1e-5)
    np.testing.assert_allclose(length(s, exact=True), np.sqrt(q[:, 0]), rtol=1e-5)
    np.testing.assert_allclose(jax.grad(lambda x: jnp.sum(length(x, exact=True)))(s), by_hand / np.sqrt(q), rtol=1e-5)


def test_an_exact_zero_capsule_has_length_and_derivative_zero() -> None:
    zero = jnp.zeros((2, 4))
    for prepare in (jnp.asarray, functools.partial(squash, exact=True)):
        value, gradient = jax.value_and_grad(lambda s, prepare=prepare: jnp.sum(length(prepare(s), exact=True)))(zero)
        assert float(value) == 0.0
        chex.assert_trees_all_equal(gradient, zero)


@pytest.mark.parametrize("capsules", [1, 3])
@pytest.mark.parametrize("axis", ["output", "input"])
def test_a_layer_of_exact_capsules(capsules: int, axis: str) -> None:
    module = RoutedCapsules(capsules=capsules, dimension=4, iterations=1, init_std=1e-4, axis=axis, exact=True)
    u = jax.random.normal(jax.random.key(2), (2, 5, 6))
    variables = module.init(jax.random.key(3), u)
    votes = jnp.einsum("bpi,pid->bpd", u, variables["params"]["transform"]).reshape(2, 5, capsules, 4)
    share = 1 / 5 if axis == "input" else 1 / capsules
    s = np.asarray(votes, np.float64).sum(axis=1) * share
    q = np.sum(s**2, axis=-1, keepdims=True)
    np.testing.assert_allclose(module.apply(variables, u), s * (q / (1 + q)) / np.sqrt(q + 1e-12), rtol=1e-3)
