import numpy as np
import pytest
from numpy.typing import NDArray

from icegan_jax.data.landmarks import Face, find_face
from icegan_jax.data.spotting.change import FaceAppearance, FaceComparison
from icegan_jax.data.spotting.tracker import CROP_PIXELS, Tracker, face_mask
from tests.data.conftest import smiling

Gray = NDArray[np.uint8]
Crop = NDArray[np.float32]


@pytest.fixture(scope="module")
def face(face_image: Gray) -> Face:
    actual = find_face([face_image])
    assert actual is not None
    return actual


@pytest.fixture(scope="module")
def scene(face_image: Gray, face: Face) -> tuple[FaceComparison, Crop, Crop]:
    """A comparison, the crop at rest, and one of a smile."""
    rest, smile = (Tracker(image, face, 30).crop() for image in (face_image, smiling(face_image, 0.4)))
    return FaceComparison(face.points, face.box(), rest), rest, smile


def test_change_is_the_mean_over_the_third_of_the_blocks_that_change_most(
    scene: tuple[FaceComparison, Crop, Crop],
) -> None:
    compare, rest, _ = scene
    before = compare.appearance(rest)
    blocks = np.zeros((CROP_PIXELS, CROP_PIXELS), np.float32)
    kept = compare._mask.astype(bool)
    values = []
    side = CROP_PIXELS // 6
    for i in range(6):
        for j in range(6):
            here = np.s_[side * i : side * i + side, side * j : side * j + side]
            blocks[here] = 0.01 * (6 * i + j)
            if kept[here].mean() >= 0.5:
                values.append(0.01 * (6 * i + j))
    changed = FaceAppearance(np.where(kept, before.pixels + blocks, 0).astype(np.float32), before.ceiling)
    largest = sorted(values)[-round(len(values) / 3) :]
    assert compare.frame_change(before, changed) == pytest.approx(np.mean(largest), rel=1e-4)


def test_a_frame_between_two_that_are_equal(scene: tuple[FaceComparison, Crop, Crop]) -> None:
    compare, rest, smile = (scene[0], *(scene[0].appearance(crop) for crop in scene[1:]))
    change, lasting = compare.window_change(rest, smile, rest)
    assert change > 0.1 and lasting == 0
    halfway, lasting = compare.window_change(rest, rest, smile)
    assert lasting == pytest.approx(change, rel=1e-5) and halfway == pytest.approx(change / 2, rel=1e-5)


def test_light_changes_nothing(scene: tuple[FaceComparison, Crop, Crop]) -> None:
    compare, rest, smile = scene
    appearance = compare.appearance(rest)
    assert compare.frame_change(appearance, compare.appearance(np.float32(0.7) * rest + np.float32(9))) < 1e-4
    assert compare.frame_change(appearance, compare.appearance(smile)) > 0.1


def test_overexposed_skin_changes_nothing(face: Face, scene: tuple[FaceComparison, Crop, Crop]) -> None:
    """Light that grows by a tenth where a fifth of the face is white already."""
    _, rest, smile = scene
    dim, bright, bright_smile = (
        np.minimum(np.float32(light) * crop, 255) for light, crop in ((1.3, rest), (1.43, rest), (1.43, smile))
    )
    compare = FaceComparison(face.points, face.box(), dim)
    appearance = compare.appearance(dim)
    assert (dim[compare._mask > 0] == 255).mean() > 0.2
    assert compare.frame_change(appearance, compare.appearance(bright)) < 0.1 * compare.frame_change(
        appearance, compare.appearance(bright_smile)
    )


def test_eyes_and_corners_are_left_out(face_image: Gray, face: Face) -> None:
    mask = face_mask(face.points, face_image.shape)
    assert set(np.unique(mask)) == {0, 1}
    at = np.rint(face.points).astype(int)
    assert not mask[at[36:48, 1], at[36:48, 0]].any()  # the lids
    assert mask[at[31:36, 1], at[31:36, 0]].all() and mask[at[48:55, 1], at[48:55, 0]].all()  # the nose, the lips
    assert mask[at[17:27, 1], at[17:27, 0]].all()  # the brows
    left, top = at.min(0)
    assert not mask[at[:, 1].max(), left] and not mask[: top - 1].any()
