from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from icegan_jax.data.clip_frames import CLIP_FRAMES_FILE, interpolate_frames, load_clip_frames
from icegan_jax.data.clips import Clip
from icegan_jax.data.crop import CropOptions, crop_clip
from icegan_jax.data.dataset import load_pairs
from icegan_jax.data.ingest.build import prepare_clips
from icegan_jax.errors import UserError
from tests.data.conftest import STRENGTHS


@pytest.fixture
def clip(tmp_path: Path, write_clip: Callable[..., None]) -> Clip:
    """Frames 10 to 16 of the astronaut; the expression is strongest in 14."""
    write_clip(tmp_path / "frames")
    return Clip("d", "anna", "a", 1, tmp_path / "frames", 10, 14, 16)


@pytest.mark.parametrize("n", [2, 3, 7, 40])
def test_interpolation_keeps_the_first_and_the_last_frame(n: int) -> None:
    frames = np.random.default_rng(n).integers(0, 256, (n, 6, 5), np.uint8)
    np.testing.assert_allclose(interpolate_frames(frames, n), frames, atol=1e-9)
    interpolated = interpolate_frames(frames, 10)
    assert interpolated.shape == (10, 6, 5)
    np.testing.assert_allclose(interpolated[[0, -1]], frames[[0, -1]], atol=1e-9)


def test_interpolation_follows_a_smooth_motion() -> None:
    def at(times: np.ndarray) -> np.ndarray:
        return np.stack([100 + 50 * np.cos(np.pi * times), 3 * times], axis=1)

    np.testing.assert_allclose(interpolate_frames(at(np.linspace(0, 1, 30)), 12), at(np.linspace(0, 1, 12)), atol=1.0)


def test_frames_are_cropped_as_the_apex(clip: Clip) -> None:
    """Of 13 frames interpolated from 7, each second one is a frame; the mouth moves most at the apex."""
    options = CropOptions(clip_frames=13, size=96)
    cropped = crop_clip(clip, options)
    frames = np.stack(cropped.clip_frames).astype(int)
    assert frames.shape == (13, 96, 96)
    np.testing.assert_array_equal(frames[0], cropped.onset)
    np.testing.assert_allclose(frames[4:14:2], cropped.faces, atol=1)
    change = np.abs(frames - frames[0])[:, 64:79, 30:68].mean(axis=(1, 2))
    assert change.argmax() // 2 == np.argmax(STRENGTHS)
    assert crop_clip(clip, replace(options, clip_frames=0)).clip_frames == ()
    # A frame of another scene is left out.
    cv2.imwrite(str(clip.frames / "img16.png"), np.zeros((260, 240), np.uint8))
    shorter = crop_clip(clip, replace(options, clip_frames=6))
    np.testing.assert_allclose(shorter.clip_frames, frames[:12:2], atol=1)


def test_frames_lie_beside_the_pairs(clip: Clip, tmp_path: Path) -> None:
    out, options = tmp_path / "data", CropOptions(clip_frames=10, size=64)
    clips = [replace(clip, clip="b", offset=15), clip]
    prepare_clips(clips, out, options=options, workers=1, progress=False)
    pairs = load_pairs(out)
    frames = load_clip_frames(out, pairs)
    assert frames.shape == (len(pairs.clip), 10, 64, 64) and frames.dtype == np.uint8
    for one in clips:
        expected = crop_clip(one, options).clip_frames
        np.testing.assert_array_equal(frames[np.flatnonzero(pairs.clip == one.clip)[0]], expected)
    again = prepare_clips(clips, out, options=options, workers=1, progress=False)
    assert again.reused == 2
    np.testing.assert_array_equal(load_clip_frames(out, pairs), frames)
    (out / CLIP_FRAMES_FILE).write_bytes((out / CLIP_FRAMES_FILE).read_bytes()[:-500])
    with pytest.raises(UserError, match=r"clip_frames\.npz: damaged, or of other clips; prepare the folder again"):
        load_clip_frames(out, pairs)
    (out / CLIP_FRAMES_FILE).unlink()
    with pytest.raises(UserError, match="data: d was prepared without the frames from onset to offset; prepare it"):
        load_clip_frames(out, pairs)


def test_a_clip_without_frames_in_between_is_refused(clip: Clip, tmp_path: Path) -> None:
    for number in range(11, 16):
        (clip.frames / f"img{number}.png").unlink()
    with pytest.raises(UserError, match="frames: d has no frames between onset 10 and offset 16.*without --clip_fra"):
        crop_clip(replace(clip, apex=16), CropOptions(clip_frames=10))
    with pytest.raises(UserError, match="clip_frames 5 is out of range; use 9 to 64, or 0"):
        prepare_clips([clip], tmp_path / "data", options=CropOptions(clip_frames=5))
