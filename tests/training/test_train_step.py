"""The training step against plain gradients of the two networks' losses (docs/design.md, "Losses and the update")."""

import functools
from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from icegan_jax.models.generator import to_float, to_uint8
from icegan_jax.models.perceptual import load_perceptual_network, perceptual_features
from icegan_jax.training.state import Models, TrainState, create_state, derive_key, fold_key
from icegan_jax.training.train_step import Batch, Metrics, train_step
from tests.training import tiny

# Adding a constant in front of a norm that subtracts the mean changes nothing: these gradients are 0.
BEFORE_A_NORM = {f"['down_{i}']['bias']" for i in (2, 3, 4)} | {f"['up_{i}']['bias']" for i in (2, 3, 4, 5)}
BEFORE_A_NORM |= {"['trunk_5']['bias']"}


def leaves(tree: Any) -> dict[str, jax.Array]:
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]}


def largest(x: jax.Array) -> float:
    return float(jnp.max(jnp.abs(x)))


def plain_losses(
    models: Models, state: TrainState, batch: Batch
) -> tuple[Callable[[Any], jax.Array], Callable[[Any], jax.Array]]:
    """L_D of the discriminator's parameters and L_G of the generator's, each with the other network fixed."""
    weights, label = models.weights, batch["label"]
    onset, apex = (batch[name].astype(jnp.float32) / 127.5 - 1 for name in ("onset", "apex"))
    noise_key = jax.random.fold_in(derive_key(state.key, "noise"), state.step)
    noise = jax.random.normal(noise_key, (tiny.BATCH, models.noise))

    def fake_of(g_params: Any) -> jax.Array:
        variables = {"params": g_params, **state.g_stats}
        expression = jnp.eye(3)[label]
        return models.generator.apply(variables, onset, noise, expression, train=True, mutable=["spectral"])[0]

    def discriminate(d_params: Any, face: jax.Array) -> Any:
        variables = {"params": d_params, **state.d_stats}
        image = jnp.concatenate([face, 4.0 * (face - onset)], axis=3)
        mutable = ["spectral", "batch_stats"]
        return models.discriminator.apply(variables, image, label, train=True, mutable=mutable)[0]

    def cross_entropy(output: Any, real: bool) -> jax.Array:
        length = output.real_prob
        return -jnp.mean(jnp.log((length if real else 1 - length) + 1e-6))

    def classification(output: Any, face: jax.Array) -> jax.Array:
        present = jnp.eye(3)[label]
        short = present * jnp.maximum(0, 0.9 - output.lengths) ** 2
        long = (1 - present) * jnp.maximum(0, output.lengths - 0.1) ** 2
        target = jax.lax.stop_gradient((face + 1) / 2)  # the reconstruction follows the face, not the reverse
        reconstruction = jnp.mean((output.reconstruction - target) ** 2)
        return jnp.mean(jnp.sum(short + 0.5 * long, axis=1)) + weights.reconstruction * reconstruction

    def d_loss(d_params: Any) -> jax.Array:
        fake = jax.lax.stop_gradient(fake_of(state.g_params))
        on_real, on_fake = discriminate(d_params, apex), discriminate(d_params, fake)
        adversarial = cross_entropy(on_real, True) + cross_entropy(on_fake, False)
        return (
            weights.adversarial * adversarial
            + weights.recognition * classification(on_real, apex)
            + weights.synthetic_recognition * classification(on_fake, fake)
        )

    def g_loss(g_params: Any) -> jax.Array:
        fake = fake_of(g_params)
        output = discriminate(state.d_params, fake)
        before, after = (perceptual_features(models.perceptual, x) for x in (onset, fake))
        likeness = jnp.mean(jnp.abs(fake - apex)) + weights.perceptual * jnp.mean((before - after) ** 2)
        return (
            weights.synthesis * likeness
            + weights.adversarial * cross_entropy(output, True)
            + weights.recognition * classification(output, fake)
        )

    return d_loss, g_loss


