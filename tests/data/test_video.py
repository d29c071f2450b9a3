from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from icegan_jax.data.video import (
    list_frames,
    read_color_frames,
    read_frame,
    read_frames,
    read_video_info,
    write_video,
)
from icegan_jax.errors import UserError
from tests.inference.recordings import astronaut
from tests.videos import write_test_video

Gray = NDArray[np.uint8]
POSITIONS = [0, 1, 2, 3, 6, 7, 8, 9, 10, 12]  # of frames at 25 per second, with gaps of 2 and of 1 frame


def pictures(count: int = 10) -> list[Gray]:
    """Return uint8[48, 64] frames of a moving face: frame i is shifted by i pixels."""
    return [np.ascontiguousarray(np.roll(astronaut(), i, axis=1)[60:108, 60:124]) for i in range(count)]


def test_read_frame_returns_gray_levels_and_raises_without_an_image(tmp_path: Path) -> None:
    color = np.zeros((3, 5, 3), np.uint8)
    color[..., 1] = 100
    cv2.imwrite(str(tmp_path / "a.png"), color)
    gray = read_frame(tmp_path / "a.png")
    assert gray.dtype == np.uint8 and gray.shape == (3, 5)
    assert np.all(np.abs(gray.astype(int) - 58.7) <= 1)  # 0.587 * 100, ITU-R BT.601
    (tmp_path / "b.png").write_bytes(b"no image")
    (tmp_path / "c.png").touch()
    for name, message in (("b", r"not a readable image \(no jpg"), ("c", r"is empty \(0 bytes\)"), ("d", "be read")):
        with pytest.raises(UserError, match=rf"{name}\.png: .*{message}"):
            read_frame(tmp_path / f"{name}.png")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
def test_a_truncated_image_raises(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"img1{suffix}"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (60, 80), np.uint8))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=rf"img1\{suffix}: not a readable image .*restore the file"):
        read_frame(path)


