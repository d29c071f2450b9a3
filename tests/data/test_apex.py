from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from icegan_jax.data import apex
from icegan_jax.data.apex import check_apex_method, middle_frame, spot_apex
from icegan_jax.data.landmarks import Points, find_face
from icegan_jax.errors import UserError
from tests.data.conftest import STRENGTHS, smiling

Gray = NDArray[np.uint8]
FIRST = 40  # number of the onset's frame


@pytest.fixture(scope="module")
def clip(face_image: Gray) -> Gray:
    """uint8[7, 260, 240]: the mouth moves as STRENGTHS, through noise, as the light drifts.

    The light changes most in the last frame, and the mean by more than the expression.
    """
    rng = np.random.default_rng(0)
    frames = []
    for i, strength in enumerate(STRENGTHS):
        face = smiling(face_image, strength).astype(np.float64)
        frames.append(face * (1 - 0.03 * i) + 4 * i + rng.normal(0, 1, face.shape))
    return np.clip(frames, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def points(face_image: Gray) -> Points:
    face = find_face([face_image])
    assert face is not None
    return face.points


def later(frames: Gray) -> Iterator[tuple[int, Gray]]:
    return ((FIRST + i, frame) for i, frame in enumerate(frames) if i)


def ratio_by_hand(frames: Gray, regions: list[tuple[int, int, int, int]], offset: bool) -> int:
    """The formula of docs/databases.md, "Apex spotting", one pixel mean at a time."""
    f = frames.astype(float)
    scores = []
    for t in range(1, len(f)):
        change = np.abs(f[t] - f[t - 1]) + 1
        ratio = (np.abs(f[t] - f[0]) + 1) / change
        if offset:
            ratio += (np.abs(f[t] - f[-1]) + 1) / change
        scores.append(np.mean([ratio[top:bottom, left:right].mean() for left, top, right, bottom in regions]))
    return FIRST + 1 + int(np.argmax(scores))


def test_difference_finds_the_strongest_expression_through_noise_and_light(clip: Gray) -> None:
    face = clip[:, 70:190, 50:180]
    assert spot_apex(face[0], later(face)) == FIRST + STRENGTHS.index(1.0)


@pytest.mark.parametrize("method", ["ratio", "ratio_offset"])
def test_ratios_find_the_strongest_expression(face_image: Gray, points: Points, method: str) -> None:
    """The movement slows down towards the apex, as a face's does; the light is still."""
    rng = np.random.default_rng(1)
    strengths = (0, 0.3, 0.7, 0.95, 1.0, 0.9, 0.5, 0.2)
    frames = np.array([smiling(face_image, s) + rng.normal(0, 1, face_image.shape) for s in strengths])
    moved = np.clip(frames, 0, 255).astype(np.uint8)
    assert spot_apex(moved[0], later(moved), method=method, offset=moved[-1], points=points) == FIRST + 4


@pytest.mark.parametrize("offset", [False, True])
def test_ratio_is_the_formula(monkeypatch: pytest.MonkeyPatch, points: Points, offset: bool) -> None:
    rng = np.random.default_rng(2)
    regions = [(0, 0, 3, 4), (5, 2, 12, 9), (4, 4, 6, 5)]
    monkeypatch.setattr(apex, "ten_regions", lambda _: np.array(regions))
    method = "ratio_offset" if offset else "ratio"
    apexes = set()
    for _ in range(30):
        frames = rng.integers(0, 256, (12, 9, 12), np.uint8)
        actual = spot_apex(frames[0], later(frames), method=method, offset=frames[-1], points=points)
        assert actual == ratio_by_hand(frames, regions, offset)
        apexes.add(actual)
    assert len(apexes) > 5  # not always the first


def test_first_frame_of_the_ratio_scores_one(points: Points) -> None:
    """Frame 1 differs from the onset as much as from the frame before it, which is the onset."""
    frames = np.full((4, 200, 200), 100, np.uint8)
    frames[1] = 250
    frames[2] = 100  # as the onset: its ratio is 1 / 151
    frames[3] = 99  # ratio (1 + 1) / (1 + 1) = 1: the first of equals is the apex
    assert spot_apex(frames[0], later(frames), method="ratio", points=points) == FIRST + 1
    frames[3] = 98
    frames = np.concatenate([frames, np.full((1, 200, 200), 98, np.uint8)])  # (2 + 1) / (0 + 1) = 3
    assert spot_apex(frames[0], later(frames), method="ratio", points=points) == FIRST + 4


def test_landmarks_of_every_frame(points: Points) -> None:
    """A square moves away from the onset's regions; only landmarks that follow it see it there."""
    frames = np.full((4, 200, 300), 100, np.uint8)
    frames[2, :, 200:] = 120
    frames[3, :, 200:] = 130  # the larger change, beyond the onset's landmarks
    frames[3, :, :200] = 100
    far = points + (200 - points[:, 0].min(), 0)
    asked = []

    def follow(crop: Gray) -> Points:
        asked.append(int(crop[0, 250]))
        return far

    assert spot_apex(frames[0], later(frames), method="ratio", points=points) == FIRST + 1
    assert spot_apex(frames[0], later(frames), method="ratio", points=follow) == FIRST + 3
    assert asked == [100, 120, 130]


def test_flat_frames_and_ties_give_the_first(points: Points) -> None:
    flat = np.zeros((3, 200, 200), np.uint8)
    for method in ("difference", "ratio", "ratio_offset"):
        assert spot_apex(flat[0], later(flat), method=method, offset=flat[-1], points=points) == FIRST + 1


@pytest.mark.parametrize(
    ("numbers", "middle"),
    [([11], 11), ([11, 12], 11), ([11, 12, 13], 11), ([11, 12, 13, 14], 12), ([11, 19, 20, 21, 22, 23], 20)],
)
def test_middle_counts_the_frames_that_exist(numbers: list[int], middle: int) -> None:
    """Onset 10: (10 + offset) // 2 without gaps, but after the onset."""
    assert middle_frame(numbers) == middle
    crop = np.zeros((4, 4), np.uint8)
    assert spot_apex(crop, ((n, crop) for n in numbers), method="middle") == middle


def test_needs_what_the_method_compares(points: Points) -> None:
    crop = np.zeros((4, 4), np.uint8)
    with pytest.raises(ValueError, match="ratio needs the landmarks"):
        spot_apex(crop, [(1, crop)], method="ratio")
    with pytest.raises(ValueError, match="offset's crop"):
        spot_apex(crop, [(1, crop)], method="ratio_offset", points=points)


def test_messages_to_the_user(points: Points) -> None:
    with pytest.raises(
        UserError, match=r"^apex method 'lbp' is unknown; use difference, ratio, ratio_offset or middle$"
    ):
        check_apex_method("lbp")
    crop = np.zeros((4, 4), np.uint8)
    with pytest.raises(UserError, match=r"^the regions that .* hold no pixel of the crop; use --apex=difference$"):
        spot_apex(crop, [(1, crop)], method="ratio", points=points + 500)
