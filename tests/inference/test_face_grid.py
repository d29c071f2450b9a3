import numpy as np
from numpy.typing import NDArray

from icegan_jax.inference.face_grid import FaceGrid

SIDE = 40


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


def test_the_layout_of_cells_and_names() -> None:
    grid = FaceGrid(("anna", "bob"), ("onset", "joy\ndraw 1", "joy\ndraw 2"), SIDE, "how it was made")
    expected = cells(2, 3)
    picture = grid.draw(expected)
    assert picture.shape == (*grid.size[::-1], 3) and picture.dtype == np.uint8
    at = cell_corners(picture, expected)
    assert (at[:, :, 0] == at[:, :1, 0]).all() and (at[:, :, 1] == at[:1, :, 1]).all()
    assert np.diff(at[:, 0, 0]).tolist() == [48] and np.diff(at[0, :, 1]).tolist() == [48, 48]
    dark = (picture.max(axis=2) < 120).nonzero()
    assert (dark[1] < at[0, 0, 1]).any() and (dark[0] < at[0, 0, 0]).any()  # row names and column names


def test_a_row_without_a_name_needs_no_column_of_names() -> None:
    named, plain = (FaceGrid((name,), ("onset", "joy"), SIDE, "") for name in ("anna", ""))
    assert cell_corners(plain.draw(cells(1, 2)), cells(1, 2))[0, 0, 1] == 16
    assert named.size[0] > plain.size[0]


def test_long_names_are_truncated() -> None:
    column_names = ("onset", "contempt\u0000 and surprise together")
    short, long = (FaceGrid((name,), column_names, SIDE, "") for name in ("n" * 24, "n" * 400))
    assert abs(long.size[0] - short.size[0]) < 10
    cell_corners(long.draw(cells(1, 2)), cells(1, 2))


def test_the_caption_is_wrapped_at_the_width_of_the_cells() -> None:
    short, long = (FaceGrid(("",), ("onset", "joy"), SIDE, "made so " * times) for times in (1, 6))
    assert short.size[0] == long.size[0]
    lines, rest = divmod(long.size[1] - short.size[1], 16)
    assert lines >= 3 and rest == 0
    caption = long.draw(cells(1, 2))[-16 * (lines + 1) - 16 :]
    has_text = [(caption[16 * line : 16 * line + 16] < 200).any() for line in range(lines + 2)]
    assert has_text == [True] * (lines + 1) + [False]
    assert (caption[:, -16:] == 255).all()
