"""The networks as programs that hold their parameters: StableHLO, serialized by ``jax.export``.

Axis letters: b face, n image side, k class.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import export

from icegan_jax.inference.ensemble import Ensemble
from icegan_jax.training.inference import predict, synthesize, to_uint8
from icegan_jax.training.state import TrainState

PLATFORMS = ("cpu", "cuda")
# The reconstruction network draws what neither program returns, and is most of a discriminator: zeros take its place.
_UNUSED = (".d_params['reconstruction", ".d_stats['spectral']['reconstruction")


def export_recognizer(model: Ensemble) -> bytes:
    """The program (onset, apex uint8[b, n, n]) to capsule lengths float32[b, k], for any b."""

    def lengths(state: TrainState, onset: jax.Array, apex: jax.Array) -> jax.Array:
        return predict(model.models, state, onset[None, ..., None], apex[None, ..., None])[0]

    face = _faces(model)
    return _exported(_mean_over_folds(lengths, model), face, face)


def export_generator(model: Ensemble) -> bytes:
    """The program (onset uint8[b, n, n], label, draw int32[b], intensity float32[b]) to faces uint8[b, n, n]."""

    def face(state: TrainState, onset: jax.Array, *of_row: jax.Array) -> jax.Array:
        rows = [value[None] for value in of_row]
        return synthesize(model.models, state, onset[None, ..., None], *rows)[0]

    mean = _mean_over_folds(face, model)
    onset = _faces(model)
    number = jax.ShapeDtypeStruct(onset.shape[:1], jnp.int32)
    share = jax.ShapeDtypeStruct(onset.shape[:1], jnp.float32)
    return _exported(lambda *rows: to_uint8(mean(*rows)), onset, number, number, share)


def _faces(model: Ensemble) -> jax.ShapeDtypeStruct:
    """uint8[b, n, n], b open."""
    (b,) = export.symbolic_shape("b")
    return jax.ShapeDtypeStruct((b, model.size, model.size), jnp.uint8)


def _mean_over_folds(of_one: Callable[..., jax.Array], model: Ensemble) -> Callable[..., jax.Array]:
    """What a function of (state, one face's arguments) says on average over the folds, for rows of them.

    Each row goes through alone (``vmap``): so no shape within depends on b, which the networks' convolutions look at.
    """
    leaves, tree = jax.tree_util.tree_flatten_with_path(model.states[0])
    needed = [not jax.tree_util.keystr(path).startswith(_UNUSED) for path, _ in leaves]
    states = [jax.tree.leaves(state) for state in model.states]
    stacked = [jnp.stack(same) for same, need in zip(zip(*states, strict=True), needed, strict=True) if need]

    def of_fold(kept: list[jax.Array], row: tuple[jax.Array, ...]) -> jax.Array:
        there = iter(kept)
        filled = [
            next(there) if need else jnp.zeros(leaf.shape, leaf.dtype)
            for need, (_, leaf) in zip(needed, leaves, strict=True)
        ]
        return of_one(jax.tree.unflatten(tree, filled), *row)

    def mean(*row: jax.Array) -> jax.Array:
        return jnp.mean(jax.lax.map(lambda kept: of_fold(kept, row), stacked), axis=0)

    return jax.vmap(mean)


def _exported(function: Callable[..., jax.Array], *shapes: jax.ShapeDtypeStruct) -> bytes:
    return bytes(export.export(jax.jit(function), platforms=PLATFORMS)(*shapes).serialize())
