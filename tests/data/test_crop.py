from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from icegan_jax.data import crop
from icegan_jax.data.apex import METHODS
from icegan_jax.data.clips import Clip
from icegan_jax.data.crop import ClipCrops, CropOptions, CropRepair, crop_clip
from icegan_jax.data.video import read_frame
from icegan_jax.errors import UserError
from tests.data.conftest import STRENGTHS, moved
from tests.data.spotting.videos import another_face
from tests.videos import write_test_video

Gray = NDArray[np.uint8]


@pytest.fixture
def clip(tmp_path: Path, write_clip: Callable[..., None]) -> Clip:
    """Frames 10 to 16 of the astronaut; the expression is strongest in 14."""
    write_clip(tmp_path / "frames")
    return Clip("d", "anna", "a", 1, tmp_path / "frames", 10, 14, 16)


def _image(clip: Clip, number: int) -> Path:
    return clip.frames / f"img{number}.png"


def test_crops_the_onset_the_apex_and_its_neighbors(clip: Clip) -> None:
    cropped = crop_clip(clip, CropOptions(size=96))
    assert (cropped.apex, cropped.shifts, cropped.changes) == (14, (-2, -1, 0, 1, 2), ())
    assert cropped.onset.shape == (96, 96) and cropped.faces.shape == (5, 96, 96)
    assert cropped.onset.dtype == cropped.faces.dtype == np.uint8
    assert cropped.frames == 6


def test_registration_leaves_the_expression_and_removes_the_drift(clip: Clip) -> None:
    """Far from the mouth, registered frames equal the onset; at the mouth they do not."""
    change = {}
    for register in crop.REGISTRATIONS:
        cropped = crop_clip(clip, CropOptions(register=register))
        moved = np.abs(cropped.faces[2].astype(float) - cropped.onset)
        change[register] = moved[20:60].mean()  # brows and eyes
        change[register + " mouth"] = moved[85:105, 40:90].mean()
    assert change["rigid"] < 0.4 * change["none"]
    assert change["rigid mouth"] > 2 * change["rigid"]


def test_neighbors_are_real_frames_after_the_onset_up_to_the_offset(clip: Clip) -> None:
    _image(clip, 13).unlink()
    assert crop_clip(clip, CropOptions()).shifts == (-2, 0, 1, 2)  # 13 is missing
    assert crop_clip(replace(clip, apex=11), CropOptions()).shifts == (0, 1)  # 10 is the onset
    assert crop_clip(replace(clip, apex=15, offset=15), CropOptions()).shifts == (-1, 0)


@pytest.mark.parametrize("method", METHODS)
def test_a_missing_apex_is_spotted_and_the_method_is_recorded(clip: Clip, method: str) -> None:
    cropped = crop_clip(replace(clip, apex=None), CropOptions(apex=method))
    (change,) = cropped.changes
    assert (change.field, change.old, change.new) == ("apex", None, cropped.apex)
    assert change.reason.startswith("spotted: the ")
    assert ("after registration" in change.reason) == (method != "middle")
    assert cropped.apex in {"difference": (14,), "middle": (13,)}.get(method, (14, 15))
    same = crop_clip(replace(clip, apex=cropped.apex), CropOptions())
    np.testing.assert_array_equal(cropped.faces, same.faces)
    assert cropped.shifts == same.shifts
    unregistered = crop_clip(replace(clip, apex=None), CropOptions(apex=method, register="none"))
    assert "registration" not in unregistered.changes[0].reason


def test_a_video_gives_what_its_frames_give(tmp_path: Path, clip: Clip) -> None:
    path = tmp_path / "a.mkv"
    frames = [read_frame(_image(clip, 10 + i)) for i in range(len(STRENGTHS))]
    write_test_video(path, [frames[0], frames[0], *frames])  # two frames before the onset
    filmed = crop_clip(replace(clip, frames=path, onset=2, apex=None, offset=8), CropOptions())
    one = crop_clip(clip, CropOptions())
    assert filmed.apex == 6 and filmed.shifts == one.shifts
    np.testing.assert_array_equal(filmed.faces, one.faces)


