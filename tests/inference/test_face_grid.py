import numpy as np
from numpy.typing import NDArray

from icegan_jax.inference.face_grid import FaceGrid

SIDE = 40


def cells(rows: int, columns: int) -> list[list[NDArray[np.uint8]]]:
    """A colour of its own for each."""
    return [[np.full((SIDE, SIDE, 3), (250, 10 * r, 10 * c), np.uint8) for c in range(columns)] for r in range(rows)]


def places(page: NDArray[np.uint8], wanted: list[list[NDArray[np.uint8]]]) -> NDArray[np.int_]:
    """Where each cell's colour begins, int[rows, columns, 2]; all of it is there, as a square."""
    found = []
    for row in wanted:
        for cell in row:
            y, x = np.nonzero((page == cell[0, 0]).all(axis=2))
            assert len(y) == SIDE**2 and np.ptp(y) == np.ptp(x) == SIDE - 1
            found.append((y.min(), x.min()))
    return np.array(found).reshape(len(wanted), -1, 2)


def test_every_cell_has_its_place() -> None:
    sheet = FaceGrid(("anna", "bob"), ("onset", "joy\ndraw 1", "joy\ndraw 2"), SIDE, "how it was made")
    wanted = cells(2, 3)
    page = sheet.draw(wanted)
    assert page.shape == (*sheet.size[::-1], 3) and page.dtype == np.uint8
    at = places(page, wanted)
    assert (at[:, :, 0] == at[:, :1, 0]).all() and (at[:, :, 1] == at[:1, :, 1]).all()
    assert np.diff(at[:, 0, 0]).tolist() == [48] and np.diff(at[0, :, 1]).tolist() == [48, 48]
    dark = (page.max(axis=2) < 120).nonzero()
    assert (dark[1] < at[0, 0, 1]).any() and (dark[0] < at[0, 0, 0]).any()  # names and heads


def test_one_row_without_a_name_takes_no_room_for_it() -> None:
    named, plain = (FaceGrid((name,), ("onset", "joy"), SIDE, "") for name in ("anna", ""))
    assert places(plain.draw(cells(1, 2)), cells(1, 2))[0, 0, 1] == 16
    assert named.size[0] > plain.size[0]


def test_long_names_are_cut() -> None:
    heads = ("onset", "contempt\u0000 and surprise together")
    short, long = (FaceGrid((name,), heads, SIDE, "") for name in ("n" * 24, "n" * 400))
    assert abs(long.size[0] - short.size[0]) < 10
    places(long.draw(cells(1, 2)), cells(1, 2))


def test_the_foot_is_broken_where_the_cells_end() -> None:
    short, long = (FaceGrid(("",), ("onset", "joy"), SIDE, "made so " * times) for times in (1, 6))
    assert short.size[0] == long.size[0]
    lines, rest = divmod(long.size[1] - short.size[1], 16)
    assert lines >= 3 and rest == 0
    foot = long.draw(cells(1, 2))[-16 * (lines + 1) - 16 :]
    inked = [(foot[16 * line : 16 * line + 16] < 200).any() for line in range(lines + 2)]
    assert inked == [True] * (lines + 1) + [False]
    assert (foot[:, -16:] == 255).all()
