"""The networks as ONNX files, by the library jax2onnx: for runtimes other than JAX. One face at a time.

Axis letters: n image side, k class, z noise.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from icegan_jax.errors import UserError
from icegan_jax.inference.ensemble import Ensemble
from icegan_jax.training.inference import predict, to_float
from icegan_jax.training.state import TrainState


def onnx_recognizer(model: Ensemble) -> bytes:
    """``onset``, ``apex`` uint8[1, n, n, 1] to ``lengths`` float32[1, k], the mean over the folds.

    Raises:
      UserError: jax2onnx is not installed.
    """

    def lengths(onset: jax.Array, apex: jax.Array) -> jax.Array:
        return _mean([predict(model.models, state, onset, apex) for state in model.states])

    face = jax.ShapeDtypeStruct((1, model.size, model.size, 1), jnp.uint8)
    return _converted(lengths, {"onset": face, "apex": face}, "lengths")


def onnx_generator(model: Ensemble) -> bytes:
    """``onset`` uint8[1, n, n, 1], ``noise`` float32[1, z], ``label`` int32[1], ``intensity`` float32[1] to ``face``.

    The face is float32[1, n, n, 1] in [-1, 1], the mean over the folds; noise is standard normal, the same for all.

    Raises:
      UserError: jax2onnx is not installed.
    """
    models = model.models
    generator = models.generator
    assert generator is not None

    def of_fold(state: TrainState, onset: jax.Array, noise: jax.Array, label: jax.Array, share: jax.Array) -> Any:
        variables = {"params": state.g_params, **state.g_stats}
        expression = jax.nn.one_hot(label, models.classes)
        return generator.apply(variables, to_float(onset), noise, expression, train=False, intensity=share)

    def face(onset: jax.Array, noise: jax.Array, label: jax.Array, share: jax.Array) -> jax.Array:
        return _mean([of_fold(state, onset, noise, label, share) for state in model.states])

    inputs = {
        "onset": jax.ShapeDtypeStruct((1, model.size, model.size, 1), jnp.uint8),
        "noise": jax.ShapeDtypeStruct((1, models.noise), jnp.float32),
        "label": jax.ShapeDtypeStruct((1,), jnp.int32),
        "intensity": jax.ShapeDtypeStruct((1,), jnp.float32),
    }
    return _converted(face, inputs, "face")


def _mean(values: list[jax.Array]) -> jax.Array:
    return sum(values[1:], start=values[0]) / len(values)


def _converted(function: Callable[..., jax.Array], inputs: Mapping[str, jax.ShapeDtypeStruct], output: str) -> bytes:
    try:
        from jax2onnx import to_onnx
    except ImportError:
        raise UserError("--onnx needs jax2onnx; install it with: uv sync --extra onnx") from None
    with jax.disable_jit():  # of jax 0.12, jax2onnx 0.17.1 knows no nested jit
        model = to_onnx(
            function,
            inputs=list(inputs.values()),
            input_names=list(inputs),
            output_names=[output],
            return_mode="proto",
        )
    return bytes(model.SerializeToString())
