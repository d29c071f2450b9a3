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
from icegan_jax.models.generator import Generator
from icegan_jax.training.gradients import Faces, learn_alone, play
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

    Without a generator, of the discriminator alone, on real faces and without L_gan (paper, Table III, A).

    Args:
      networks: the modules, optimisers and loss weights.
      state: before the update.
      batch: ``onset`` and ``apex`` uint8[b, n, n, 1], ``label`` int32[b]; where ``networks.batch_axis`` names the
        devices that share a batch, this device's part of it.

    Returns:
      The state after it, and by name, float32[] each: the loss terms (means over the batch, before their weights), and
      of each player the norms of its gradient and of its parameters and statistics after the update (see ``_norms``).
    """
    faces = Faces(to_float(batch["onset"]), to_float(batch["apex"]), jnp.asarray(batch["label"]))
    find = learn_alone if networks.generator is None else play
    g_gradient, d_gradient, g_stats, d_stats, terms = find(networks, state, faces)
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
    terms |= _norms("d", d_gradient, state.d_params, state.d_stats)
    if networks.generator is not None:
        terms |= _norms("g", g_gradient, state.g_params, state.g_stats)
    return state, terms


def _norms(player: str, gradient: Any, params: Any, stats: Any) -> Metrics:
    """Lengths, float32[] each, of all of a player's gradients, parameters and statistics together.

    Whatever stops being a finite number in a state shows in them at the very update, even where no loss reads it
    (the running statistics of batch norm, or what the last update made of the parameters). A length whose square is
    beyond float32 (1.8e19) is infinite too: of a gradient, Adam's second moment is so as well, and that weight stays
    where it is from then on.
    """
    trees = {"gradient": gradient, "parameter": params, "statistic": stats}
    return {f"{player}_{name}_norm": optax.tree.norm(tree) for name, tree in trees.items()}


def advance(networks: Networks, state: TrainState, batches: Batch) -> tuple[TrainState, Metrics]:
    """Several updates of one fold; arrays of ``batches`` have a leading axis [s], and so have the metrics."""
    return jax.lax.scan(functools.partial(update, networks), state, batches)


def recognise(networks: Networks, state: TrainState, onset: jax.Array, apex: jax.Array) -> jax.Array:
    """Capsule lengths float32[b, k] of faces uint8[b, n, n, 1], by the trained networks of one fold."""
    variables = {"params": state.d_params, **state.d_stats}
    image = networks.look(to_float(onset), to_float(apex))
    return cast(Verdict, networks.discriminator.apply(variables, image, None, train=False)).lengths


def synthesise(networks: Networks, state: TrainState, onset: jax.Array) -> jax.Array:
    """Faces uint8[b, k, n, n], each onset uint8[b, n, n, 1] with every class; one noise draw per onset.

    There must be a generator.
    """
    variables = {"params": state.g_params, **state.g_stats}
    noise = jax.random.normal(stream(state.key, "synthesis"), (onset.shape[0], networks.noise))

    generator = networks.generator
    assert generator is not None

    def with_class(expression: jax.Array) -> jax.Array:
        rows = jnp.broadcast_to(expression[None, :], (onset.shape[0], networks.classes))
        face = generator.apply(variables, to_float(onset), noise, rows, train=False)
        return cast(jax.Array, face)

    faces = [with_class(expression) for expression in jnp.eye(networks.classes)]
    return to_grey(jnp.stack(faces, axis=1)[..., 0])


def synthesise_with(
    networks: Networks,
    state: TrainState,
    onset: jax.Array,
    label: jax.Array,
    draw: jax.Array,
    intensity: jax.Array,
) -> jax.Array:
    """Faces float32[b, n, n] in [-1, 1], each onset uint8[b, n, n, 1] with one class; there must be a generator.

    Args:
      networks, state: of one fold.
      onset: neutral faces.
      label: int32[b], the class of each.
      draw: int32[b], each number is a noise vector of its own.
      intensity: float32[b], see ``Generator``.
    """
    generator, variables, noise, expression = _asked(networks, state, label, draw)
    face = generator.apply(variables, to_float(onset), noise, expression, train=False, intensity=intensity)
    return cast(jax.Array, face)[..., 0]


def change_with(
    networks: Networks, state: TrainState, onset: jax.Array, label: jax.Array, draw: jax.Array
) -> jax.Array:
    """What ``synthesise_with`` changes at intensity 1: float32[b, n, n, 3], of each pixel its motion and what is added.

    The motion is rows and columns from each pixel to the one it is fetched from, in pixels (``models.motion.move``),
    0 of a generator that moves none; what is added then is on the scale of [-1, 1].
    """
    generator, variables, noise, expression = _asked(networks, state, label, draw)
    _, state_of = generator.apply(variables, to_float(onset), noise, expression, train=False, mutable=["intermediates"])
    found = state_of["intermediates"]
    (added,) = found["added"]
    (motion,) = found.get("motion", (jnp.zeros((*added.shape[:3], 2)),))
    return jnp.concatenate([motion, added], axis=3)


def _asked(
    networks: Networks, state: TrainState, label: jax.Array, draw: jax.Array
) -> tuple[Generator, dict[str, Any], jax.Array, jax.Array]:
    """The generator, its variables, and noise and class for each face."""
    generator = networks.generator
    assert generator is not None
    key = stream(state.key, "synthesis")
    noise = jax.vmap(lambda number: jax.random.normal(jax.random.fold_in(key, number), (networks.noise,)))(draw)
    variables = {"params": state.g_params, **state.g_stats}
    return generator, variables, noise, jax.nn.one_hot(label, networks.classes)