@pytest.fixture(scope="module")
def one_update() -> dict[str, Any]:
    """Return the gradients of an update and the plain gradients of the two losses.

    The optimizer is gradient descent with a large rate: a parameter's change is the gradient, without rounding.
    """
    rate = 1000.0
    models = tiny.models(
        perceptual=load_perceptual_network("alexnet", "relu1"), g_optimizer=optax.sgd(rate), d_optimizer=optax.sgd(rate)
    )

    @jax.jit
    def run(key: jax.Array, batch: Batch) -> dict[str, Any]:
        state = create_state(models, key).replace(step=jnp.int32(5))
        after, metrics = train_step(models, state, batch)
        d_loss, g_loss = plain_losses(models, state, batch)
        onset, apex = to_float(batch["onset"]), to_float(batch["apex"])
        output, real_stats = models.discriminator.apply(
            {"params": state.d_params, **state.d_stats},
            models.discriminator_input(onset, apex),
            batch["label"],
            train=True,
            mutable=["spectral", "batch_stats"],
        )
        return {
            "stats": (after.d_stats, real_stats),
            "g": jax.tree.map(lambda a, b: (a - b) / rate, state.g_params, after.g_params),
            "d": jax.tree.map(lambda a, b: (a - b) / rate, state.d_params, after.d_params),
            "g_plain": jax.value_and_grad(g_loss)(state.g_params),
            "d_plain": jax.value_and_grad(d_loss)(state.d_params),
            "metrics": metrics,
            "after": after.replace(key=None),
            "lengths": output.lengths,
            "weights": models.weights,
        }

    return run(fold_key(0, "a"), tiny.batch())


@pytest.mark.parametrize("network", ["g", "d"])
def test_each_network_follows_the_gradient_of_its_own_loss(one_update: dict[str, Any], network: str) -> None:
    actual, expected = leaves(one_update[network]), leaves(one_update[f"{network}_plain"][1])
    assert actual.keys() == expected.keys()
    for name, gradient in expected.items():
        tolerance = 1e-6 if name in BEFORE_A_NORM else 3e-3 * largest(gradient)
        assert largest(actual[name] - gradient) <= tolerance, name