def test_a_turned_picture(tmp_path: Path) -> None:
    turned = Image.fromarray(np.zeros((20, 30), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees
    turned.save(tmp_path / "turned.jpg", exif=exif)
    assert read_frame(tmp_path / "turned.jpg").shape == (30, 20)


def test_read_frames_in_order_and_names_a_gap(tmp_path: Path) -> None:
    for n in (2, 10, 9):
        cv2.imwrite(str(tmp_path / f"img{n}.png"), np.full((4, 4), n, np.uint8))
    assert list_frames(tmp_path) == [2, 9, 10]
    assert [(n, int(image[0, 0])) for n, image in read_frames(tmp_path, [10, 2, 10])] == [(2, 2), (10, 10)]
    with pytest.raises(UserError, match="frame 3 is missing; restore the file"):
        list(read_frames(tmp_path, [2, 3]))


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_the_bits_of_a_camera_keep_their_levels_with_one_scale_for_the_clip(tmp_path: Path, bits: int) -> None:
    frames = {n: np.clip(picture * (0.1 * n), 0, 255).astype(np.uint8) for n, picture in enumerate(pictures())}
    for n, frame in frames.items():
        cv2.imwrite(str(tmp_path / f"img{n}.png"), frame.astype(np.uint16) << (bits - 8))
    assert all((image == frames[n]).all() for n, image in read_frames(tmp_path, frames))
    assert all((image == frames[n]).all() for n, image in read_frames(tmp_path, [1, 2]))  # dark frames of the clip


def test_positions_in_a_video(tmp_path: Path) -> None:
    path = write_test_video(tmp_path / "a: 100%.mkv", pictures())
    assert list_frames(path) == range(10)
    frames = dict(read_frames(path, [7, 2]))
    assert list(frames) == [2, 7]
    np.testing.assert_array_equal([frames[2], frames[7]], [pictures()[2], pictures()[7]])
    with pytest.raises(UserError, match="frame 10 cannot be read; the video ends at frame 10"):
        list(read_frames(path, [9, 10]))
    with pytest.raises(UserError, match="no such video"):
        read_video_info(tmp_path / "w.avi")


def test_a_gif_is_a_video(tmp_path: Path) -> None:
    images = [Image.fromarray(np.full((48, 64), level, np.uint8)) for level in (0, 100, 200)]
    images[0].save(tmp_path / "clip.gif", save_all=True, append_images=images[1:], duration=40)
    levels = [int(image.mean()) for _, image in read_frames(tmp_path / "clip.gif", [0, 1, 2])]
    assert np.abs(np.subtract(levels, (0, 100, 200))).max() <= 3
    np.testing.assert_allclose(read_video_info(tmp_path / "clip.gif").timestamps, [0, 0.04, 0.08])


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_each_frame_has_its_own_time_and_gaps_are_counted(tmp_path: Path, suffix: str) -> None:
    info = read_video_info(write_test_video(tmp_path / f"a{suffix}", pictures(), 25, POSITIONS))
    np.testing.assert_allclose(info.timestamps, np.array(POSITIONS) / 25, atol=1e-3)
    assert (info.rate, info.lowest_rate, info.missing_frames) == (25, None, 3)
    even = read_video_info(write_test_video(tmp_path / f"b{suffix}", pictures(), 60))
    assert (even.rate, even.lowest_rate, even.missing_frames) == (60, None, 0)


def test_a_null_frame_repeats_the_frame_before_it(tmp_path: Path) -> None:
    """An annotator counts null frames, as players show them."""
    path = write_test_video(tmp_path / "a.avi", pictures(), 25, POSITIONS)
    info = read_video_info(path)
    np.testing.assert_allclose(info.timestamps, np.arange(13) / 25)
    assert (info.rate, info.missing_frames) == (25, 3) and list_frames(path) == range(13)
    frames = dict(read_frames(path, range(13)))
    whole = dict(read_frames(write_test_video(tmp_path / "b.avi", pictures(13), 25), range(13)))
    for position, shown in ((4, 3), (5, 3), (11, 10)):
        np.testing.assert_array_equal(frames[position], frames[shown])
    for number, position in enumerate(POSITIONS):
        np.testing.assert_array_equal(frames[position], whole[number])


@pytest.mark.parametrize("clock", [90_000, 25])
def test_a_rate_that_varies(tmp_path: Path, clock: int) -> None:
    """A clock of 25 per second is too coarse: frames in one of its ticks are a 90,000th of a second apart."""
    times = np.concatenate([np.arange(15) / 15, 1 + np.arange(60) / 60])
    ticks = np.floor(times * clock + 1e-6) / clock
    ticks += (np.arange(75) - np.searchsorted(ticks, ticks)) / 90_000
    write_video(tmp_path / "a.mp4", zip(ticks, pictures(75), strict=True), 30)
    info = read_video_info(tmp_path / "a.mp4")
    np.testing.assert_allclose(info.timestamps, times, atol=0.001 + 1 / clock)
    assert info.rate == pytest.approx(60, rel=0.1) and info.lowest_rate == pytest.approx(15, rel=0.2)
    assert info.missing_frames == 0


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_rotation_tag_turns_the_frames(tmp_path: Path, degrees: int) -> None:
    plain = write_test_video(tmp_path / "a.mp4", pictures())
    turned = write_test_video(tmp_path / "b.mp4", pictures(), rotation=degrees)
    (_, expected), (_, actual) = (next(read_frames(path, [3])) for path in (plain, turned))
    np.testing.assert_array_equal(actual, np.rot90(expected, degrees // 90))


def test_an_edit_list_hides_the_frames_before_the_cut(tmp_path: Path) -> None:
    """A cut without coding starts at the key frame before the cut, frame 12, and shows from frame 18 on."""
    whole, cut = write_test_video(tmp_path / "whole.mp4", pictures(60)), tmp_path / "cut.mp4"
    options = {"use_editlist": "1", "avoid_negative_ts": "disabled"}
    with av.open(str(whole)) as source, av.open(str(cut), "w", options=options) as target:
        video = source.streams.video[0]
        copy = target.add_stream_from_template(video)
        assert video.time_base is not None
        start, shown = (round(frame / 25 / video.time_base) for frame in (12, 18))
        for packet in source.demux(video):
            if packet.dts is not None and packet.pts is not None and packet.pts >= start:
                packet.pts, packet.dts, packet.stream = packet.pts - shown, packet.dts - shown, copy
                target.mux(packet)
    info = read_video_info(cut)
    assert info.frames == 42 and info.timestamps[-1] == pytest.approx(41 / 25)
    (_, expected), (_, actual) = next(read_frames(whole, [18])), next(read_frames(cut, [0]))
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize(("suffix", "options"), [(".avi", {}), (".mkv", {}), (".mp4", {"movflags": "faststart"})])
def test_a_truncated_video_is_not_taken_as_the_whole(tmp_path: Path, suffix: str, options: dict[str, str]) -> None:
    path = write_test_video(tmp_path / f"a{suffix}", pictures(60), **options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(UserError, match=rf"a\{suffix}: breaks off after \d+ frames, at .* of 2.40 s; copy the video"):
        read_video_info(path)


def test_damaged_frames_are_counted_and_stop_reading(tmp_path: Path) -> None:
    path = write_test_video(tmp_path / "a.avi", pictures(60))
    data = bytearray(path.read_bytes())
    starts = [i for i in range(len(data)) if data[i : i + 2] == b"\xff\xd8"]  # of the JPEGs
    for frame in (20, 30):
        data[starts[frame] : starts[frame] + 600] = bytes(600)
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"a\.avi: 2 of 60 frames are damaged; copy the video again, or convert"):
        read_video_info(path)
    with pytest.raises(UserError, match=r"a\.avi: frame 20 is damaged"):
        list(read_frames(path, [0, 25]))


def test_files_without_frames(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").touch()
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        silence.sample_rate = 8000
        container.mux(stream.encode(silence))
    for name, message in (("text.mp4", "not a readable video"), ("empty.mp4", "empty"), ("sound.wav", "no pictures")):
        with pytest.raises(UserError, match=rf"{name}: .*{message}.*; "):
            read_video_info(tmp_path / name)


def test_an_mp4_without_index(tmp_path: Path) -> None:
    data = write_test_video(tmp_path / "a.mp4", pictures(5)).read_bytes()
    (tmp_path / "a.mp4").write_bytes(data[: data.index(b"moov") - 4])
    with pytest.raises(
        UserError, match=r"a\.mp4: has no index \(moov\), which a recorder writes at the end; copy the whole"
    ):
        read_video_info(tmp_path / "a.mp4")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_written_video_keeps_pictures_times_and_comment(tmp_path: Path, suffix: str) -> None:
    path, times = tmp_path / f"a{suffix}", [0, 0.02, 0.04, 0.1, 0.12]
    grays = [picture[:47, :63] for picture in pictures(5)]
    frames = [np.dstack([gray, gray // 2, 255 - gray]) for gray in grays]
    write_video(path, zip(times, frames, strict=True), 50, "Synthetic, ü")
    info = read_video_info(path)
    np.testing.assert_allclose(info.timestamps, times, atol=1e-3)
    assert (info.rate, info.missing_frames) == (50, 2)
    actual = np.array(list(read_color_frames(path)))
    assert actual.shape == (5, 48, 64, 3)
    assert np.abs(actual[:, :47, :63].mean(axis=(1, 2)) - np.mean(frames, axis=(1, 2))).max() < 3
    with av.open(str(path)) as container:
        assert "Synthetic, ü" in container.metadata.values()


def test_a_codec_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    path = write_test_video(tmp_path / "film.mp4", pictures())
    content = path.read_bytes()
    path.write_bytes(content.replace(b"avc1", b"abcd"))
    with pytest.raises(UserError, match="codec unknown.*convert the video to H.264, for example: ffmpeg -i .*film.mp4"):
        read_video_info(path)
    at = content.index(b"mdat")
    end = at - 4 + int.from_bytes(content[at - 4 : at])
    path.write_bytes(content[: at + 4] + bytes(end - at - 4) + content[end:])  # no frame is left
    with pytest.raises(UserError, match="codec h264"):
        read_video_info(path)
