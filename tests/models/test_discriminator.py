"""The discriminators with and without capsules: shapes, ranges, and the inputs that each output depends on."""

import functools
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icegan_jax.models.discriminator import (
    CapsuleDiscriminator,
    ConvolutionalDiscriminator,
    DiscriminatorOutput,
    discriminator_input,
)

SMALL = CapsuleDiscriminator(
    width=1 / 16,
    primary_types=2,
    primary_dimension=4,
    adversarial_dimension=8,
    expression_dimension=4,
    capsule_std=0.5,
    reconstruction_width=1 / 16,
)
FACES = jax.random.uniform(jax.random.key(0), (4, 32, 32, 1), minval=-1.0, maxval=1.0)
LABELS = jnp.array([0, 1, 2, 0])


def shapes_of(
    module: CapsuleDiscriminator | ConvolutionalDiscriminator, size: int, channels: int = 1
) -> tuple[Any, DiscriminatorOutput, Any]:
    """Shapes of the variables, the output and the output of every layer; nothing is computed."""

    def build(key: jax.Array) -> tuple[Any, DiscriminatorOutput, Any]:
        image, label = jnp.zeros((2, size, size, channels)), jnp.zeros(2, jnp.int32)
        variables = module.init(key, image, label, train=True)
        output, state = module.apply(
            variables, image, label, train=False, capture_intermediates=True, mutable=["intermediates"]
        )
        return variables, output, state["intermediates"]

    return jax.eval_shape(build, jax.random.key(0))


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("size", [32, 128])
def test_output_shapes(size: int, channels: int, norm: str) -> None:
    _, output, _ = shapes_of(SMALL.clone(norm=norm), size, channels)
    chex.assert_shape(output.real_prob, (2,))
    chex.assert_shape(output.lengths, (2, 3))
    chex.assert_shape(output.reconstruction, (2, size, size, 1))
    chex.assert_type(list(output), jnp.float32)


def test_the_patchgan_ends_in_8x8_capsules_at_full_size() -> None:
    variables, _, layers = shapes_of(CapsuleDiscriminator(), 128)
    chex.assert_shape(layers["trunk_7"]["__call__"][0], (2, 8, 8, 8 * 16))
    chex.assert_shape(layers["adv_caps"]["__call__"][0], (2, 1, 256))
    chex.assert_shape(layers["exp_caps"]["__call__"][0], (2, 3, 32))
    chex.assert_shape(variables["params"]["exp_caps"]["transform"], (512, 16, 3 * 32))
    sides = [layers[f"trunk_{i}"]["__call__"][0].shape[1] for i in range(1, 8)]
    assert sides == [64, 32, 16, 15, 14, 8, 8]


def test_a_reconstruction_of_other_widths_and_with_spectral_norm() -> None:
    module = SMALL.clone(reconstruction_hidden=(32, 64, 160), reconstruction_spectral=True)
    variables, output, _ = shapes_of(module, 32)
    kernels = [variables["params"][f"reconstruction_{i}"]["kernel"].shape for i in range(1, 5)]
    assert kernels == [(12, 2), (2, 4), (4, 10), (10, 32 * 32)]
    chex.assert_shape(output.reconstruction, (2, 32, 32, 1))
    directions = {name for name in variables["spectral"] if name.startswith("reconstruction")}
    assert directions == {f"reconstruction_{i}" for i in range(1, 5)}
    plain, _, _ = shapes_of(module.clone(reconstruction_spectral=False), 32)
    chex.assert_trees_all_equal_shapes(plain["params"], variables["params"])
    assert not directions & set(plain["spectral"])


# Of one compiled program each, in place of hundreds of single operations.
evaluate = jax.jit(functools.partial(SMALL.apply, train=False))


