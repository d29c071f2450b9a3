"""The compared networks have the published parameter counts and feature maps, and train side by side."""

from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icegan_jax.models.baselines.au_gacn import AUGACN
from icegan_jax.models.baselines.capsulenet import CapsuleNet
from icegan_jax.models.baselines.dual_inception import DualInception
from icegan_jax.models.baselines.emr import DomainDiscriminator, MERecognizer
from icegan_jax.models.baselines.mer_gcn import MERGCN, normalize_adjacency
from icegan_jax.models.baselines.micro_attention import MicroAttention
from icegan_jax.models.baselines.off_apexnet import OFFApexNet
from icegan_jax.models.baselines.rcn import RCNA, attention
from icegan_jax.models.baselines.sssnet import SSSNet
from icegan_jax.models.baselines.ststnet import STSTNet

BATCH, CLASSES, UNITS = 2, 3, 5
KEYS = {"params": jax.random.key(0), "dropout": jax.random.key(1)}

# Module, shape of one input, parameters, sides of feature maps that the source names.
NETWORKS: dict[str, tuple[nn.Module, tuple[int, ...], int, set[int]]] = {
    "ststnet": (STSTNet(), (28, 28, 3), 1_683, {28, 10}),
    "off_apexnet": (OFFApexNet(), (28, 28, 3), 2_664_475, {28, 14}),
    "sssnet": (SSSNet(), (64, 64, 3), 1_349_251, {60, 20, 18, 9}),
    "rcn_a": (RCNA(), (60, 60, 3), 15_331, {56, 28, 14}),
    "rcn_a, 64 maps": (RCNA(maps=64, pool=7), (60, 60, 3), 55_747, {56, 28, 14}),
    "dual_inception": (DualInception(), (28, 28, 3), 6_449_963, {28, 14}),
    "capsulenet": (CapsuleNet(), (224, 224, 3), 13_842_496, {112, 56, 28, 20, 6}),
    "capsulenet, gray": (CapsuleNet(), (224, 224, 1), 13_842_496, {112, 56, 28, 20, 6}),
    "emr": (MERecognizer(), (224, 224, 3), 11_242_953, {112, 56, 28, 14, 7}),
    "emr, domain": (DomainDiscriminator(), (128,), 10_369, set()),
    "micro_attention": (MicroAttention(), (224, 224, 1), 5_943_813, {224, 112, 56, 28, 14, 7}),
    "mer_gcn": (MERGCN(UNITS), (10, 32, 32, 1), 99_268, {32, 16, 8}),
    "au_gacn": (AUGACN(UNITS), (10, 32, 32, 1), 99_528, {32, 16, 8}),
}
SMALL = [name for name in NETWORKS if name.split(",")[0] not in ("capsulenet", "emr", "micro_attention")]


def shapes(name: str) -> tuple[Any, Any, set[int]]:
    """Shapes of variables and output, and the sides of all feature maps, of a training pass without computing it."""
    module, shape, _, _ = NETWORKS[name]
    x = jax.ShapeDtypeStruct((BATCH, *shape), jnp.float32)
    variables = jax.eval_shape(lambda x: module.init(KEYS, x, train=True), x)

    def capture(variables: Any, x: Any) -> Any:
        return module.apply(
            variables,
            x,
            train=True,
            rngs={"dropout": KEYS["dropout"]},
            capture_intermediates=True,
            mutable=["intermediates", "batch_stats"],
        )

    output, state = jax.eval_shape(capture, variables, x)
    maps = {leaf.shape[1] for leaf in jax.tree.leaves(state["intermediates"]) if leaf.ndim == 4}
    return variables, output, maps


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_maps_and_logits(name: str) -> None:
    _, _, count, sides = NETWORKS[name]
    variables, output, maps = shapes(name)
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == count
    assert maps == sides
    logits, *others = output if isinstance(output, tuple) else (output,)
    assert logits.shape == ((BATCH,) if name == "emr, domain" else (BATCH, CLASSES))
    expected = {"emr": [(BATCH, 2, CLASSES)], "mer_gcn": [(BATCH, UNITS)], "au_gacn": [(BATCH, UNITS)]}
    assert [other.shape for other in others] == expected.get(name, [])


@pytest.mark.parametrize("name", ["ststnet", "sssnet", "rcn_a", "capsulenet", "micro_attention", "mer_gcn"])
def test_a_wrong_input_is_named(name: str) -> None:
    module, shape, _, _ = NETWORKS[name]
    with pytest.raises(AssertionError, match=r"\[x: float\[b, "):
        jax.eval_shape(lambda x: module.init(KEYS, x, train=True), jnp.zeros((BATCH, *shape[:-1])))


def stack_of_folds(module: nn.Module, x: jax.Array, folds: int) -> Any:
    """Variables of several folds, each with its own start."""
    keys = jax.random.split(jax.random.key(2), folds)
    return jax.vmap(lambda key: module.init({"params": key, "dropout": key}, x, train=True))(keys)


