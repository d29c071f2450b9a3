from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.data.crop import CropOptions, crop_clip, inspect_clip
from icegan_jax.data.video import list_frames
from icegan_jax.errors import UserError
from icegan_jax.inference.inputs import FrameSource, array_source, open_inputs
from tests.inference.recordings import frames, write_folder, write_pair, write_video
from tests.videos import write_test_video


def open_(*given: Path | str, fps: float | None = None) -> list[FrameSource]:
    return open_inputs([str(path) for path in given], fps, EXPRESSIONS)


def refusal(*given: Path | str) -> str:
    with pytest.raises(UserError) as caught:
        open_(*given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_pair(tmp_path: Path) -> None:
    (pair,) = open_(*write_pair(tmp_path))
    assert pair.clip is not None and (pair.clip.onset, pair.clip.apex, pair.clip.offset) == (0, 1, 1)
    assert [image.shape for _, image in pair.read([0, 1])] == [(260, 240)] * 2


def test_a_folder(tmp_path: Path) -> None:
    (source,) = open_(write_folder(tmp_path / "frames"), fps=200)
    assert list(source.frame_numbers) == list(range(10, 17))
    assert (source.name, source.fps, source.is_video, source.clip) == ("frames", 200, False, None)


def test_a_video(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.avi", fps=60)
    (source,) = open_(path)
    assert (list(source.frame_numbers), source.fps, source.is_video) == (list(range(7)), 60, True)
    faster = open_(path, fps=120)[0]
    assert (source.seconds(3), faster.seconds(3)) == (pytest.approx(0.05), 0.025)


def test_frames_of_a_video_have_their_own_times(tmp_path: Path) -> None:
    path = write_test_video(tmp_path / "film.mp4", frames(), fps=60, positions=[0, 1, 2, 5, 6, 7, 8])
    (source,) = open_(path)
    assert (source.fps, source.missing_frames, source.seconds(3)) == (60, 2, pytest.approx(5 / 60))
    (source,) = open_(path, fps=60)  # a given rate replaces the clock of the file
    assert (source.missing_frames, source.seconds(3)) == (0, 3 / 60)


def test_a_frame_lasts_until_the_next_one(tmp_path: Path) -> None:
    path = write_test_video(tmp_path / "film.mp4", frames(), fps=60, positions=[0, 1, 2, 5, 6, 7, 8])
    (source,) = open_(path)
    assert [number for number, _ in source.read_evenly(source.read(range(7)))] == [0, 1, 2, 2, 2, 3, 4, 5, 6]
    assert source.duration == pytest.approx(9 / 60)


def test_all_commands_number_the_frames_alike(tmp_path: Path) -> None:
    """In a video with null frames the annotated apex is the frame that a player shows."""
    path = write_test_video(tmp_path / "film.avi", frames(), fps=60, positions=[0, 1, 4, 5, 6, 7, 8])
    table = tmp_path / "clips.csv"
    table.write_text("dataset,subject,clip,label,frames,onset,apex,offset\nmine,bob,two,surprise,film.avi,0,6,8\n")
    (video,), (clip,) = open_(path), open_(table)
    assert clip.clip is not None
    assert list(video.frame_numbers) == list(clip.frame_numbers) == list(list_frames(path)) == list(range(9))
    prepared = crop_clip(clip.clip, CropOptions())
    recognized = inspect_clip(clip.clip, CropOptions(), clip.frame_numbers, clip.read)
    np.testing.assert_array_equal(prepared.faces, recognized.crops.faces)
    whole = array_source(frames(), path, 60.0, replace(clip.clip, apex=4, offset=6))
    expected = inspect_clip(whole.clip, CropOptions(), whole.frame_numbers, whole.read)  # type: ignore[arg-type]
    differences = np.abs(expected.crops.faces.astype(int) - prepared.faces[2]).mean((1, 2))
    assert int(np.argmin(differences)) == 2  # Motion JPEG loses a little


def test_annotated_clips(tmp_path: Path) -> None:
    write_folder(tmp_path / "frames")
    write_video(tmp_path / "film.avi", fps=50)
    table = tmp_path / "clips.csv"
    table.write_text(
        "dataset,subject,clip,label,frames,onset,apex,offset\n"
        "mine,anna,one,happiness,frames,10,14,16\nmine,bob,two,surprise,film.avi,0,,6\n"
    )
    one, two = open_(table)
    assert (one.name, two.name) == ("mine_anna_one", "mine_bob_two")
    assert one.clip is not None and two.clip is not None and (one.clip.label, two.clip.apex) == (1, None)
    assert (one.fps, two.fps, one.is_video, two.is_video) == (None, 50, False, False)


def test_invalid_inputs(tmp_path: Path) -> None:
    onset, apex = write_pair(tmp_path / "pair")
    assert "no such file or folder" in refusal(tmp_path / "nowhere.mp4")
    assert refusal(onset).startswith(f"{onset}: one picture shows no change; give the pair: --input {onset} APEX")
    assert "give one, or the two pictures of a pair" in refusal(onset, apex, apex)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert refusal(empty).startswith(f"{empty}: no frames")
    images = [Image.fromarray(frame) for frame in frames()]
    images[0].save(tmp_path / "a.webp", save_all=True, append_images=images[1:])
    assert refusal(tmp_path / "a.webp").endswith("an animated webp cannot be read; convert it to a gif or mp4")
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    assert refusal(text).startswith(f"{text}: not a readable video")


def test_a_pair_of_different_sizes(tmp_path: Path) -> None:
    onset, apex = write_pair(tmp_path)
    cv2.imwrite(str(apex), np.zeros((20, 30), np.uint8))
    assert refusal(onset, apex) == f"{apex}: is 30x20, the onset {onset} 240x260; give two frames of one recording"
