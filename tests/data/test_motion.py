"""Optical flow and strain: axes, known fields, scaling, and the stored flow."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from icegan_jax.data import motion
from icegan_jax.data.motion import FLOWS, SCALINGS, motion_picture, motion_pictures, optical_flow, optical_strain
from tests.training import tiny


def texture(size: int = 64) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 255, (size, size)).astype(np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


@pytest.mark.parametrize("method", FLOWS)
@pytest.mark.parametrize(("axis", "expected"), [(1, (1, 0)), (0, (0, 1))])
def test_u_is_to_the_right_and_v_down(method: str, axis: int, expected: tuple[int, int]) -> None:
    flow = optical_flow(texture(), np.roll(texture(), 1, axis), method)
    assert flow.shape == (64, 64, 2) and flow.dtype == np.float32
    np.testing.assert_allclose(flow[16:-16, 16:-16].mean(axis=(0, 1)), expected, atol=0.05)


def test_strain_of_linear_fields_and_of_a_rotation() -> None:
    y, x = np.mgrid[:20, :20].astype(np.float32)
    a, b, c, d = 0.3, -0.2, 0.5, 0.1
    flow = np.stack([a * x + b * y, c * x + d * y], axis=2)
    np.testing.assert_allclose(optical_strain(flow)[1:-1, 1:-1], np.sqrt(a**2 + d**2 + (b + c) ** 2 / 2), rtol=1e-5)
    rotation = np.stack([-0.1 * y, 0.1 * x], axis=2)
    np.testing.assert_allclose(optical_strain(rotation), 0, atol=1e-6)


def test_minmax_stretches_each_channel_and_symmetric_keeps_zero_and_the_ratio() -> None:
    flow = np.zeros((32, 32, 2), np.float32)
    flow[8:16, 8:16] = 2.0, -1.0
    stretched = motion_picture(flow, "minmax", 32)
    assert stretched.dtype == np.uint8
    assert stretched.min(axis=(0, 1)).tolist() == [0, 0, 0] and stretched.max(axis=(0, 1)).tolist() == [255, 255, 255]
    symmetric = motion_picture(flow, "symmetric", 32).astype(int)
    assert symmetric[0, 0].tolist() == [128, 128, 128]
    assert (symmetric[11, 11, :2] - 128).tolist() == [127, -64]
    for scaling in SCALINGS:
        assert motion_picture(np.zeros((32, 32, 2), np.float32), scaling, 28).shape == (28, 28, 3)


def test_the_flow_is_stored_and_a_damaged_store_is_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(motion.os, "cpu_count", lambda: 1)
    pairs = tiny.pairs()
    first = motion_pictures(pairs, tmp_path, flow="farneback", scaling="minmax", size=28)
    assert first.shape == (len(pairs.label), 28, 28, 3)
    computed: list[int] = []
    monkeypatch.setattr(motion, "_flows_of", lambda method, faces: computed.append(len(faces)) or [])
    few = dataclasses.replace(pairs, onset=pairs.onset[3:5], apex=pairs.apex[3:5])
    again = motion_pictures(few, tmp_path, flow="farneback", scaling="minmax", size=28)
    np.testing.assert_array_equal(again, first[3:5])
    assert not computed
    monkeypatch.undo()
    monkeypatch.setattr(motion.os, "cpu_count", lambda: 1)
    (tmp_path / "flow_farneback.npz").write_bytes(b"PK damaged")
    repaired = motion_pictures(few, tmp_path, flow="farneback", scaling="minmax", size=28)
    np.testing.assert_array_equal(repaired, again)
