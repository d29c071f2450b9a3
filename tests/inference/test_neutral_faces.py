from pathlib import Path

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from icegan_jax.data.align import IDENTITY, crop_face
from icegan_jax.data.clips import Clip
from icegan_jax.data.crop import CropOptions, crop_clip
from icegan_jax.data.images import read_color
from icegan_jax.errors import UserError
from icegan_jax.inference.neutral_faces import find_neutral_faces, list_pictures


@pytest.fixture(scope="module")
def two_faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a picture of a small face left of a larger one."""
    face = Image.fromarray(skimage.data.astronaut()[0:260, 110:350])
    picture = Image.new("RGB", (456, 260), (90, 90, 90))
    picture.paste(face.resize((216, 234)), (0, 13))
    picture.paste(face, (216, 0))
    path = tmp_path_factory.mktemp("faces") / "two.png"
    picture.save(path)
    return path


def test_a_neutral_face_is_cropped_as_prepare_crops_an_onset(face_picture: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"img{number}.png").write_bytes(face_picture.read_bytes())
    clip = Clip("mine", "anna", "clip", 0, tmp_path, onset=1, apex=2, offset=2)
    (neutral_face,) = find_neutral_faces([face_picture], 128)
    assert np.array_equal(neutral_face.onset, crop_clip(clip, CropOptions()).onset)
    assert np.array_equal(neutral_face.picture, read_color(face_picture))
    assert (neutral_face.name, neutral_face.note) == ("neutral", "")


def test_the_largest_of_two_faces_is_taken_with_a_note(two_faces: Path) -> None:
    (neutral_face,) = find_neutral_faces([two_faces], 32)
    assert neutral_face.box.left > 216
    assert (
        neutral_face.note
        == f"{two_faces}: 2 faces, of which the largest is taken; --face=N takes another, from the left"
    )


def test_a_number_selects_another_face(two_faces: Path) -> None:
    (left,), (right,) = (find_neutral_faces([two_faces], 32, number) for number in (1, 2))
    assert left.box.right < 216 < right.box.left
    assert left.note == right.note == ""
    with pytest.raises(UserError, match=r"--face=3: .*two\.png shows 2 faces; count from the left, from 1"):
        find_neutral_faces([two_faces], 32, 3)


@pytest.mark.parametrize("number", [None, 1])
def test_a_picture_without_a_face_is_refused(tmp_path: Path, number: int | None) -> None:
    Image.new("RGB", (80, 80), "gray").save(tmp_path / "wall.png")
    with pytest.raises(UserError, match=r"wall\.png: no face found; give a picture of a frontal face"):
        find_neutral_faces([tmp_path / "wall.png"], 32, number)


@pytest.mark.parametrize("side", [80, 300])
def test_the_box_of_a_close_up(face_picture: Path, side: int) -> None:
    """The crops of the close-up and of the picture are equal except for the second resampling."""
    (neutral_face,) = find_neutral_faces([face_picture], 32)
    close_up = neutral_face.close_up(side)
    assert close_up.picture.shape == (side, side, 3)
    gray = np.asarray(Image.fromarray(close_up.picture).convert("L"))
    again: NDArray[np.float32] = crop_face(gray, close_up.box, IDENTITY, 32)
    assert np.abs(again - neutral_face.onset).mean() < 2
    middle = (close_up.box.left + close_up.box.right) / 2, (close_up.box.top + close_up.box.bottom) / 2
    assert middle == pytest.approx(((side - 1) / 2, (side - 1) / 2))


def test_a_close_up_is_padded_with_white(face_picture: Path, tmp_path: Path) -> None:
    (neutral_face,) = find_neutral_faces([face_picture], 32)
    box = neutral_face.box
    close = (int(box.left) - 4, int(box.top) - 4, int(box.right) + 4, int(box.bottom) + 4)
    Image.open(face_picture).crop(close).save(tmp_path / "close.png")
    (cut,) = find_neutral_faces([tmp_path / "close.png"], 32)
    assert (cut.close_up(100).picture[:4] == 255).all()


def test_the_pictures_of_a_folder(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.webp", "c.txt", ".hidden.png", "d.jpeg"):
        (tmp_path / name).touch()
    (tmp_path / "e.png").mkdir()
    assert [path.name for path in list_pictures(tmp_path)] == ["a.webp", "b.PNG", "d.jpeg"]
    assert list_pictures(tmp_path / "c.txt") == [tmp_path / "c.txt"]
    with pytest.raises(
        UserError, match=r"e\.png: no picture in this folder; put jpg, jpeg, png, bmp, webp files there"
    ):
        list_pictures(tmp_path / "e.png")
    with pytest.raises(UserError, match=r"gone: no such picture or folder; correct --input"):
        list_pictures(tmp_path / "gone")
