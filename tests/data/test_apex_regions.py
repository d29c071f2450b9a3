import numpy as np
import pytest
from numpy.typing import NDArray

from icegan_jax.data.align import IDENTITY, crop_face
from icegan_jax.data.apex import points_in_crop, region_means, ten_regions
from icegan_jax.data.landmarks import Box


def landmarks() -> NDArray[np.float64]:
    """A face on whole pixels whose mouth is 21 wide: w = 10, h = 5; all other points far away."""
    points = np.full((68, 2), 1000.0)
    places = {
        8: (50, 110),
        19: (30, 20),
        24: (70, 22),
        31: (44, 60),
        35: (57, 61),
        36: (25, 40),
        45: (75, 42),
        48: (40, 80),
        54: (61, 82),
    }
    for i, place in places.items():
        points[i] = place
    return points


def test_the_ten_squares_of_the_table() -> None:
    """Worked out by hand from the table of docs/databases.md, "Apex spotting"."""
    assert ten_regions(landmarks()).tolist() == [
        [35, 75, 45, 85],  # mouth corner 48 +- 5
        [56, 77, 66, 87],  # mouth corner 54 +- 5
        [45, 100, 55, 110],  # chin: the 10 rows above point 8
        [34, 65, 44, 75],  # left of 31, the 10 rows above row 75, the top of the first
        [57, 67, 67, 77],  # right of 35, above row 77, the top of the second
        [15, 35, 25, 45],  # left of 36
        [75, 37, 85, 47],  # right of 45
        [45, 16, 55, 26],  # brows' middle (50, 21) +- 5
        [35, 16, 45, 26],  # 15 to 5 left of it
        [55, 16, 65, 26],  # 5 to 15 right of it
    ]


def test_odd_widths_and_halves_are_rounded_down() -> None:
    points = landmarks()
    points[54, 0] = 63.9  # w = int(23.9 / 2) = 11, h = int(5.5) = 5
    regions = ten_regions(points)
    assert regions[0].tolist() == [35, 75, 45, 85]  # +- h
    assert regions[2].tolist() == [45, 99, 55, 110]  # w rows above
    assert regions[5].tolist() == [14, 34, 25, 45]  # 40 +- 5.5
    assert regions[8].tolist() == [33, 15, 44, 26]  # 50 - 16.5 .. 50 - 5.5; 21 +- 5.5


def test_many_faces_together_and_whole_shifts() -> None:
    points = landmarks()
    both = np.stack([points, points + (7, -3)])
    regions = ten_regions(both[None])
    assert regions.shape == (1, 2, 10, 4) and regions.dtype == np.int64
    assert (regions[0, 0] == ten_regions(points)).all()
    assert (regions[0, 1] - regions[0, 0] == (7, -3, 7, -3)).all()


@pytest.mark.parametrize("right_corner", [40.0, 41.9, 20.0])
def test_a_mouth_without_width_gives_empty_regions(right_corner: float) -> None:
    points = landmarks()
    points[54, 0] = right_corner
    regions = ten_regions(points)
    assert (regions[:, 2] <= regions[:, 0]).all()
    assert np.isnan(region_means(np.ones((1, 120, 120)), regions)).all()


def test_means_equal_those_of_the_slices() -> None:
    rng = np.random.default_rng(0)
    maps = rng.uniform(0, 255, (3, 20, 30))
    regions = np.array([[0, 0, 30, 20], [3, 4, 11, 9], [29, 19, 30, 20]])
    expected = [[m[t:b, x:r].mean() for x, t, r, b in regions] for m in maps]
    assert region_means(maps, regions) == pytest.approx(np.array(expected))
    # A region of its own for each map.
    each = np.stack([regions[:2], regions[1:], regions[::2]])
    expected = [[m[t:b, x:r].mean() for x, t, r, b in own] for m, own in zip(maps, each, strict=True)]
    assert region_means(maps, each) == pytest.approx(np.array(expected))


def test_what_leaves_the_image_is_cut_off() -> None:
    maps = np.arange(12.0).reshape(1, 3, 4)
    regions = np.array([[-2, -2, 1, 2], [3, 1, 9, 9], [4, 0, 8, 3], [0, -5, 4, 0], [-9, -9, 40, 40]])
    assert region_means(maps, regions)[0] == pytest.approx([2, 9, np.nan, np.nan, 5.5], nan_ok=True)


def test_points_fall_on_the_same_spot_of_the_crop() -> None:
    image = np.zeros((60, 80), np.uint8)
    image[21:24, 33:36] = 255  # centerd on (34, 22)
    box = Box(13.5, 10.5, 53.5, 40.5)
    x, y = points_in_crop(np.array([[34.0, 22.0]]), box, 120)[0]
    crop = crop_face(image, box, IDENTITY, 120)
    rows, columns = np.nonzero(crop > 200)
    assert (x, y) == pytest.approx((columns.mean(), rows.mean()), abs=0.01)
