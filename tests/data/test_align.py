import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from icegan_jax.data.align import IDENTITY, crop_face, estimate_motion, match_brightness, to_gray
from icegan_jax.data.landmarks import Box
from tests.data.conftest import head_motion, moved, smiling

Gray = NDArray[np.uint8]
FACE = Box(60, 70, 170, 190)


@pytest.mark.parametrize(("degrees", "shift"), [(0, (0, 0)), (0, (1.3, -0.6)), (2, (-2.5, 3.2))])
def test_recovers_a_rigid_motion_to_a_tenth_of_a_pixel(
    face_image: Gray, degrees: float, shift: tuple[float, float]
) -> None:
    darker = (0.8 * moved(face_image, degrees, shift) + 10).astype(np.uint8)
    found = estimate_motion(face_image, darker, FACE)
    assert found is not None
    corners = np.array([(x, y, 1) for x in (60, 170) for y in (70, 190)], np.float64)
    expected = corners @ head_motion(face_image, degrees, shift).T
    np.testing.assert_allclose(corners @ found.T, expected, atol=0.1)


def test_large_faces_are_registered_at_a_smaller_scale_as_exactly(face_image: Gray) -> None:
    enlarged = cv2.resize(face_image, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    large = np.asarray(enlarged, np.uint8)
    box = Box(240, 280, 680, 760)
    found = estimate_motion(large, moved(large, 1, (5, -3)), box)
    assert found is not None
    center = np.array([460, 520, 1.0])
    expected = head_motion(large, 1, (5, -3)) @ center
    np.testing.assert_allclose(found @ center, expected, atol=0.2)


def test_an_expression_is_not_taken_for_head_motion(face_image: Gray) -> None:
    found = estimate_motion(face_image, smiling(face_image, 1.0), FACE)
    assert found is not None
    center = np.array([115, 130, 1.0])
    assert np.linalg.norm(found @ center - center[:2]) < 0.5


def test_failed_registration_returns_none(face_image: Gray) -> None:
    assert estimate_motion(face_image, np.full_like(face_image, 90), FACE) is None
    assert estimate_motion(face_image, face_image[:-1], FACE) is None
    assert estimate_motion(face_image, moved(face_image, 0, (60, 0)), FACE) is None


def test_crop_undoes_the_motion(face_image: Gray) -> None:
    motion = head_motion(face_image, 1.5, (1.4, -2.3))
    onset = crop_face(face_image, FACE, IDENTITY, 128)
    frame = moved(face_image, 1.5, (1.4, -2.3))
    registered = crop_face(frame, FACE, motion, 128)
    drifted = crop_face(frame, FACE, IDENTITY, 128)
    assert onset.shape == (128, 128) and onset.dtype == np.float32
    apart = np.abs(registered - onset).mean()
    assert apart < 2.5
    assert apart < 0.25 * np.abs(drifted - onset).mean()


def test_crop_averages_the_pixels_it_covers() -> None:
    image = np.arange(32 * 32).reshape(32, 32).astype(np.uint8)[:, :]
    ramp = np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))
    # 8 output pixels of 4 x 4 input pixels: the means of columns 16..19, 20..23, ...
    crop = crop_face(ramp, Box(15.5, 15.5, 47.5, 47.5), IDENTITY, 8)
    expected = ramp[16:48, 16:48].reshape(8, 4, 8, 4).mean((1, 3))
    np.testing.assert_allclose(crop, expected, atol=1e-3)
    assert crop_face(image, Box(-0.5, -0.5, 31.5, 31.5), IDENTITY, 32).shape == (32, 32)


def test_brightness_and_rounding() -> None:
    onset = np.full((4, 4), 100, np.float32)
    crop = np.array([[40, 60]] * 2, np.float32)
    np.testing.assert_allclose(match_brightness(crop, onset), [[80, 120]] * 2)
    np.testing.assert_allclose(match_brightness(0 * crop, onset), 0 * crop)
    assert to_gray(np.array([[-3, 0.6, 255.7]], np.float32)).tolist() == [[0, 1, 255]]
