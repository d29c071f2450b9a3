"""index.html of what ``predict`` wrote: a table that sorts, and the strips."""

import io
from collections.abc import Sequence
from html import escape

from PIL import Image

from icegan_jax.reporting.page.frame import framed
from icegan_jax.reporting.page.html import NUMBER, Cell, Column, image, paragraph, table
from icegan_jax.use.flags import Flag
from icegan_jax.use.reading import Reading

MOST_STRIPS = 100  # embedded, 20 kB each; the others lie beside the page
_QUALITY = 85  # of WebP; the files in strips/ are PNG

_CAUTION = (
    "An answer is the class whose capsule is longest, among the classes that the networks know; it is never a proof of "
    "what somebody feels. This is no lie detector."
)


def render(
    title: str,
    readings: Sequence[Reading],
    strips: Sequence[Image.Image],
    classes: Sequence[str],
    flags: Sequence[Flag],
) -> str:
    """The page, with everything inside.

    Args:
      title: what was read.
      readings: all of them.
      strips: of the first readings with an answer, ``MOST_STRIPS`` at most.
      classes: of the answers.
      flags: of the recording as a whole.
    """
    shared = _shared(readings)
    columns = [Column("name"), Column("kind"), Column("answer", "answer"), Column("margin", NUMBER)]
    columns += [Column(word, NUMBER) for word in ("onset", "apex", "offset", "apex, s")]
    columns += [Column("shown"), Column("be wary of", "words")]
    rows: list[list[str | Cell]] = [
        [
            reading.name,
            reading.kind,
            reading.answer(classes) or "not asked",
            _number(reading.margin),
            *(_number(frame, 0) for frame in (reading.onset, reading.apex, reading.offset)),
            _number(reading.seconds(reading.apex), 2),
            reading.truth or "",
            " ".join(flag.sentence for flag in reading.flags if flag not in shared),
        ]
        for reading in readings
    ]
    marks = ["wrong" if each.truth and each.answer(classes) not in (None, each.truth) else "" for each in readings]
    answered = [reading for reading in readings if reading.lengths is not None]
    body = [
        f"<h1>{escape(title)}</h1>",
        paragraph(_CAUTION, "note"),
        *(paragraph(flag.sentence, "note") for flag in dict.fromkeys([*flags, *shared])),
        "<h2>Answers</h2>" if readings else paragraph("No event was found."),
        table("Answers", columns, rows, marks) if readings else "",
        "<h2>Pictures</h2>" if strips else "",
        *(_strip(reading, strip, classes) for reading, strip in zip(answered, strips, strict=False)),
    ]
    if len(answered) > len(strips):
        body.append(paragraph(f"The other {len(answered) - len(strips)} are in the folder strips beside this page."))
    return framed(title, "\n".join(body))


def _shared(readings: Sequence[Reading]) -> list[Flag]:
    """The flags that all of several readings have: they are said once."""
    if len(readings) < 2:
        return []
    return [flag for flag in readings[0].flags if all(flag in reading.flags for reading in readings)]


def _strip(reading: Reading, strip: Image.Image, classes: Sequence[str]) -> str:
    content = io.BytesIO()
    strip.save(content, "WEBP", quality=_QUALITY)
    words = f"{reading.name}: onset, apex and their difference; answer {reading.answer(classes)}"
    shown = image(content.getvalue(), words, "image/webp")
    return f'<figure class="sheet">{shown}<figcaption>{escape(words)}</figcaption></figure>'


def _number(value: float | None, digits: int = 3) -> Cell:
    return Cell("–", None) if value is None else Cell(f"{value:.{digits}f}", value)
