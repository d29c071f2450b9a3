from collections.abc import Iterable
from pathlib import Path

import pytest

from icegan_jax.data.frame_numbers import index_frames
from icegan_jax.errors import UserError


def touch(folder: Path, names: Iterable[str]) -> Path:
    for name in names:
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["img100.jpg", "img0099.JPG", "IMG8.png"], [8, 99, 100]),
        (["006_1_2_00007.bmp", "006_1_2_00010.bmp"], [7, 10]),
        (["frame0001_320x243.png", "frame0012_320x243.png"], [1, 12]),
        (["frame0001_v2.png", "frame0012_v2.png"], [1, 12]),
        (["take1_007.png"], [7]),
    ],
)
def test_the_frame_number_is_the_one_that_differs(tmp_path: Path, names: list[str], numbers: list[int]) -> None:
    touch(tmp_path, [*names, "notes1.txt", "cover.png", "._img5.png"])  # these three are no frames
    index = index_frames(tmp_path)
    assert list(index) == numbers
    assert {file.name for file in index.values()} == set(names)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "no frames; put jpg"),
        (["img46.png", "img58.png", "img58 (1).png"], r"img58 \(1\)\.png is not named like .*img46\.png; rename it"),
        (["img46.png", "img58.png", "img58 - Copy.png"], r"img58 - Copy\.png is not named like .*; rename it"),
        (["img01.png", "img1.png", "img2.png"], r"img01\.png and img1\.png have the same number; rename one"),
        (
            ["frame_0_face0.png", "frame_0_face1.png", "frame_1_face0.png", "frame_1_face1.png"],
            "several numbers differ.*rename",
        ),
        (
            ["RGB-11-57-950.png", "RGB-11-58-0.png", "RGB-11-58-10.png"],
            "several numbers differ in the names RGB-11-57-950.png to RGB-11-58-10.png; rename",
        ),
        (["frame_0.000.png", "frame_33.366.png", "frame_100.098.png"], "several numbers differ.*rename"),
        (["t_0.000.png", "t_0.010.png"], r"t_0\.010\.png has a decimal in its name, .*; rename the frames"),
        (["img1.png", "img9999999999.png"], r"img9999999999\.png has a frame number of more than 9 digits; rename"),
    ],
)
def test_ambiguous_names_raise(tmp_path: Path, names: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        index_frames(touch(tmp_path, names))


def test_a_missing_folder_raises(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        index_frames(tmp_path / "missing")