@pytest.mark.parametrize("name", SMALL)
def test_folds_side_by_side_equal_folds_alone(name: str) -> None:
    """Parameters, statistics and dropout of a fold are its own under ``vmap``, in training and in evaluation."""
    module, shape, _, _ = NETWORKS[name]
    x = jax.random.uniform(jax.random.key(3), (BATCH, *shape))
    variables, keys = stack_of_folds(module, x, 2), jax.random.split(jax.random.key(4), 2)

    def forward(variables: Any, key: Any) -> Any:
        output, stats = module.apply(variables, x, train=True, rngs={"dropout": key}, mutable=["batch_stats"])
        return output, stats, module.apply(variables, x, train=False)

    together = jax.jit(jax.vmap(forward))(variables, keys)
    for fold in range(2):
        alone = forward(jax.tree.map(lambda leaf, fold=fold: leaf[fold], variables), keys[fold])
        for expected, actual in zip(jax.tree.leaves(alone), jax.tree.leaves(together), strict=True):
            np.testing.assert_allclose(actual[fold], expected, rtol=1e-4, atol=1e-5)
    train, stats, evaluation = (jax.tree.map(lambda leaf: leaf[0], part) for part in together)
    if "batch_stats" in variables:
        before = jax.tree.map(lambda leaf: leaf[0], variables["batch_stats"])
        assert any(
            np.any(a != b) for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(stats["batch_stats"]), strict=True)
        )
    random = name not in ("dual_inception",)  # neither dropout nor batch norm
    assert bool(np.any(jax.tree.leaves(train)[0] != jax.tree.leaves(evaluation)[0])) == random


def gradients(module: nn.Module, x: jax.Array) -> Iterator[jax.Array]:
    variables = module.init(KEYS, x, train=True)

    def loss(params: Any) -> jax.Array:
        output, _ = module.apply(
            {**variables, "params": params}, x, train=True, rngs={"dropout": KEYS["dropout"]}, mutable=["batch_stats"]
        )
        return jnp.sum(jnp.square(output[0] if isinstance(output, tuple) else output))

    yield from jax.tree.leaves(jax.grad(loss)(variables["params"]))


def test_rcn_uses_its_recurrent_weights_twice() -> None:
    """The parameters exist once; one pass through the network applies convolution and norm twice."""
    module, shape, _, _ = NETWORKS["rcn_a"]
    x = jax.random.uniform(jax.random.key(5), (BATCH, *shape))
    variables = module.init(KEYS, x, train=True)
    assert set(variables["params"]) == {
        *("conv_1", "conv_feed", "conv_recurrent", "norm_1", "norm_feed", "norm_recurrent"),
        *("output_kernel", "output_bias"),
    }
    calls = module.apply(variables, x, train=False, capture_intermediates=True)[1]["intermediates"]
    assert {name: len(calls[name]["__call__"]) for name in ("conv_feed", "conv_recurrent", "norm_recurrent")} == {
        "conv_feed": 1,
        "conv_recurrent": 2,
        "norm_recurrent": 2,
    }


def test_attention_to_a_constant_map_is_finite() -> None:
    maps, weights = jnp.ones((1, 5, 5, 2)), jnp.ones((5, 5, 2, CLASSES))
    value, gradient = jax.value_and_grad(lambda weights: jnp.sum(attention(maps, weights)))(weights)
    assert value == 0.0 and not np.any(gradient)
    assert all(np.all(np.isfinite(leaf)) for leaf in gradients(RCNA(), jnp.zeros((BATCH, 60, 60, 3))))


def test_attention_is_scaled_to_the_unit_interval() -> None:
    weights = jnp.arange(25.0).reshape(5, 5, 1, 1)
    np.testing.assert_allclose(attention(jnp.ones((1, 5, 5, 1)), weights)[0], np.arange(25).reshape(5, 5) / 24)


@pytest.mark.parametrize("module", [MERGCN(2), AUGACN(2)])
def test_an_edge_between_action_units_matters(module: nn.Module) -> None:
    x = jax.random.uniform(jax.random.key(6), (BATCH, 10, 16, 16, 1))
    variables = module.init(KEYS, x, train=True)
    edge = {**variables, "graph": {"adjacency": jnp.array([[0.0, 1.0], [1.0, 0.0]])}}
    alone, joined = (module.apply(values, x, train=False) for values in (variables, edge))
    assert np.any(alone[0] != joined[0])
    np.testing.assert_array_equal(alone[1], joined[1])  # the action units are recognized before the graph


def test_adjacency_by_hand() -> None:
    np.testing.assert_allclose(normalize_adjacency(jnp.array([[0.0, 3.0], [3.0, 0.0]])), [[0.25, 0.75], [0.75, 0.25]])
