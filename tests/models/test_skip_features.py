"""Skip features: squeeze-and-excitation against plain loops, and the submodules of each kind."""

from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icegan_jax.models.generator import SqueezeExcitation, skip_features

FEATURES = jax.random.normal(jax.random.key(0), (2, 3, 2, 32))


class Level(nn.Module):
    """A module that has one skip."""

    kind: str
    compact: bool = False

    @nn.compact
    def __call__(self, f: jax.Array) -> jax.Array:
        return skip_features(f, 4, kind=self.kind, compact_grm=self.compact, adjacency_std=0.02, dtype=jnp.float32)


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


def test_few_channels_are_squeezed_to_one() -> None:
    params = SqueezeExcitation().init(jax.random.key(1), FEATURES[..., :5])["params"]
    chex.assert_shape([params["squeeze"], params["excite"]], [(5, 1), (1, 5)])


@pytest.mark.parametrize(
    ("kind", "compact", "modules"),
    [
        ("skips", False, {}),
        ("se", False, {"se_4": {"squeeze", "excite"}}),
        ("grm", False, {"grm_4": {"transform", "phi", "theta", "adjacency", "weight", "back_projection"}}),
        (
            "grm",
            True,
            {"grm_4": {"phi", "theta", "adjacency", "adjacency_bias", "weight", "weight_bias", "back_projection"}},
        ),
    ],
)
def test_each_kind_has_its_module(kind: str, compact: bool, modules: dict[str, set[str]]) -> None:
    variables: Any = Level(kind, compact).init(jax.random.key(1), FEATURES)
    assert {name: set(tree) for name, tree in variables.get("params", {}).items()} == modules
    passed = Level(kind, compact).apply(variables, FEATURES)
    chex.assert_equal_shape([passed, FEATURES])
    assert bool(jnp.all(passed == FEATURES)) == (kind == "skips")
