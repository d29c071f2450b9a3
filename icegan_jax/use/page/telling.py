"""What the page says of an answer, as HTML with its pictures inside: nothing of it is ever a file."""

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
from PIL import Image

from icegan_jax.reporting.page.html import image, paragraph, scroll
from icegan_jax.reporting.style import class_colour
from icegan_jax.reporting.synthesis_sheet import GAIN
from icegan_jax.use.flags import Flag
from icegan_jax.use.reading import Reading
from icegan_jax.use.strip import difference, draw_strip

MOST_STRIPS = 20  # of the events of one recording
_NO_TIME = "–"


def problem(message: str) -> str:
    """What is wrong with what was put in: one line."""
    return f'<p class="problem" role="alert">{escape(message)}</p>'


def of_clip(reading: Reading, classes: Sequence[str]) -> str:
    """The answer for one clip: class, capsule lengths, what to be wary of, onset, apex and their difference."""
    assert reading.lengths is not None
    answer, margin = reading.answer(classes), reading.margin
    ahead = "" if margin is None else f"Its capsule is the longest, by {margin:.2f}."
    return "".join(
        (
            '<section class="answer">',
            f'<p class="class">{escape(str(answer))}</p>',
            paragraph(ahead, "soft"),
            _bars(reading, classes),
            _warnings(reading.flags),
            _faces(reading, classes),
            paragraph(_whence(reading), "soft"),
            "</section>",
        )
    )


def of_recording(readings: Sequence[Reading], flags: Sequence[Flag], classes: Sequence[str]) -> str:
    """The events of a recording: a table, and the strips of those that were recognised."""
    heads = ("event", "onset, s", "apex, s", "offset, s", "answer", "length", "be wary of")
    shared = [flag for flag in flags if all(flag in reading.flags for reading in readings)]
    rows = [
        (
            reading.kind,
            *(_seconds(reading, frame) for frame in (reading.onset, reading.apex, reading.offset)),
            reading.answer(classes) or "not asked",
            _NO_TIME if reading.lengths is None else f"{max(reading.lengths):.2f}",
            " ".join(flag.sentence for flag in reading.flags if flag not in shared),
        )
        for reading in readings
    ]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    answered = [reading for reading in readings if reading.lengths is not None]
    count = f"{len(readings)} event{'' if len(readings) == 1 else 's'} found."
    parts = [f'<section class="answer"><p class="class">{count}</p>', _warnings(flags)]
    if readings:
        parts.append(scroll(table, "events", "sideways"))
    parts += [_strip(reading, classes) for reading in answered[:MOST_STRIPS]]
    if len(answered) > MOST_STRIPS:
        parts.append(paragraph(f"{len(answered) - MOST_STRIPS} more are not drawn here.", "soft"))
    return "".join((*parts, "</section>"))


def _bars(reading: Reading, classes: Sequence[str]) -> str:
    assert reading.lengths is not None
    best = int(np.argmax(reading.lengths))
    lines = []
    for label, (name, length) in enumerate(zip(classes, reading.lengths, strict=True)):
        width = 100 * min(float(length), 1.0)
        kind = ' class="best"' if label == best else ""
        bar = f'<span class="bar"><i style="width:{width:.1f}%;background:{class_colour(label)}"></i></span>'
        lines.append(f"<li{kind}><span>{escape(name)}</span>{bar}<b>{length:.2f}</b></li>")
    return f'<ul class="bars" aria-label="length of the capsule of each class">{"".join(lines)}</ul>'


def _warnings(flags: Iterable[Flag]) -> str:
    lines = "".join(f"<li>{escape(flag.sentence)}</li>" for flag in flags)
    return f'<ul class="flags" aria-label="be wary">{lines}</ul>' if lines else ""


def _faces(reading: Reading, classes: Sequence[str]) -> str:
    """Onset, apex and difference side by side, on a phone as well, and the strip to take away."""
    assert reading.onset_face is not None and reading.apex_face is not None
    shown = (
        (Image.fromarray(reading.onset_face), "onset", _when(reading, reading.onset)),
        (Image.fromarray(reading.apex_face), "apex", _when(reading, reading.apex)),
        (difference(reading.onset_face, reading.apex_face), "difference", f"x{GAIN}; red is brighter"),
    )
    figures = "".join(
        f"<figure>{image(png(face), word, 'image/png')}<figcaption><b>{word}</b> {escape(words)}</figcaption></figure>"
        for face, word, words in shown
    )
    strip = base64.b64encode(png(draw_strip(reading, classes))).decode("ascii")
    link = f'<a href="data:image/png;base64,{strip}" download="{escape(reading.name)}.png">Save as one picture</a>'
    return f'<div class="faces three">{figures}</div><p>{link}</p>'


def _strip(reading: Reading, classes: Sequence[str]) -> str:
    words = f"{_when(reading, reading.apex)}: onset, apex and their difference; answer {reading.answer(classes)}"
    return scroll(image(png(draw_strip(reading, classes)), words, "image/png"), words, "sideways strip")


def _whence(reading: Reading) -> str:
    if len(reading.folds) == 1:
        return f"Answered by the networks of fold {reading.folds[0]}."
    return f"Answered by the networks of {len(reading.folds)} folds: the mean of their lengths."


def _when(reading: Reading, frame: int) -> str:
    seconds = reading.seconds(frame)
    return "" if seconds is None else f"{seconds:.2f} s"


def _seconds(reading: Reading, frame: int) -> str:
    seconds = reading.seconds(frame)
    return _NO_TIME if seconds is None else f"{seconds:.2f}"


def png(picture: Image.Image) -> bytes:
    """A picture as a PNG file."""
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()
