"""Flow against known motions; kernel distance, PSNR and SSIM against their formulas."""

import itertools

import cv2
import numpy as np
import pytest

from icegan_jax.evaluation.synthesis.measures import flow_agreement, kernel_distance, optical_flow, psnr, ssim

SIZE = 96


def texture(seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(SIZE, SIZE))
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return np.clip(128 + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def bump(pixels: float) -> np.ndarray:
    """A motion right and down in the middle, float32[h, w, 2]."""
    y, x = np.mgrid[:SIZE, :SIZE]
    height = np.exp(-((x - 48) ** 2 + (y - 48) ** 2) / (2 * 12**2))
    return (height[..., None] * pixels * np.array([0.8, 0.6])).astype(np.float32)


def moved(image: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """The image moved so that pixel x lands at x + motion(x) (to first order in the motion)."""
    y, x = (grid.astype(np.float32) for grid in np.mgrid[:SIZE, :SIZE])
    at = [grid - motion[..., axis] for axis, grid in enumerate((x, y))]
    at = [grid - cv2.remap(motion, at[0], at[1], cv2.INTER_LINEAR)[..., axis] for axis, grid in enumerate((x, y))]
    return cv2.remap(image, at[0], at[1], cv2.INTER_CUBIC)


def test_flow_is_the_motion():
    motion = bump(2)
    flow = optical_flow(texture(), moved(texture(), motion))
    assert np.linalg.norm(flow - motion, axis=2).mean() < 0.1
    assert not optical_flow(texture(), texture()).any()


@pytest.mark.parametrize(("pixels", "cosine", "ratio"), [(2.0, 1, 1), (1.0, 1, 0.5), (-2.0, -1, 1)])
def test_motions_that_are_equal_half_and_opposite(pixels, cosine, ratio):
    onset = texture()
    real = optical_flow(onset, moved(onset, bump(2)))
    result = flow_agreement(real, optical_flow(onset, moved(onset, bump(pixels))))
    assert result.cosine == pytest.approx(cosine, abs=0.03)
    assert result.magnitude_ratio == pytest.approx(ratio, abs=0.05)
    assert result.correlation == pytest.approx(1, abs=0.03)


def test_agreement_is_weighted_by_the_real_motion():
    real, face = np.zeros((2, 1, 4, 2), np.float32)
    real[0, :, 0] = (3, 1, 0.1, 0)  # right
    face[0] = (6, 0), (0, 1), (-9, 0), (0, 0)  # the same way twice as far; at right angles; too little moved
    result = flow_agreement(real, face)
    assert result.cosine == pytest.approx(3 * 1 / 4 + 1 * 0 / 4)
    assert result.magnitude_ratio == pytest.approx((6 + 1) / (3 + 1))
    assert result.correlation == pytest.approx(np.corrcoef([3, 1, 0.1, 0], [6, 1, 9, 0])[0, 1])


def test_an_unmoved_face_scores_zero_and_an_unmoved_real_face_is_nan():
    assert flow_agreement(bump(2), np.zeros_like(bump(2))) == (0, 0, 0)
    faint = flow_agreement(bump(2), bump(0.04))
    assert faint.cosine == 0 and faint.magnitude_ratio == pytest.approx(0.02)
    assert np.isnan(flow_agreement(bump(0.1), bump(2))).all()


def test_kernel_distance_equals_the_sum_over_pairs():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(5, 3)), random.normal(0.5, 1.2, size=(4, 3))

    def k(a, b):
        return (sum(p * q for p, q in zip(a, b, strict=True)) / 3 + 1) ** 3

    within = [np.mean([k(a, b) for a, b in itertools.permutations(rows, 2)]) for rows in (x, y)]
    across = np.mean([k(a, b) for a in x for b in y])
    assert kernel_distance(x, y) == pytest.approx(sum(within) - 2 * across)
    assert kernel_distance(x, y) == pytest.approx(kernel_distance(y, x))


def test_kernel_distance_is_unbiased_and_detects_a_difference():
    random = np.random.default_rng(1)
    alike = [kernel_distance(*random.normal(size=(2, 10, 4))) for _ in range(2000)]
    assert abs(np.mean(alike)) < 4 * np.std(alike) / np.sqrt(2000)
    moved = [kernel_distance(random.normal(size=(10, 4)), random.normal(1, 1, size=(10, 4))) for _ in range(50)]
    assert np.mean(moved) > 5 * np.std(alike) / np.sqrt(50)


def test_a_single_face_has_no_distance():
    assert np.isnan(kernel_distance(np.ones((1, 2)), np.ones((3, 2))))
    with pytest.raises(ValueError, match="beside"):
        kernel_distance(np.ones((3, 2)), np.ones((3, 4)))


def pictures() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    real = random.integers(0, 256, (9, 9)).astype(np.uint8)
    return real, np.clip(real.astype(int) + random.integers(-40, 41, (9, 9)), 0, 255).astype(np.uint8)


def test_psnr_is_its_formula():
    real, face = pictures()
    error = np.mean((real.astype(float) - face) ** 2)
    assert psnr(real, face) == pytest.approx(20 * np.log10(255) - 10 * np.log10(error))
    assert psnr(real, real) == pytest.approx(58.9, abs=0.05) and psnr(real, real) > psnr(real, face)


def test_ssim_is_its_formula_over_windows():
    real, face = pictures()
    values = []
    for i in range(3):
        for j in range(3):
            x, y = (image[i : i + 7, j : j + 7].astype(float).ravel() for image in (real, face))
            (xx, xy), (_, yy) = np.cov(x, y)
            one, two = (0.01 * 255) ** 2, (0.03 * 255) ** 2
            structure = (2 * xy + two) / (xx + yy + two)
            values.append(structure * (2 * x.mean() * y.mean() + one) / (x.mean() ** 2 + y.mean() ** 2 + one))
    assert ssim(real, face) == pytest.approx(np.mean(values))
    assert ssim(real, real) == pytest.approx(1)