def test_the_running_statistics_follow_the_real_faces(one_update: dict[str, Any]) -> None:
    chex.assert_trees_all_close(*one_update["stats"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("network", ["g", "d"])
def test_every_parameter_has_a_gradient(one_update: dict[str, Any], network: str) -> None:
    gradients = leaves(one_update[f"{network}_plain"][1])
    without = {name for name, gradient in gradients.items() if largest(gradient) < 1e-9}
    assert without <= BEFORE_A_NORM
    for name in BEFORE_A_NORM & gradients.keys():
        assert largest(gradients[name]) < 1e-6, name


def test_the_logged_terms_add_up_to_the_losses(one_update: dict[str, Any]) -> None:
    m, w = one_update["metrics"], tiny.WEIGHTS

    def classification(head: str) -> jax.Array:
        return m[f"{head}_margin"] + w.reconstruction * m[f"{head}_reconstruction"]

    g = w.synthesis * (m["g_l1"] + w.perceptual * m["g_perceptual"]) + w.adversarial * m["g_adversarial"]
    g += w.recognition * classification("g")
    d = w.adversarial * (m["d_real_adversarial"] + m["d_fake_adversarial"])
    d += w.recognition * classification("d_real") + w.synthetic_recognition * classification("d_fake")
    np.testing.assert_allclose(g, one_update["g_plain"][0], rtol=1e-5)
    np.testing.assert_allclose(d, one_update["d_plain"][0], rtol=1e-5)


def norm(tree: Any) -> float:
    return float(np.sqrt(sum(np.sum(np.square(np.asarray(leaf, np.float64))) for leaf in jax.tree.leaves(tree))))


@pytest.mark.parametrize("network", ["g", "d"])
def test_the_norms_are_those_of_gradient_parameters_and_statistics(one_update: dict[str, Any], network: str) -> None:
    metrics, after = one_update["metrics"], one_update["after"]
    gradient = norm(one_update[f"{network}_plain"][1])
    assert float(metrics[f"{network}_gradient_norm"]) == pytest.approx(gradient, rel=1e-3)
    for name, part in (("parameter", "params"), ("statistic", "stats")):
        kept = norm(getattr(after, f"{network}_{part}"))
        assert float(metrics[f"{network}_{name}_norm"]) == pytest.approx(kept, rel=1e-5)


def test_the_predicted_shares_are_those_of_the_longest_capsules(one_update: dict[str, Any]) -> None:
    shares = [float(one_update["metrics"][f"d_real_predicted_{index}"]) for index in range(3)]
    predictions = np.argmax(np.asarray(one_update["lengths"]), axis=1)
    np.testing.assert_allclose(shares, np.bincount(predictions, minlength=3) / tiny.BATCH, rtol=1e-6)


# The tests below use the unchanged tiny networks.

Run = tuple[TrainState, list[Metrics]]


@pytest.fixture(scope="module")
def thirty_steps() -> tuple[TrainState, Run]:
    """A state, and that state after 30 updates on one batch with the loss terms of each."""
    weights = tiny.WEIGHTS._replace(synthesis=100.0)
    models = tiny.models(weights=weights, g_optimizer=tiny.adam(5e-3), d_optimizer=tiny.adam(5e-3))
    state = first = jax.jit(functools.partial(create_state, models))(fold_key(0, "a"))
    step = jax.jit(functools.partial(train_step, models))
    log = []
    for _ in range(30):
        state, metrics = step(state, tiny.batch())
        log.append(metrics)
    return first, (state, log)


def test_losses_fall_on_a_repeated_batch(thirty_steps: tuple[TrainState, Run]) -> None:
    log = thirty_steps[1][1]
    for name in ("d_real_margin", "g_l1"):
        first, last = (float(np.mean([m[name] for m in part])) for part in (log[:3], log[-3:]))
        assert last < 0.8 * first, name


def test_nothing_becomes_nan_and_shapes_stay(thirty_steps: tuple[TrainState, Run]) -> None:
    first, (last, log) = thirty_steps
    arrays = last.replace(key=None)
    chex.assert_tree_all_finite(arrays)
    chex.assert_tree_all_finite(log)
    chex.assert_trees_all_equal_shapes_and_dtypes(arrays, first.replace(key=None))
    for metrics in log:
        chex.assert_shape(list(metrics.values()), ())
        chex.assert_type(list(metrics.values()), jnp.float32)


def test_the_state_counts_its_steps_and_keeps_its_key(thirty_steps: tuple[TrainState, Run]) -> None:
    first, (last, _) = thirty_steps
    assert (int(first.step), int(last.step)) == (0, 30)
    chex.assert_trees_all_equal(*(jax.random.key_data(state.key) for state in (first, last)))


def test_every_parameter_and_statistic_moves(thirty_steps: tuple[TrainState, Run]) -> None:
    first, (last, _) = thirty_steps
    for part in ("g_params", "d_params", "g_stats", "d_stats"):
        before, after = leaves(getattr(first, part)), leaves(getattr(last, part))
        for name in before.keys() - BEFORE_A_NORM:
            assert largest(after[name] - before[name]) > 0, f"{part}{name}"


def test_gray_levels_are_unchanged_by_float_and_back() -> None:
    gray = jnp.arange(256, dtype=jnp.uint8)
    chex.assert_trees_all_equal(to_uint8(to_float(gray)), gray)
    np.testing.assert_allclose(to_float(gray)[jnp.array([0, 255])], [-1.0, 1.0])
    np.testing.assert_array_equal(to_uint8(jnp.array([-7.0, 7.0])), [0, 255])
