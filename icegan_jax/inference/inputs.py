"""What a command is asked to read: an onset/apex pair, a folder of frames, a video, a clips.csv, or a camera."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.clips import Clip, read_clips
from icegan_jax.data.crop import ReadFrames
from icegan_jax.data.video import IMAGE_SUFFIXES, index_frames, read_frame, read_frames, read_video_info
from icegan_jax.errors import UserError

Grey = NDArray[np.uint8]

# Containers whose header counts the frames exactly: where fewer can be read, the file is cut or damaged.
_EXACT = (".mp4", ".mov", ".avi", ".m4v")
_LOST = 2  # frames that a header may count beyond the last one


@dataclass(frozen=True)
class FrameSource:
    """Frames of one recording.

    Attributes:
        name: unique within a call.
        path: as given; what messages name.
        numbers: of the frames that exist, ascending.
        rate: frames per second; None where it is not known.
        read: gives (number, uint8[h, w]) of numbers, ascending.
        clip: its annotation, where it has one.
        video: whether it is a video file, of which a copy can be made.
        title: what answers call it; the path, if nothing is given.
    """

    name: str
    path: Path
    numbers: Sequence[int]
    rate: float | None
    read: ReadFrames
    clip: Clip | None = None
    video: bool = False
    title: str = ""

    @property
    def source(self) -> str:
        """What answers call it."""
        return self.title or str(self.path)


def open_inputs(given: Sequence[str], rate: float | None, classes: Sequence[str]) -> list[FrameSource]:
    """Looks at what was given; no frame is decoded but to count those of a video.

    Args:
        given: one path, or the two pictures of a pair.
        rate: frames per second, which beats what a video says.
        classes: of the networks, for the labels of a clips.csv.

    Raises:
        UserError: there is no such file, or it is none of the kinds.
    """
    if len(given) == 2:
        return [_pair(Path(given[0]), Path(given[1]))]
    if len(given) > 2:
        raise UserError(f"--input: {len(given)} paths; give one, or the two pictures of a pair: onset, then apex")
    path = Path(given[0])
    if path.suffix.lower() == ".csv":
        return _annotated(path, rate, classes)
    if path.is_dir():
        return [FrameSource(path.resolve().name, path, list(index_frames(path)), rate, partial(read_frames, path))]
    if not path.is_file():
        raise UserError(
            f"{path}: no such file or folder; give --input a picture pair, a folder, a video or a clips.csv"
        )
    if path.suffix.lower() in (*IMAGE_SUFFIXES, ".webp"):
        raise UserError(f"{path}: one picture shows no change; give the pair: --input {path} APEX, the onset first")
    return [open_video(path, rate)]


def open_video(path: Path, rate: float | None) -> FrameSource:
    """A video file.

    Raises:
        UserError: it cannot be read, holds no picture, or ends before its header says.
    """
    facts = read_video_info(path)
    if path.suffix.lower() in _EXACT and facts.frames + _LOST < facts.header_frames:
        raise UserError(
            f"{path}: breaks off at frame {facts.frames} of {facts.header_frames}; copy it again, or convert what is "
            "there to a new file"
        )
    read = partial(read_frames, path)
    return FrameSource(path.stem, path, range(facts.frames), rate or facts.rate, read, video=True)


def _pair(onset: Path, apex: Path) -> FrameSource:
    faces = {0: read_frame(onset), 1: read_frame(apex)}
    if faces[0].shape != faces[1].shape:
        (h, w), (high, wide) = faces[0].shape, faces[1].shape
        raise UserError(f"{apex}: is {wide}x{high}, the onset {onset} {w}x{h}; give two frames of one recording")

    def read(numbers: Iterable[int]) -> Iterator[tuple[int, Grey]]:
        return ((number, faces[number]) for number in numbers)

    clip = Clip("", "", apex.stem, -1, apex, onset=0, apex=1, offset=1)
    return FrameSource(apex.stem, apex, (0, 1), None, read, clip)


def _annotated(path: Path, rate: float | None, classes: Sequence[str]) -> list[FrameSource]:
    """The clips of a clips.csv, each with the frames of its own recording."""
    found = []
    for clip in read_clips(path, classes):
        if clip.frames.is_dir():
            numbers: Sequence[int] = list(index_frames(clip.frames))
            its_rate = rate
        else:
            facts = read_video_info(clip.frames)
            numbers, its_rate = range(facts.frames), rate or facts.rate
        read = partial(read_frames, clip.frames)
        found.append(FrameSource(clip.name.replace("/", "_"), clip.frames, numbers, its_rate, read, clip))
    return found
