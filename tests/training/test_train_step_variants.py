"""The training step of the paper's ablations: a discriminator alone, and one without capsules (Tables III and IV)."""

import functools
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from icegan_jax.models.discriminator import ConvolutionalDiscriminator
from icegan_jax.models.generator import to_float
from icegan_jax.training.inference import predict
from icegan_jax.training.parallel import FoldLayout, build_programs
from icegan_jax.training.state import Models, TrainState, create_state, derive_key, fold_key
from icegan_jax.training.train_step import Metrics, train_step, train_steps
from tests.training import tiny
from tests.training.test_train_step import BEFORE_A_NORM, largest, leaves

RATE = 1000.0  # of plain gradient descent: a parameter's change is the gradient, nothing rounded off
DESCENT = {"g_optimizer": optax.sgd(RATE), "d_optimizer": optax.sgd(RATE)}
CNN = ConvolutionalDiscriminator(width=1 / 32, cnn_width=2.0)
LENGTHS = {f"length_{index}" for index in range(3)}
PREDICTED = {f"d_real_predicted_{index}" for index in range(3)}
NORMS = ("gradient_norm", "parameter_norm", "statistic_norm")


def discriminate(models: Models, state: TrainState, d_params: Any, face: jax.Array) -> Any:
    """Return the discriminator's output for faces, in training."""
    batch = tiny.batch()
    variables = {"params": d_params, **state.d_stats}
    image = models.discriminator_input(to_float(batch["onset"]), face)
    return models.discriminator.apply(variables, image, batch["label"], train=True, mutable=list(state.d_stats))[0]


def assert_followed(before: Any, after: Any, gradient: Any) -> None:
    """Assert that every parameter changed by its gradient."""
    moved = leaves(jax.tree.map(lambda a, b: (a - b) / RATE, before, after))
    for name, expected in leaves(gradient).items():
        tolerance = 1e-6 if name in BEFORE_A_NORM else 3e-3 * largest(expected) + 1e-9
        assert largest(moved[name] - expected) <= tolerance, name


def test_a_discriminator_alone_follows_l_cls_on_real_faces() -> None:
    weights = tiny.WEIGHTS._replace(margin_power=1, recognition=0.5)
    models = tiny.models(generator=None, weights=weights, **DESCENT)
    batch = tiny.batch()

    def loss(state: TrainState, d_params: Any) -> jax.Array:
        apex, present = to_float(batch["apex"]), jnp.eye(3)[batch["label"]]
        output = discriminate(models, state, d_params, apex)
        short, long = jnp.maximum(0, 0.9 - output.lengths), jnp.maximum(0, output.lengths - 0.1)
        margin = jnp.mean(jnp.sum(present * short + 0.5 * (1 - present) * long, axis=1))
        drawn = jnp.mean((output.reconstruction - (apex + 1) / 2) ** 2)
        return 0.5 * (margin + 0.05 * drawn)

    @jax.jit
    def run(key: jax.Array) -> tuple[TrainState, TrainState, Metrics, Any]:
        state = create_state(models, key)
        value_and_gradient = jax.value_and_grad(functools.partial(loss, state))(state.d_params)
        return state, *train_step(models, state, batch), value_and_gradient

    state, after, metrics, (value, gradient) = run(fold_key(0, "a"))
    assert_followed(state.d_params, after.d_params, gradient)
    assert largest(gradient["adv_caps"]["transform"]) == 0.0  # there is no L_gan
    shown = {"margin", "reconstruction", "accuracy", *LENGTHS}
    assert set(metrics) == {f"d_real_{name}" for name in shown} | {f"d_{name}" for name in NORMS} | PREDICTED
    total = metrics["d_real_margin"] + 0.05 * metrics["d_real_reconstruction"]
    np.testing.assert_allclose(0.5 * total, value, rtol=1e-5)
    assert (state.g_params, state.g_stats, after.g_params, after.g_stats) == ({}, {}, {}, {})
    assert int(after.step) == 1
    assert largest(after.d_stats["batch_stats"]["norm_2"]["mean"] - state.d_stats["batch_stats"]["norm_2"]["mean"]) > 0


