import re
import wave
from pathlib import Path

import cv2
import numpy as np
import pytest

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.errors import UserError
from icegan_jax.inference.inputs import FrameSource, open_inputs
from tests.inference.recordings import write_folder, write_pair, write_video


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
    assert open_(path, fps=120)[0].fps == 120


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
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    assert refusal(text).startswith(f"{text}: not a readable video")


def test_a_pair_of_different_sizes(tmp_path: Path) -> None:
    onset, apex = write_pair(tmp_path)
    cv2.imwrite(str(apex), np.zeros((20, 30), np.uint8))
    assert refusal(onset, apex) == f"{apex}: is 30x20, the onset {onset} 240x260; give two frames of one recording"


def test_a_sound_file(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16000))
    assert refusal(path).startswith(f"{path}: not a readable video")


@pytest.mark.parametrize(("name", "codec"), [("film.avi", "MJPG"), ("film.mp4", "mp4v")])
def test_a_video_that_breaks_off(tmp_path: Path, name: str, codec: str) -> None:
    whole = write_video(tmp_path / name, [0.0, 0.5, 1.0] * 8, codec=codec).read_bytes()
    path = tmp_path / f"cut_{name}"
    path.write_bytes(whole[: int(0.6 * len(whole))])
    message = refusal(path)
    assert message.startswith(str(path))
    assert re.search(r"breaks off at frame \d+ of 24; copy it again|not a readable video", message)


def test_a_video_without_frames(tmp_path: Path) -> None:
    path = tmp_path / "none.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (32, 32))
    writer.release()
    assert refusal(path).startswith(f"{path}: ")
