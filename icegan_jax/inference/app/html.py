"""What the page says of an answer, as HTML with its pictures inside: nothing of it is ever a file."""

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
from PIL import Image

from icegan_jax.inference.quality_flags import Flag
from icegan_jax.inference.recognition import Recognition
from icegan_jax.inference.visualize import difference_image, draw_recognition
from icegan_jax.reporting.grids import DIFFERENCE_GAIN
from icegan_jax.reporting.page.html import embed_image, paragraph, scrollable
from icegan_jax.reporting.style import class_color

MOST_DRAWN = 20  # of the events of one recording
_NOTHING = "–"


def error_html(message: str) -> str:
    """What is wrong with what was put in: one line."""
    return f'<p class="problem" role="alert">{escape(message)}</p>'


def clip_html(reading: Recognition, classes: Sequence[str]) -> str:
    """The answer for one clip: class, capsule lengths, what to be wary of, onset, apex and their difference."""
    margin = reading.margin
    return "".join(
        (
            '<section class="answer">',
            f'<p class="class">{escape(str(reading.answer(classes)))}</p>',
            "" if margin is None else paragraph(f"Its capsule is the longest, by {margin:.2f}.", "soft"),
            _bars(reading, classes),
            _warnings(reading.flags),
            _faces(reading, classes),
            _whence(reading),
            "</section>",
        )
    )


def recording_html(readings: Sequence[Recognition], flags: Sequence[Flag], classes: Sequence[str]) -> str:
    """The events of a recording: a table, and each that was recognized as ``of_clip`` shows it."""
    shared = [flag for flag in flags if all(flag in reading.flags for reading in readings)]
    answered = [reading for reading in readings if reading.lengths is not None]
    parts = [
        '<section class="answer">',
        f'<p class="class">{len(readings) or "No"} event{"" if len(readings) == 1 else "s"} found</p>',
        _warnings(flags),
        _table(readings, shared, classes) if readings else "",
    ]
    for reading in answered[:MOST_DRAWN]:
        title = f"{_when(reading, reading.apex)}: {reading.answer(classes)}"
        parts += [f"<h3>{escape(title)}</h3>", _bars(reading, classes), _faces(reading, classes)]
    if len(answered) > MOST_DRAWN:
        parts.append(paragraph(f"{len(answered) - MOST_DRAWN} more are not drawn here.", "soft"))
    if answered:
        parts.append(_whence(answered[0]))
    return "".join((*parts, "</section>"))


def png_data_url(picture: Image.Image) -> bytes:
    """A picture as a PNG file."""
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()


def download_link(file: bytes, name: str, words: str) -> str:
    """A PNG file to save under a name."""
    content = base64.b64encode(file).decode("ascii")
    return f'<a href="data:image/png;base64,{content}" download="{escape(name)}">{escape(words)}</a>'


def _table(readings: Sequence[Recognition], known: Sequence[Flag], classes: Sequence[str]) -> str:
    """A row for each event; the flags in ``known`` are said elsewhere."""
    heads = ("event", "answer", "length", "onset", "apex", "offset", "be wary of")
    rows = [
        (
            reading.kind,
            reading.answer(classes) or "not asked",
            _NOTHING if reading.lengths is None else f"{max(reading.lengths):.2f}",
            *(_when(reading, frame) for frame in (reading.onset, reading.apex, reading.offset)),
            " ".join(flag.sentence for flag in reading.flags if flag not in known),
        )
        for reading in readings
    ]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return scrollable(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>", "events", "sideways")


def _bars(reading: Recognition, classes: Sequence[str]) -> str:
    assert reading.lengths is not None
    best = int(np.argmax(reading.lengths))
    lines = []
    for label, (name, length) in enumerate(zip(classes, reading.lengths, strict=True)):
        width = 100 * min(float(length), 1.0)
        kind = ' class="best"' if label == best else ""
        bar = f'<span class="bar"><i style="width:{width:.1f}%;background:{class_color(label)}"></i></span>'
        lines.append(f"<li{kind}><span>{escape(name)}</span>{bar}<b>{length:.2f}</b></li>")
    return f'<ul class="bars" aria-label="length of the capsule of each class">{"".join(lines)}</ul>'


def _warnings(flags: Iterable[Flag]) -> str:
    lines = "".join(f"<li>{escape(flag.sentence)}</li>" for flag in flags)
    return f'<ul class="flags" aria-label="be wary">{lines}</ul>' if lines else ""


def _faces(reading: Recognition, classes: Sequence[str]) -> str:
    """Onset, apex and difference side by side, on a phone as well, and the strip to take away."""
    assert reading.onset_face is not None and reading.apex_face is not None
    shown = (
        (Image.fromarray(reading.onset_face), "onset", _when(reading, reading.onset)),
        (Image.fromarray(reading.apex_face), "apex", _when(reading, reading.apex)),
        (difference_image(reading.onset_face, reading.apex_face), "difference", f"x{DIFFERENCE_GAIN}; red is brighter"),
    )
    figures = "".join(
        f"<figure>{embed_image(png_data_url(face), word, 'image/png')}"
        f"<figcaption><b>{word}</b> {escape(words)}</figcaption></figure>"
        for face, word, words in shown
    )
    strip = download_link(
        png_data_url(draw_recognition(reading, classes)), f"{reading.name}.png", "Save as one picture"
    )
    return f'<div class="faces three">{figures}</div><p>{strip}</p>'


def _when(reading: Recognition, frame: int) -> str:
    """Seconds from the first frame; of a pair nothing."""
    seconds = reading.seconds(frame)
    return "" if seconds is None else f"{seconds:.2f} s"


def _whence(reading: Recognition) -> str:
    if len(reading.folds) == 1:
        return paragraph(f"Answered by the networks of fold {reading.folds[0]}.", "soft")
    return paragraph(f"Answered by the networks of {len(reading.folds)} folds: the mean of their lengths.", "soft")
