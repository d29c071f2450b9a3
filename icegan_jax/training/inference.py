from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from icegan_jax.models.discriminator import DiscriminatorOutput
from icegan_jax.models.generator import Generator
from icegan_jax.training.state import Models, TrainState, derive_key


def to_float(pixels: jax.Array | np.ndarray) -> jax.Array:
    """Turns uint8 grey levels into float32 in [-1, 1]; the generator's scale."""
    return jnp.asarray(pixels, jnp.float32) / 127.5 - 1.0


def to_uint8(face: jax.Array) -> jax.Array:
    """Turns float in [-1, 1] into uint8 grey levels, rounded."""
    return jnp.round((jnp.clip(face, -1.0, 1.0) + 1.0) * 127.5).astype(jnp.uint8)


def predict(models: Models, state: TrainState, onset: jax.Array, apex: jax.Array) -> jax.Array:
    """Capsule lengths float32[b, k] of faces uint8[b, n, n, 1], by the trained networks of one fold."""
    variables = {"params": state.d_params, **state.d_stats}
    image = models.discriminator_input(to_float(onset), to_float(apex))
    return cast(DiscriminatorOutput, models.discriminator.apply(variables, image, None, train=False)).lengths


def synthesize_classes(models: Models, state: TrainState, onset: jax.Array) -> jax.Array:
    """Faces uint8[b, k, n, n], each onset uint8[b, n, n, 1] with every class; one noise draw per onset.

    There must be a generator.
    """
    variables = {"params": state.g_params, **state.g_stats}
    noise = jax.random.normal(derive_key(state.key, "synthesis"), (onset.shape[0], models.noise))

    generator = models.generator
    assert generator is not None

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
    """Faces float32[b, n, n] in [-1, 1], each onset uint8[b, n, n, 1] with one class; there must be a generator.

    Args:
      networks, state: of one fold.
      onset: neutral faces.
      label: int32[b], the class of each.
      draw: int32[b], each number is a noise vector of its own.
      intensity: float32[b], see ``Generator``.
    """
    generator, variables, noise, expression = _noise_and_class(models, state, label, draw)
    face = generator.apply(variables, to_float(onset), noise, expression, train=False, intensity=intensity)
    return cast(jax.Array, face)[..., 0]


def motion_field(models: Models, state: TrainState, onset: jax.Array, label: jax.Array, draw: jax.Array) -> jax.Array:
    """What ``synthesize_with`` changes at intensity 1: float32[b, n, n, 3], of each pixel its motion and what is added.

    The motion is rows and columns from each pixel to the one it is fetched from, in pixels (``models.motion.move``),
    0 of a generator that moves none; what is added then is on the scale of [-1, 1].
    """
    generator, variables, noise, expression = _noise_and_class(models, state, label, draw)
    _, state_of = generator.apply(variables, to_float(onset), noise, expression, train=False, mutable=["intermediates"])
    found = state_of["intermediates"]
    (added,) = found["added"]
    (motion,) = found.get("motion", (jnp.zeros((*added.shape[:3], 2)),))
    return jnp.concatenate([motion, added], axis=3)


def _noise_and_class(
    models: Models, state: TrainState, label: jax.Array, draw: jax.Array
) -> tuple[Generator, dict[str, Any], jax.Array, jax.Array]:
    """The generator, its variables, and noise and class for each face."""
    generator = models.generator
    assert generator is not None
    key = derive_key(state.key, "synthesis")
    noise = jax.vmap(lambda number: jax.random.normal(jax.random.fold_in(key, number), (models.noise,)))(draw)
    variables = {"params": state.g_params, **state.g_stats}
    return generator, variables, noise, jax.nn.one_hot(label, models.classes)