@pytest.fixture(scope="module")
def variables() -> Any:
    """After some training passes: the running statistics are those of ``FACES``."""

    def build(key: jax.Array) -> Any:
        fresh = SMALL.init(key, FACES, LABELS, train=True)

        def training_pass(_: int, variables: Any) -> Any:
            stats = SMALL.apply(variables, FACES, LABELS, train=True, mutable=["batch_stats", "spectral"])[1]
            return {**variables, **stats}

        return jax.lax.fori_loop(0, 50, training_pass, fresh)

    return jax.jit(build)(jax.random.key(1))


def test_the_outputs_stay_in_their_ranges(variables: Any) -> None:
    output = evaluate(variables, 100 * FACES, LABELS)
    for values in output:
        assert float(jnp.min(values)) >= 0.0
        assert float(jnp.max(values)) <= 1.0


def test_the_label_selects_the_reconstruction_and_changes_nothing_else(variables: Any) -> None:
    outputs = [evaluate(variables, FACES, jnp.full(4, k)) for k in range(3)]
    for other in outputs[1:]:
        chex.assert_trees_all_equal(outputs[0][:2], other[:2])
        assert float(jnp.max(jnp.abs(outputs[0].reconstruction - other.reconstruction))) > 1e-5
    predicted = jnp.argmax(outputs[0].lengths, axis=1)
    expected = jnp.stack([v.reconstruction for v in outputs])[predicted, jnp.arange(4)]
    unlabelled = evaluate(variables, FACES, None)
    chex.assert_trees_all_close(unlabelled.reconstruction, expected, atol=1e-6)


def test_every_output_depends_on_the_face(variables: Any) -> None:
    """The PatchGAN needs at least 32 pixels."""

    def total(face: jax.Array, index: int) -> jax.Array:
        return jnp.sum(SMALL.apply(variables, face, LABELS, train=False)[index])

    for index, name in enumerate(DiscriminatorOutput._fields):
        gradient = jax.jit(jax.grad(total), static_argnums=1)(FACES, index)
        assert float(jnp.max(jnp.abs(gradient))) > 1e-6, name


def test_only_training_changes_the_statistics(variables: Any) -> None:
    mutable = ["batch_stats", "spectral"]
    still, moved = (
        jax.jit(functools.partial(SMALL.apply, train=train, mutable=mutable))(variables, FACES, LABELS)[1]
        for train in (False, True)
    )
    chex.assert_trees_all_equal(still, {name: variables[name] for name in mutable})
    for name in mutable:
        pairs = zip(jax.tree.leaves(still[name]), jax.tree.leaves(moved[name]), strict=True)
        assert any(bool(jnp.any(a != b)) for a, b in pairs), name


def test_in_evaluation_the_examples_are_independent(variables: Any) -> None:
    together = evaluate(variables, FACES, None)
    alone = evaluate(variables, FACES[:1], None)
    chex.assert_trees_all_close(jax.tree.map(lambda x: x[:1], together), alone, atol=1e-6)


def test_the_routing_axis_reaches_both_kinds_of_capsules(variables: Any) -> None:
    ours = evaluate(variables, FACES, LABELS)
    theirs = jax.jit(functools.partial(SMALL.clone(routing_axis="input").apply, train=False))(variables, FACES, LABELS)
    assert bool(jnp.all(theirs.real_prob < ours.real_prob))  # a weighted mean of votes is shorter than their sum
    assert float(jnp.max(jnp.abs(theirs.lengths - ours.lengths))) > 1e-3


def test_the_pair_is_the_face_and_the_scaled_change() -> None:
    onset, face = FACES[:2], FACES[2:]
    image = discriminator_input(onset, face, "pair", 4.0)
    chex.assert_shape(image, (2, 32, 32, 2))
    chex.assert_trees_all_equal(image[..., :1], face)
    chex.assert_trees_all_close(image[..., 1:], 4.0 * (face - onset), rtol=1e-6)


# Without capsules.


