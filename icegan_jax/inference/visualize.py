"""Visualization of a result: the difference image, the picture strip, and the annotated copy of a video."""

import functools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from icegan_jax.data.video import read_color_frames, read_video_info, write_video
from icegan_jax.inference.inputs import FrameSource
from icegan_jax.inference.recognize import Recognition
from icegan_jax.reporting import style
from icegan_jax.reporting.style import DIFFERENCE_GAIN

# The strip, in pixels.
_FACE = 224
_GAP = 12
_HEADING = 30
_BARS = 250  # width of the column of capsule lengths
_BAR_STEP = 58
_FONT_SIZE = 15
_FLAG_COLOR = "#b3541e"

# Colors of a signed difference, from blue (darker) to red (brighter): ColorBrewer's RdBu in reverse. Matplotlib's
# colormap of that name is not used, so that a prediction does not import Matplotlib.
_DIFFERENCE_ANCHORS = "053061 2166ac 4393c3 92c5de d1e5f0 f7f7f7 fddbc7 f4a582 d6604d b2182b 67001f"
_NUM_COLORS = 256

# The annotated video.
ANNOTATED_VIDEO = "annotated.mp4"
_DEFAULT_RATE = 25.0  # frames per second of a video that has no rate
_MIN_SIDE = 400  # pixels; smaller frames are enlarged, so that the text is legible
_EVENT_COLOR = (255, 200, 60)
_COUNTER_COLOR = (190, 190, 190)

Gray = NDArray[np.uint8]
Color = NDArray[np.uint8]


def difference_image(onset: Gray, face: Gray) -> Image.Image:
    """Return the signed difference of two faces as an RGB picture: red is brighter than the onset, blue is darker.

    Args:
        onset: uint8[h, w].
        face: uint8[h, w]; its difference to the onset is multiplied by ``DIFFERENCE_GAIN``.
    """
    difference = (face.astype(np.float64) - onset) * DIFFERENCE_GAIN / 255
    levels = np.clip((difference + 1) / 2 * _NUM_COLORS, 0, _NUM_COLORS - 1).astype(int)
    return Image.fromarray(_difference_colors()[levels])


@functools.cache
def _difference_colors() -> NDArray[np.uint8]:
    """Return the colors uint8[256, 3] of differences from the most negative to the most positive."""
    anchors = np.array([list(bytes.fromhex(code)) for code in _DIFFERENCE_ANCHORS.split()]) / 255
    x, x_anchors = np.linspace(0, 1, _NUM_COLORS), np.linspace(0, 1, len(anchors))
    return (np.stack([np.interp(x, x_anchors, channel) for channel in anchors.T], axis=1) * 255).astype(np.uint8)


def draw_recognition(result: Recognition, classes: Sequence[str]) -> Image.Image:
    """Draw the strip of a result with a prediction: onset, apex, their difference, and the capsule lengths.

    Returns:
        An RGB picture of about 1,000 by 300 pixels.
    """
    assert result.onset_face is not None and result.apex_face is not None and result.lengths is not None
    faces = [
        Image.fromarray(result.onset_face).convert("RGB"),
        Image.fromarray(result.apex_face).convert("RGB"),
        difference_image(result.onset_face, result.apex_face),
    ]
    headings = [
        _heading("onset", result, result.onset),
        _heading("apex", result, result.apex),
        f"apex - onset, x{DIFFERENCE_GAIN}",
    ]
    width = len(faces) * (_FACE + _GAP) + _GAP + _BARS
    strip = Image.new("RGB", (width, _HEADING + _FACE + _GAP), "white")
    pen = ImageDraw.Draw(strip)
    for column, (face, heading) in enumerate(zip(faces, headings, strict=True)):
        left = _GAP + column * (_FACE + _GAP)
        _draw_text(pen, (left, _HEADING - 8), heading, style.TEXT_COLOR)
        strip.paste(face.resize((_FACE, _FACE), Image.Resampling.BICUBIC), (left, _HEADING))
    _draw_lengths(pen, width - _BARS, result, classes)
    return strip


def _heading(name: str, result: Recognition, frame: int) -> str:
    seconds = result.seconds(frame)
    return f"{name}: frame {frame}" + ("" if seconds is None else f", {seconds:.2f} s")


