"""Motion in drawn clips: its size and direction, and that of the head."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.data.synthetic.animate import (
    MIN_FRAMES,
    RESTING_FRAMES,
    ClipAnimation,
    sample_animation,
    sample_rest,
    unit_regions,
)
from icegan_jax.data.synthetic.identity import CENTER_X, EYE_Y, FRAME_HEIGHT, FRAME_WIDTH
from icegan_jax.data.synthetic.render import CameraSettings, FaceMuscles, Motion, Pose, draw_frame
from tests.data.synthetic.people import draw_person

FRAMES = 12


def animation_of(number: int, label: str, take: int = 0, frames: int = FRAMES) -> ClipAnimation:
    _, muscles, resting_units = draw_person(number)
    return sample_animation(label, muscles, resting_units, frames, np.random.default_rng([number, take]))


def motion_of(muscles: FaceMuscles, animation: ClipAnimation, index: int) -> Motion:
    rest, peak = muscles.motion(animation.rest), muscles.motion(animation.peak)
    return rest.plus(peak, float(animation.intensity[index]))


def flow(number: int, animation: ClipAnimation, index: int) -> np.ndarray:
    """Measured optical flow from the onset to frame ``index``: no head or light drift, no noise."""
    portrait, muscles, _ = draw_person(number)
    rng = np.random.default_rng(0)
    pictures = [
        draw_frame(
            portrait,
            motion_of(muscles, animation, i),
            Pose(),
            CameraSettings(),
            rng,
        )
        for i in (0, index)
    ]
    return cv2.calcOpticalFlowFarneback(
        pictures[0], pictures[1], np.zeros((FRAME_HEIGHT, FRAME_WIDTH, 2), np.float32),
        0.5, 2, 13, 5, 5, 1.1, 0,
    )  # fmt: skip


@pytest.mark.parametrize("label", EXPRESSIONS)
@pytest.mark.parametrize("frames", [MIN_FRAMES, 15, 40])
def test_intensity_rises_to_the_apex_and_decays(label: str, frames: int) -> None:
    animation = animation_of(0, label, frames=frames)
    assert len(animation.intensity) == len(animation.poses) == len(animation.cameras) == frames
    assert animation.intensity[0] == 0 and animation.intensity[animation.apex] == 1 and animation.intensity[-1] <= 0.16
    assert np.all(np.diff(animation.intensity[: animation.apex + 1]) > 0)
    assert np.all(np.diff(animation.intensity[animation.apex :]) < 0)
    assert 3 <= animation.apex <= frames - 3  # the apex's four neighbors are real frames after the onset


def test_apex_and_size_vary_between_clips() -> None:
    animations = [animation_of(0, "positive", take, frames=21) for take in range(8)]
    sizes = [np.mean(animation.peak["AU12"]) for animation in animations]
    assert len({animation.apex for animation in animations}) >= 3
    assert np.std(sizes) > 0.1


@pytest.mark.parametrize("label", EXPRESSIONS)
def test_motion_is_one_to_three_crop_pixels(label: str) -> None:
    for number in range(3):
        _, muscles, _ = draw_person(number)
        for take in range(4):
            peak = muscles.motion(animation_of(number, label, take).peak).skin
            largest = np.sqrt((peak**2).sum(-1)).max() / muscles.scale
            assert 1.0 <= largest <= 3.0


def test_the_head_moves_less_than_the_skin() -> None:
    y, x = np.mgrid[80:240:20, 60:181:20].reshape(2, -1)
    face = np.stack([x, y, np.ones_like(x)])
    drifts, moves = [], []
    for number in range(3):
        _, muscles, _ = draw_person(number)
        for take in range(5):
            animation = animation_of(number, EXPRESSIONS[take % 3], take)
            places = np.stack([pose.matrix @ face for pose in animation.poses])
            drift = np.sqrt(((places - places[0]) ** 2).sum(1)).mean(1).max() / muscles.scale
            size = np.sqrt((muscles.motion(animation.peak).skin ** 2).sum(-1)).max() / muscles.scale
            assert 0.1 < drift < size
            drifts.append(drift)
            moves.append(size)
    assert np.mean(drifts) < 0.5 * np.mean(moves)


def test_lips_go_up_and_out_for_positive() -> None:
    for number in range(2):
        animation = animation_of(number, "positive")
        moved, person = flow(number, animation, animation.apex), draw_person(number)[0].person
        for side in (-1, 1):
            x = round(CENTER_X + side * (person.mouth_half_width - 2))
            y = round(person.mouth_y + person.corner_drop)
            dx, dy = moved[y - 9 : y + 10, x - 5 : x + 6].mean((0, 1))
            assert dy < -0.3 and side * dx > 0.1


def test_brows_and_jaw_for_negative_and_surprise() -> None:
    for number in range(2):
        person = draw_person(number)[0].person
        brow = slice(round(person.brow_y) - 6, round(person.brow_y) + 7)
        middle = slice(round(CENTER_X - 26), round(CENTER_X + 27))
        chin = slice(round(person.chin_y) - 22, round(person.chin_y) - 2)
        frown, wonder = animation_of(number, "negative"), animation_of(number, "surprise")
        down, up = flow(number, frown, frown.apex), flow(number, wonder, wonder.apex)
        assert down[brow, middle, 1].mean() > 0.2
        assert up[brow, middle, 1].mean() < -0.3
        assert up[chin, middle, 1].mean() > 0.3


def test_nothing_moves_at_the_onset() -> None:
    for label in EXPRESSIONS:
        animation = animation_of(1, label)
        _, muscles, _ = draw_person(1)
        assert np.array_equal(motion_of(muscles, animation, 0).skin, muscles.motion(animation.rest).skin)


def test_only_lids_and_head_move_before_the_onset() -> None:
    animation = animation_of(1, "positive")
    _, muscles, _ = draw_person(1)
    before = sample_rest(animation, muscles.scale, np.random.default_rng(0))
    assert before.rest == animation.rest and set(before.peak) == {"AU5"} and max(before.peak["AU5"]) < 0
    assert len(before.poses) == len(before.cameras) == len(before.intensity) == RESTING_FRAMES
    assert 0 < max(abs(pose.dx - animation.poses[0].dx) for pose in before.poses) < muscles.scale


def test_negative_has_both_combinations_of_units() -> None:
    seen = {frozenset(animation_of(0, "negative", take).peak) for take in range(12)}
    assert seen == {frozenset({"AU4", "AU15"}), frozenset({"AU4", "AU9"})}


@pytest.mark.parametrize("label", EXPRESSIONS)
def test_regions_cover_the_measured_motion(label: str) -> None:
    number = 1
    animation = animation_of(number, label)
    muscles = draw_person(number)[1]
    still = replace(animation, poses=(Pose(),))
    regions = unit_regions(muscles, still)
    assert set(regions) == set(animation.peak)
    union = np.any(list(regions.values()), axis=0)
    size = np.sqrt((flow(number, animation, animation.apex) ** 2).sum(-1))
    assert union.mean() < 0.35
    assert size[union].sum() / size.sum() > 0.7
    assert size[union].mean() > 5 * size[~union].mean()


def test_regions_follow_the_head() -> None:
    animation = animation_of(0, "positive")
    muscles = draw_person(0)[1]
    centers = []
    for pose in (Pose(), Pose(0.0, 7.0, -4.0)):
        moved = replace(animation, poses=(pose,))
        centers.append(np.argwhere(unit_regions(muscles, moved)["AU12"]).mean(0))
    assert np.allclose(centers[1] - centers[0], (-4, 7), atol=0.1)
    assert centers[0][0] > EYE_Y