@pytest.mark.parametrize(("size", "sides"), [(32, [2, 1, 1]), (128, [8, 4, 1])])
def test_two_convolutions_after_the_patchgan(size: int, sides: list[int]) -> None:
    variables, output, layers = shapes_of(ConvolutionalDiscriminator(classes=5, width=1 / 4), size)
    assert [layers[name]["__call__"][0].shape[1] for name in ("trunk_7", "head_1", "head_2")] == sides
    chex.assert_shape(variables["params"]["head_1"]["kernel"], (4, 4, 32, 32))
    chex.assert_shape(variables["params"]["head_2"]["kernel"], (min(4, sides[1]), min(4, sides[1]), 32, 6))
    chex.assert_shape([output.real_prob, output.lengths], [(2,), (2, 5)])
    assert output.reconstruction is None
    assert not {"head_1", "head_2"} & set(variables["spectral"])


def test_probabilities_depend_on_the_face_alone() -> None:
    module = ConvolutionalDiscriminator(width=1 / 16, norm="instance")
    variables = jax.jit(lambda key: module.init(key, FACES, None, train=True))(jax.random.key(1))
    apply = jax.jit(functools.partial(module.apply, train=False))
    output = apply(variables, FACES, None)
    chex.assert_trees_all_equal(output, apply(variables, FACES, LABELS))
    chex.assert_trees_all_close(jnp.sum(output.lengths, axis=1), jnp.ones(4), rtol=1e-5)
    assert bool(jnp.all((output.real_prob > 0.0) & (output.real_prob < 1.0)))
    for values in (output.real_prob, output.lengths):
        assert float(jnp.min(jnp.std(values, axis=0))) > 1e-5


def test_without_an_activation_the_1x1_convolutions_are_one_linear_map(variables: Any) -> None:
    module = SMALL.clone(pointwise_activation=False)
    _, state = module.apply(
        variables, FACES, LABELS, train=False, capture_intermediates=True, mutable=["intermediates"]
    )
    first, last = (state["intermediates"][name]["__call__"][0] for name in ("trunk_6", "trunk_7"))
    layer = variables["params"]["trunk_7"]
    matrix = layer["kernel"][0, 0]
    expected = first @ matrix / jnp.linalg.norm(matrix, 2) + layer["bias"][None, None, None, :]
    chex.assert_trees_all_close(last, expected, rtol=1e-2, atol=1e-3)
    assert float(jnp.min(first)) < 0.0


def test_the_batch_wide_mask_depends_on_the_other_faces(variables: Any) -> None:
    """Each face's capsule is the one with the largest softmax over the batch; alone, all softmaxes are 1."""
    module = SMALL.clone(batch_wide_mask=True)
    output = module.apply(variables, FACES, LABELS, train=False)
    lengths = np.asarray(output.lengths, np.float64)
    shares = np.exp(lengths) / np.exp(lengths).sum(axis=0)
    assert (shares.argmax(axis=1) != lengths.argmax(axis=1)).any()
    chosen = evaluate(variables, FACES, jnp.asarray(shares.argmax(axis=1)))
    chex.assert_trees_all_close(output, chosen, atol=1e-6)
    alone = module.apply(variables, FACES[:1], LABELS[:1], train=False)
    chex.assert_trees_all_close(alone, evaluate(variables, FACES[:1], jnp.zeros(1, jnp.int32)), atol=1e-6)


def test_a_released_start_draws_the_scales_of_batch_norm() -> None:
    build = jax.jit(lambda key: SMALL.clone(width=1.0, released_start=True).init(key, FACES, LABELS, train=True))
    params = build(jax.random.key(1))["params"]
    scales = jnp.concatenate([params[f"norm_{index}"]["scale"] for index in range(2, 6)])
    np.testing.assert_allclose([jnp.mean(scales), jnp.std(scales)], [1.0, 0.02], atol=2e-3)
    assert float(jnp.std(params["reconstruction_1"]["bias"])) > 0.1
