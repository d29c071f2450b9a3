"""Export of an ensemble as ONNX files of one face at a time, by the library jax2onnx, for runtimes other than JAX.

Axis letters: n image side, k class, z noise.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from icegan_jax.errors import UserError
from icegan_jax.inference.ensemble import Ensemble
from icegan_jax.models.generator import to_float
from icegan_jax.training.inference import predict
from icegan_jax.training.state import TrainState


def onnx_recognizer(ensemble: Ensemble) -> bytes:
    """Export ``onset``, ``apex`` uint8[1, n, n, 1] to ``lengths`` float32[1, k], the mean over the folds.

    Raises:
        UserError: jax2onnx is not installed.
    """

    def lengths(onset: jax.Array, apex: jax.Array) -> jax.Array:
        return _mean([predict(ensemble.models, state, onset, apex) for state in ensemble.states])

    face = jax.ShapeDtypeStruct((1, ensemble.image_size, ensemble.image_size, 1), jnp.uint8)
    return _convert(lengths, {"onset": face, "apex": face}, "lengths")


def onnx_generator(ensemble: Ensemble) -> bytes:
    """Export the generator: a neutral face and a class to a face, the mean over the folds.

    The inputs are ``onset`` uint8[1, n, n, 1], ``noise`` float32[1, z] (standard normal, shared by the folds),
    ``label`` int32[1] and ``intensity`` float32[1]; the output is ``face`` float32[1, n, n, 1] in [-1, 1].

    Raises:
        UserError: jax2onnx is not installed.
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
    try:
        from jax2onnx import to_onnx
    except ImportError:
        raise UserError("--onnx needs jax2onnx; install it with: uv sync --extra onnx") from None
    with jax.disable_jit():  # jax2onnx 0.17.1 does not support the nested jit of jax 0.12.
        model = to_onnx(
            function,
            inputs=list(inputs.values()),
            input_names=list(inputs),
            output_names=[output],
            return_mode="proto",
        )
    return bytes(model.SerializeToString())
