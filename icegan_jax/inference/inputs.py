"""The inputs of recognition: an onset/apex pair, a folder of frames, a video, the clips of a clips.csv, or a camera."""

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from icegan_jax.data.clips import Clip, read_clips
from icegan_jax.data.crop import ReadFrames
from icegan_jax.data.video import IMAGE_SUFFIXES, index_frames, read_frame, read_frames, read_video_info, write_video
from icegan_jax.errors import UserError

RECORDING_FILE = "recording.mkv"
_CAMERA_RATE = 30.0  # frames per second in the header of a recording, whose frames have their own time stamps

Gray = NDArray[np.uint8]


@dataclass(frozen=True)
class FrameSource:
    """The frames of one recording; a frame is read only when needed.

    Attributes:
        name: unique within a call; file names derive from it.
        path: the file or folder, as given, for messages.
        frame_numbers: of the frames that exist, ascending.
        fps: frames per second; None where the rate is unknown.
        timestamps: float64[n], of a video the seconds of each frame since the first; None: frames are 1 / fps apart.
        missing_frames: the number of frames that a video lacks, see ``VideoInfo``.
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
    timestamps: NDArray[np.float64] | None = None
    missing_frames: int = 0

    @property
    def input_name(self) -> str:
        """The name of the input in the results."""
        return self.title or str(self.path)

    def seconds(self, frame: int) -> float | None:
        """Return the time of a frame in seconds since the first frame; None where the frame rate is unknown."""
        if self.timestamps is not None:
            return float(self.timestamps[frame])
        return None if self.fps is None else (frame - self.frame_numbers[0]) / self.fps


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
        return [_open_folder(path, fps)]
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
        UserError: see ``read_video_info``.
    """
    info = read_video_info(path)
    source = FrameSource(
        path.stem, path, range(info.frames), fps or info.rate, partial(read_frames, path), is_video=True
    )
    if fps is not None or info.rate is None:  # the given rate replaces the clock of the file, too
        return source
    return replace(source, timestamps=info.timestamps, missing_frames=info.missing_frames)


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
        source = _open_folder(clip.frames, fps) if clip.frames.is_dir() else open_video(clip.frames, fps)
        sources.append(replace(source, name=clip.name.replace("/", "_"), clip=clip, is_video=False))
    return sources


def _open_folder(path: Path, fps: float | None) -> FrameSource:
    return FrameSource(path.resolve().name, path, list(index_frames(path)), fps, partial(read_frames, path))


def record_camera(index: int, seconds: float, out: Path) -> None:
    """Record a camera to a video file in which each frame has the time at which the frame arrived.

    The camera is opened by OpenCV, as the packages of PyAV are built without devices.

    Args:
        index: the number of the camera; 0 is the first.
        seconds: the length of the recording.
        out: the .mkv to write.

    Raises:
        UserError: The camera cannot be opened or delivers no frames.
        OSError: The file cannot be written.
    """
    camera = cv2.VideoCapture(index)
    try:
        if not camera.isOpened():
            raise UserError(
                f"camera {index}: cannot be opened; check that it is connected, not in use and readable for this user, "
                "or give a video"
            )
        frames = _camera_frames(camera, seconds, f"camera {index}")
        first, second = next(frames, None), next(frames, None)
        if first is None or second is None:
            raise UserError(f"camera {index}: delivers no frames; close other programs that use it, or give a video")
        write_video(out, itertools.chain([first, second], frames), _CAMERA_RATE)
    finally:
        camera.release()


def _camera_frames(camera: cv2.VideoCapture, seconds: float, name: str) -> Iterator[tuple[float, Gray]]:
    """Yield (seconds since the first frame, RGB uint8[h, w, 3]); a camera may need a second before its first frame."""
    ok, frame = camera.read()
    start = now = time.perf_counter()
    with tqdm(total=seconds, unit="s", desc=name, dynamic_ncols=True) as bar:
        while ok and now - start < seconds:
            yield now - start, np.asarray(frame[..., ::-1], np.uint8)
            ok, frame = camera.read()
            now = time.perf_counter()
            bar.n = min(seconds, round(now - start, 1))
            bar.refresh()