def _draw_lengths(pen: ImageDraw.ImageDraw, left: int, result: Recognition, classes: Sequence[str]) -> None:
    """Draw a bar for the capsule length of each class, and below them the annotation and the flags."""
    assert result.lengths is not None
    longest = int(np.argmax(result.lengths))
    _draw_text(pen, (left, _HEADING - 8), "length of the capsule", style.MUTED_COLOR)
    step = min(_BAR_STEP, _FACE // len(classes))
    width = _BARS - 2 * _GAP
    for label, (name, length) in enumerate(zip(classes, result.lengths, strict=True)):
        top = _HEADING + label * step
        text = f"{style.truncate(name, 18)}  {length:.2f}"
        _draw_text(pen, (left, top + 14), text, style.TEXT_COLOR if label == longest else style.MUTED_COLOR)
        pen.rectangle((left, top + 20, left + width, top + 30), fill=style.GRID_COLOR)
        bar = (left, top + 20, left + int(width * min(float(length), 1)), top + 30)
        pen.rectangle(bar, fill=style.class_color(label))
    truth = f"shown: {result.truth}" if result.truth else ""
    flags = ", ".join(flag.word.replace("_", " ") for flag in result.flags)
    _draw_text(pen, (left, _HEADING + _FACE - 18), truth, style.TEXT_COLOR, _FONT_SIZE - 2)
    _draw_text(pen, (left, _HEADING + _FACE), style.truncate(flags, 38), _FLAG_COLOR, _FONT_SIZE - 2)


def _draw_text(pen: ImageDraw.ImageDraw, at: tuple[int, int], text: str, color: str, size: int = _FONT_SIZE) -> None:
    pen.text(at, text, fill=color, font=ImageFont.load_default(size), anchor="ls")


def annotate_video(source: FrameSource, out: Path, results: Sequence[Recognition]) -> None:
    """Write a copy of a video, without sound, that names each event from its onset to its offset.

    The copy keeps the time stamps of the video, relative to the first frame.

    Args:
        source: the recording.
        out: the .mp4 to write.
        results: the results for the recording; frame numbers are positions in the video.

    Raises:
        UserError: The video cannot be read.
        OSError: The copy cannot be written.
    """
    info = read_video_info(source.path)
    frames = zip(info.timestamps.tolist(), _annotated_frames(source, results), strict=True)
    write_video(out, frames, info.rate or _DEFAULT_RATE)


def _annotated_frames(source: FrameSource, results: Sequence[Recognition]) -> Iterator[Color]:
    remaining = sorted(results, key=lambda result: result.onset)
    bar = tqdm(read_color_frames(source.path), desc="annotated copy", unit="frame", dynamic_ncols=True)
    for position, picture in enumerate(bar):
        scale = max(1, math.ceil(_MIN_SIDE / min(picture.shape[:2])))
        frame = np.ascontiguousarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC))
        remaining = [result for result in remaining if result.offset >= position]
        current = [result for result in remaining if result.onset <= position]
        _draw_frame(frame, position, source.seconds(position), current, scale)
        yield frame


def _draw_frame(frame: Color, position: int, seconds: float | None, current: Sequence[Recognition], scale: int) -> None:
    """Draw the frame counter, and the box and the prediction of each current event, into a frame uint8[h, w, 3].

    Args:
        scale: the factor by which the frame was enlarged.
    """
    height = frame.shape[0]
    size = height / 480
    _put_text(
        frame,
        f"{position}" + ("" if seconds is None else f"  {seconds:.2f} s"),
        (8, height - 8),
        0.5 * size,
        _COUNTER_COLOR,
    )
    for line, result in enumerate(current):
        if result.box is not None:
            corners = np.array([result.box.left, result.box.top, result.box.right, result.box.bottom])
            left, top, right, bottom = np.rint(scale * (corners + 0.5) - 0.5).astype(int).tolist()
            cv2.rectangle(frame, (left, top), (right, bottom), _EVENT_COLOR, max(1, round(2 * size)), cv2.LINE_AA)
        text = result.kind
        if result.lengths is not None:
            text = f"{result.label} {max(result.lengths):.2f}"
        phase = "apex" if position == result.apex else "onset to apex" if position < result.apex else "apex to offset"
        _put_text(frame, f"{text}  ({phase})", (8, int((28 + 30 * line) * size) + 8), 0.8 * size, _EVENT_COLOR)


def _put_text(frame: Color, text: str, at: tuple[int, int], size: float, color: tuple[int, ...]) -> None:
    ascii_text = text.encode("ascii", "replace").decode()  # OpenCV's font has no other letters
    thickness = max(1, round(2 * size))
    for stroke, stroke_color in ((3 * thickness, (0, 0, 0)), (thickness, color)):  # an outline, then the text
        cv2.putText(frame, ascii_text, at, cv2.FONT_HERSHEY_SIMPLEX, max(size, 0.35), stroke_color, stroke, cv2.LINE_AA)
