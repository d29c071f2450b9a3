from pathlib import Path

import numpy as np
import pytest

from icegan_jax.data.clips import Clip
from icegan_jax.data.crop import CropOptions, crop_clip
from icegan_jax.errors import UserError
from icegan_jax.inference.face_crops import FIRST, QUIETEST, crop_event, crop_source
from icegan_jax.inference.inputs import FrameSource, open_inputs
from tests.inference.recordings import frames, write_folder, write_pair

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


def test_the_crops_of_an_event(folder: Path) -> None:
    held = dict(enumerate(frames(), start=10))
    crops = crop_event(open_input(folder, fps=100), held, OPTIONS)
    assert (crops.onset, crops.apex, crops.offset) == (10, 14, 16)


def test_the_apex_may_lie_before_the_quietest_frame(tmp_path: Path) -> None:
    strengths = [0.5, 1.0, 0.6, 0.2, *[0.0] * 30]
    source = open_input(write_folder(tmp_path / "late", 0, strengths), fps=60)
    crops = crop_source(source, QUIETEST, OPTIONS)
    assert crops.onset > 6 and crops.apex == 1


def test_the_quietest_frame_needs_a_frame_rate(folder: Path) -> None:
    with pytest.raises(UserError, match="--onset=quietest needs the frame rate; give it with --fps"):
        crop_source(open_input(folder), QUIETEST, OPTIONS)


def test_one_frame_is_no_clip(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds one frame, which shows no change"):
        crop_source(open_input(write_folder(tmp_path / "one", 0, [0.0])), FIRST, OPTIONS)
