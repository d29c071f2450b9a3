"""The discriminator without capsules: shapes, probabilities, and the inputs that they depend on."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import pytest

from icegan_jax.models.discriminator import ConvolutionalDiscriminator, DiscriminatorOutput

SMALL = ConvolutionalDiscriminator(width=1 / 16, norm="instance")
FACES = jax.random.uniform(jax.random.key(0), (4, 32, 32, 1), minval=-1.0, maxval=1.0)


def shapes_of(module: ConvolutionalDiscriminator, size: int) -> tuple[Any, DiscriminatorOutput, Any]:
    """Shapes of the variables, the output and the output of every layer; nothing is computed."""

    def build(key: jax.Array) -> tuple[Any, DiscriminatorOutput, Any]:
        image = jnp.zeros((2, size, size, 1))
        variables = module.init(key, image, None, train=True)
        output, state = module.apply(
            variables, image, None, train=False, capture_intermediates=True, mutable=["intermediates"]
        )
        return variables, output, state["intermediates"]

    return jax.eval_shape(build, jax.random.key(0))


@pytest.mark.parametrize(("size", "sides"), [(32, [2, 1, 1]), (64, [4, 2, 1]), (128, [8, 4, 1]), (256, [16, 8, 5])])
def test_two_convolutions_after_the_patchgan(size: int, sides: list[int]) -> None:
    variables, output, layers = shapes_of(ConvolutionalDiscriminator(classes=5, width=1 / 4), size)
    assert [layers[name]["__call__"][0].shape[1] for name in ("trunk_7", "head_1", "head_2")] == sides
    chex.assert_shape(variables["params"]["head_1"]["kernel"], (4, 4, 32, 32))
    chex.assert_shape(variables["params"]["head_2"]["kernel"], (min(4, sides[1]), min(4, sides[1]), 32, 6))
    chex.assert_shape([output.real_prob, output.lengths], [(2,), (2, 5)])
    assert output.reconstruction is None
    assert not {"head_1", "head_2"} & set(variables["spectral"])


def test_both_factors_widen_every_layer() -> None:
    two, four = (
        shapes_of(ConvolutionalDiscriminator(width=width, cnn_width=cnn_width), 32)[0]["params"]
        for width, cnn_width in ((1 / 8, 2.0), (1 / 4, 1.0))
    )
    chex.assert_trees_all_equal_shapes(two, four)
    assert two["trunk_1"]["kernel"].shape[3] == 16
    assert two["head_1"]["kernel"].shape[3] == 32


@pytest.fixture(scope="module")
def variables() -> Any:
    return jax.jit(lambda key: SMALL.init(key, FACES, None, train=True))(jax.random.key(1))


def test_probabilities(variables: Any) -> None:
    output = SMALL.apply(variables, 100 * FACES, None, train=False)
    chex.assert_trees_all_close(jnp.sum(output.lengths, axis=1), jnp.ones(4), rtol=1e-5)
    assert float(jnp.min(output.lengths)) > 0.0
    assert bool(jnp.all((output.real_prob > 0.0) & (output.real_prob < 1.0)))


def test_every_output_depends_on_the_face_and_none_on_the_label(variables: Any) -> None:
    output = SMALL.apply(variables, FACES, None, train=False)
    chex.assert_trees_all_equal(output, SMALL.apply(variables, FACES, jnp.array([0, 1, 2, 0]), train=False))
    for values in (output.real_prob, output.lengths):
        assert float(jnp.min(jnp.std(values, axis=0))) > 1e-5
