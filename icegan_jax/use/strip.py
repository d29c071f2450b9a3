"""The picture that goes with an answer: onset, apex, what changed between them, and how long each capsule is."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from icegan_jax.reporting import style
from icegan_jax.reporting.synthesis_sheet import GAIN
from icegan_jax.use.difference import difference
from icegan_jax.use.reading import Reading

Grey = NDArray[np.uint8]

_TILE = 224  # pixels on a side of a face
_GAP = 12
_HEAD = 30
_BARS = 250  # width of the column with the capsules
_TEXT = 15


def draw_strip(reading: Reading, classes: Sequence[str]) -> Image.Image:
    """Draws a reading that has an answer.

    The difference is signed, red brighter and blue darker than the onset, ``GAIN`` times enlarged.

    Returns:
      RGB, 1,000 by 300 pixels or so.
    """
    assert reading.onset_face is not None and reading.apex_face is not None and reading.lengths is not None
    faces = [_grey(reading.onset_face), _grey(reading.apex_face), difference(reading.onset_face, reading.apex_face)]
    heads = [_at("onset", reading, reading.onset), _at("apex", reading, reading.apex), f"apex - onset, x{GAIN}"]
    width = len(faces) * (_TILE + _GAP) + _GAP + _BARS
    strip = Image.new("RGB", (width, _HEAD + _TILE + _GAP), "white")
    pen = ImageDraw.Draw(strip)
    for place, (face, head) in enumerate(zip(faces, heads, strict=True)):
        left = _GAP + place * (_TILE + _GAP)
        pen.text((left, _HEAD - 8), head, fill=style.INK, font=_font(_TEXT), anchor="ls")
        strip.paste(face.resize((_TILE, _TILE), Image.Resampling.BICUBIC), (left, _HEAD))
    _draw_bars(pen, width - _BARS, reading, classes)
    return strip


def _grey(face: Grey) -> Image.Image:
    return Image.fromarray(face).convert("RGB")


def _at(word: str, reading: Reading, frame: int) -> str:
    seconds = reading.seconds(frame)
    return f"{word}: frame {frame}" + ("" if seconds is None else f", {seconds:.2f} s")


def _draw_bars(pen: ImageDraw.ImageDraw, left: int, reading: Reading, classes: Sequence[str]) -> None:
    assert reading.lengths is not None
    best = int(np.argmax(reading.lengths))
    pen.text((left, _HEAD - 8), "length of the capsule", fill=style.FAINT, font=_font(_TEXT), anchor="ls")
    step = min(58, _TILE // len(classes))
    for label, (name, length) in enumerate(zip(classes, reading.lengths, strict=True)):
        top = _HEAD + label * step
        word = f"{style.shortened(name, 18)}  {length:.2f}"
        pen.text(
            (left, top + 14), word, fill=style.INK if label == best else style.FAINT, font=_font(_TEXT), anchor="ls"
        )
        full = _BARS - 2 * _GAP
        pen.rectangle((left, top + 20, left + full, top + 30), fill=style.GRID)
        pen.rectangle(
            (left, top + 20, left + int(full * min(float(length), 1)), top + 30), fill=style.class_colour(label)
        )
    foot = f"shown: {reading.truth}" if reading.truth else ""
    words = ", ".join(flag.word.replace("_", " ") for flag in reading.flags)
    for line, text in enumerate((foot, style.shortened(words, 38))):
        place = (left, _HEAD + _TILE - 18 + 18 * line)
        pen.text(place, text, fill=style.INK if line == 0 else "#b3541e", font=_font(_TEXT - 2), anchor="ls")


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
