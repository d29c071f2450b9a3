from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from icegan_jax.data.video import count_video_frames, index_frames, list_frames, read_frame, read_frames
from icegan_jax.errors import UserError


def test_index_frames_takes_the_last_integer_in_numeric_order(tmp_path: Path) -> None:
    for name in ("reg_img100.jpg", "reg_img99.JPG", "006_1_2_00007.bmp", "notes1.txt", "cover.png"):
        (tmp_path / name).touch()
    (tmp_path / "._img5.png").touch()
    index = index_frames(tmp_path)
    assert list(index) == [7, 99, 100]
    assert index[99].name == "reg_img99.JPG"


def test_invalid_frame_folders_raise(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        index_frames(tmp_path / "missing")
    with pytest.raises(UserError, match="no frames; put jpg"):
        index_frames(tmp_path)
    (tmp_path / "img01.png").touch()
    (tmp_path / "reg1.jpg").touch()
    with pytest.raises(UserError, match=r"img01\.png and reg1\.jpg are both frame 1"):
        index_frames(tmp_path)


def test_read_frame_returns_gray_levels_and_raises_without_an_image(tmp_path: Path) -> None:
    color = np.zeros((3, 5, 3), np.uint8)
    color[..., 1] = 100
    cv2.imwrite(str(tmp_path / "a.png"), color)
    gray = read_frame(tmp_path / "a.png")
    assert gray.dtype == np.uint8 and gray.shape == (3, 5)
    assert np.all(np.abs(gray.astype(int) - 58.7) <= 1)  # 0.587 * 100, ITU-R BT.601
    (tmp_path / "b.png").write_bytes(b"no image")
    (tmp_path / "c.png").touch()
    with pytest.raises(UserError, match=r"b\.png: not a readable image \(no jpg, png or bmp\)"):
        read_frame(tmp_path / "b.png")
    with pytest.raises(UserError, match=r"c\.png: is empty \(0 bytes\)"):
        read_frame(tmp_path / "c.png")
    with pytest.raises(UserError, match="cannot be read"):
        read_frame(tmp_path / "d.png")


def test_video_positions(tmp_path: Path) -> None:
    path = tmp_path / "v.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for level in range(0, 200, 20):
        writer.write(np.full((48, 64, 3), level, np.uint8))
    writer.release()
    assert count_video_frames(path) == 10
    assert list_frames(path) == range(10)
    frames = dict(read_frames(path, [7, 2]))
    assert list(frames) == [2, 7]
    assert abs(float(frames[2].mean()) - 40) < 3 and abs(float(frames[7].mean()) - 140) < 3
    with pytest.raises(UserError, match="frame 10 cannot be read; the video ends or breaks at frame 10"):
        list(read_frames(path, [9, 10]))
    with pytest.raises(UserError, match="no such video"):
        count_video_frames(tmp_path / "w.avi")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
def test_a_truncated_image_raises(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"img1{suffix}"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (60, 80), np.uint8))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=rf"img1\{suffix}: not a readable image .*restore the file"):
        read_frame(path)


def test_sixteen_bits_and_a_turned_picture(tmp_path: Path) -> None:
    deep = np.arange(6, dtype=np.uint16).reshape(2, 3) * 10000
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    assert (read_frame(tmp_path / "deep.png") == deep >> 8).all()
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


def test_a_gif_is_a_video(tmp_path: Path) -> None:
    pictures = [Image.fromarray(np.full((48, 64), level, np.uint8)) for level in (0, 100, 200)]
    pictures[0].save(tmp_path / "clip.gif", save_all=True, append_images=pictures[1:])
    levels = [int(image.mean()) for _, image in read_frames(tmp_path / "clip.gif", [0, 1, 2])]
    assert np.abs(np.subtract(levels, (0, 100, 200))).max() <= 3


def test_a_number_too_long_for_a_clips_csv_is_no_frame(tmp_path: Path) -> None:
    for name in ("img7.png", "img0000000008.png", "img9999999999.png"):
        (tmp_path / name).touch()
    assert list(index_frames(tmp_path)) == [7, 8]
