import numpy as np
from numpy.typing import NDArray

from icegan_jax.reporting.face_grid import FaceGrid, cell_side, compare_faces, difference_image

SIDE = 40
SIZE = (SIDE, SIDE)


def cells(rows: int, columns: int) -> list[list[NDArray[np.uint8]]]:
    """Return cells of different colors."""
    return [[np.full((SIDE, SIDE, 3), (250, 10 * r, 10 * c), np.uint8) for c in range(columns)] for r in range(rows)]


def cell_corners(picture: NDArray[np.uint8], expected: list[list[NDArray[np.uint8]]]) -> NDArray[np.int_]:
    """Return the corner of each cell, int[rows, columns, 2]; check that the cell is a complete square."""
    corners = []
    for row in expected:
        for cell in row:
            y, x = np.nonzero((picture == cell[0, 0]).all(axis=2))
            assert len(y) == SIDE**2 and np.ptp(y) == np.ptp(x) == SIDE - 1
            corners.append((y.min(), x.min()))
    return np.array(corners).reshape(len(expected), -1, 2)


def test_the_layout_of_cells_names_and_frames() -> None:
    grid = FaceGrid(("anna", "bob\nclip"), ("onset", "joy\ndraw 1", "joy\ndraw 2"), SIZE, "how it was made")
    expected = cells(2, 3)
    picture = grid.draw(expected, {(1, 2): "#0000ff"})
    assert picture.shape == (*grid.size[::-1], 3) and picture.dtype == np.uint8
    at = cell_corners(picture, expected)
    assert (at[:, :, 0] == at[:, :1, 0]).all() and (at[:, :, 1] == at[:1, :, 1]).all()
    assert np.diff(at[:, 0, 0]).tolist() == [48] and np.diff(at[0, :, 1]).tolist() == [48, 48]
    dark = (picture.max(axis=2) < 120).nonzero()
    assert (dark[1] < at[0, 0, 1]).any() and (dark[0] < at[0, 0, 0]).any()  # row names and column names
    y, x = (picture == (0, 0, 255)).all(axis=2).nonzero()
    assert (y.min(), x.min()) == tuple(at[1, 2] - 4) and len(y) == 48**2 - 40**2


def test_lines_below_cells_need_room_and_a_row_without_a_name_needs_no_column() -> None:
    named, plain = (FaceGrid((name,), ("onset", "joy"), SIZE, cell_names=[["a", "b"]]) for name in ("anna", ""))
    assert cell_corners(plain.draw(cells(1, 2)), cells(1, 2))[0, 0, 1] == 16
    assert named.size[0] > plain.size[0] and plain.size[1] == FaceGrid(("",), ("onset", "joy"), SIZE).size[1] + 16


def test_long_names_are_truncated() -> None:
    column_names = ("onset", "contempt\u0000 and surprise together")
    short, long = (FaceGrid((name,), column_names, SIZE) for name in ("n" * 24, "n" * 400))
    assert abs(long.size[0] - short.size[0]) < 10
    cell_corners(long.draw(cells(1, 2)), cells(1, 2))


def test_the_caption_is_wrapped_at_the_width_of_the_cells() -> None:
    short, long = (FaceGrid(("",), ("onset", "joy"), SIZE, "made so " * times) for times in (1, 6))
    assert short.size[0] == long.size[0]
    lines, rest = divmod(long.size[1] - short.size[1], 16)
    assert lines >= 3 and rest == 0
    assert (long.draw(cells(1, 2))[:, -16:] == 255).all()


def test_pictures_are_scaled_to_the_cells_pixel_by_pixel_where_possible() -> None:
    small = np.array([[0, 200], [100, 50]], np.uint8)
    picture = FaceGrid(("",), ("",), (6, 6)).draw([[small]])[20:26, 16:22]
    assert np.array_equal(picture[..., 0], small.repeat(3, axis=0).repeat(3, axis=1))
    assert FaceGrid(("",), ("",), (5, 5)).draw([[small]]).shape == (20 + 5 + 8 + 16, 16 + 5 + 16, 3)
    assert [cell_side(n, 128) for n in (32, 48, 128, 200)] == [128, 144, 128, 200]


def test_a_difference_is_red_where_brighter_and_blue_where_darker() -> None:
    onset = np.full((32, 32), 120, np.uint8)
    apex = onset.copy()
    apex[0], apex[1] = 170, 70
    difference = difference_image(onset, apex)
    red, _, blue = difference.astype(int).transpose(2, 0, 1)
    assert red[0, 0] > blue[0, 0] + 100 and blue[1, 0] > red[1, 0] + 100
    assert abs(red[5, 5] - blue[5, 5]) < 10
    strip = compare_faces(onset, apex)
    assert strip.shape == (32, 96, 3) and np.array_equal(strip[:, 64:], difference)
    assert np.array_equal(strip[:, :64, 0], np.hstack([onset, apex]))
