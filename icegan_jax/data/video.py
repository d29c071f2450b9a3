"""The frames of a clip: a folder of images or a video, listed and read one at a time."""

import math
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.clips import MOST_DIGITS
from icegan_jax.data.images import read_grey
from icegan_jax.errors import UserError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".bmp", ".png")
VIDEO_SUFFIXES = (".avi", ".mp4", ".mov", ".mkv", ".gif")

# Our message tells of a damaged stream, not FFmpeg's: OpenCV looks at this when a process opens or writes its first
# video, whoever does that.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

# A header that says less or more frames per second than these is not to be trusted.
_LEAST_RATE = 0.1
_MOST_RATE = 100_000.0  # of the fastest cameras that film whole frames

Grey = NDArray[np.uint8]


def list_frames(path: str | Path) -> Sequence[int]:
    """Returns the numbers of the frames that exist, ascending, of a folder or a video.

    Raises:
        UserError: the folder or the video is missing, unreadable or empty.
    """
    path = Path(path)
    if path.is_file():
        return range(count_video_frames(path))
    return list(index_frames(path))


def read_frames(path: str | Path, numbers: Iterable[int]) -> Iterator[tuple[int, Grey]]:
    """Yields (number, uint8[h, w] grey levels) of the given frames, ascending, one at a time.

    A truncated image is refused. A frame whose bytes were damaged inside a video is not: OpenCV
    fills it and does not say so.

    Args:
        path: a folder of frames, or a video.
        numbers: frame numbers: those in the file names of a folder, 0-based positions of a video.

    Raises:
        UserError: the folder or video is missing, a frame is missing, or cannot be read.
    """
    path = Path(path)
    wanted = sorted(set(numbers))
    if path.is_file():
        yield from _read_video(path, wanted)
        return
    files = index_frames(path)
    for number in wanted:
        if number not in files:
            raise UserError(f"{path}: frame {number} is missing; restore the file or correct the annotation")
        yield number, read_frame(files[number])


def index_frames(folder: str | Path) -> dict[int, Path]:
    """Returns {frame number: image file} of a folder, in numeric order.

    The frame number is the last integer in the file name, whatever its padding and prefix
    (docs/databases.md, "Rules for reading", rule 2). Files that are no jpg, jpeg, bmp or png, or hold no number, or
    one of more than 9 digits, are left out.

    Raises:
        UserError: no such folder, no frame in it, or two files with one number.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of frames, and no such video; correct the column frames")
    found: dict[int, Path] = {}
    for file in sorted(folder.iterdir()):
        numbers = re.findall(r"[0-9]+", file.stem)
        if file.suffix.lower() not in IMAGE_SUFFIXES or not numbers or file.name.startswith("."):
            continue
        if len(numbers[-1].lstrip("0")) > MOST_DIGITS:  # a clips.csv could not hold it
            continue
        number = int(numbers[-1])
        if number in found:
            raise UserError(f"{folder}: {found[number].name} and {file.name} are both frame {number}; remove one")
        found[number] = file
    if not found:
        raise UserError(f"{folder}: no frames; put jpg, png or bmp images there whose names end in the frame number")
    return dict(sorted(found.items()))


def read_frame(path: str | Path) -> Grey:
    """Reads an image file as uint8[h, w] grey levels, 0 to 255, see ``pictures.read_grey``.

    Raises:
        UserError: the file is missing, truncated or no image.
    """
    return read_grey(Path(path), "restore the file or remove the clip")


@dataclass(frozen=True)
class VideoFacts:
    """What is known of a video without looking at its pictures.

    Attributes:
        frames: that can be read, counted by grabbing each: the header's number may be wrong.
        promised: by the header; 0 where it says nothing.
        rate: frames per second, by the header; None where it says nothing sensible.
    """

    frames: int
    promised: int
    rate: float | None


def video_facts(path: str | Path) -> VideoFacts:
    """Reads a video's header and counts its frames.

    Raises:
        UserError: the video cannot be opened or holds no frame.
    """
    video = _open_video(Path(path))
    promised, rate = video.get(cv2.CAP_PROP_FRAME_COUNT), video.get(cv2.CAP_PROP_FPS)
    count = 0
    while video.grab():
        count += 1
    video.release()
    if not count:
        raise UserError(f"{path}: the video holds no readable frame; convert it to mp4 or to images")
    sensible = math.isfinite(rate) and _LEAST_RATE <= rate <= _MOST_RATE
    return VideoFacts(count, max(0, int(promised)) if math.isfinite(promised) else 0, rate if sensible else None)


def count_video_frames(path: str | Path) -> int:
    """Returns the number of frames of a video, see ``video_facts``.

    Raises:
        UserError: the video cannot be opened or holds no frame.
    """
    return video_facts(path).frames


def read_colour_video(path: str | Path) -> Iterator[NDArray[np.uint8]]:
    """Yields uint8[h, w, 3] pictures of a video, blue green red as OpenCV has them, until its end.

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


def _read_video(path: Path, wanted: Sequence[int]) -> Iterator[tuple[int, Grey]]:
    """Decodes in sequence, as seeking is inexact in many codecs."""
    if not wanted:
        return
    video = _open_video(path)
    try:
        left = iter(wanted)
        number = next(left, None)
        position = 0
        while number is not None and video.grab():
            if position == number:
                ok, image = video.retrieve()
                if not ok:
                    break
                grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
                yield number, np.asarray(grey, np.uint8)
                number = next(left, None)
            position += 1
    finally:
        video.release()
    if number is not None:
        raise UserError(f"{path}: frame {number} cannot be read; the video ends or breaks at frame {position}")


def _open_video(path: Path) -> cv2.VideoCapture:
    if not path.is_file():
        raise UserError(f"{path}: no such video; correct the column frames")
    # A damaged stream is told by our message, not by OpenCV's, or those of its own reader of avi.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not video.isOpened():
        raise UserError(f"{path}: not a readable video; convert it to mp4 or to a folder of images")
    return video
