from dataclasses import replace
from pathlib import Path

import cv2
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
from icegan_jax.inference.face_crops import FIRST, QUIETEST, FaceCrops, crop_source, find_neutral_faces, list_pictures
from icegan_jax.inference.inputs import FrameSource, open_inputs
from tests.data.spotting.videos import another_face, rise_and_fall, video
from tests.inference.recordings import astronaut, write_folder, write_pair
from tests.videos import write_test_video

OPTIONS = CropOptions(size=64)


def open_input(*given: Path, fps: float | None = None) -> FrameSource:
    (source,) = open_inputs([str(path) for path in given], fps, ("a", "b", "c"))
    return source


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("face_crops") / "frames")


def test_a_clip_is_cropped_as_prepare_crops_it(folder: Path) -> None:
    crops = crop_source(open_input(folder, fps=100), FIRST, OPTIONS)
    assert (crops.onset, crops.apex, crops.offset) == (10, 14, 16)
    cropped = crop_clip(Clip("d", "s", "c", 0, folder, 10, None, 16), OPTIONS)
    np.testing.assert_array_equal(crops.onset_face, cropped.onset)
    np.testing.assert_array_equal(crops.apex_face, cropped.faces[cropped.shifts.index(0)])
    assert 60 < crops.box.width < 160


def test_the_onset_is_an_option(folder: Path) -> None:
    assert crop_source(open_input(folder), "11", OPTIONS).onset == 11
    for wrong in ("9", "16"):
        with pytest.raises(UserError, match=f"--onset={wrong}: .* has frames 10 to 16; give one before the last"):
            crop_source(open_input(folder), wrong, OPTIONS)


def test_the_crops_of_a_pair(tmp_path: Path) -> None:
    crops = crop_source(open_input(*write_pair(tmp_path)), FIRST, OPTIONS)
    assert (crops.onset, crops.apex, crops.offset, crops.flags) == (0, 1, 1, ())
    assert (crops.onset_face != crops.apex_face).any()


def test_a_pair_of_two_people_is_flagged(tmp_path: Path) -> None:
    onset, apex = write_pair(tmp_path)
    cv2.imwrite(str(apex), another_face((260, 240)))
    assert "two_people" in [flag.word for flag in crop_source(open_input(onset, apex), FIRST, OPTIONS).flags]


def test_a_turned_pair_is_cropped_upright_and_its_box_is_that_of_the_stored_frames(tmp_path: Path) -> None:
    paths = write_pair(tmp_path)
    upright = crop_source(open_input(*paths), FIRST, OPTIONS)
    for path in paths:
        cv2.imwrite(str(path), np.rot90(cv2.imread(str(path))))
    turned = crop_source(open_input(*paths), FIRST, OPTIONS)
    assert [flag.word for flag in turned.flags] == ["turned"]
    np.testing.assert_allclose(turned.onset_face, upright.onset_face, atol=2)
    assert turned.box.left == pytest.approx(upright.box.top, abs=1)
    assert turned.box.top == pytest.approx(239 - upright.box.right, abs=1)


def test_a_turned_picture_is_used_upright(face_picture: Path, tmp_path: Path) -> None:
    colors = read_color(face_picture)
    Image.fromarray(np.rot90(colors, 2).copy()).save(tmp_path / "turned.png")
    (face,) = find_neutral_faces([tmp_path / "turned.png"], 32)
    assert np.array_equal(face.picture, colors)
    assert (
        face.note == f"{tmp_path}/turned.png: turned by 180 degrees counterclockwise, after which the face is upright"
    )


def test_the_apex_may_lie_before_the_quietest_frame(tmp_path: Path) -> None:
    strengths = [0.5, 1.0, 0.6, 0.2, *[0.0] * 30]
    source = open_input(write_folder(tmp_path / "late", 0, strengths), fps=60)
    crops = crop_source(source, QUIETEST, OPTIONS)
    assert crops.onset > 6 and crops.apex == 1


def words(crops: FaceCrops) -> list[str]:
    return [flag.word for flag in crops.flags]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_still_face_is_flagged_also_where_a_codec_makes_frames_alike(tmp_path: Path, suffix: str) -> None:
    path = write_test_video(tmp_path / f"still{suffix}", [frame for _, frame in video(astronaut(), 40)], 30)
    crops = crop_source(open_input(path), FIRST, CropOptions())
    assert "hardly_moves" in words(crops)


@pytest.mark.parametrize(("frames", "is_long"), [(18, False), (66, True)])
@pytest.mark.parametrize("onset", [FIRST, QUIETEST])
def test_a_clip_ends_where_the_face_is_at_rest_again(tmp_path: Path, frames: int, is_long: bool, onset: str) -> None:
    """A clip of 1.7 s at 60 frames per second with an expression in the middle."""
    moving = rise_and_fall(30, 30 + frames, 0.8)
    path = write_test_video(tmp_path / "clip.mkv", [f for _, f in video(astronaut(), 102, smile=moving)], 60)
    crops = crop_source(open_input(path), onset, OPTIONS)
    assert abs(crops.apex - 30 - frames / 2) <= 2 and abs(crops.offset - 30 - frames) <= 3 + frames // 10
    assert ("longer_than_micro" in words(crops)) == is_long
    assert "hardly_moves" not in words(crops) and "apex_is_last" not in words(crops)


def test_the_head_after_a_cut_does_not_count_as_motion(tmp_path: Path) -> None:
    face = astronaut()
    before = [frame for _, frame in video(face, 12, smile=rise_and_fall(2, 10, 0.8))]
    after = [frame for _, frame in video(np.roll(face, 14, axis=1), 4, light=lambda i: 0.5)]
    path = write_test_video(tmp_path / "cut.mkv", before + after, 60)
    found = words(crop_source(open_input(path), FIRST, OPTIONS))
    assert "cut" in found and "moving_head" not in found


def test_an_annotated_offset_holds(folder: Path) -> None:
    clip = Clip("d", "s", "c", 0, folder, 10, None, 15)
    assert crop_source(replace(open_input(folder, fps=10), clip=clip), FIRST, OPTIONS).offset == 15


def test_the_quietest_frame_needs_a_frame_rate(folder: Path) -> None:
    with pytest.raises(UserError, match="--onset=quietest needs the frame rate; give it with --fps"):
        crop_source(open_input(folder), QUIETEST, OPTIONS)


def test_one_frame_is_no_clip(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds one frame, which shows no change"):
        crop_source(open_input(write_folder(tmp_path / "one", 0, [0.0])), FIRST, OPTIONS)


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


def test_the_largest_of_two_faces_is_taken_with_a_note_or_the_face_of_a_number(two_faces: Path) -> None:
    (largest,), (left,) = find_neutral_faces([two_faces], 32), find_neutral_faces([two_faces], 32, 1)
    assert left.box.right < 216 < largest.box.left and left.note == ""
    assert largest.note == f"{two_faces}: 2 faces, of which the largest is taken; --face=N takes another, from the left"
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


def test_the_pictures_of_a_folder(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.webp", "c.txt", ".hidden.png", "d.jpeg"):
        (tmp_path / name).touch()
    (tmp_path / "e.png").mkdir()
    assert [path.name for path in list_pictures(tmp_path)] == ["a.webp", "b.PNG", "d.jpeg"]
    assert list_pictures(tmp_path / "c.txt") == [tmp_path / "c.txt"]
    with pytest.raises(UserError, match=r"e\.png: no picture in this folder; put jpg"):
        list_pictures(tmp_path / "e.png")
    with pytest.raises(UserError, match=r"gone: no such picture or folder; correct --input"):
        list_pictures(tmp_path / "gone")
