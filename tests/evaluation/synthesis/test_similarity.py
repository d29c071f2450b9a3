import numpy as np
import pytest

from icegan_jax.evaluation.synthesis.measures import psnr, ssim


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
