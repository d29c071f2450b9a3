"""The generator: shapes, range and initial output; squeeze-and-excitation and the warp against plain loops."""

import functools
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icegan_jax.models.generator import GENERATOR_KINDS, Generator, SqueezeExcitation, warp

NOISE, CLASSES = 6, 3


def inputs(batch: int, size: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    onset = jax.random.uniform(jax.random.key(0), (batch, size, size, 1), minval=-1.0, maxval=1.0)
    noise = jax.random.normal(jax.random.key(1), (batch, NOISE))
    return onset, noise, jax.nn.one_hot(jnp.arange(batch) % CLASSES, CLASSES)


def shapes_of(module: Generator, size: int) -> tuple[Any, Any]:
    """Shapes of the variables and of the generator's output; nothing is computed."""

    def build(key: jax.Array) -> tuple[Any, Any]:
        variables = module.init(key, *inputs(2, size), train=True)
        return variables, module.apply(variables, *inputs(2, size), train=False)

    return jax.eval_shape(build, jax.random.key(0))


@pytest.mark.parametrize("motion", [False, True])
@pytest.mark.parametrize(("size", "width"), [(16, 1 / 32), (128, 1.0)])
def test_the_output_is_a_face_and_every_skip_has_graph_reasoning(size: int, width: float, motion: bool) -> None:
    variables, face = shapes_of(Generator(width=width, embedding=8, motion=motion), size)
    chex.assert_shape(face, (2, size, size, 1))
    chex.assert_type(face, jnp.float32)
    levels = {16: 4, 32: 5, 128: 7}[size]
    names = set(variables["params"])
    assert {name for name in names if name.startswith("grm_")} == {f"grm_{i}" for i in range(1, levels)}
    assert {name for name in names if name.startswith("down_")} == {f"down_{i}" for i in range(1, levels + 1)}
    assert {name for name in names if name.startswith("up_")} == {f"up_{i}" for i in range(1, levels + 1)}


def test_the_paper_s_embedding_and_seed_at_full_size() -> None:
    variables, _ = shapes_of(Generator(), 128)
    kernels = {name: layer["kernel"].shape for name, layer in variables["params"].items() if "kernel" in layer}
    assert kernels["down_7"] == (4, 4, 512, 320)
    assert kernels["up_7"] == (4, 4, 320 + NOISE + CLASSES, 512)


PARTS = {  # of each kind, but for up_1 to up_5; at 32 pixels
    "dcgan": set(),
    "encoder_decoder": {f"down_{i}" for i in range(1, 6)},
    "skips": {f"down_{i}" for i in range(1, 6)},
    "se": {f"down_{i}" for i in range(1, 6)} | {f"se_{i}" for i in range(1, 5)},
    "grm": {f"down_{i}" for i in range(1, 6)} | {f"grm_{i}" for i in range(1, 5)},
}


@pytest.mark.parametrize("kind", GENERATOR_KINDS)
def test_each_kind_has_its_parts(kind: str) -> None:
    variables, face = shapes_of(Generator(kind=kind, width=1 / 8, embedding=8), 32)
    chex.assert_shape(face, (2, 32, 32, 1))
    params = variables["params"]
    assert set(params) == PARTS[kind] | {f"up_{i}" for i in range(1, 6)}
    inputs_of_up_1 = 8 * (
        1 if kind in ("dcgan", "encoder_decoder") else 2
    )  # of the decoder and, with skips, of the encoder
    assert params["up_1"]["kernel"].shape == (4, 4, inputs_of_up_1, 1)
    assert params["up_5"]["kernel"].shape[2] == NOISE + CLASSES + (0 if kind == "dcgan" else 8)


def test_a_dcgan_depends_on_noise_and_class_but_not_on_the_onset() -> None:
    module = Generator(kind="dcgan", width=1 / 16)
    onset, noise, expression = inputs(3, 16)
    variables = jax.jit(lambda key: module.init(key, onset, noise, expression, train=True))(jax.random.key(2))
    face = module.apply(variables, onset, noise, expression, train=False)
    chex.assert_trees_all_equal(face, module.apply(variables, -onset, noise, expression, train=False))
    for other in ((onset, noise[::-1], expression), (onset, noise, expression[::-1])):
        assert float(jnp.max(jnp.abs(face - module.apply(variables, *other, train=False)))) > 1e-5


@pytest.mark.parametrize(("kind", "motion"), [("dcgan", True), ("unet", False)])
def test_an_impossible_kind(kind: str, motion: bool) -> None:
    with pytest.raises(ValueError, match=f"no generator is a '{kind}' with motion={motion}"):
        shapes_of(Generator(kind=kind, motion=motion, width=1 / 16), 16)


@pytest.fixture(scope="module", params=[False, True], ids=["whole", "motion"])
def trained(request: pytest.FixtureRequest) -> tuple[Generator, Any, Any]:
    """Return a generator, its variables, and the compiled evaluation."""
    module = Generator(width=1 / 16, embedding=8, motion=request.param)
    variables = jax.jit(lambda key: module.init(key, *inputs(3, 16), train=True))(jax.random.key(2))
    return module, variables, jax.jit(functools.partial(module.apply, train=False))


def test_gray_levels_stay_between_black_and_white(trained: tuple[Generator, Any, Any]) -> None:
    _, variables, apply = trained
    wild = {**variables, "params": jax.tree.map(lambda leaf: 30 * leaf, variables["params"])}
    face = apply(wild, *inputs(3, 16))
    assert -1.0 <= float(jnp.min(face)) and float(jnp.max(face)) <= 1.0
    assert float(jnp.max(jnp.abs(face))) > 0.9  # the limit is tested


def test_with_motion_the_initial_output_is_close_to_the_onset(trained: tuple[Generator, Any, Any]) -> None:
    module, variables, apply = trained
    onset, noise, expression = inputs(3, 16)
    changed = jnp.mean(jnp.abs(apply(variables, onset, noise, expression) - onset))
    assert (float(changed) < 0.15) == module.motion


@pytest.mark.parametrize("argument", [0, 1, 2], ids=["onset", "noise", "expression"])
def test_every_input_matters(trained: tuple[Generator, Any, Any], argument: int) -> None:
    _, variables, apply = trained
    arguments = list(inputs(3, 16))
    before = apply(variables, *arguments)
    arguments[argument] = jnp.roll(arguments[argument], 1, axis=0)
    assert float(jnp.max(jnp.abs(apply(variables, *arguments) - before))) > 1e-5


def test_the_class_gain_multiplies_the_class(trained: tuple[Generator, Any, Any]) -> None:
    module, variables, apply = trained
    onset, noise, expression = inputs(3, 16)
    strong = jax.jit(functools.partial(module.clone(class_gain=7.0).apply, train=False))
    actual = strong(variables, onset, noise, expression)
    chex.assert_trees_all_close(actual, apply(variables, onset, noise, 7.0 * expression), atol=1e-6)


def test_only_training_changes_the_statistics_and_examples_are_independent(
    trained: tuple[Generator, Any, Any],
) -> None:
    module, variables, _ = trained
    mutable = [name for name in variables if name != "params"]
    arguments = inputs(3, 16)
    train = jax.jit(functools.partial(module.apply, train=True, mutable=mutable))
    together, moved = train(variables, *arguments)
    before = {name: variables[name] for name in mutable}
    assert any(bool(jnp.any(a != b)) for a, b in zip(*map(jax.tree.leaves, (moved, before)), strict=True))
    alone, _ = train(variables, *(x[:1] for x in arguments))
    chex.assert_trees_all_close(together[:1], alone, atol=1e-5)


FEATURES = jax.random.normal(jax.random.key(0), (2, 3, 2, 32))


def test_squeeze_and_excitation_equals_plain_loops() -> None:
    module = SqueezeExcitation()
    params = module.init(jax.random.key(1), FEATURES)["params"]
    chex.assert_shape([params["squeeze"], params["excite"]], [(32, 2), (2, 32)])
    actual = module.apply({"params": params}, FEATURES)
    squeeze, excite = (np.asarray(params[name], np.float64) for name in ("squeeze", "excite"))
    for image, weighed in zip(np.asarray(FEATURES, np.float64), actual, strict=True):
        mean = [image[:, :, c].sum() / 6 for c in range(32)]
        hidden = [max(0.0, sum(mean[c] * squeeze[c, s] for c in range(32))) for s in range(2)]
        assert max(hidden) > 0
        for c in range(32):
            factor = 1 / (1 + np.exp(-sum(hidden[s] * excite[s, c] for s in range(2))))
            np.testing.assert_allclose(weighed[:, :, c], factor * image[:, :, c], rtol=1e-4, atol=1e-6)


IMAGE = jax.random.uniform(jax.random.key(0), (2, 5, 7, 1))
MOTION = 4.0 * jax.random.normal(jax.random.key(1), (2, 5, 7, 2))  # well over the border, too


def test_equals_plain_loops() -> None:
    actual = warp(IMAGE, MOTION)
    chex.assert_equal_shape([actual, IMAGE])
    image, motion = np.asarray(IMAGE, np.float64), np.asarray(MOTION, np.float64)
    for b in range(2):
        for row in range(5):
            for column in range(7):
                y = min(max(row + motion[b, row, column, 0], 0), 4)
                x = min(max(column + motion[b, row, column, 1], 0), 6)
                expected = 0.0
                for i in range(5):
                    for j in range(7):
                        share = max(0.0, 1 - abs(y - i)) * max(0.0, 1 - abs(x - j))
                        expected += share * image[b, i, j, 0]
                np.testing.assert_allclose(actual[b, row, column, 0], expected, rtol=1e-4, atol=1e-5)


def test_no_motion_is_a_copy() -> None:
    chex.assert_trees_all_equal(warp(IMAGE, jnp.zeros_like(MOTION)), IMAGE)


def test_a_whole_pixel_shifts_the_picture() -> None:
    down = jnp.zeros_like(MOTION).at[..., 0].set(1.0)
    chex.assert_trees_all_equal(warp(IMAGE, down)[:, :-1], IMAGE[:, 1:])
    chex.assert_trees_all_equal(warp(IMAGE, down)[:, -1], IMAGE[:, -1])


def test_gradients_equal_finite_differences() -> None:
    # Fractions of 0.2 to 0.8: no kink within the step.
    motion = jnp.floor(MOTION) + jax.random.uniform(jax.random.key(2), MOTION.shape, minval=0.2, maxval=0.8)
    cotangent = jax.random.normal(jax.random.key(3), IMAGE.shape)

    def value(image: jax.Array, motion: jax.Array) -> jax.Array:
        return jnp.sum(cotangent * warp(image, motion))

    for argument, point in enumerate((IMAGE, motion)):
        direction = jax.random.normal(jax.random.key(4), point.shape)
        slope = jnp.vdot(jax.grad(value, argument)(IMAGE, motion), direction)
        ends = []
        for sign in (1, -1):
            arguments = [IMAGE, motion]
            arguments[argument] = point + sign * 0.01 * direction
            ends.append(value(*arguments))
        np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 0.02, rtol=1e-2)