def test_frames_before_the_onset_are_the_faces_at_rest(clip: Clip, write_clip: Callable[..., None]) -> None:
    """They are registered; a damaged one is no reason to refuse the clip, since nobody annotated it."""
    face = read_frame(_image(clip, 10))
    for number, shift in ((8, 2.0), (9, -1.0)):
        cv2.imwrite(str(_image(clip, number)), moved(face, 0.5, (shift, shift)))
    rest = crop_clip(clip, CropOptions()).rest
    assert len(rest) == 5 and len({face.tobytes() for face in rest}) == 2
    change = [np.abs(face.astype(float) - crop_clip(clip, CropOptions()).onset).mean() for face in rest]
    assert 0 < min(change) and max(change) < 2.5  # of the unregistered frames it is 5
    _image(clip, 8).write_bytes(b"damaged")
    cropped = crop_clip(clip, CropOptions())
    (change_of_rest,) = cropped.changes
    assert change_of_rest.field == "rest" and "img8.png" in change_of_rest.reason
    assert all(np.array_equal(face, cropped.onset) for face in cropped.rest)


def test_a_clip_that_starts_at_its_onset_rests_in_its_onset(clip: Clip) -> None:
    cropped = crop_clip(clip, CropOptions())
    assert all(np.array_equal(face, cropped.onset) for face in cropped.rest) and len(cropped.rest) == 5


def test_a_neighbor_without_the_face_is_left_out_and_recorded(clip: Clip) -> None:
    cv2.imwrite(str(_image(clip, 15)), np.zeros((260, 240), np.uint8))
    cropped = crop_clip(clip, CropOptions())
    assert cropped.changes == (CropRepair("neighbor", 15, "left out", "it does not show the face of the onset"),)
    assert cropped.shifts == (-2, -1, 0, 2)


def test_what_registration_cannot_move_is_kept_and_recorded(clip: Clip) -> None:
    cv2.imwrite(str(_image(clip, 15)), np.roll(read_frame(_image(clip, 15)), 45, axis=1))
    cropped = crop_clip(clip, CropOptions())
    assert cropped.changes == (
        CropRepair("registration", "rigid", "none", "frame 15 could not be moved onto the onset"),
    )
    assert cropped.shifts == (-2, -1, 0, 1, 2)


def _face_rows(cropped: ClipCrops) -> list[tuple[int | str | None, int | str, str]]:
    return [(c.old, c.new, c.reason) for c in cropped.changes if c.field == "face"]


@pytest.mark.parametrize("levels", [(0, 0), (90, 90), (0.05, 0.4)])
@pytest.mark.parametrize("annotated", [True, False])
def test_a_clip_begins_with_the_face(clip: Clip, levels: tuple[float, float], annotated: bool) -> None:
    """Black frames, an empty room, and a fade from black."""
    for number, level in zip((10, 11), levels, strict=True):
        frame = read_frame(_image(clip, number))
        hidden = np.full_like(frame, level) if level >= 1 or level == 0 else (frame * level).astype(np.uint8)
        cv2.imwrite(str(_image(clip, number)), hidden)
    one = clip if annotated else replace(clip, apex=None)
    cropped = crop_clip(one, CropOptions())
    reason = "no face in the frames before, or a fade from black"
    assert cropped.changes[0] == CropRepair("onset", 10, 12, reason)
    assert (crop.apply_changes(one, cropped).onset, cropped.apex) == (12, 14)
    np.testing.assert_array_equal(cropped.onset, crop_clip(replace(clip, onset=12), CropOptions()).onset)


def test_a_face_that_appears_after_the_apex_raises(clip: Clip) -> None:
    for number in range(10, 15):
        cv2.imwrite(str(_image(clip, number)), np.zeros((260, 240), np.uint8))
    with pytest.raises(UserError, match="no face in the frames from onset 10 to 14; correct onset"):
        crop_clip(clip, CropOptions())


