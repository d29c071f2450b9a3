import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from icegan_jax.data import landmarks
from icegan_jax.data.landmarks import SURE_SCORE, Box, find_face, find_faces

Gray = NDArray[np.uint8]


def test_finds_the_astronaut(face_image: Gray) -> None:
    face = find_face([face_image])
    assert face is not None
    assert face.points.shape == (68, 2)
    assert (face.count, face.position, face.help) == (1, 0, "")
    # By eye: eye corners (36..47) above the mouth (48..67), between brows and chin.
    assert face.points[36:48, 1].max() < face.points[48:, 1].min()
    box = face.box(0)
    assert 80 < box.width < 130 and 80 < box.height < 140
    assert face.points[8, 1] == pytest.approx(box.bottom, abs=2)  # the chin is lowest
    grown = face.box(0.1)
    assert grown.left == pytest.approx(box.left - 0.1 * box.width)
    assert grown.bottom == pytest.approx(box.bottom + 0.1 * box.width)


def test_box_follows_the_face_to_the_pixel(face_image: Gray) -> None:
    """The same face elsewhere in a larger image gives the same box, moved."""
    larger = np.full((400, 400), 90, np.uint8)
    larger[100:360, 60:300] = face_image
    here, there = find_face([face_image]), find_face([larger])
    assert here is not None and there is not None
    assert there.box().left - here.box().left == pytest.approx(60, abs=2)
    assert there.box().top - here.box().top == pytest.approx(100, abs=2)


def test_a_later_image_serves_where_the_first_shows_no_face(face_image: Gray) -> None:
    blank = np.full((120, 120), 128, np.uint8)
    face = find_face([blank, face_image])
    assert face is not None and face.position == 1
    assert find_face([blank]) is None
    assert find_face([]) is None


def test_small_face_is_found_by_upsampling(face_image: Gray) -> None:
    small = np.ascontiguousarray(face_image[::3, ::3])
    face = find_face([small])
    assert face is not None and "upsampled" in face.help
    assert find_face([small], tries=1) is None and find_face([small], tries=2) is not None
    large = find_face([face_image])
    assert large is not None
    assert face.box().left * 3 == pytest.approx(large.box().left, abs=6)


def test_of_several_faces_the_largest(face_image: Gray) -> None:
    half = face_image[::2, ::2]
    both = np.full((260, 380), 90, np.uint8)
    both[:130, :120] = half
    both[:, 130:370] = face_image
    face = find_face([np.repeat(np.repeat(both, 2, 0), 2, 1)])
    assert face is not None and face.count == 2
    assert face.box().left > 260


def test_of_equal_faces_the_left_one(face_image: Gray) -> None:
    alone = find_face([face_image])
    face = find_face([np.hstack([face_image, face_image])])
    assert alone is not None and face is not None
    assert face.count == 2
    assert face.box() == alone.box()


def test_a_mirror_image_in_the_added_border_is_no_face(face_image: Gray) -> None:
    """A face cut at the image's edge is whole once mirrored there, beyond the image."""
    for cut in range(60, 150, 10):
        image = np.ascontiguousarray(face_image[:, cut:])
        face = find_face([image])
        if face is not None:
            box = face.box().within(image.shape)
            assert 0 <= face.points[:, 0].min() + face.points[:, 0].max() <= 2 * image.shape[1]
            assert box.width > 10 and box.height > 10


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (2, 2), (20, 20)])
def test_images_too_small_for_a_face_show_none(shape: tuple[int, int]) -> None:
    assert find_face([np.random.default_rng(0).integers(0, 256, shape, np.uint8)]) is None


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_turned_face_is_turned_back(face_image: Gray, turn: int) -> None:
    upright = find_face([face_image])
    stored = np.rot90(face_image, -turn).copy()
    cv2.putText(stored, "00:12:08", (4, 30), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 255, 2)  # a time code is no face
    face = find_face([stored])
    assert upright is not None and face is not None
    assert (upright.turn, face.turn) == (0, turn) and face.score >= SURE_SCORE
    np.testing.assert_allclose(face.points, upright.points, atol=2)
    assert [found.turn for found in find_faces(stored)] == [turn]


def test_implausible_landmarks_are_refused(face_image: Gray) -> None:
    face = find_face([face_image])
    assert face is not None and landmarks._is_upright_face(face.points)
    middle = face.points.mean(0)
    for scale in ((1, -1), (-1, -1)):  # upside down
        assert not landmarks._is_upright_face((face.points - middle) * scale + middle)
    nose_on_mouth, profile = face.points.copy(), face.points.copy()
    nose_on_mouth[30] = face.points[48:].mean(0)
    profile[30] = face.points[2]
    assert not landmarks._is_upright_face(nose_on_mouth) and not landmarks._is_upright_face(profile)


def test_a_large_picture_is_searched_at_a_reduced_size(face_image: Gray, monkeypatch: pytest.MonkeyPatch) -> None:
    large = np.kron(face_image, np.ones((12, 12), np.uint8))
    small, face = find_face([face_image]), find_face([large])
    assert small is not None and face is not None and face.turn == 0
    np.testing.assert_allclose((face.points + 0.5) / 12 - 0.5, small.points, atol=3)
    sides = []

    def detect(image: Gray, upsample: int) -> list[tuple[float, landmarks.Points]]:
        sides.append(max(image.shape) * 2**upsample)
        return []

    monkeypatch.setattr(landmarks, "_detect", detect)
    assert find_face([large]) is None and max(sides) <= 5120 and sides[:4] == [1280] * 4


def test_a_box_is_turned_back() -> None:
    image = np.zeros((20, 8), np.uint8)
    image[3:6, 2:4] = 1
    for turn in range(4):
        y, x = np.nonzero(np.rot90(image, turn))
        box = Box(x.min() - 0.5, y.min() - 0.5, x.max() + 0.5, y.max() + 0.5)
        assert box.turned_back(turn, np.rot90(image, turn).shape) == Box(1.5, 2.5, 3.5, 5.5)


def test_box_within_an_image() -> None:
    assert Box(-3, 2, 9, 30).within((20, 8)) == Box(-0.5, 2, 7.5, 19.5)


def test_all_faces_are_counted_from_the_left(face_image: Gray) -> None:
    smaller = np.asarray(cv2.resize(face_image, (216, 234), interpolation=cv2.INTER_AREA), np.uint8)
    both = np.full((260, 456), 90, np.uint8)
    both[13:247, :216], both[:, 216:] = smaller, face_image
    left, right = find_faces(both)
    assert left.count == right.count == 2
    assert left.box().right < 216 < right.box().left
    largest = find_face([both])
    assert largest is not None and np.array_equal(largest.points, right.points)
    assert left.box(0).width == pytest.approx(0.9 * right.box(0).width, rel=0.05)
    assert find_faces(np.full((120, 120), 128, np.uint8)) == []
