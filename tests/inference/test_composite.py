import numpy as np
import pytest
from numpy.typing import NDArray

from icegan_jax.data.landmarks import Box
from icegan_jax.inference.composite import composite_face

Color = NDArray[np.uint8]
Floats = NDArray[np.float32]

BOXES = {
    "larger than the crop": Box(20.3, 15.7, 150.1, 140.9),
    "smaller": Box(60.2, 60.8, 75.5, 77.1),
    "narrow": Box(60.2, 20.8, 75.5, 107.1),
    "at the edge": Box(-0.5, -0.5, 100.4, 90.2),
    "the whole picture": Box(-0.5, -0.5, 199.5, 159.5),
}
boxes = pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)


@pytest.fixture(scope="module")
def picture() -> Color:
    return np.random.default_rng(0).integers(0, 256, (160, 200, 3), np.uint8)


def change_of(down: float, across: float, added: float, n: int = 32) -> Floats:
    return np.full((n, n, 3), (down, across, added), np.float32)


def inside(box: Box, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    return (x >= box.left) & (x <= box.right) & (y >= box.top) & (y <= box.bottom)


def core(box: Box, margin: float = 0.1) -> tuple[slice, slice]:
    """Return the rows and columns where the change does not fade."""
    y, x = margin * box.height, margin * box.width
    rows = slice(int(np.ceil(box.top + y)), int(box.bottom - y) + 1)
    return rows, slice(int(np.ceil(box.left + x)), int(box.right - x) + 1)


@boxes
def test_outside_the_box_no_pixel_changes(picture: Color, box: Box) -> None:
    change = np.random.default_rng(1).normal(0, (2, 2, 30), (32, 32, 3)).astype(np.float32)
    result = composite_face(picture, box, change, 2.0)
    assert result.shape == picture.shape and result.dtype == np.uint8
    is_inside = inside(box, picture.shape)
    assert (result[~is_inside] == picture[~is_inside]).all()
    assert (result[is_inside] != picture[is_inside]).mean() > 0.6
    assert np.array_equal(composite_face(picture, box, change, 0.0), picture)


@boxes
def test_added_gray_levels_fade_towards_the_edge(box: Box) -> None:
    gray = np.full((160, 200, 3), (40, 120, 200), np.uint8)
    added = composite_face(gray, box, change_of(0, 0, 20), 1.5).astype(int) - gray
    assert (added[core(box)] == 30).all()
    assert (added == added[..., :1]).all()
    row = added[int((box.top + box.bottom) / 2), :, 0]
    left = row[: int((box.left + box.right) / 2)]
    assert (np.diff(left) >= 0).all()
    first = max(0, int(np.ceil(box.left)))
    assert row[first] <= 2 + 30 / (0.083 * box.width)


def test_gray_levels_are_clipped() -> None:
    gray = np.full((60, 60, 3), (5, 120, 250), np.uint8)
    box = Box(10, 10, 50, 50)
    assert composite_face(gray, box, change_of(0, 0, 20), 1.0)[30, 30].tolist() == [25, 140, 255]
    assert composite_face(gray, box, change_of(0, 0, -20), 1.0)[30, 30].tolist() == [0, 100, 230]


def test_the_motion_is_scaled_to_the_picture() -> None:
    """A pixel of the crop has 4 columns and 3 rows of the picture."""
    noise = np.random.default_rng(2).integers(0, 256, (120, 150, 3), np.uint8)
    box = Box(10.5, 10.5, 138.5, 106.5)
    rows, columns = core(box)
    result = composite_face(noise, box, change_of(0, 0.5, 0), 1.0)
    assert np.array_equal(result[rows, columns], noise[rows, columns.start + 2 : columns.stop + 2])
    result = composite_face(noise, box, change_of(2, 0, 0), -0.5)
    assert np.array_equal(result[rows, columns], noise[rows.start - 3 : rows.stop - 3, columns])


@pytest.mark.parametrize("name", ["larger than the crop", "narrow"])
def test_the_position_of_the_change(name: str) -> None:
    """A bright spot of the crop appears enlarged at the same position of the picture."""
    box, n = BOXES[name], 32
    spot = np.zeros((n, n, 3), np.float32)
    y, x = np.mgrid[0:n, 0:n]
    spot[..., 2] = 100 * np.exp(-((x - 20) ** 2 + (y - 9) ** 2) / 18)
    added = composite_face(np.zeros((160, 200, 3), np.uint8), box, spot, 1.0)[..., 0].astype(float)
    at_y, at_x = (np.average(grid, weights=added) for grid in np.mgrid[0:160, 0:200])
    assert at_x == pytest.approx(box.left + 20.5 / n * box.width, abs=0.3)
    assert at_y == pytest.approx(box.top + 9.5 / n * box.height, abs=0.3)


def test_a_checkerboard_of_motion_is_blurred_away() -> None:
    y, x = np.mgrid[0:32, 0:32]
    checkerboard = change_of(0, 0, 0)
    checkerboard[..., 0] = 0.5 * (-1.0) ** (x + y)
    stripes = np.repeat(np.where(np.arange(160) // 10 % 2, 200, 50).astype(np.uint8), 200).reshape(160, 200)
    picture = np.repeat(stripes[..., None], 3, axis=2)
    result = composite_face(picture, BOXES["larger than the crop"], checkerboard, 2.0)
    assert np.abs(result.astype(int) - picture).max() <= 2
