"""The page's results as HTML with embedded pictures: no result is written to a file."""

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
from PIL import Image

from icegan_jax.inference.quality_flags import QualityFlag
from icegan_jax.inference.recognize import Recognition
from icegan_jax.inference.visualize import difference_image, draw_recognition
from icegan_jax.reporting.page.html import embed_image, paragraph, scrollable
from icegan_jax.reporting.style import DIFFERENCE_GAIN, class_color

MAX_DRAWN = 20  # events of one recording with pictures
_NO_VALUE = "–"


def error_html(message: str) -> str:
    """Return an error message of one line."""
    return f'<p class="problem" role="alert">{escape(message)}</p>'


def clip_html(result: Recognition, classes: Sequence[str]) -> str:
    """Return the result for one clip: class, capsule lengths, quality flags, onset, apex and their difference."""
    margin = result.margin
    return "".join(
        (
            '<section class="result">',
            f'<p class="class">{escape(str(result.label))}</p>',
            "" if margin is None else paragraph(f"Its capsule is the longest, by {margin:.2f}.", "soft"),
            _length_bars(result, classes),
            _flag_list(result.flags),
            _pictures(result, classes),
            _networks(result),
            "</section>",
        )
    )


def recording_html(results: Sequence[Recognition], flags: Sequence[QualityFlag], classes: Sequence[str]) -> str:
    """Return the events of a recording: a table, and capsule lengths and pictures of each event with a prediction."""
    shared = [flag for flag in flags if all(flag in result.flags for result in results)]
    predicted = [result for result in results if result.lengths is not None]
    parts = [
        '<section class="result">',
        f'<p class="class">{len(results) or "No"} event{"" if len(results) == 1 else "s"} found</p>',
        _flag_list(flags),
        _event_table(results, shared, classes) if results else "",
    ]
    for result in predicted[:MAX_DRAWN]:
        title = f"{_time(result, result.apex)}: {result.label}"
        parts += [f"<h3>{escape(title)}</h3>", _length_bars(result, classes), _pictures(result, classes)]
    if len(predicted) > MAX_DRAWN:
        parts.append(paragraph(f"{len(predicted) - MAX_DRAWN} more are not shown here.", "soft"))
    if predicted:
        parts.append(_networks(predicted[0]))
    return "".join((*parts, "</section>"))


def png_bytes(picture: Image.Image) -> bytes:
    """Return the content of a PNG file."""
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()


def download_link(png: bytes, name: str, text: str) -> str:
    """Return a link that saves the content of a PNG file under a name."""
    content = base64.b64encode(png).decode("ascii")
    return f'<a href="data:image/png;base64,{content}" download="{escape(name)}">{escape(text)}</a>'


def _event_table(results: Sequence[Recognition], shared: Sequence[QualityFlag], classes: Sequence[str]) -> str:
    """Return a table with a row for each event; the flags in ``shared`` stand above the table."""
    names = ("event", "prediction", "length", "onset", "apex", "offset", "caution")
    rows = [
        (
            result.kind,
            result.label or "none",
            _NO_VALUE if result.lengths is None else f"{max(result.lengths):.2f}",
            *(_time(result, frame) for frame in (result.onset, result.apex, result.offset)),
            " ".join(flag.sentence for flag in result.flags if flag not in shared),
        )
        for result in results
    ]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return scrollable(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>", "events", "sideways")


def _length_bars(result: Recognition, classes: Sequence[str]) -> str:
    assert result.lengths is not None
    longest = int(np.argmax(result.lengths))
    lines = []
    for label, (name, length) in enumerate(zip(classes, result.lengths, strict=True)):
        width = 100 * min(float(length), 1.0)
        kind = ' class="best"' if label == longest else ""
        bar = f'<span class="bar"><i style="width:{width:.1f}%;background:{class_color(label)}"></i></span>'
        lines.append(f"<li{kind}><span>{escape(name)}</span>{bar}<b>{length:.2f}</b></li>")
    return f'<ul class="bars" aria-label="length of the capsule of each class">{"".join(lines)}</ul>'


def _flag_list(flags: Iterable[QualityFlag]) -> str:
    lines = "".join(f"<li>{escape(flag.sentence)}</li>" for flag in flags)
    return f'<ul class="flags" aria-label="caution">{lines}</ul>' if lines else ""


def _pictures(result: Recognition, classes: Sequence[str]) -> str:
    """Return onset, apex and difference side by side, and a link that saves the strip."""
    assert result.onset_face is not None and result.apex_face is not None
    pictures = (
        (Image.fromarray(result.onset_face), "onset", _time(result, result.onset)),
        (Image.fromarray(result.apex_face), "apex", _time(result, result.apex)),
        (difference_image(result.onset_face, result.apex_face), "difference", f"x{DIFFERENCE_GAIN}; red is brighter"),
    )
    figures = "".join(
        f"<figure>{embed_image(png_bytes(picture), name, 'image/png')}"
        f"<figcaption><b>{name}</b> {escape(text)}</figcaption></figure>"
        for picture, name, text in pictures
    )
    strip = png_bytes(draw_recognition(result, classes))
    link = download_link(strip, f"{result.name}.png", "Save as one picture")
    return f'<div class="faces three">{figures}</div><p>{link}</p>'


def _time(result: Recognition, frame: int) -> str:
    """Return the seconds since the first frame; empty for a pair, which has no frame rate."""
    seconds = result.seconds(frame)
    return "" if seconds is None else f"{seconds:.2f} s"


def _networks(result: Recognition) -> str:
    if len(result.folds) == 1:
        return paragraph(f"Predicted by the networks of fold {result.folds[0]}.", "soft")
    return paragraph(f"Predicted by the networks of {len(result.folds)} folds: the mean of their lengths.", "soft")
