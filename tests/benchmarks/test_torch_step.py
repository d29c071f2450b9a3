"""The PyTorch update computes what ours does: the same losses, the same gradients, the same weights after Adam."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from icegan_jax.models.discriminator import CapsuleDiscriminator
from icegan_jax.models.generator import Generator
from icegan_jax.models.perceptual import load_perceptual_network
from icegan_jax.training.state import Models, TrainState, derive_key
from icegan_jax.training.train_step import train_step
from tests.training import tiny

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.slow

from benchmarks import torch_step  # noqa: E402
from benchmarks.torch_weights import to_torch  # noqa: E402
from tests.benchmarks.arrays import Arrays, largest_distance, length, random_state  # noqa: E402

# The optimizer's state is the gradient: read there, it has lost nothing to the weights' rounding.
KEEP = optax.GradientTransformation(lambda params: params, lambda g, _, __: (jax.tree.map(jnp.zeros_like, g), g))
ADAM = torch_step.Adam(1e-3, 0.9, 0.999, steps=4, epsilon=1e-4)  # epsilon: see tiny.adam
TERMS = 1e-3  # largest difference of a loss term, as a share of the larger of itself and 1
GRADIENT = 1e-3  # largest distance of a gradient, as a share of its length; measured: 6e-5
STATISTIC = 1e-4  # likewise of the power iteration's vectors and the running means
# A bias in front of a norm decides nothing: its gradient is rounding errors, of at most this share of all gradients.
DEAD = re.compile(r"layers\.(down_[234]|up_[5432]|trunk_5)\.bias")
ROUNDING = 1e-6
CHANGE = 0.01  # largest distance of what two updates change, as a share of it: a weight whose gradient is small against
# the rounding error of the others moves at random


def adam() -> optax.GradientTransformation:
    schedule = optax.cosine_decay_schedule(ADAM.rate, ADAM.steps)
    return optax.adam(schedule, ADAM.b1, ADAM.b2, ADAM.epsilon)


def split(arrays: Arrays) -> tuple[Arrays, Arrays]:
    """Those without influence, and the rest."""
    dead = {name: array for name, array in arrays.items() if DEAD.fullmatch(name)}
    return dead, {name: array for name, array in arrays.items() if name not in dead}


def noise_of(models: Models, state: TrainState, number: int) -> torch.Tensor:
    """The noise of the state's next update."""
    key = jax.random.fold_in(derive_key(state.key, "noise"), state.step)
    return torch.from_numpy(np.array(jax.random.normal(key, (number, models.noise))))


def same_terms(ours: dict[str, jax.Array], theirs: dict[str, torch.Tensor]) -> None:
    """All losses; ours come with norms and the shares of the answers."""
    losses = {name: value for name, value in ours.items() if not name.endswith("_norm") and "_predicted_" not in name}
    assert losses.keys() == theirs.keys()
    for name, value in losses.items():
        assert float(theirs[name]) == pytest.approx(float(value), abs=TERMS * max(1, abs(float(value)))), name


def plain() -> dict[str, Any]:
    return {
        "generator": Generator(width=1 / 16, embedding=6, class_gain=10.0),
        "discriminator": CapsuleDiscriminator(width=1 / 32, primary_types=2, primary_dimension=4, norm="instance"),
        "recognition_input": "apex",
        "perceptual": load_perceptual_network("alexnet", "relu2"),
        "weights": tiny.WEIGHTS._replace(synthetic_recognition=0.0, perceptual=2.0),
    }


@pytest.mark.parametrize("changes", [dict, plain], ids=["loso_pair", "plain_with_perceptual"])
def test_losses_and_gradients_are_the_same(changes: Any) -> None:
    models = tiny.models(**changes(), g_optimizer=KEEP, d_optimizer=KEEP)
    state, batch = random_state(models), tiny.batch()
    after, metrics = jax.jit(lambda state, batch: train_step(models, state, batch))(state, batch)

    setup = torch_step.create_setup(models, channels_last=True)
    fold = torch_step.create_fold(setup, state, ADAM)
    terms = torch_step.set_gradients(setup, fold, torch_step.to_batch(batch), noise_of(models, state, tiny.BATCH))
    same_terms(metrics, terms)
    for player, network, ours in (
        ("g", fold.generator, after.g_opt_state),
        ("d", fold.discriminator, after.d_opt_state),
    ):
        gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
        (dead, live), (their_dead, their_live) = (split(arrays) for arrays in (to_torch(ours), gradients))
        distance, name = largest_distance(live, their_live)
        assert distance < GRADIENT, name
        assert float(metrics[f"{player}_gradient_norm"]) == pytest.approx(length(gradients), rel=GRADIENT)
        assert dead and max(length(dead), length(their_dead)) < ROUNDING * length(live)
    for network, stats in ((fold.generator, after.g_stats), (fold.discriminator, after.d_stats)):
        kept = {name: value for name, value in to_torch(stats).items() if not name.endswith("running_var")}
        theirs = {name: value for name, value in network.state_dict().items() if name in kept}
        distance, name = largest_distance(kept, theirs)
        assert distance < STATISTIC, name


@pytest.mark.parametrize("channels_last", [True, False])
def test_two_updates_move_the_weights_alike(channels_last: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Adam and its schedule, and the second update's losses, which every weight of the first decides."""
    models = tiny.models(g_optimizer=adam(), d_optimizer=adam())
    state = start = random_state(models)
    setup = torch_step.create_setup(models, channels_last)
    fold = torch_step.create_fold(setup, state, ADAM)
    step = jax.jit(lambda state, batch: train_step(models, state, batch))
    for seed in (0, 1):
        batch, noise = tiny.batch(seed), noise_of(models, state, tiny.BATCH)
        monkeypatch.setattr(torch, "randn", lambda *_, noise=noise: noise)
        state, metrics = step(state, batch)
        same_terms(metrics, torch_step.train_step(setup, fold, torch_step.to_batch(batch)))
    for network, before, after in (
        (fold.generator, start.g_params, state.g_params),
        (fold.discriminator, start.d_params, state.d_params),
    ):
        begun = to_torch(before)
        ours = {name: value - begun[name] for name, value in to_torch(after).items()}
        theirs = {name: parameter.detach() - begun[name] for name, parameter in network.named_parameters()}
        distance, name = largest_distance(split(ours)[1], split(theirs)[1])
        assert distance < CHANGE, name
    assert fold.optimizer.param_groups[0]["lr"] == pytest.approx(ADAM.rate / 2)  # half of the cosine's four updates
