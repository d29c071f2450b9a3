"""The inputs of recognition: an onset/apex pair, a folder of frames, a video, the clips of a clips.csv, or a camera."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from icegan_jax.data.clips import Clip, read_clips
from icegan_jax.data.crop import ReadFrames
from icegan_jax.data.video import IMAGE_SUFFIXES, index_frames, read_frame, read_frames, read_video_info
from icegan_jax.errors import UserError
from icegan_jax.inference.media import check_disk_space

# The headers of these containers count the frames exactly: where fewer can be read, the file is cut or damaged.
_EXACT_CONTAINERS = (".mp4", ".mov", ".avi", ".m4v")
_EXCESS_FRAMES = 2  # the number of frames that such a header may count beyond the last frame

RECORDING_FILE = "recording.avi"
_CAMERA_CODEC = "MJPG"  # each frame is coded alone, so that no change between two frames is lost
_NOMINAL_FPS = 30.0  # The header is written before the first frame and stays; the measured rate is used instead.

Gray = NDArray[np.uint8]


@dataclass(frozen=True)
class FrameSource:
    """The frames of one recording; a frame is read only when needed.

    Attributes:
        name: unique within a call; file names derive from it.
        path: the file or folder, as given, for messages.
        frame_numbers: of the frames that exist, ascending.
        fps: frames per second; None where the rate is unknown.
        read: yields (number, uint8[h, w]) for ascending frame numbers.
        clip: the annotation; None without one.
        is_video: whether the path is a video file, of which an annotated copy can be written.
        title: the name of the input in the results; empty: the path.
    """

    name: str
    path: Path
    frame_numbers: Sequence[int]
    fps: float | None
    read: ReadFrames
    clip: Clip | None = None
    is_video: bool = False
    title: str = ""

    @property
    def input_name(self) -> str:
        """The name of the input in the results."""
        return self.title or str(self.path)


def open_inputs(paths: Sequence[str], fps: float | None, classes: Sequence[str]) -> list[FrameSource]:
    """Open the input of a command. Frames are decoded only to count those of a video.

    Args:
        paths: one path, or the two pictures of an onset/apex pair.
        fps: frames per second, which overrides the rate in a video's header; None: that rate.
        classes: the classes of the networks, for the labels of a clips.csv.

    Returns:
        One source, or of a clips.csv one for each clip.

    Raises:
        UserError: The file is missing or of no known kind.
    """
    if len(paths) == 2:
        return [_open_pair(Path(paths[0]), Path(paths[1]))]
    if len(paths) > 2:
        raise UserError(f"--input: {len(paths)} paths; give one, or the two pictures of a pair: onset, then apex")
    path = Path(paths[0])
    if path.suffix.lower() == ".csv":
        return _open_clips(path, fps, classes)
    if path.is_dir():
        return [FrameSource(path.resolve().name, path, list(index_frames(path)), fps, partial(read_frames, path))]
    if not path.is_file():
        raise UserError(
            f"{path}: no such file or folder; give --input a picture pair, a folder, a video or a clips.csv"
        )
    if path.suffix.lower() in (*IMAGE_SUFFIXES, ".webp"):
        raise UserError(f"{path}: one picture shows no change; give the pair: --input {path} APEX, the onset first")
    return [open_video(path, fps)]


def open_video(path: Path, fps: float | None) -> FrameSource:
    """Open a video file and count its frames.

    Args:
        path: the video.
        fps: frames per second, which overrides the rate in the header; None: that rate.

    Raises:
        UserError: The video cannot be read, holds no frame, or ends before the frame count of its header.
    """
    info = read_video_info(path)
    if path.suffix.lower() in _EXACT_CONTAINERS and info.frames + _EXCESS_FRAMES < info.header_frames:
        raise UserError(
            f"{path}: breaks off at frame {info.frames} of {info.header_frames}; copy it again, or convert the "
            "readable part to a new file"
        )
    read = partial(read_frames, path)
    return FrameSource(path.stem, path, range(info.frames), fps or info.rate, read, is_video=True)


def _open_pair(onset: Path, apex: Path) -> FrameSource:
    frames = read_frame(onset), read_frame(apex)
    if frames[0].shape != frames[1].shape:
        (h, w), (apex_h, apex_w) = frames[0].shape, frames[1].shape
        raise UserError(f"{apex}: is {apex_w}x{apex_h}, the onset {onset} {w}x{h}; give two frames of one recording")
    return pair_source(*frames, path=apex)


def pair_source(onset: Gray, apex: Gray, path: Path) -> FrameSource:
    """Return the source of an onset/apex pair uint8[h, w] each; ``path`` is the name of the apex in messages."""
    clip = Clip("", "", path.stem, -1, path, onset=0, apex=1, offset=1)
    return array_source([onset, apex], path, None, clip)


def array_source(frames: Sequence[Gray] | Gray, path: Path, fps: float | None, clip: Clip | None = None) -> FrameSource:
    """Return the source of frames uint8[h, w] in memory, which are numbered from 0."""

    def read(numbers: Iterable[int]) -> Iterator[tuple[int, Gray]]:
        return ((number, frames[number]) for number in numbers)

    return FrameSource(path.stem, path, range(len(frames)), fps, read, clip)


def _open_clips(path: Path, fps: float | None, classes: Sequence[str]) -> list[FrameSource]:
    """Open the recording of each clip of a clips.csv."""
    sources = []
    for clip in read_clips(path, classes):
        if clip.frames.is_dir():
            numbers: Sequence[int] = list(index_frames(clip.frames))
            clip_fps = fps
        else:
            info = read_video_info(clip.frames)
            numbers, clip_fps = range(info.frames), fps or info.rate
        read = partial(read_frames, clip.frames)
        sources.append(FrameSource(clip.name.replace("/", "_"), clip.frames, numbers, clip_fps, read, clip))
    return sources


def record_camera(index: int, seconds: float, out: Path) -> float:
    """Record a camera to a video file.

    Args:
        index: the number of the camera; 0 is the first.
        seconds: the length of the recording.
        out: the .avi to write.

    Returns:
        The measured frames per second.

    Raises:
        UserError: The camera cannot be opened or delivers no frames, or the disk is full.
    """
    camera = cv2.VideoCapture(index)
    if not camera.isOpened():
        raise UserError(
            f"camera {index}: cannot be opened; check that it is connected, not in use and readable for this user, "
            "or give a video"
        )
    writer: cv2.VideoWriter | None = None
    start = now = time.perf_counter()
    count = 0
    try:
        with tqdm(total=seconds, unit="s", desc=f"camera {index}", dynamic_ncols=True) as bar:
            while now - start < seconds:
                ok, frame = camera.read()
                if not ok:
                    break
                if writer is None:
                    start = time.perf_counter()  # A camera may need a second before its first frame.
                    size = (frame.shape[1], frame.shape[0])
                    writer = cv2.VideoWriter(str(out), cv2.VideoWriter.fourcc(*_CAMERA_CODEC), _NOMINAL_FPS, size)
                writer.write(frame)
                count += 1
                now = time.perf_counter()
                bar.n = min(seconds, round(now - start, 1))
                bar.refresh()
    finally:
        camera.release()
        if writer is not None:
            writer.release()
    check_disk_space(out)
    if count < 2:
        raise UserError(f"camera {index}: delivers no frames; close other programs that use it, or give a video")
    return (count - 1) / (now - start)
