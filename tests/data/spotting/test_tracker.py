"""The tracker: exact, and not misled by eyes or by what is behind the head."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from icegan_jax.data.landmarks import Face, find_face
from icegan_jax.data.spotting.tracker import CROP_PIXELS, Tracker, face_mask
from tests.data.conftest import head_motion, moved

Gray = NDArray[np.uint8]


@pytest.fixture(scope="module")
def face(face_image: Gray) -> Face:
    actual = find_face([face_image])
    assert actual is not None
    return actual


@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize(("degrees", "shift"), [(0, (1.3, -0.6)), (2, (-2.5, 3.2)), (0, (7, 5))])
def test_follows_a_rigid_motion_to_a_tenth_of_a_pixel(
    face_image: Gray, face: Face, scale: int, degrees: float, shift: tuple[float, float]
) -> None:
    large = np.asarray(cv2.resize(face_image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC), np.uint8)
    points = scale * (face.points + 0.5) - 0.5
    shift = (scale * shift[0], scale * shift[1])
    tracker = Tracker(large, Face(points, 1, 0, ""), 30)
    before = tracker.crop()
    assert tracker.track(moved(large, degrees, shift))
    middle = np.append((points.min(0) + points.max(0)) / 2, 1)
    expected = head_motion(large, degrees, shift) @ middle - middle[:2]
    np.testing.assert_allclose(tracker.head_shift(), expected, atol=0.1 * scale)
    after = tracker.crop()
    assert before.shape == after.shape == (CROP_PIXELS, CROP_PIXELS)
    kept = face_mask(points_in(tracker, points), after.shape) > 0
    assert np.abs(after - before)[kept].mean() < 2
    # Without the motion taken out:
    still = Tracker(moved(large, degrees, shift), Face(points, 1, 0, ""), 30).crop()
    assert np.abs(after - before)[kept].mean() < 0.35 * np.abs(still - before)[kept].mean()


def points_in(tracker: Tracker, points: NDArray[np.float64]) -> NDArray[np.float64]:
    box = tracker.box
    return (points - (box.left, box.top)) / (box.width, box.height) * CROP_PIXELS - 0.5


def test_neither_shut_eyes_nor_the_background_move_the_face(face_image: Gray, face: Face) -> None:
    other = face_image.copy()
    for eye in (face.points[36:42], face.points[42:48]):
        (left, top), (right, bottom) = eye.min(0).astype(int) - 1, eye.max(0).astype(int) + 2
        other[top:bottom, left:right] = np.median(other[bottom : bottom + 4, left:right])
    outside = face_mask(face.points, face_image.shape) == 0
    hull = np.zeros(face_image.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.rint(face.points).astype(np.int32)), 1)
    behind = outside & (cv2.dilate(hull, np.ones((9, 9), np.uint8)) == 0)
    other[behind] = np.roll(face_image, 6, axis=1)[behind]
    tracker = Tracker(face_image, face, 30)
    assert tracker.track(other)
    assert np.hypot(*tracker.head_shift()) < 0.03