@pytest.fixture(scope="module")
def without_capsules() -> dict[str, Any]:
    """One update with a discriminator without capsules, and the plain gradients of both losses."""
    models = tiny.models(discriminator=CNN, weights=tiny.WEIGHTS._replace(reconstruction=1e6), **DESCENT)
    batch = tiny.batch()
    onset, apex = to_float(batch["onset"]), to_float(batch["apex"])
    w, present = tiny.WEIGHTS, jnp.eye(3)[batch["label"]]

    def recognition(output: Any) -> jax.Array:
        return jnp.mean(-jnp.log(jnp.sum(present * output.lengths, axis=1)))

    def losses(key: jax.Array, state: TrainState) -> Any:
        noise = jax.random.normal(key, (tiny.BATCH, models.noise))

        def fake_of(g_params: Any) -> jax.Array:
            variables = {"params": g_params, **state.g_stats}
            return models.generator.apply(variables, onset, noise, present, train=True, mutable=["spectral"])[0]

        def d_loss(d_params: Any) -> jax.Array:
            real = discriminate(models, state, d_params, apex)
            fake = discriminate(models, state, d_params, fake_of(state.g_params))
            adversarial = -jnp.mean(jnp.log(real.real_prob)) - jnp.mean(jnp.log(1 - fake.real_prob))
            recognized = w.recognition * recognition(real) + w.synthetic_recognition * recognition(fake)
            return w.adversarial * adversarial + recognized

        def g_loss(g_params: Any) -> jax.Array:
            fake = fake_of(g_params)
            output = discriminate(models, state, state.d_params, fake)
            adversarial = -jnp.mean(jnp.log(output.real_prob))
            return jnp.mean(jnp.abs(fake - apex)) + w.adversarial * adversarial + recognition(output)

        return d_loss, g_loss

    @jax.jit
    def run(key: jax.Array) -> dict[str, Any]:
        state = create_state(models, key)
        after, metrics = train_step(models, state, batch)
        noise_key = jax.random.fold_in(derive_key(key, "noise"), 0)
        d_loss, g_loss = losses(noise_key, state)
        return {
            "before": state,
            "after": after,
            "metrics": metrics,
            "d": jax.grad(d_loss)(state.d_params),
            "g": jax.grad(g_loss)(state.g_params),
            "lengths": predict(models, state, batch["onset"], batch["apex"]),
        }

    return run(fold_key(0, "a"))


@pytest.mark.parametrize("network", ["g", "d"])
def test_without_capsules_both_follow_cross_entropies(without_capsules: dict[str, Any], network: str) -> None:
    before, after = (getattr(without_capsules[name], f"{network}_params") for name in ("before", "after"))
    assert_followed(before, after, without_capsules[network])


def test_without_capsules_nothing_is_reconstructed(without_capsules: dict[str, Any]) -> None:
    metrics = without_capsules["metrics"]
    shown = {"cross_entropy", "adversarial", "accuracy", *LENGTHS}
    losses = {f"{who}_{name}" for who in ("g", "d_real", "d_fake") for name in shown} | {"g_l1"}
    assert set(metrics) == losses | {f"{who}_{name}" for who in "gd" for name in NORMS} | PREDICTED
    chex.assert_shape(without_capsules["lengths"], (tiny.BATCH, 3))


@pytest.mark.parametrize(("kind", "recognition_input"), [("capsules", "apex"), ("capsules", "pair"), ("cnn", "pair")])
def test_resting_pairs_become_no_class(kind: str, recognition_input: str) -> None:
    """The pairs with an expression are learned as without resting pairs."""
    models = tiny.models(generator=None, recognition_input=recognition_input, d_optimizer=tiny.adam(3e-3))
    if kind == "cnn":
        models = models._replace(discriminator=ConvolutionalDiscriminator(width=1 / 8, norm="instance"))
    batch = tiny.batch()
    batch |= {"rest_onset": batch["onset"], "rest": batch["onset"]}
    batches = {name: jnp.stack([values] * 100) for name, values in batch.items()}
    _, metrics = jax.jit(functools.partial(train_steps, models))(create_state(models, fold_key(0, "a")), batches)
    assert float(metrics["d_real_accuracy"][-1]) == 1.0
    limit = 0.3 if kind == "capsules" else 0.5  # m- is 0.1; equal probabilities of three classes are 1/3
    assert float(metrics["d_rest_longest"][-1]) < limit


@pytest.mark.slow
def test_two_discriminators_alone_in_parallel() -> None:
    """States with empty generator trees can be placed on devices, trained and taken back; there is no synthesis."""
    models = tiny.models(generator=None)
    programs = build_programs(models, jax.local_devices()[:1])
    assert programs.synthesize_classes is None
    layout = FoldLayout((jax.local_devices()[0],), 2)
    keys = jnp.stack([fold_key(0, str(fold)) for fold in range(2)])
    batches = {name: np.stack([np.stack([value] * 2)] * 2) for name, value in tiny.batch().items()}
    states = programs.create_state(layout.device_put(layout.shard(keys)))
    after, metrics = programs.train_steps(
        states, layout.device_put({n: layout.shard_batches(v) for n, v in batches.items()})
    )
    assert {name.partition("_")[0] for name in metrics} == {"d"}
    swapped = layout.stack_states([layout.take_state(after, fold).replace(key=keys[fold]) for fold in (1, 0)])
    alone = jax.jit(functools.partial(create_state, models))(keys[0])
    step = jax.jit(functools.partial(train_step, models))
    for _ in range(2):
        alone, _ = step(alone, tiny.batch())
    chex.assert_trees_all_close(layout.take_state(swapped, 1).d_stats, alone.d_stats, rtol=1e-3, atol=1e-5)
