import numpy as np
import pytest
from numpy.typing import NDArray

from icegan_jax.data.apex import spot_apex
from tests.data.conftest import STRENGTHS, smiling


def test_finds_the_strongest_expression_through_noise_and_light(
    face_image: NDArray[np.uint8],
) -> None:
    rng = np.random.default_rng(0)
    frames = []
    for i, strength in enumerate(STRENGTHS):
        face = smiling(face_image, strength)[70:190, 50:180].astype(np.float64)
        # The light changes most in the last frame, and the mean by more than the expression.
        frames.append(face * (1 - 0.03 * i) + 4 * i + rng.normal(0, 1, face.shape))
    clip = np.clip(frames, 0, 255).astype(np.uint8)
    assert spot_apex(clip) == STRENGTHS.index(1.0)


def test_counts_from_the_onset() -> None:
    frames = np.zeros((6, 4, 4), np.uint8)
    frames[:, :2] = 50
    frames[0, 0, 0] = 255  # before the onset: not considered
    frames[4, 0, :2] = 80
    frames[5, 0, :1] = 80
    assert spot_apex(frames, onset_index=2) == 4


def test_flat_frames_and_ties_give_the_first() -> None:
    assert spot_apex(np.zeros((3, 4, 4), np.uint8)) == 1


@pytest.mark.parametrize("onset_index", [-1, 2, 7])
def test_needs_a_frame_after_the_onset(onset_index: int) -> None:
    with pytest.raises(ValueError, match="no frame after"):
        spot_apex(np.zeros((3, 4, 4), np.uint8), onset_index)
