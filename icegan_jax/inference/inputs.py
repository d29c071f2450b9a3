"""The inputs of recognition and synthesis: pictures, folders of frames, videos, clips.csv, arrays, and a camera."""

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from icegan_jax.data.clips import Clip, read_clips
from icegan_jax.data.cropper import ReadFrames
from icegan_jax.data.frame_numbers import index_frames
from icegan_jax.data.images import MIN_SIDE, PICTURE_SUFFIXES, read_color, read_gray, read_gray_pictures, to_gray
from icegan_jax.data.ingest.spreadsheets import TABLE_SUFFIXES
from icegan_jax.data.spotting.stream import MACRO_SECONDS
from icegan_jax.data.video import read_frames, read_video_info, write_video
from icegan_jax.errors import UserError

RECORDING_FILE = "recording.mkv"
_CAMERA_RATE = 30.0  # frames per second in the header of a recording, whose frames have their own time stamps
_CHANNELS = 3
_REMEDY = "give another picture"  # for a file that cannot be read

Gray = NDArray[np.uint8]
Color = NDArray[np.uint8]
AnyPath = str | Path
Array = NDArray[Any]
Picture = Array | AnyPath


@dataclass(frozen=True)
class FrameSource:
    """The frames of one recording; a frame is read only when needed.

    Attributes:
        name: unique within a call; file names derive from it.
        path: the file or folder, as given, for messages.
        frame_numbers: of the frames that exist, ascending.
        fps: frames per second, the highest where the rate varies; None where the rate is unknown.
        read: yields (number, uint8[h, w]) for ascending frame numbers.
        clip: the annotation; None without one.
        is_video: whether the path is a video file, of which an annotated copy can be written.
        title: the name of the input in the results; empty: the path.
        timestamps: float64[n], of a video the seconds of each frame since the first; None: frames are 1 / fps apart.
        lowest_rate, missing_frames: of a video, see ``VideoInfo``.
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
    lowest_rate: float | None = None
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

    @property
    def duration(self) -> float | None:
        """The time from the first frame to the end of the last one in seconds; None where the frame rate is unknown."""
        if self.fps is None:
            return None
        start = self.seconds(self.frame_numbers[-1])
        assert start is not None
        return start + 1 / self.fps

    def rate_between(self, first: int, last: int) -> float | None:
        """Return the frames per second between two frames of a video whose rate varies; of others ``fps``."""
        if self.lowest_rate is None or self.timestamps is None or last <= first:
            return self.fps
        return float((last - first) / (self.timestamps[last] - self.timestamps[first]))

    def read_evenly(self, frames: Iterable[tuple[int, Gray]]) -> Iterator[tuple[int, Gray]]:
        """Yield ``fps`` frames per second: each frame of the source once, and again for as long as the frame lasts.

        A frame is repeated for at most ``MACRO_SECONDS``: frames that are farther apart are never compared.
        """
        assert self.fps is not None
        times = np.asarray(self.frame_numbers) / self.fps if self.timestamps is None else self.timestamps
        lasting = np.append(np.minimum(np.diff(times), MACRO_SECONDS), 0)
        for (number, image), count in zip(frames, np.rint(lasting * self.fps).astype(int), strict=True):
            yield from itertools.repeat((number, image), max(1, count))


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
    if path.suffix.lower() in TABLE_SUFFIXES:
        return _open_clips(path, fps, classes)
    if path.is_dir():
        return [_open_folder(path, fps)]
    if not path.is_file():
        raise UserError(
            f"{path}: no such file or folder; give --input a picture pair, a folder, a video or a clips.csv"
        )
    if path.suffix.lower() == ".webp" and b"ANIM" in path.read_bytes()[:64]:  # the chunk that all animations have
        raise UserError(f"{path}: an animated webp cannot be read; convert it to a gif or mp4")
    if path.suffix.lower() in PICTURE_SUFFIXES:
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
    return replace(source, timestamps=info.timestamps, lowest_rate=info.lowest_rate, missing_frames=info.missing_frames)


def _open_pair(onset: Path, apex: Path) -> FrameSource:
    frames = to_gray_pair(onset, apex)
    if frames[0].shape != frames[1].shape:
        (h, w), (apex_h, apex_w) = frames[0].shape, frames[1].shape
        raise UserError(f"{apex}: is {apex_w}x{apex_h}, the onset {onset} {w}x{h}; give two frames of one recording")
    return pair_source(*frames, onset, apex)


def pair_source(onset: Gray, apex: Gray, onset_path: Path, apex_path: Path) -> FrameSource:
    """Return the source of an onset/apex pair uint8[h, w] each: it has the name of the apex, errors name the onset."""
    clip = Clip("", "", apex_path.stem, -1, onset_path, onset=0, apex=1, offset=1)
    return array_source([onset, apex], apex_path, None, clip)


def array_source(frames: Sequence[Gray] | Gray, path: Path, fps: float | None, clip: Clip | None = None) -> FrameSource:
    """Return the source of frames uint8[h, w] in memory, which are numbered from 0."""

    def read(numbers: Iterable[int]) -> Iterator[tuple[int, Gray]]:
        return ((number, frames[number]) for number in numbers)

    return FrameSource(path.stem, path, range(len(frames)), fps, read, clip)


def _open_clips(path: Path, fps: float | None, classes: Sequence[str]) -> list[FrameSource]:
    """Open the recording of each clip of a table."""
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


def _camera_frames(camera: cv2.VideoCapture, seconds: float, name: str) -> Iterator[tuple[float, Color]]:
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


def to_gray_picture(picture: Picture, name: str) -> Gray:
    """Return a picture as gray levels.

    Args:
        picture: the path of a picture file, or uint8[h, w] gray levels or uint8[h, w, 3] RGB, or floats in [0, 1] of
            these shapes.
        name: the name of the argument, for messages.

    Returns:
        uint8[h, w].

    Raises:
        TypeError: The dtype is neither uint8 nor a float.
        ValueError: The shape or the range is wrong.
        UserError: The file cannot be read.
    """
    if isinstance(picture, AnyPath):
        return read_gray(Path(picture), _REMEDY)
    array = _to_picture(picture, name)
    return array if array.ndim == 2 else to_gray(array)


def to_gray_pair(onset: Picture, apex: Picture) -> tuple[Gray, Gray]:
    """Return onset and apex as gray levels, of two files with one scale; see ``to_gray_picture``."""
    if isinstance(onset, AnyPath) and isinstance(apex, AnyPath):
        paths = [Path(onset), Path(apex)]
        first, second = read_gray_pictures(paths, _REMEDY, paths)
        return first, second
    return to_gray_picture(onset, "onset"), to_gray_picture(apex, "apex")


def to_color_picture(picture: Picture, name: str) -> Color:
    """Return a picture as RGB uint8[h, w, 3]; arguments and errors as ``to_gray_picture``."""
    if isinstance(picture, AnyPath):
        return read_color(Path(picture))
    array = _to_picture(picture, name)
    return array if array.ndim == 3 else np.repeat(array[..., None], _CHANNELS, axis=2)


def to_prepared_crop(picture: Picture, name: str, image_size: int) -> Gray:
    """Return a face crop uint8[n, n] as ``prepare`` makes it; arguments and errors as ``to_gray_picture``.

    Raises:
        ValueError: The crop is not of the size n that the networks were trained with.
    """
    crop = to_gray_picture(picture, name)
    if crop.shape != (image_size, image_size):
        raise ValueError(f"{name}: shape {crop.shape}; a prepared crop of this run is {image_size}x{image_size}")
    return crop


def to_gray_frames(frames: Array, name: str) -> Gray:
    """Return the frames of a clip as gray levels.

    Args:
        frames: uint8[t, h, w] gray levels or uint8[t, h, w, 3] RGB, or floats in [0, 1] of these shapes.
        name: the name of the argument, for messages.

    Returns:
        uint8[t, h, w].

    Raises:
        TypeError: The dtype is neither uint8 nor a float.
        ValueError: The shape or the range is wrong.
    """
    array = _to_uint8(frames, name)
    if array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, _CHANNELS)):
        raise ValueError(f"{name}: shape {array.shape} is one picture, which shows no change; give the apex, too")
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] not in (1, _CHANNELS)):
        raise ValueError(f"{name}: shape {array.shape}; give the frames [t, h, w] or [t, h, w, 3] of a clip")
    _check_side(array.shape[1:3], name)
    if array.ndim == 3:
        return array
    return array[..., 0] if array.shape[3] == 1 else np.stack([to_gray(frame) for frame in array])


def _to_picture(picture: Array, name: str) -> NDArray[np.uint8]:
    """Return uint8[h, w] or uint8[h, w, 3]."""
    array = _to_uint8(picture, name)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == _CHANNELS)):
        raise ValueError(f"{name}: shape {array.shape}; give a gray picture [h, w] or an RGB picture [h, w, 3]")
    _check_side(array.shape[:2], name)
    return array


def _to_uint8(values: Array, name: str) -> NDArray[np.uint8]:
    array = np.asarray(values)
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if not np.issubdtype(array.dtype, np.floating):
        raise TypeError(f"{name}: dtype {array.dtype}; give uint8, or floats in [0, 1]")
    if array.size and not (array.min() >= 0 and array.max() <= 1):  # NaN is refused, too
        raise ValueError(f"{name}: values from {array.min():g} to {array.max():g}; give floats in [0, 1], or uint8")
    return np.asarray(np.rint(array * 255), np.uint8)


def _check_side(shape: tuple[int, ...], name: str) -> None:
    if min(shape) < MIN_SIDE:
        raise ValueError(f"{name}: {shape[1]}x{shape[0]} pixels are too few to show a face; give a larger picture")
