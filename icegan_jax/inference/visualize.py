"""Visualization of a result: the picture strip, and the annotated copy of a video."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from tqdm import tqdm

from icegan_jax.data.video import read_color_frames, write_video
from icegan_jax.inference.inputs import FrameSource, open_video
from icegan_jax.inference.recognize import Recognition
from icegan_jax.reporting import fonts, style
from icegan_jax.reporting.face_grid import FaceGrid, cell_side, difference_image
from icegan_jax.reporting.style import DIFFERENCE_GAIN

# The strip, in pixels.
_FACE = 224  # at least: a multiple of the side of the crops, so that their pixels stay sharp
_BAR_STEP = 58
_FONT_SIZE = 15

# The annotated video.
ANNOTATED_VIDEO = "annotated.mp4"
_DEFAULT_RATE = 25.0  # frames per second of a video that has no rate
_MIN_SIDE = 400  # pixels; smaller frames are enlarged, so that the text is legible
_PIXELS_PER_SIZE = 28  # of the text, at size 1
_MIN_FONT_SIZE = 11  # pixels
_EVENT_COLOR = (255, 200, 60)
_COUNTER_COLOR = (190, 190, 190)

Color = NDArray[np.uint8]


def draw_recognition(result: Recognition, classes: Sequence[str]) -> Color:
    """Draw the strip of a result with a prediction: onset, apex, their difference, and the capsule lengths.

    Returns:
        uint8[h, w, 3] of about 320 by 1080 pixels for faces of 128; below are the annotation and the flags.
    """
    assert result.onset_face is not None and result.apex_face is not None and result.lengths is not None
    headings = (
        _heading("onset", result, result.onset),
        _heading("apex", result, result.apex),
        f"apex - onset\nx{DIFFERENCE_GAIN}, red is brighter",
        "length of\nthe capsule",
    )
    flags = ", ".join(flag.word.replace("_", " ") for flag in result.flags)
    caption = "; ".join(filter(None, (f"annotated: {result.truth}" if result.truth else "", flags)))
    difference = difference_image(result.onset_face, result.apex_face)
    side = cell_side(len(result.onset_face), _FACE)
    bars = _draw_lengths(result.lengths, classes, side)
    grid = FaceGrid(("",), headings, (side, side), caption)
    return grid.draw([[result.onset_face, result.apex_face, difference, bars]])


def _heading(name: str, result: Recognition, frame: int) -> str:
    seconds = result.seconds(frame)
    return f"{name}\nframe {frame}" + ("" if seconds is None else f", {seconds:.2f} s")


def _draw_lengths(lengths: NDArray[np.float32], classes: Sequence[str], side: int) -> Color:
    """Draw a bar for the capsule length of each class: uint8[side, side, 3]."""
    picture = Image.new("RGB", (side, side), "white")
    pen = ImageDraw.Draw(picture)
    step = min(_BAR_STEP, side // len(classes))
    for label, (name, length) in enumerate(zip(classes, lengths, strict=True)):
        top = label * step
        color = style.TEXT_COLOR if label == int(np.argmax(lengths)) else style.MUTED_COLOR
        text = f"{style.truncate(style.legible(name), 18)}  {length:.2f}"
        pen.text((0, top + 14), text, fill=color, font=fonts.font(fonts.font_file(text), _FONT_SIZE), anchor="ls")
        pen.rectangle((0, top + 20, side, top + 30), fill=style.GRID_COLOR)
        pen.rectangle((0, top + 20, int(side * min(float(length), 1)), top + 30), fill=style.class_color(label))
    return np.array(picture)


def class_lengths(result: Recognition, classes: Sequence[str]) -> list[tuple[str, float, str]]:
    """Return name, capsule length and color of each class of a result with a prediction, for the bars of a page."""
    assert result.lengths is not None
    named = zip(classes, result.lengths.tolist(), strict=True)
    return [(name, length, style.class_color(label)) for label, (name, length) in enumerate(named)]


def annotate_video(source: FrameSource, out: Path, results: Sequence[Recognition], *, progress: bool = False) -> None:
    """Write a copy of a video, without sound, that names each event from its onset to its offset.

    The copy keeps the time stamps of the video, relative to the first frame.

    Args:
        source: the recording.
        out: the .mp4 to write.
        results: the results for the recording; frame numbers are positions in the video.
        progress: draw a progress bar on stderr.

    Raises:
        UserError: The video cannot be read.
        OSError: The copy cannot be written.
    """
    clock = source if source.timestamps is not None else open_video(source.path, None)  # without the rate of --fps
    if clock.fps is None:
        clock = replace(clock, fps=_DEFAULT_RATE)
    times = (clock.seconds(position) or 0.0 for position in clock.frame_numbers)
    write_video(out, zip(times, _annotated_frames(source, results, progress), strict=True), clock.fps or _DEFAULT_RATE)


def _annotated_frames(source: FrameSource, results: Sequence[Recognition], progress: bool) -> Iterator[Color]:
    remaining = sorted(results, key=lambda result: result.onset)
    frames = read_color_frames(source.path)
    bar = tqdm(frames, desc="annotated copy", unit="frame", dynamic_ncols=True, disable=not progress)
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
    """Write a text with a black outline into a frame; ``at`` is the left end of its base line."""
    text, pixels = style.legible(text), max(round(_PIXELS_PER_SIZE * size), _MIN_FONT_SIZE)
    top = max(at[1] - 2 * pixels, 0)
    rows = frame[top : at[1] + pixels]  # the text alone: a copy of a whole frame takes longer than its decoding
    picture = Image.fromarray(rows)
    font = fonts.font(fonts.font_file(text), pixels)
    start, outline = (at[0], at[1] - top), max(1, pixels // 10)
    ImageDraw.Draw(picture).text(start, text, color, font, anchor="ls", stroke_width=outline, stroke_fill=(0, 0, 0))
    rows[:] = np.asarray(picture)
