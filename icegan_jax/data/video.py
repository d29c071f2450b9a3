"""The frames of a clip, which is a folder of images or a video file: frame numbers, and frames read one at a time."""

import math
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.clips import MAX_DIGITS
from icegan_jax.data.images import read_gray
from icegan_jax.errors import UserError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".bmp", ".png")
VIDEO_SUFFIXES = (".avi", ".mp4", ".mov", ".mkv", ".gif")

# FFmpeg's own messages about a damaged stream are silenced, as this module raises an error. OpenCV reads the variable
# when a process opens or writes its first video, in whichever module.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

# A frame rate in a header outside these limits is ignored.
_MIN_RATE = 0.1
_MAX_RATE = 100_000.0  # frames per second of the fastest cameras that record whole frames

Gray = NDArray[np.uint8]


def list_frames(path: str | Path) -> Sequence[int]:
    """Return the numbers of the frames that exist in a folder or a video, ascending.

    Raises:
        UserError: the folder or the video is missing, unreadable or empty.
    """
    path = Path(path)
    if path.is_file():
        return range(count_video_frames(path))
    return list(index_frames(path))


def read_frames(path: str | Path, numbers: Iterable[int]) -> Iterator[tuple[int, Gray]]:
    """Yield (number, gray levels uint8[h, w]) of the given frames, ascending, one at a time.

    A truncated image is an error. A damaged frame inside a video is not detected, as OpenCV fills such a frame without
    an error.

    Args:
        path: a folder of frames, or a video.
        numbers: frame numbers: those in the file names of a folder, or positions in a video, from 0.

    Raises:
        UserError: the folder or video is missing, or a frame is missing or cannot be read.
    """
    path = Path(path)
    requested = sorted(set(numbers))
    if path.is_file():
        yield from _read_video(path, requested)
        return
    files = index_frames(path)
    for number in requested:
        if number not in files:
            raise UserError(f"{path}: frame {number} is missing; restore the file or correct the annotation")
        yield number, read_frame(files[number])


def index_frames(folder: str | Path) -> dict[int, Path]:
    """Return {frame number: image file} of a folder, in numeric order.

    The frame number is the last integer in the file name, whatever its padding and prefix (docs/databases.md, "Rules
    for reading", rule 2). Files are ignored that are not jpg, jpeg, bmp or png, or whose name has no number or one of
    more than 9 digits.

    Raises:
        UserError: there is no such folder, the folder has no frame, or two files have the same number.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of frames, and no such video; correct the column frames")
    files: dict[int, Path] = {}
    for file in sorted(folder.iterdir()):
        numbers = re.findall(r"[0-9]+", file.stem)
        if file.suffix.lower() not in IMAGE_SUFFIXES or not numbers or file.name.startswith("."):
            continue
        if len(numbers[-1].lstrip("0")) > MAX_DIGITS:  # clips.csv does not accept such a number
            continue
        number = int(numbers[-1])
        if number in files:
            raise UserError(f"{folder}: {files[number].name} and {file.name} are both frame {number}; remove one")
        files[number] = file
    if not files:
        raise UserError(f"{folder}: no frames; put jpg, png or bmp images there whose names end in the frame number")
    return dict(sorted(files.items()))


def read_frame(path: str | Path) -> Gray:
    """Read an image file as gray levels uint8[h, w], 0 to 255, see ``images.read_gray``.

    Raises:
        UserError: the file is missing, truncated or not an image.
    """
    return read_gray(Path(path), "restore the file or remove the clip")


@dataclass(frozen=True)
class VideoInfo:
    """The length and frame rate of a video.

    Attributes:
        frames: number of readable frames, counted by grabbing each frame, as the number in the header may be wrong.
        header_frames: number of frames in the header; 0 where the header has none.
        rate: frames per second in the header; None where the header has no plausible rate.
    """

    frames: int
    header_frames: int
    rate: float | None


def read_video_info(path: str | Path) -> VideoInfo:
    """Read the header of a video and count the frames.

    Raises:
        UserError: the video cannot be opened or holds no frame.
    """
    video = _open_video(Path(path))
    header_frames, rate = video.get(cv2.CAP_PROP_FRAME_COUNT), video.get(cv2.CAP_PROP_FPS)
    count = 0
    while video.grab():
        count += 1
    video.release()
    if not count:
        raise UserError(f"{path}: the video holds no readable frame; convert it to mp4 or to images")
    plausible = math.isfinite(rate) and _MIN_RATE <= rate <= _MAX_RATE
    header_frames = max(0, int(header_frames)) if math.isfinite(header_frames) else 0
    return VideoInfo(count, header_frames, rate if plausible else None)


def count_video_frames(path: str | Path) -> int:
    """Return the number of frames of a video, see ``read_video_info``.

    Raises:
        UserError: the video cannot be opened or holds no frame.
    """
    return read_video_info(path).frames


def read_color_frames(path: str | Path) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames uint8[h, w, 3] of a video in OpenCV's order of channels: blue, green, red.

    Raises:
        UserError: the video cannot be opened.
    """
    video = _open_video(Path(path))
    try:
        while True:
            ok, image = video.read()
            if not ok:
                return
            yield np.asarray(image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2BGR), np.uint8)
    finally:
        video.release()


def _read_video(path: Path, numbers: Sequence[int]) -> Iterator[tuple[int, Gray]]:
    """Yield (number, frame) of the numbers, ascending. All frames are decoded, as seeking is inexact in many codecs."""
    if not numbers:
        return
    video = _open_video(path)
    try:
        remaining = iter(numbers)
        number = next(remaining, None)
        position = 0
        while number is not None and video.grab():
            if position == number:
                ok, image = video.retrieve()
                if not ok:
                    break
                gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
                yield number, np.asarray(gray, np.uint8)
                number = next(remaining, None)
            position += 1
    finally:
        video.release()
    if number is not None:
        raise UserError(f"{path}: frame {number} cannot be read; the video ends or breaks at frame {position}")


def _open_video(path: Path) -> cv2.VideoCapture:
    if not path.is_file():
        raise UserError(f"{path}: no such video; correct the column frames")
    # The messages of OpenCV and of its own decoder of avi files are silenced, as this module raises an error.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not video.isOpened():
        raise UserError(f"{path}: not a readable video; convert it to mp4 or to a folder of images")
    return video
