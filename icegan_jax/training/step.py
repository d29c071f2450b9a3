"""What is computed on one fold: the update of both networks, recognition, synthesis.

Axis letters: s step, b batch, n image side, k class.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax

from icegan_jax.models.discriminator import Verdict
from icegan_jax.models.perceptual import cost_features
from icegan_jax.training import losses
from icegan_jax.training.state import Networks, TrainState, stream

Batch = Mapping[str, jax.Array | np.ndarray]
Metrics = dict[str, jax.Array]


def to_float(pixels: jax.Array | np.ndarray) -> jax.Array:
    """Turns uint8 grey levels into float32 in [-1, 1]; the generator's scale."""
    return jnp.asarray(pixels, jnp.float32) / 127.5 - 1.0


def to_grey(face: jax.Array) -> jax.Array:
    """Turns float in [-1, 1] into uint8 grey levels, rounded."""
    return jnp.round((jnp.clip(face, -1.0, 1.0) + 1.0) * 127.5).astype(jnp.uint8)


def update(networks: Networks, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    """One simultaneous update of generator and discriminator on one fold (paper, eq. 4 to 8).

    One pass of the generator, and one of the discriminator over its fakes, serve both gradients: the
    discriminator's verdict is linearised once and pulled back with each player's loss. Real and synthetic faces
    are separate batches for batch norm; the running statistics follow the real ones, which evaluation sees.

    Args:
      networks: the modules, optimisers and loss weights.
      state: before the update.
      batch: ``onset`` and ``apex`` uint8[b, n, n, 1], ``label`` int32[b]; where ``networks.batch_axis`` names the
        devices that share a batch, this device's part of it.

    Returns:
      The state after it, and the loss terms float32[] by name (means over the batch, before their weights).
    """
    weights = networks.weights
    onset, apex, label = to_float(batch["onset"]), to_float(batch["apex"]), jnp.asarray(batch["label"])
    noise = _noise(networks, state, label.shape[0])
    expression = jax.nn.one_hot(label, networks.classes)

    def synthesise(g_params: Any) -> tuple[jax.Array, Any]:
        variables = {"params": g_params, **state.g_stats}
        return networks.generator.apply(variables, onset, noise, expression, train=True, mutable=list(state.g_stats))

    def judge(d_params: Any, face: jax.Array) -> tuple[Verdict, Any]:
        variables = {"params": d_params, **state.d_stats}
        image = networks.look(onset, face)
        return networks.discriminator.apply(variables, image, label, train=True, mutable=list(state.d_stats))

    def real_loss(d_params: Any) -> tuple[jax.Array, tuple[Metrics, Any]]:
        verdict, d_stats = judge(d_params, apex)
        loss, terms = _player_loss(networks, verdict, apex, label, True, weights.recognition)
        return loss, (terms, d_stats)

    def appearance_loss(face: jax.Array) -> tuple[jax.Array, Metrics]:
        terms = {"l1": jnp.mean(losses.l1(face, apex))}
        loss = terms["l1"]
        if networks.cost is not None:
            features = (cost_features(networks.cost, x, networks.generator.dtype) for x in (onset, face))
            terms["perceptual"] = jnp.mean(losses.perceptual(*features))
            loss = loss + weights.perceptual * terms["perceptual"]
        return weights.synthesis * loss, terms

    fake, pull_to_generator, g_stats = jax.vjp(synthesise, state.g_params, has_aux=True)
    verdict, pull_to_judge, _ = jax.vjp(judge, state.d_params, fake, has_aux=True)

    def loss_of_fake(verdict: Verdict, real: bool, recognition: float) -> tuple[jax.Array, Metrics]:
        return _player_loss(networks, verdict, fake, label, real, recognition)

    d_wish, d_fake_terms = jax.grad(loss_of_fake, has_aux=True)(verdict, False, weights.synthetic_recognition)
    g_wish, g_terms = jax.grad(loss_of_fake, has_aux=True)(verdict, True, weights.recognition)
    d_real_gradient, (d_real_terms, d_stats) = jax.grad(real_loss, has_aux=True)(state.d_params)
    d_gradient = jax.tree.map(jnp.add, d_real_gradient, pull_to_judge(d_wish)[0])
    appearance_gradient, appearance_terms = jax.grad(appearance_loss, has_aux=True)(fake)
    (g_gradient,) = pull_to_generator(appearance_gradient + pull_to_judge(g_wish)[1])
    terms = {
        **{f"g_{name}": value for name, value in {**appearance_terms, **g_terms}.items()},
        **{f"d_real_{name}": value for name, value in d_real_terms.items()},
        **{f"d_fake_{name}": value for name, value in d_fake_terms.items()},
    }
    if networks.batch_axis is not None:
        g_gradient, d_gradient, terms = jax.lax.pmean((g_gradient, d_gradient, terms), networks.batch_axis)

    g_change, g_optimizer = networks.g_optimizer.update(g_gradient, state.g_optimizer, state.g_params)
    d_change, d_optimizer = networks.d_optimizer.update(d_gradient, state.d_optimizer, state.d_params)
    state = dataclasses.replace(
        state,
        step=state.step + 1,
        g_params=optax.apply_updates(state.g_params, g_change),
        g_stats=g_stats,
        g_optimizer=g_optimizer,
        d_params=optax.apply_updates(state.d_params, d_change),
        d_stats=d_stats,
        d_optimizer=d_optimizer,
    )
    return state, terms


def _noise(networks: Networks, state: TrainState, number: int) -> jax.Array:
    """The noise float32[number, z] of this step; of a batch spread over devices, this device's rows of it."""
    key = jax.random.fold_in(stream(state.key, "noise"), state.step)
    if networks.batch_axis is None:
        return jax.random.normal(key, (number, networks.noise))
    whole = jax.random.normal(key, (number * jax.lax.axis_size(networks.batch_axis), networks.noise))
    return jax.lax.dynamic_slice_in_dim(whole, jax.lax.axis_index(networks.batch_axis) * number, number)


def _player_loss(
    networks: Networks, verdict: Verdict, face: jax.Array, label: jax.Array, real: bool, recognition: float
) -> tuple[jax.Array, Metrics]:
    """What a player pays for a verdict: weighted L_gan and L_cls; and the terms, float32[] each.

    ``real``: what the player wants the face taken for. ``recognition``: the weight of L_cls.
    """
    drawn = losses.reconstruction(verdict.reconstruction, jax.lax.stop_gradient((face + 1.0) / 2.0))
    terms = {
        "adversarial": jnp.mean(losses.adversarial(verdict.realness, real)),
        "margin": jnp.mean(losses.margin(verdict.lengths, label)),
        "reconstruction": jnp.mean(drawn),
    }
    classification = terms["margin"] + networks.weights.reconstruction * terms["reconstruction"]
    loss = networks.weights.adversarial * terms["adversarial"] + recognition * classification
    correct = jnp.argmax(verdict.lengths, axis=1) == label
    terms["accuracy"] = jnp.mean(correct.astype(jnp.float32))
    lengths = jnp.mean(verdict.lengths, axis=0)
    terms |= {f"length_{index}": lengths[index] for index in range(networks.classes)}
    return loss, terms


def advance(networks: Networks, state: TrainState, batches: Batch) -> tuple[TrainState, Metrics]:
    """Several updates of one fold; arrays of ``batches`` have a leading axis [s]. Metrics are their means."""
    state, metrics = jax.lax.scan(functools.partial(update, networks), state, batches)
    return state, jax.tree.map(lambda values: jnp.mean(values, axis=0), metrics)


def recognise(networks: Networks, state: TrainState, onset: jax.Array, apex: jax.Array) -> jax.Array:
    """Capsule lengths float32[b, k] of faces uint8[b, n, n, 1], by the trained networks of one fold."""
    variables = {"params": state.d_params, **state.d_stats}
    image = networks.look(to_float(onset), to_float(apex))
    return cast(Verdict, networks.discriminator.apply(variables, image, None, train=False)).lengths


def synthesise(networks: Networks, state: TrainState, onset: jax.Array) -> jax.Array:
    """Faces uint8[b, k, n, n], each onset uint8[b, n, n, 1] with every class; one noise draw per onset."""
    variables = {"params": state.g_params, **state.g_stats}
    noise = jax.random.normal(stream(state.key, "synthesis"), (onset.shape[0], networks.noise))

    def with_class(expression: jax.Array) -> jax.Array:
        rows = jnp.broadcast_to(expression[None, :], (onset.shape[0], networks.classes))
        face = networks.generator.apply(variables, to_float(onset), noise, rows, train=False)
        return cast(jax.Array, face)

    faces = [with_class(expression) for expression in jnp.eye(networks.classes)]
    return to_grey(jnp.stack(faces, axis=1)[..., 0])
