"""Export of an ensemble as files that need nothing of this package.

StableHLO programs contain their parameters, are serialized by ``jax.export``, and take any number of faces. ONNX files
take one face at a time, are written by the library jax2onnx, and serve runtimes other than JAX.

Axis letters: b face, n image side, k class, z noise.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import export

from icegan_jax.inference.ensemble import Ensemble
from icegan_jax.models.generator import to_float, to_uint8
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


def onnx_recognizer(ensemble: Ensemble) -> bytes:
    """Export ``onset``, ``apex`` uint8[1, n, n, 1] to ``lengths`` float32[1, k], the mean over the folds."""

    def lengths(onset: jax.Array, apex: jax.Array) -> jax.Array:
        return _mean([predict(ensemble.models, state, onset, apex) for state in ensemble.states])

    face = jax.ShapeDtypeStruct((1, ensemble.image_size, ensemble.image_size, 1), jnp.uint8)
    return _convert(lengths, {"onset": face, "apex": face}, "lengths")


def onnx_generator(ensemble: Ensemble) -> bytes:
    """Export the generator: a neutral face and a class to a face, the mean over the folds.

    The inputs are ``onset`` uint8[1, n, n, 1], ``noise`` float32[1, z] (standard normal, shared by the folds),
    ``label`` int32[1] and ``intensity`` float32[1]; the output is ``face`` float32[1, n, n, 1] in [-1, 1].
    """
    models = ensemble.models
    generator = models.generator
    assert generator is not None

    def of_fold(state: TrainState, onset: jax.Array, noise: jax.Array, label: jax.Array, intensity: jax.Array) -> Any:
        variables = {"params": state.g_params, **state.g_stats}
        expression = jax.nn.one_hot(label, models.classes)
        return generator.apply(variables, to_float(onset), noise, expression, train=False, intensity=intensity)

    def face(onset: jax.Array, noise: jax.Array, label: jax.Array, intensity: jax.Array) -> jax.Array:
        return _mean([of_fold(state, onset, noise, label, intensity) for state in ensemble.states])

    inputs = {
        "onset": jax.ShapeDtypeStruct((1, ensemble.image_size, ensemble.image_size, 1), jnp.uint8),
        "noise": jax.ShapeDtypeStruct((1, models.noise), jnp.float32),
        "label": jax.ShapeDtypeStruct((1,), jnp.int32),
        "intensity": jax.ShapeDtypeStruct((1,), jnp.float32),
    }
    return _convert(face, inputs, "face")


def _mean(values: list[jax.Array]) -> jax.Array:
    return sum(values[1:], start=values[0]) / len(values)


def _convert(function: Callable[..., jax.Array], inputs: Mapping[str, jax.ShapeDtypeStruct], output: str) -> bytes:
    from jax2onnx import to_onnx

    with jax.disable_jit():  # jax2onnx 0.17.1 does not support the nested jit of jax 0.12.
        model = to_onnx(
            function,
            inputs=list(inputs.values()),
            input_names=list(inputs),
            output_names=[output],
            return_mode="proto",
        )
    return bytes(model.SerializeToString())
