from pathlib import Path

import cv2
import numpy as np
import pytest

from icegan_jax.data.clips import (
    EXPRESSIONS,
    Clip,
    count_video_frames,
    index_frames,
    label_of,
    read_clips,
    read_frame,
    read_video,
    write_clips,
)
from icegan_jax.errors import UserError
from tests.data.conftest import HEADER

ROW = "d,s,c,anger,f,1,2,3"


def _csv(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "clips.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("word", "expression"),
    [
        ("Repression", "negative"),
        ("anger", "negative"),
        ("angry", "negative"),
        ("contempt", "negative"),
        ("DISGUST", "negative"),
        ("fear", "negative"),
        ("sadness", "negative"),
        ("sad", "negative"),
        ("negative", "negative"),
        (" happiness ", "positive"),
        ("happy", "positive"),
        ("amusement", "positive"),
        ("positive", "positive"),
        ("Surprise", "surprise"),
        ("surprised", "surprise"),
    ],
)
def test_label_of(word: str, expression: str) -> None:
    assert EXPRESSIONS[label_of(word)] == expression


def test_unknown_label_names_the_line_and_the_words(tmp_path: Path) -> None:
    path = _csv(tmp_path, ROW, "", "d,s,c2,others,f,1,2,3")
    with pytest.raises(UserError, match=r"clips\.csv, line 4: label 'others'.*negative.*happiness"):
        read_clips(path)


def test_reads_what_it_writes(tmp_path: Path) -> None:
    clips = [
        Clip("d", "s 1", "é", 0, tmp_path / "raw" / "a", 3, None, 9),
        Clip("d", "s2", "c", 2, tmp_path.parent / "video.mp4", 0, 4, 5),
    ]
    (tmp_path / "raw" / "a").mkdir(parents=True)
    path = tmp_path / "clips.csv"
    write_clips(path, clips)
    read = read_clips(path)
    assert [(c.dataset, c.subject, c.clip, c.label, c.onset, c.apex, c.offset) for c in read] == [
        ("d", "s 1", "é", 0, 3, None, 9),
        ("d", "s2", "c", 2, 0, 4, 5),
    ]
    assert [c.frames.resolve() for c in read] == [c.frames.resolve() for c in clips]


def test_spreadsheet_habits_are_read(tmp_path: Path) -> None:
    path = tmp_path / "clips.csv"
    text = f"\ufeff{HEADER},notes\r\n d , s ,c,Anger,f, 1 ,, 3,x\r\n,,,,,,,,\r\n"
    path.write_bytes(text.encode("utf-8"))
    (clip,) = read_clips(path)
    assert clip == Clip("d", "s", "c", 0, tmp_path / "f", 1, None, 3)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("d,s,c,anger,f,one,2,3", "onset 'one' is not a frame number"),
        ("d,s,c,anger,f,1,-2,3", "apex '-2' is not a frame number"),
        ("d,s,c,anger,f,1,2,", "offset '' is not a frame number"),
        ("d,s,c,anger,f,3,3,3", "offset 3 of clip d/s/c is not after onset 3"),
        ("d,s,c,anger,,1,2,3", "frames is empty"),
        ("d,,c,anger,f,1,2,3", "subject is empty"),
        ("../d,s,c,anger,f,1,2,3", "dataset '../d' cannot be a folder name"),
        ("d,a/b,c,anger,f,1,2,3", "subject 'a/b' cannot be a folder name"),
        ("d,s,a\\b,anger,f,1,2,3", "cannot be a folder name"),
        ("d,s,..,anger,f,1,2,3", "clip '..' cannot be a folder name"),
        ("d,s", "label '' has no class|frames is empty"),
    ],
)
def test_bad_row_names_the_line(tmp_path: Path, row: str, message: str) -> None:
    path = _csv(tmp_path, row)
    with pytest.raises(UserError, match="line 2") as caught:
        read_clips(path)
    assert any(part in str(caught.value) for part in message.split("|"))


def test_duplicate_clip_names_both_lines(tmp_path: Path) -> None:
    path = _csv(tmp_path, ROW, "d,s2,c,anger,f,1,2,3", ROW)
    with pytest.raises(UserError, match="line 4: clip d/s/c is already in line 2"):
        read_clips(path)


def test_missing_file_column_and_rows(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing\.csv: no such file"):
        read_clips(tmp_path / "nothing.csv")
    with pytest.raises(UserError, match="column onset, apex is missing; the first line must be dataset,"):
        read_clips(_csv(tmp_path, header="dataset,subject,clip,label,frames,offset"))
    with pytest.raises(UserError, match="holds no clips"):
        read_clips(_csv(tmp_path))
    (tmp_path / "clips.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not a UTF-8 text file"):
        read_clips(tmp_path / "clips.csv")


def test_index_frames_takes_the_last_integer_in_numeric_order(tmp_path: Path) -> None:
    for name in ("reg_img100.jpg", "reg_img99.JPG", "006_1_2_00007.bmp", "notes1.txt", "cover.png"):
        (tmp_path / name).touch()
    (tmp_path / "._img5.png").touch()
    index = index_frames(tmp_path)
    assert list(index) == [7, 99, 100]
    assert index[99].name == "reg_img99.JPG"


def test_index_frames_refuses(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        index_frames(tmp_path / "missing")
    with pytest.raises(UserError, match="no frames; put jpg"):
        index_frames(tmp_path)
    (tmp_path / "img01.png").touch()
    (tmp_path / "reg1.jpg").touch()
    with pytest.raises(UserError, match=r"img01\.png and reg1\.jpg are both frame 1"):
        index_frames(tmp_path)


def test_read_frame_is_grey_and_refuses_what_is_no_image(tmp_path: Path) -> None:
    colour = np.zeros((3, 5, 3), np.uint8)
    colour[..., 1] = 100
    cv2.imwrite(str(tmp_path / "a.png"), colour)
    grey = read_frame(tmp_path / "a.png")
    assert grey.dtype == np.uint8 and grey.shape == (3, 5)
    assert np.all(np.abs(grey.astype(int) - 58.7) <= 1)  # 0.587 * 100, ITU-R BT.601
    (tmp_path / "b.png").write_bytes(b"no image")
    (tmp_path / "c.png").touch()
    for name in ("b.png", "c.png"):
        with pytest.raises(UserError, match=rf"{name}: not a readable image"):
            read_frame(tmp_path / name)
    with pytest.raises(UserError, match="cannot be read"):
        read_frame(tmp_path / "d.png")


def test_video_positions(tmp_path: Path) -> None:
    path = tmp_path / "v.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for level in range(0, 200, 20):
        writer.write(np.full((48, 64, 3), level, np.uint8))
    writer.release()
    assert count_video_frames(path) == 10
    frames = read_video(path, [7, 2])
    assert list(frames) == [2, 7]
    assert abs(float(frames[2].mean()) - 40) < 3 and abs(float(frames[7].mean()) - 140) < 3
    with pytest.raises(UserError, match="frame 10 cannot be read; the video ends or breaks at frame 10"):
        read_video(path, [9, 10])
    with pytest.raises(UserError, match="no such video"):
        count_video_frames(tmp_path / "w.avi")
