import numpy as np
import pytest
from skimage.feature import local_binary_pattern

from icegan_jax.evaluation.baselines.lbp_top import lbp_top_codes, lbp_top_features


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_patterns_equal_those_of_scikit_image():
    """On XY; and on XT and YT of a clip whose time is stretched, as scikit-image has one radius for both axes."""
    clip = noise(0, 10, 20, 17)
    codes = lbp_top_codes(clip)
    assert codes.shape == (3, 2, 18, 15)
    for code, frame in zip(codes[0], clip[4:6], strict=True):
        np.testing.assert_array_equal(code, local_binary_pattern(frame, 4, 1, "default")[1:-1, 1:-1])
    every_fourth = clip[[0, 4, 8]]
    for y in range(1, 19):
        plane = local_binary_pattern(every_fourth[:, y], 4, 1, "default")
        np.testing.assert_array_equal(codes[1, 0, y - 1], plane[1, 1:-1])
    for x in range(1, 16):
        plane = local_binary_pattern(every_fourth[:, :, x], 4, 1, "default")
        np.testing.assert_array_equal(codes[2, 0, :, x - 1], plane[1, 1:-1])


def test_1200_numbers_whose_histograms_sum_to_1():
    features = lbp_top_features(noise(1, 3, 10, 128, 128))
    assert features.shape == (3, 1200) and features.min() >= 0
    np.testing.assert_allclose(features.reshape(3, 75, 16).sum(axis=2), 1.0)


def test_a_still_clip_is_never_darker_in_time():
    clip = np.repeat(noise(2, 1, 40, 40), 10, axis=0)
    histograms = lbp_top_features(clip[None]).reshape(25, 3, 16)
    in_time = np.arange(16) & 0b1010 == 0b1010  # the bits of the neighbors before and after
    assert histograms[:, 1:, ~in_time].max() == 0 and histograms[:, 0, ~in_time].max() > 0
    with pytest.raises(ValueError, match="8 frames; neighbors 4 frames away need 9"):
        lbp_top_features(clip[None, :8])
