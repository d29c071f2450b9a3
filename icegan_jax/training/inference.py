"""Functions of one fold's trained networks: recognition and synthesis, without updates.

Axis letters: b batch, n image side, k class, z noise.
"""

import functools
from typing import Any, cast

import chex
import jax
import jax.numpy as jnp

from icegan_jax.models.discriminator import DiscriminatorOutput
from icegan_jax.models.generator import Generator, to_float, to_uint8
from icegan_jax.training.state import Models, TrainState, derive_key


def predict(models: Models, state: TrainState, onset: jax.Array, apex: jax.Array) -> jax.Array:
    """Return the capsule lengths float32[b, k] of onset and apex uint8[b, n, n, 1], by one fold's discriminator.

    A compared network has one input uint8[b, *input_shape], which is passed as both.
    """
    models.assert_faces(onset=onset, apex=apex)
    variables = {"params": state.d_params, **state.d_stats}
    image = models.discriminator_input(to_float(onset), to_float(apex))
    return cast(DiscriminatorOutput, models.discriminator.apply(variables, image, None, train=False)).lengths


def synthesize_classes(models: Models, state: TrainState, onset: jax.Array) -> jax.Array:
    """Synthesize faces uint8[b, k, n, n]: each onset uint8[b, n, n, 1] with every class, one noise vector per onset.

    The function requires a generator.
    """
    generator = models.generator
    assert generator is not None
    models.assert_faces(onset=onset)
    variables = {"params": state.g_params, **state.g_stats}
    noise = jax.random.normal(derive_key(state.key, "synthesis"), (onset.shape[0], models.noise))

    def with_class(expression: jax.Array) -> jax.Array:
        rows = jnp.broadcast_to(expression[None, :], (onset.shape[0], models.classes))
        face = generator.apply(variables, to_float(onset), noise, rows, train=False)
        return cast(jax.Array, face)

    faces = [with_class(expression) for expression in jnp.eye(models.classes)]
    return to_uint8(jnp.stack(faces, axis=1)[..., 0])


def synthesize(
    models: Models,
    state: TrainState,
    onset: jax.Array,
    label: jax.Array,
    draw: jax.Array,
    intensity: jax.Array,
) -> jax.Array:
    """Synthesize faces float32[b, n, n] in [-1, 1], one class per onset; the function requires a generator.

    Args:
      models: modules of the run.
      state: state of one fold.
      onset: uint8[b, n, n, 1].
      label: int32[b], the class of each face.
      draw: int32[b], index of each face's noise vector.
      intensity: float32[b], see ``Generator``.
    """
    generator, variables, noise, expression = _generator_inputs(models, state, onset, label, draw)
    face = generator.apply(variables, to_float(onset), noise, expression, train=False, intensity=intensity)
    return cast(jax.Array, face)[..., 0]


def motion_field(models: Models, state: TrainState, onset: jax.Array, label: jax.Array, draw: jax.Array) -> jax.Array:
    """Return the change that ``synthesize`` makes at intensity 1, motion and residual: float32[b, n, n, 3].

    The first two channels are the motion of ``models.generator.warp``, rows and columns in pixels, 0 for a generator
    without motion. The third channel is the residual that is added to the warped onset, on the scale of [-1, 1].
    """
    generator, variables, noise, expression = _generator_inputs(models, state, onset, label, draw)
    apply = functools.partial(generator.apply, train=False, mutable=["intermediates"])
    _, collections = apply(variables, to_float(onset), noise, expression)
    intermediates = collections["intermediates"]
    (added,) = intermediates["added"]
    (motion,) = intermediates.get("motion", (jnp.zeros((*added.shape[:3], 2)),))
    return jnp.concatenate([motion, added], axis=3)


def _generator_inputs(
    models: Models, state: TrainState, onset: jax.Array, label: jax.Array, draw: jax.Array
) -> tuple[Generator, dict[str, Any], jax.Array, jax.Array]:
    """Return the generator, its variables, and noise float32[b, z] and one-hot class float32[b, k] of each face."""
    generator = models.generator
    assert generator is not None
    models.assert_faces(onset=onset)
    for name, numbers in (("label", label), ("draw", draw)):
        chex.assert_shape(numbers, onset.shape[:1], custom_message=f"{name}: int32[b]")
        chex.assert_type(numbers, int, custom_message=f"{name}: int32[b]")
    key = derive_key(state.key, "synthesis")
    noise = jax.vmap(lambda number: jax.random.normal(jax.random.fold_in(key, number), (models.noise,)))(draw)
    variables = {"params": state.g_params, **state.g_stats}
    return generator, variables, noise, jax.nn.one_hot(label, models.classes)