def test_a_cut_ends_a_clip(clip: Clip) -> None:
    for number in (15, 16):
        cv2.imwrite(str(_image(clip, number)), another_face((260, 240)))
    cropped = crop_clip(replace(clip, apex=None, onset=11), CropOptions())
    assert [(c.field, c.old, c.new) for c in cropped.changes] == [("offset", 16, 14), ("apex", None, 14)]
    assert cropped.shifts == (-2, -1, 0)
    with pytest.raises(UserError, match="apex 15 does not show the face of onset 10: another person, a cut, or no"):
        crop_clip(replace(clip, apex=15), CropOptions())
    with pytest.raises(UserError, match="only frame 14 shows the face; give a clip without a cut"):
        crop_clip(replace(clip, apex=None, onset=14), CropOptions())


def test_a_clip_on_its_side_is_turned_and_recorded(clip: Clip) -> None:
    upright = crop_clip(clip, CropOptions())
    for path in clip.frames.iterdir():
        cv2.imwrite(str(path), np.rot90(read_frame(path)))
    turned = crop_clip(clip, CropOptions())
    assert _face_rows(turned) == [
        (None, "turned by 270 degrees", "the face is upright after this turn, counterclockwise, of all frames")
    ]
    assert turned.shifts == upright.shifts
    np.testing.assert_allclose(turned.onset, upright.onset, atol=1)
    np.testing.assert_allclose(turned.faces, upright.faces, atol=1)


def test_several_faces_are_recorded(clip: Clip) -> None:
    for path in clip.frames.iterdir():
        cv2.imwrite(str(path), np.hstack([read_frame(path)] * 2))
    assert _face_rows(crop_clip(clip, CropOptions())) == [(2, 1, "2 faces: the largest one")]


def test_a_face_that_needs_preparation_is_recorded(clip: Clip) -> None:
    for path in clip.frames.iterdir():
        small = cv2.resize(read_frame(path), None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(path), small)
    old, new, reason = _face_rows(crop_clip(clip, CropOptions()))[-1]
    assert (old, reason) == (None, "the detector found no face without it")
    assert "upsampled twice" in str(new)


def test_a_face_beyond_the_image_is_recorded(clip: Clip) -> None:
    for path in clip.frames.iterdir():
        cv2.imwrite(str(path), read_frame(path)[:, 80:])
    rows = _face_rows(crop_clip(clip, CropOptions()))
    assert (None, "cut off", "the face reaches beyond the image, at whose edge it is cropped") in rows


def test_a_clip_without_a_face_raises(clip: Clip) -> None:
    for path in clip.frames.iterdir():
        cv2.imwrite(str(path), np.full((100, 100), 90, np.uint8))
    with pytest.raises(UserError, match="frames: no face in onset 10 nor in the 6 frames after it; give frames with"):
        crop_clip(clip, CropOptions())


def test_damaged_frames_raise(clip: Clip) -> None:
    def refused(bad: Clip, message: str) -> None:
        with pytest.raises(UserError, match=message):
            crop_clip(bad, CropOptions())

    refused(replace(clip, frames=clip.frames / "gone"), "gone: no such ")
    refused(replace(clip, onset=9), "onset frame 9 is missing; restore it")
    refused(replace(clip, apex=17), "apex frame 17 is missing; restore it")
    refused(replace(clip, onset=16, apex=None), "no frame after onset 16")
    whole = _image(clip, 12).read_bytes()
    for content, message in ((b"no image", "not a readable image"), (whole[:900], "truncated"), (b"", "is empty")):
        _image(clip, 12).write_bytes(content)
        refused(clip, rf"img12\.png: .*{message}")
    cv2.imwrite(str(_image(clip, 12)), np.zeros((50, 60), np.uint8))
    refused(clip, "frame 12 is 60x50, the onset 240x260; give frames of one size")
    # Where onset and frame 11 show no face, the face is searched in frame 12, which the apex does not need.
    for number in (10, 11):
        cv2.imwrite(str(_image(clip, number)), np.zeros((260, 240), np.uint8))
    refused(replace(clip, apex=16), "frame 12 is 60x50")
