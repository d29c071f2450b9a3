"""The generator: shapes, range and initial output."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import pytest

from icegan_jax.models.generator import GENERATOR_KINDS, Generator
from icegan_jax.models.layers import scale_channels

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
@pytest.mark.parametrize("size", [16, 32, 128])
@pytest.mark.parametrize("width", [1 / 32, 1.0])
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


def test_the_compact_form_is_another_module_under_the_same_name() -> None:
    variables, _ = shapes_of(Generator(compact_grm=True, width=1 / 8, embedding=8), 32)
    assert variables["params"]["grm_1"]["adjacency"].shape == (2, 2)


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
def trained(request: pytest.FixtureRequest) -> tuple[Generator, Any]:
    module = Generator(width=1 / 16, embedding=8, motion=request.param)
    return module, jax.jit(lambda key: module.init(key, *inputs(3, 16), train=True))(jax.random.key(2))


def test_gray_levels_stay_between_black_and_white(trained: tuple[Generator, Any]) -> None:
    module, variables = trained
    wild = {**variables, "params": jax.tree.map(lambda leaf: 30 * leaf, variables["params"])}
    face = module.apply(wild, *inputs(3, 16), train=False)
    assert float(jnp.min(face)) >= -1.0
    assert float(jnp.max(face)) <= 1.0
    assert float(jnp.max(jnp.abs(face))) > 0.9  # the limit is tested


def test_with_motion_the_initial_output_is_close_to_the_onset(trained: tuple[Generator, Any]) -> None:
    module, variables = trained
    onset, noise, expression = inputs(3, 16)
    changed = jnp.mean(jnp.abs(module.apply(variables, onset, noise, expression, train=False) - onset))
    assert (float(changed) < 0.15) == module.motion


@pytest.mark.parametrize("argument", [0, 1, 2], ids=["onset", "noise", "expression"])
def test_every_input_matters(trained: tuple[Generator, Any], argument: int) -> None:
    module, variables = trained
    arguments = list(inputs(3, 16))
    before = module.apply(variables, *arguments, train=False)
    arguments[argument] = jnp.roll(arguments[argument], 1, axis=0)
    after = module.apply(variables, *arguments, train=False)
    assert float(jnp.max(jnp.abs(after - before))) > 1e-5


def test_the_class_gain_multiplies_the_class(trained: tuple[Generator, Any]) -> None:
    module, variables = trained
    onset, noise, expression = inputs(3, 16)
    strong = module.clone(class_gain=7.0).apply(variables, onset, noise, expression, train=False)
    chex.assert_trees_all_close(strong, module.apply(variables, onset, noise, 7.0 * expression, train=False), atol=1e-6)


def test_only_training_changes_the_statistics(trained: tuple[Generator, Any]) -> None:
    module, variables = trained
    mutable = [name for name in variables if name != "params"]
    _, still = module.apply(variables, *inputs(3, 16), train=False, mutable=mutable)
    _, moved = module.apply(variables, *inputs(3, 16), train=True, mutable=mutable)
    chex.assert_trees_all_equal(still, {name: variables[name] for name in mutable})
    chex.assert_trees_all_equal_shapes_and_dtypes(still, moved)
    assert any(bool(jnp.any(a != b)) for a, b in zip(*map(jax.tree.leaves, (still, moved)), strict=True))


def test_the_examples_are_independent(trained: tuple[Generator, Any]) -> None:
    module, variables = trained
    arguments = inputs(3, 16)
    together = module.apply(variables, *arguments, train=True, mutable=["spectral"])[0]
    alone = module.apply(variables, *(x[:1] for x in arguments), train=True, mutable=["spectral"])[0]
    chex.assert_trees_all_close(together[:1], alone, atol=1e-5)


def test_scale_channels() -> None:
    assert [
        scale_channels(64, 1.0),
        scale_channels(64, 0.125),
        scale_channels(64, 1 / 256),
        scale_channels(3, 0.5),
    ] == [64, 8, 1, 2]
