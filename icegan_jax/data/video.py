"""The frames of a clip, which is a folder of images or a video file: frame numbers, and frames read one at a time.

Videos are read and written by PyAV. Edit lists are applied by FFmpeg's demuxer, and rotation tags here. A null frame of
an AVI is the picture before it once more, as in a player, so that positions are those of an annotator.
"""

import itertools
import math
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.frame_numbers import index_frames
from icegan_jax.data.images import Levels, check_kind, read_gray, read_gray_pictures
from icegan_jax.errors import UserError

FRAME_REMEDY = "restore the file or remove the clip"  # for an image that cannot be read
VIDEO_SUFFIXES = (".avi", ".mp4", ".mov", ".mkv", ".webm", ".gif")

# Frames per second in a header are ignored where the usual interval between frames differs by a larger factor.
_RATE_TOLERANCE = 1.1
_LONG_GAP = 1.5  # intervals; a longer gap between two frames lacks a frame
_CLOCK_ERROR_S = 0.001  # the time stamps of some containers are whole milliseconds
# The rate varies where the median of this many neighboring intervals does, by more than _LONG_GAP.
_NEIGHBORS = 5
_FASTEST_SHARE = 0.01  # of the frames: a few wrong time stamps do not count as a high rate
_EXCESS_INTERVALS = 3  # by which the duration in a header may exceed the frames of a whole video

_CLOCK = 90_000  # ticks per second of a written video: the usual clock of MPEG, a multiple of the usual frame rates
_CODECS = {
    # H.264 with halved color resolution, which all browsers play.
    ".mp4": ("libx264", "yuv420p", {}, {"movflags": "+faststart"}),
    # Each frame is coded alone, so that no change between two frames is lost.
    ".mkv": ("mjpeg", "yuvj420p", {"qmin": "3", "qmax": "3"}, {}),
}
_CRF = 18  # of H.264: hardly differs from the frames
_BT601 = 5  # the color matrix (AVCOL_SPC_BT470BG) with which frames are converted to and from RGB

Gray = NDArray[np.uint8]
Color = NDArray[np.uint8]


def list_frames(path: str | Path) -> Sequence[int]:
    """Return the numbers of the frames that exist in a folder or a video, ascending.

    Raises:
        UserError: the folder or the video is missing, unreadable or empty.
    """
    path = Path(path)
    if path.is_file():
        return range(read_video_info(path).frames)
    return list(index_frames(path))


def read_frames(
    path: str | Path, numbers: Iterable[int], on_levels: Callable[[int, Levels], None] | None = None
) -> Iterator[tuple[int, Gray]]:
    """Yield (number, gray levels uint8[h, w]) of the given frames, ascending, one at a time.

    A truncated image is an error, and so is a frame of a video that the decoder rejects; damage that a decoder conceals
    is not detected.

    Args:
        path: a folder of frames, or a video.
        numbers: frame numbers: those in the file names of a folder, or positions in a video, from 0.
        on_levels: called with each number and the levels of the frame, see ``images.read_levels``.

    Raises:
        UserError: the folder or video is missing, or a frame is missing or cannot be read.
    """
    path = Path(path)
    requested = sorted(set(numbers))
    if path.is_file():
        for number, frame in _read_video(path, requested):
            if on_levels is not None:
                on_levels(number, frame)
            yield number, frame
        return
    files = index_frames(path)
    for number in requested:
        if number not in files:
            raise UserError(f"{path}: frame {number} is missing; restore the file or correct the annotation")
    number_of = {file: number for number, file in files.items()}
    pictures = read_gray_pictures(
        (files[number] for number in requested),
        FRAME_REMEDY,
        list(files.values()),
        on_levels and (lambda file, levels: on_levels(number_of[file], levels)),
    )
    yield from zip(requested, pictures, strict=True)


def read_frame(path: str | Path) -> Gray:
    """Read an image file as gray levels uint8[h, w], 0 to 255, see ``images.read_gray``.

    Raises:
        UserError: the file is missing, truncated or not an image.
    """
    return read_gray(Path(path), FRAME_REMEDY)


