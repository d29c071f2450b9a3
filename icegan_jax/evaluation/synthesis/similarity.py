"""How alike two faces are, pixel by pixel: SSIM and PSNR."""

import numpy as np
from skimage.metrics import mean_squared_error, structural_similarity

from icegan_jax.evaluation.synthesis.faces import Grey

# The mean squared error of two equal faces is taken as the variance of rounding to whole grey levels, 1/12: 58.9 dB
# where the formula says infinity, which no mean survives.
_ROUNDING = 1 / 12


def ssim(real: Grey, face: Grey) -> float:
    """Structural similarity of two uint8[h, w] (Wang et al. 2004), windows of 7 pixels; 1 for equal faces."""
    return float(structural_similarity(real, face, data_range=255))


def psnr(real: Grey, face: Grey) -> float:
    """Peak signal to noise ratio of two uint8[h, w], in decibels; at most 58.9, which equal faces get."""
    error = mean_squared_error(real, face)
    return float(10 * np.log10(255**2 / max(error, _ROUNDING)))
