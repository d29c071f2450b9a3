"""What changed in a face, in colours.

The picture that goes with an answer: onset, apex, what changed between them, and how long each capsule is.

A copy of a video with the face's box, and the answer while an event lasts.
"""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from icegan_jax.data.video import read_colour_video
from icegan_jax.errors import UserError
from icegan_jax.inference.recognition import Recognition
from icegan_jax.reporting import style
from icegan_jax.reporting.grids import DIFFERENCE_GAIN

Grey = NDArray[np.uint8]


def difference_image(onset: Grey, face: Grey) -> Image.Image:
    """The signed change from uint8[h, w] to uint8[h, w], RGB: red brighter, blue darker, ``GAIN`` times enlarged."""
    change = (face.astype(np.float64) - onset) * DIFFERENCE_GAIN / 255
    return Image.fromarray(matplotlib.colormaps["RdBu_r"]((change + 1) / 2, bytes=True)[..., :3])


_TILE = 224  # pixels on a side of a face

_GAP = 12

_HEAD = 30

_BARS = 250  # width of the column with the capsules

_TEXT = 15


def draw_recognition(reading: Recognition, classes: Sequence[str]) -> Image.Image:
    """Draws a reading that has an answer.

    The difference is signed, red brighter and blue darker than the onset, ``GAIN`` times enlarged.

    Returns:
      RGB, 1,000 by 300 pixels or so.
    """
    assert reading.onset_face is not None and reading.apex_face is not None and reading.lengths is not None
    faces = [
        _grey(reading.onset_face),
        _grey(reading.apex_face),
        difference_image(reading.onset_face, reading.apex_face),
    ]
    heads = [
        _at("onset", reading, reading.onset),
        _at("apex", reading, reading.apex),
        f"apex - onset, x{DIFFERENCE_GAIN}",
    ]
    width = len(faces) * (_TILE + _GAP) + _GAP + _BARS
    strip = Image.new("RGB", (width, _HEAD + _TILE + _GAP), "white")
    pen = ImageDraw.Draw(strip)
    for place, (face, head) in enumerate(zip(faces, heads, strict=True)):
        left = _GAP + place * (_TILE + _GAP)
        pen.text((left, _HEAD - 8), head, fill=style.TEXT_COLOR, font=_font(_TEXT), anchor="ls")
        strip.paste(face.resize((_TILE, _TILE), Image.Resampling.BICUBIC), (left, _HEAD))
    _draw_bars(pen, width - _BARS, reading, classes)
    return strip


def _grey(face: Grey) -> Image.Image:
    return Image.fromarray(face).convert("RGB")


def _at(word: str, reading: Recognition, frame: int) -> str:
    seconds = reading.seconds(frame)
    return f"{word}: frame {frame}" + ("" if seconds is None else f", {seconds:.2f} s")


def _draw_bars(pen: ImageDraw.ImageDraw, left: int, reading: Recognition, classes: Sequence[str]) -> None:
    assert reading.lengths is not None
    best = int(np.argmax(reading.lengths))
    pen.text((left, _HEAD - 8), "length of the capsule", fill=style.MUTED_COLOR, font=_font(_TEXT), anchor="ls")
    step = min(58, _TILE // len(classes))
    for label, (name, length) in enumerate(zip(classes, reading.lengths, strict=True)):
        top = _HEAD + label * step
        word = f"{style.truncate(name, 18)}  {length:.2f}"
        pen.text(
            (left, top + 14),
            word,
            fill=style.TEXT_COLOR if label == best else style.MUTED_COLOR,
            font=_font(_TEXT),
            anchor="ls",
        )
        full = _BARS - 2 * _GAP
        pen.rectangle((left, top + 20, left + full, top + 30), fill=style.GRID_COLOR)
        pen.rectangle(
            (left, top + 20, left + int(full * min(float(length), 1)), top + 30), fill=style.class_color(label)
        )
    foot = f"shown: {reading.truth}" if reading.truth else ""
    words = ", ".join(flag.word.replace("_", " ") for flag in reading.flags)
    for line, text in enumerate((foot, style.truncate(words, 38))):
        place = (left, _HEAD + _TILE - 18 + 18 * line)
        pen.text(place, text, fill=style.TEXT_COLOR if line == 0 else "#b3541e", font=_font(_TEXT - 2), anchor="ls")


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


ANNOTATED_VIDEO = "annotated.mp4"

_CODEC = "mp4v"  # MPEG-4 part 2: what OpenCV's own FFmpeg writes into mp4 everywhere, quickly

_MOST_FRACTIONAL = 65.0  # frames per second: MPEG-4 counts time in at most 65,535 parts of a second, OpenCV in 1000ths

_SHORTEST = 400  # pixels: smaller pictures are enlarged, so that words can be read

_COLOUR = (60, 200, 255)  # blue, green, red

_QUIET = (190, 190, 190)


def annotate_video(
    video: Path, out: Path, rate: float, readings: Sequence[Recognition], classes: Sequence[str]
) -> None:
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
                writer = _open_writer(out, rate, frame.shape)
            waiting = [reading for reading in waiting if reading.offset >= position]
            now = [reading for reading in waiting if reading.onset <= position]
            _draw_frame(frame, position, rate, now, classes, times)
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


def _open_writer(out: Path, rate: float, shape: tuple[int, ...]) -> cv2.VideoWriter:
    held = rate if rate < _MOST_FRACTIONAL else round(rate)
    writer = cv2.VideoWriter(str(out), cv2.VideoWriter.fourcc(*_CODEC), held, (shape[1], shape[0]))
    if not writer.isOpened():
        raise UserError(f"{out.name}: OpenCV cannot write mp4 here; leave the copy out with --no_copy")
    return writer


def _draw_frame(
    frame: NDArray[np.uint8], position: int, rate: float, now: Sequence[Recognition], classes: Sequence[str], times: int
) -> None:
    height = frame.shape[0]
    scale = height / 480
    _write_text(frame, f"{position}  {position / rate:.2f} s", (8, height - 8), 0.5 * scale, _QUIET)
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
        _write_text(frame, f"{text}  ({phase})", (8, int((28 + 30 * line) * scale) + 8), 0.8 * scale, _COLOUR)


def _write_text(
    frame: NDArray[np.uint8], text: str, place: tuple[int, int], scale: float, colour: tuple[int, ...]
) -> None:
    plain = text.encode("ascii", "replace").decode()  # OpenCV's letters
    thick = max(1, round(2 * scale))
    cv2.putText(frame, plain, place, cv2.FONT_HERSHEY_SIMPLEX, max(scale, 0.35), (0, 0, 0), 3 * thick, cv2.LINE_AA)
    cv2.putText(frame, plain, place, cv2.FONT_HERSHEY_SIMPLEX, max(scale, 0.35), colour, thick, cv2.LINE_AA)