@dataclass(frozen=True)
class VideoInfo:
    """The times of the frames of a video.

    Attributes:
        timestamps: float64[n], seconds since the first frame; ``i / rate`` where the file has no usable time stamps.
        rate: frames per second: of the header where the usual interval between frames agrees, else of that interval;
            where the rate varies, the highest over a few frames; None where the file has neither.
        lowest_rate: where the rate varies, the lowest one; None where it does not.
        missing_frames: the number of null frames of an AVI, and, where the rate does not vary, of the frames that would
            fill the long gaps between others.
    """

    timestamps: NDArray[np.float64]
    rate: float | None
    lowest_rate: float | None = None
    missing_frames: int = 0

    @property
    def frames(self) -> int:
        """The number of frames."""
        return len(self.timestamps)


def read_video_info(path: str | Path) -> VideoInfo:
    """Decode a video from its first to its last frame.

    Raises:
        UserError: the video cannot be opened, holds no frame, holds frames that cannot be decoded, or ends before the
            duration in its header.
    """
    with _open_video(Path(path)) as container:
        stream = container.streams.video[0]
        header_rate = float(stream.guessed_rate or 0) or None
        times, damaged, null_frames, last_duration = [], 0, 0, 0.0
        previous = None
        for time, frame in _decode(container):
            damaged += frame is None
            if frame is not None:
                times.append(time)
                last_duration = float((frame.duration or 0) * (frame.time_base or 0))
                null_frames += frame is previous
                previous = frame
        remedy = "copy the video again, or convert the readable part to a new video"
        if not times:
            name = stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"
            raise UserError(
                f"{path}: no frame can be decoded (codec {name}); convert the video to H.264, for example: "
                f"ffmpeg -i {shlex.quote(str(path))} -c:v libx264 -crf 18 new.mp4"
            )
        info = _video_info(times, header_rate, null_frames)
        rate = info.lowest_rate or info.rate
        end = info.timestamps[-1] + (times[0] or 0.0) + max(last_duration, 1 / (rate or math.inf))
        declared = _declared_end(stream, container.format.name)
        if rate is not None and end + _EXCESS_INTERVALS / rate < declared:
            raise UserError(
                f"{path}: breaks off after {info.frames} frames, at {end:.2f} of {declared:.2f} s; {remedy}"
            )
        if damaged:
            raise UserError(f"{path}: {damaged} of {info.frames + damaged} frames are damaged; {remedy}")
    return info


