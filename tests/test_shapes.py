"""Arrays with a wrong axis or dtype raise an error that names the array, when the program is traced."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icegan_jax.models.capsules import dynamic_routing
from icegan_jax.models.convolution import (
    convolve,
    convolve_transposed,
)
from icegan_jax.models.discriminator import discriminator_input
from icegan_jax.models.generator import warp
from icegan_jax.models.graph_reasoning import GraphReasoning
from icegan_jax.models.layers import Convolution
from icegan_jax.models.perceptual import load_perceptual_network, perceptual_features
from icegan_jax.training import losses
from icegan_jax.training.inference import predict, synthesize
from icegan_jax.training.parallel import FoldLayout
from icegan_jax.training.state import TrainState, create_state
from icegan_jax.training.train_step import train_step
from tests.training import tiny

MODELS = tiny.models()
B, N, Z, K = 2, tiny.SIZE, MODELS.noise, MODELS.classes
LAYOUT = FoldLayout((jax.local_devices()[0],), 3)


def f32(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def u8(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.uint8)


def i32(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.int32)


def initialize(module: Any, **options: Any) -> Callable[..., Any]:
    """The module as a function of its inputs alone."""
    return lambda *inputs: module.init(jax.random.key(0), *inputs, **options)


def of_state(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of models, state and arrays as a function of the arrays alone."""
    return lambda *arrays: jax.eval_shape(functools.partial(function, MODELS), state(), *arrays)


@functools.cache
def state() -> TrainState:
    """Shapes of a state."""
    return jax.eval_shape(functools.partial(create_state, MODELS), jax.random.key(0))


def step_on(onset: Any, apex: Any, label: Any) -> Any:
    return of_state(train_step)({"onset": onset, "apex": apex, "label": label})


FACE, MAP, PIXELS = f32(B, N, N, 1), f32(B, 4, 4, 8), u8(B, N, N, 1)
FEATURES = load_perceptual_network("alexnet", "relu1")

# Function, correct arguments, and by argument's index and name a wrong array in its place.
CASES: dict[str, tuple[Callable[..., Any], list[Any], list[tuple[int, str, Any]]]] = {
    "convolve": (
        lambda x, k: convolve(x, k, stride=2, padding=1),
        [MAP, f32(4, 4, 8, 5)],
        [(0, "x", f32(4, 4, 8)), (1, "kernel", f32(4, 4, 5, 8)), (1, "kernel", f32(4, 3, 8, 5))],
    ),
    "convolve_transposed": (
        convolve_transposed,
        [MAP, f32(4, 4, 8, 5)],
        [(0, "x", f32(4, 4, 8)), (1, "kernel", f32(4, 4, 5, 8))],
    ),
    "Convolution": (initialize(Convolution(5), train=True), [MAP], [(0, "x", f32(4, 4, 8))]),
    "GraphReasoning": (initialize(GraphReasoning(0.02)), [MAP], [(0, "f", f32(4, 4, 8))]),
    "dynamic_routing": (lambda votes: dynamic_routing(votes, 3), [f32(B, 5, K, 4)], [(0, "votes", f32(B, 5, 4))]),
    "perceptual_features": (
        lambda image: perceptual_features(FEATURES, image),
        [FACE],
        [(0, "image", f32(B, N, N, 3)), (0, "image", PIXELS)],
    ),
    "warp": (
        warp,
        [FACE, f32(B, N, N, 2)],
        [(0, "image", f32(B, N, N)), (1, "motion", f32(B, N, N, 3)), (1, "motion", f32(B, 2, N, N))],
    ),
    "discriminator_input": (
        lambda onset, face: discriminator_input(onset, face, "pair", 4.0),
        [FACE, FACE],
        [(0, "onset", f32(1, N, N, 1)), (1, "face", f32(B, N, N))],
    ),
    "Generator": (
        initialize(MODELS.generator, train=True),
        [FACE, f32(B, Z), f32(B, K)],
        [(0, "onset", f32(B, N, 2 * N, 1)), (0, "onset", f32(N, N)), (1, "noise", f32(Z)), (2, "expression", i32(B))],
    ),
    "CapsuleDiscriminator": (
        initialize(MODELS.discriminator, train=True),
        [f32(B, N, N, 2), i32(B)],
        [(0, "image", f32(N, N, 2)), (1, "label", i32(B, 1)), (1, "label", f32(B))],
    ),
    "l1": (losses.l1, [FACE, FACE], [(0, "synthetic", f32(B, N, N)), (1, "apex", f32(B, 1, N, 1))]),
    "perceptual": (
        losses.perceptual,
        [MAP, MAP],
        [(0, "onset_features", f32(4, 4, 8)), (1, "synthetic_features", f32(1, 4, 4, 8))],
    ),
    "margin": (
        losses.margin,
        [f32(B, K), i32(B)],
        [(0, "lengths", f32(K)), (1, "label", i32(B, 1)), (1, "label", f32(B))],
    ),
    "reconstruction": (
        losses.reconstruction,
        [FACE, FACE],
        [(0, "reconstructed", f32(B, N, N)), (1, "face", f32(1, N, N, 1))],
    ),
    "adversarial": (lambda p: losses.adversarial(p, True), [f32(B)], [(0, "real_prob", f32(B, 1))]),
    "predict": (
        of_state(predict),
        [PIXELS, PIXELS],
        [(0, "onset", u8(B, N, N)), (1, "apex", u8(1, N, N, 1)), (1, "apex", FACE)],
    ),
    "synthesize": (
        of_state(synthesize),
        [PIXELS, i32(B), i32(B), f32(B)],
        [
            (0, "onset", FACE),
            (1, "label", i32(B, 1)),
            (1, "label", f32(B)),
            (2, "draw", i32()),
            (3, "intensity", f32(B, 1)),
        ],
    ),
    "train_step": (
        step_on,
        [PIXELS, PIXELS, i32(B)],
        [(0, "onset", u8(B, N, N)), (1, "apex", FACE), (1, "apex", u8(B, N, N, 3)), (2, "label", i32(B, 1))],
    ),
}
WRONG = [(name, index, array, wrong) for name, (_, _, cases) in CASES.items() for index, array, wrong in cases]


@pytest.mark.parametrize("name", CASES)
def test_correct_arrays_are_accepted(name: str) -> None:
    function, arguments, _ = CASES[name]
    jax.eval_shape(function, *arguments)


@pytest.mark.parametrize(
    ("name", "index", "array", "wrong"), WRONG, ids=[f"{name} {array} {wrong.shape}" for name, _, array, wrong in WRONG]
)
def test_a_wrong_array_is_named(name: str, index: int, array: str, wrong: jax.ShapeDtypeStruct) -> None:
    function, arguments, _ = CASES[name]
    with pytest.raises(AssertionError, match=rf"\[{array}: "):
        jax.eval_shape(function, *arguments[:index], wrong, *arguments[index + 1 :])


@pytest.mark.parametrize("method", ["shard", "shard_batches"])
def test_a_wrong_number_of_folds(method: str) -> None:
    with pytest.raises(AssertionError, match=r"\[values: \[g, "):
        getattr(LAYOUT, method)(np.zeros((2, 4, 5)))


def test_gathered_arrays_have_device_and_fold() -> None:
    with pytest.raises(AssertionError, match=r"\[values: \[r, f, ...\]"):
        LAYOUT.gather(np.zeros((3, 1, 5)))
