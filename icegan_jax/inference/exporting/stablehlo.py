"""Export of an ensemble as StableHLO programs that contain their parameters, serialized by ``jax.export``.

Axis letters: b face, n image side, k class.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import export

from icegan_jax.inference.ensemble import Ensemble
from icegan_jax.models.generator import to_uint8
from icegan_jax.training.inference import predict, synthesize
from icegan_jax.training.state import TrainState

PLATFORMS = ("cpu", "cuda")
# The discriminator's reconstruction network is most of its parameters, and neither program returns its output: zeros
# replace these parameters, so that the files stay small.
_UNUSED = (".d_params['reconstruction", ".d_stats['spectral']['reconstruction")


def export_recognizer(ensemble: Ensemble) -> bytes:
    """Export the program (onset, apex uint8[b, n, n]) to capsule lengths float32[b, k], for any b."""

    def lengths(state: TrainState, onset: jax.Array, apex: jax.Array) -> jax.Array:
        return predict(ensemble.models, state, onset[None, ..., None], apex[None, ..., None])[0]

    faces = _faces(ensemble)
    return _export(_mean_over_folds(lengths, ensemble), faces, faces)


def export_generator(ensemble: Ensemble) -> bytes:
    """Export the program (onset uint8[b, n, n], label, draw int32[b], intensity float32[b]) to faces uint8[b, n, n]."""

    def face(state: TrainState, onset: jax.Array, *scalars: jax.Array) -> jax.Array:
        rows = [scalar[None] for scalar in scalars]
        return synthesize(ensemble.models, state, onset[None, ..., None], *rows)[0]

    mean = _mean_over_folds(face, ensemble)
    onset = _faces(ensemble)
    integers = jax.ShapeDtypeStruct(onset.shape[:1], jnp.int32)
    intensity = jax.ShapeDtypeStruct(onset.shape[:1], jnp.float32)
    return _export(lambda *rows: to_uint8(mean(*rows)), onset, integers, integers, intensity)


def _faces(ensemble: Ensemble) -> jax.ShapeDtypeStruct:
    """Return the shape uint8[b, n, n] with a symbolic b."""
    (b,) = export.symbolic_shape("b")
    return jax.ShapeDtypeStruct((b, ensemble.image_size, ensemble.image_size), jnp.uint8)


def _mean_over_folds(function: Callable[..., jax.Array], ensemble: Ensemble) -> Callable[..., jax.Array]:
    """Return the mean over the folds of a function of (state, one face's arguments), mapped over rows of arguments.

    ``vmap`` maps over the rows, so that no shape inside depends on b: the networks' convolutions choose their algorithm
    by concrete shapes.
    """
    leaves, tree = jax.tree_util.tree_flatten_with_path(ensemble.states[0])
    is_used = [not jax.tree_util.keystr(path).startswith(_UNUSED) for path, _ in leaves]
    states = [jax.tree.leaves(state) for state in ensemble.states]
    stacked = [jnp.stack(folds) for folds, used in zip(zip(*states, strict=True), is_used, strict=True) if used]

    def of_fold(used_leaves: list[jax.Array], row: tuple[jax.Array, ...]) -> jax.Array:
        remaining = iter(used_leaves)
        all_leaves = [
            next(remaining) if used else jnp.zeros(leaf.shape, leaf.dtype)
            for used, (_, leaf) in zip(is_used, leaves, strict=True)
        ]
        return function(jax.tree.unflatten(tree, all_leaves), *row)

    def mean(*row: jax.Array) -> jax.Array:
        return jnp.mean(jax.lax.map(lambda used_leaves: of_fold(used_leaves, row), stacked), axis=0)

    return jax.vmap(mean)


def _export(function: Callable[..., jax.Array], *shapes: jax.ShapeDtypeStruct) -> bytes:
    return bytes(export.export(jax.jit(function), platforms=PLATFORMS)(*shapes).serialize())