def _video_info(times: Sequence[float | None], header_rate: float | None, null_frames: int) -> VideoInfo:
    """Return the times since the first frame; frames are evenly spaced where a time is missing or does not increase."""
    stamps = np.array([np.nan if time is None else time for time in times])
    gaps = np.diff(stamps)
    ticks = np.flatnonzero(np.append(True, gaps > _CLOCK_ERROR_S / 2))
    if len(ticks) < 2 or not (gaps > 0).all():
        return VideoInfo(np.arange(len(times)) / (header_rate or 1.0), header_rate, missing_frames=null_frames)
    # Frames between two ticks of a coarse clock are spread evenly.
    clock = stamps[ticks] - stamps[0]
    end = clock[-1] + float(np.median(np.diff(clock)))
    stamps = np.interp(np.arange(len(stamps)), np.append(ticks, len(stamps)), np.append(clock, end))
    gaps = np.diff(stamps)
    # A single long gap lacks frames. Where most of the neighboring gaps are long, the camera was slower.
    padded = np.pad(gaps, _NEIGHBORS // 2, mode="reflect")
    local = np.median(np.lib.stride_tricks.sliding_window_view(padded, _NEIGHBORS), axis=1)
    if len(gaps) > _NEIGHBORS and local.max() > _LONG_GAP * local.min() + _CLOCK_ERROR_S:
        highest = _NEIGHBORS / float(np.quantile(stamps[_NEIGHBORS:] - stamps[:-_NEIGHBORS], _FASTEST_SHARE))
        return VideoInfo(stamps, highest, 1 / float(local.max()), null_frames)
    usual = np.median(gaps)
    missing = int(np.sum(np.rint(gaps / usual) - 1, where=gaps > _LONG_GAP * usual + _CLOCK_ERROR_S))
    rate = 1 / float(usual)
    agrees = header_rate is not None and max(rate / header_rate, header_rate / rate) < _RATE_TOLERANCE
    return VideoInfo(stamps, header_rate if agrees else rate, None, null_frames + missing)


def _declared_end(stream: av.VideoStream, container: str) -> float:
    """Return the time at which a stream ends by the header, in seconds; 0 where the header has none."""
    if container == "avi":  # FFmpeg computes the duration of an AVI from the size of the file
        return float(stream.frames / stream.average_rate) if stream.average_rate else 0.0
    if stream.duration is not None and stream.time_base is not None:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    hours, _, rest = stream.metadata.get("DURATION", "").partition(":")  # of Matroska: 00:01:02.5
    minutes, _, seconds = rest.partition(":")
    try:
        return 3600 * float(hours) + 60 * float(minutes) + float(seconds)
    except ValueError:
        return 0.0


def read_color_frames(path: str | Path) -> Iterator[Color]:
    """Yield the frames RGB uint8[h, w, 3] of a video.

    Raises:
        UserError: the video cannot be opened, or a frame cannot be decoded.
    """
    for _, frame in _enumerate_frames(Path(path)):
        yield _to_array(frame, "rgb24")


def _read_video(path: Path, numbers: Sequence[int]) -> Iterator[tuple[int, Gray]]:
    """Yield (number, frame) of the numbers, ascending. All frames are decoded, as seeking is inexact in many codecs."""
    remaining = iter(numbers)
    number = next(remaining, None)
    if number is None:
        return
    position = -1
    for position, frame in _enumerate_frames(path):
        if position == number:
            yield number, np.asarray(cv2.cvtColor(_to_array(frame, "bgr24"), cv2.COLOR_BGR2GRAY), np.uint8)
            number = next(remaining, None)
            if number is None:
                return
    raise UserError(f"{path}: frame {number} cannot be read; the video ends at frame {position + 1}")


def _enumerate_frames(path: Path) -> Iterator[tuple[int, av.VideoFrame]]:
    """Yield (position, frame) of a video; raise a UserError at a frame that cannot be decoded."""
    with _open_video(path) as container:
        for position, (_, frame) in enumerate(_decode(container)):
            if frame is None:
                raise UserError(
                    f"{path}: frame {position} is damaged; copy the video again, or convert it to a new one"
                )
            yield position, frame


def _decode(container: av.container.InputContainer) -> Iterator[tuple[float | None, av.VideoFrame | None]]:
    """Yield (seconds, decoded frame) of the first video stream, None for data that cannot be decoded.

    A null frame of an AVI yields the frame before it again, with its own time. FFmpeg leaves most null frames out, but
    counts them in the time stamps.
    """
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    interval = 1 / float(stream.average_rate) if container.format.name == "avi" and stream.average_rate else math.inf
    expected, previous, damaged = 0.0, None, 0
    try:
        for packet in container.demux(stream):
            if packet.size == 0 and packet.dts is not None:  # a null frame, which a decoder would take for the end
                continue
            try:
                frames = packet.decode()
            except av.FFmpegError:
                damaged += 1
                yield None, None
                continue
            for frame in frames:
                while frame.time is not None and frame.time > expected + interval / 2:
                    if damaged:
                        damaged -= 1
                    else:
                        yield expected, previous or frame
                    expected += interval
                expected = (expected if frame.time is None else frame.time) + interval
                previous = None if frame.is_corrupt else frame
                yield frame.time, previous
    except av.FFmpegError:  # the container itself is damaged
        yield None, None


def _to_array(frame: av.VideoFrame, order: str) -> NDArray[np.uint8]:
    """Return the upright picture uint8[h, w, 3] of a frame, "rgb24" or "bgr24"."""
    picture = frame.reformat(format=order, interpolation="BICUBIC").to_ndarray()
    return np.ascontiguousarray(np.rot90(picture, round(frame.rotation / 90)))


@contextmanager
def _open_video(path: Path) -> Iterator[av.container.InputContainer]:
    """Open a video file, which holds at least one stream of pictures."""
    if not path.is_file():
        raise UserError(f"{path}: no such video; correct the column frames")
    if not path.stat().st_size:
        raise UserError(f"{path}: is empty (0 bytes); copy the video again")
    check_kind(path)  # FFmpeg opens some pictures, too
    try:
        container = av.open(f"file:{path}")  # without the prefix, a colon in the name would end the name of a protocol
    except (av.FFmpegError, OSError):
        if _lacks_index(path):
            raise UserError(
                f"{path}: has no index (moov), which a recorder writes at the end; copy the whole file again, or "
                "rebuild the index with the recorder or a tool such as untrunc"
            ) from None
        raise UserError(f"{path}: not a readable video; copy it again, or convert it to mp4 or to images") from None
    with container:
        if not container.streams.video:
            raise UserError(f"{path}: holds no pictures; give a video")
        yield container


def _lacks_index(path: Path) -> bool:
    """Return whether a file begins as an MP4 or MOV and none of its boxes is the index (ISO/IEC 14496-12, 4.2)."""
    with path.open("rb") as file:
        names, position = set(), 0
        while len(header := file.read(16)) >= 8:
            size = int.from_bytes(header[:4], "big")
            names.add(header[4:8])
            if not size:  # the last box
                break
            position += int.from_bytes(header[8:], "big") if size == 1 else max(size, 8)
            file.seek(position)
    return b"mdat" in names and b"moov" not in names


def write_video(
    path: Path, frames: Iterable[tuple[float, Gray | Color]], rate: float, comment: str = "", crf: int = _CRF
) -> None:
    """Write a video with a time stamp for each frame: .mp4 (H.264) or .mkv (Motion JPEG).

    H.264 needs even sides: the last row or column is repeated where their number is odd.

    Args:
        path: the file to write.
        frames: (seconds, gray uint8[h, w] or RGB uint8[h, w, 3]), at least one, consumed one at a time; the seconds
            increase.
        rate: frames per second, for the header and as the duration of the last frame.
        comment: the comment in the metadata.
        crf: constant rate factor of H.264, 0 (no loss) to 51.

    Raises:
        OSError: the file cannot be written.
    """
    codec, pixel_format, options, container_options = _CODECS[path.suffix.lower()]
    if path.suffix.lower() == ".mp4":
        options = {"crf": str(crf)}
    frames = iter(frames)
    first = next(frames)
    h, w = first[1].shape[:2]
    with av.open(f"file:{path}", "w", options=container_options) as container:
        container.metadata["comment"] = comment
        nominal = Fraction(rate).limit_denominator(1001)
        stream = cast(av.VideoStream, container.add_stream(codec, rate=nominal, options=options))
        stream.width, stream.height, stream.pix_fmt = w + w % 2, h + h % 2, pixel_format
        stream.codec_context.time_base = Fraction(1, _CLOCK)
        stream.codec_context.colorspace = _BT601
        for seconds, picture in itertools.chain([first], frames):
            even = cv2.copyMakeBorder(picture, 0, h % 2, 0, w % 2, cv2.BORDER_REPLICATE)
            frame = av.VideoFrame.from_ndarray(np.asarray(even, np.uint8), "gray" if even.ndim == 2 else "rgb24")
            frame = frame.reformat(format=pixel_format, interpolation="BICUBIC", dst_colorspace=_BT601)
            frame.pts, frame.time_base = round(seconds * _CLOCK), Fraction(1, _CLOCK)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
