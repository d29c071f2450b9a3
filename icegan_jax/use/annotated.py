"""A copy of a video with the face's box, and the answer while an event lasts."""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from icegan_jax.data.frames import read_colour_video
from icegan_jax.errors import UserError
from icegan_jax.use.reading import Reading

COPY = "annotated.mp4"
_CODEC = "mp4v"  # MPEG-4 part 2: what OpenCV's own FFmpeg writes into mp4 everywhere, quickly
_MOST_FRACTIONAL = 65.0  # frames per second: MPEG-4 counts time in at most 65,535 parts of a second, OpenCV in 1000ths
_SHORTEST = 400  # pixels: smaller pictures are enlarged, so that words can be read
_COLOUR = (60, 200, 255)  # blue, green, red
_QUIET = (190, 190, 190)


def annotate(video: Path, out: Path, rate: float, readings: Sequence[Reading], classes: Sequence[str]) -> None:
    """Writes a copy of a video on which every event is named while it lasts; there is no sound.

    Args:
        video: the recording.
        out: the copy to write.
        rate: frames per second.
        readings: of the recording, whose frames are positions in the video.
        classes: of the answers.

    Raises:
        UserError: the video cannot be read or written.
    """
    waiting = sorted(readings, key=lambda reading: reading.onset)
    writer: cv2.VideoWriter | None = None
    try:
        bar = tqdm(read_colour_video(video), desc="annotated copy", unit="frame", dynamic_ncols=True)
        for position, picture in enumerate(bar):
            times = max(1, math.ceil(_SHORTEST / min(picture.shape[:2])))
            large = cv2.resize(picture, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC)
            frame = np.ascontiguousarray(large)
            if writer is None:
                writer = _open(out, rate, frame.shape)
            waiting = [reading for reading in waiting if reading.offset >= position]
            now = [reading for reading in waiting if reading.onset <= position]
            _draw(frame, position, rate, now, classes, times)
            writer.write(frame)
    finally:
        if writer is not None:
            writer.release()
    check_room(out)


def check_room(video: Path) -> None:
    """Refuses a video that filled the disk: OpenCV's writer says nothing of that.

    Raises:
        UserError: less than a mebibyte is left where it lies.
    """
    if shutil.disk_usage(video.parent).free < 2**20:
        raise UserError(f"{video.name}: the disk is full; free some space, or choose --out on another disk")


def _open(out: Path, rate: float, shape: tuple[int, ...]) -> cv2.VideoWriter:
    held = rate if rate < _MOST_FRACTIONAL else round(rate)
    writer = cv2.VideoWriter(str(out), cv2.VideoWriter.fourcc(*_CODEC), held, (shape[1], shape[0]))
    if not writer.isOpened():
        raise UserError(f"{out.name}: OpenCV cannot write mp4 here; leave the copy out with --no_copy")
    return writer


def _draw(
    frame: NDArray[np.uint8], position: int, rate: float, now: Sequence[Reading], classes: Sequence[str], times: int
) -> None:
    height = frame.shape[0]
    scale = height / 480
    _write(frame, f"{position}  {position / rate:.2f} s", (8, height - 8), 0.5 * scale, _QUIET)
    for line, reading in enumerate(now):
        if reading.box is not None:
            corners = np.array([reading.box.left, reading.box.top, reading.box.right, reading.box.bottom])
            left, top, right, bottom = np.rint(times * (corners + 0.5) - 0.5).astype(int).tolist()
            cv2.rectangle(frame, (left, top), (right, bottom), _COLOUR, max(1, round(2 * scale)), cv2.LINE_AA)
        answer = reading.answer(classes)
        text = (
            f"{answer} {max(reading.lengths):.2f}"
            if answer is not None and reading.lengths is not None
            else reading.kind
        )
        phase = "apex" if position == reading.apex else "onset to apex" if position < reading.apex else "apex to offset"
        _write(frame, f"{text}  ({phase})", (8, int((28 + 30 * line) * scale) + 8), 0.8 * scale, _COLOUR)


def _write(frame: NDArray[np.uint8], text: str, place: tuple[int, int], scale: float, colour: tuple[int, ...]) -> None:
    plain = text.encode("ascii", "replace").decode()  # OpenCV's letters
    thick = max(1, round(2 * scale))
    cv2.putText(frame, plain, place, cv2.FONT_HERSHEY_SIMPLEX, max(scale, 0.35), (0, 0, 0), 3 * thick, cv2.LINE_AA)
    cv2.putText(frame, plain, place, cv2.FONT_HERSHEY_SIMPLEX, max(scale, 0.35), colour, thick, cv2.LINE_AA)
