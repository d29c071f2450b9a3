"""What ``predict`` writes: predictions.csv, predictions.json, a strip of pictures per answer, and a page.

index.html of what ``predict`` wrote: a table that sorts, and the strips.

The folder that ``predict`` leaves, and the lines that it prints.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from icegan_jax.data.names import FORMULA
from icegan_jax.evaluation import metrics
from icegan_jax.inference.quality_flags import Flag
from icegan_jax.inference.recognition import Recognition
from icegan_jax.inference.visualize import draw_recognition
from icegan_jax.io import write_json, write_text
from icegan_jax.reporting.page.html import NUMBER, Cell, Column, embed_image, paragraph, table
from icegan_jax.reporting.page.template import render_document

PREDICTIONS_CSV = "predictions.csv"

PREDICTIONS_JSON = "predictions.json"

STRIPS = "strips"

COLUMNS = (
    "name",
    "input",
    "kind",
    "onset",
    "apex",
    "offset",
    "onset_s",
    "apex_s",
    "offset_s",
    "prediction",
    "margin",
    "truth",
    "flags",
    "strip",
)  # then one per class


def write_predictions_csv(path: Path, readings: Sequence[Recognition], classes: Sequence[str]) -> None:
    """Writes predictions.csv: a row per clip or event, frames as numbers, times in seconds, a length per class."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*COLUMNS, *classes))
    for reading in readings:
        row = table_row(reading, classes)
        scores = row["scores"] or {}
        cells = [row[name] for name in COLUMNS if name != "flags"]
        cells.insert(COLUMNS.index("flags"), " ".join(flag["word"] for flag in row["flags"]))
        writer.writerow([_cell(cell) for cell in (*cells, *(scores.get(name) for name in classes))])
    write_text(path, text.getvalue())


def write_predictions_json(
    path: Path, readings: Sequence[Recognition], classes: Sequence[str], about: Mapping[str, Any], flags: Sequence[Flag]
) -> None:
    """Writes predictions.json: what was asked, who answered, and every reading with its flags in sentences."""
    whole = [{"word": flag.word, "sentence": flag.sentence} for flag in flags]
    rows = [table_row(reading, classes) | {"folds": list(reading.folds)} for reading in readings]
    write_json(path, {**about, "classes": list(classes), "flags": whole, "readings": rows})


def table_row(reading: Recognition, classes: Sequence[str]) -> dict[str, Any]:
    """A reading by the names of ``COLUMNS``, and ``scores``, the capsule length of each class."""
    scores = None
    if reading.lengths is not None:
        scores = {name: round(float(length), 6) for name, length in zip(classes, reading.lengths, strict=True)}
    times = {f"{word}_s": reading.seconds(getattr(reading, word)) for word in ("onset", "apex", "offset")}
    return {
        "name": reading.name,
        "input": reading.source,
        "kind": reading.kind,
        "onset": reading.onset,
        "apex": reading.apex,
        "offset": reading.offset,
        **{name: None if time is None else round(time, 4) for name, time in times.items()},
        "prediction": reading.answer(classes),
        "margin": None if reading.margin is None else round(reading.margin, 6),
        "truth": reading.truth,
        "flags": [{"word": flag.word, "sentence": flag.sentence} for flag in reading.flags],
        "strip": f"{STRIPS}/{reading.name}.png" if reading.lengths is not None else None,
        "scores": scores,
    }


def _cell(value: object) -> object:
    """Empty where nothing is known; text that a spreadsheet would take for a formula with a quote before it."""
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and value[:1] in FORMULA else value


MOST_STRIPS = 100  # embedded, 20 kB each; the others lie beside the page

_QUALITY = 85  # of WebP; the files in strips/ are PNG

_CAUTION = (
    "An answer is the class whose capsule is longest, among the classes that the networks know; it is never a proof of "
    "what somebody feels. This is no lie detector."
)


def render_predictions_page(
    title: str,
    readings: Sequence[Recognition],
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
    return render_document(title, "\n".join(body))


def _shared(readings: Sequence[Recognition]) -> list[Flag]:
    """The flags that all of several readings have: they are said once."""
    if len(readings) < 2:
        return []
    return [flag for flag in readings[0].flags if all(flag in reading.flags for reading in readings)]


def _strip(reading: Recognition, strip: Image.Image, classes: Sequence[str]) -> str:
    content = io.BytesIO()
    strip.save(content, "WEBP", quality=_QUALITY)
    words = f"{reading.name}: onset, apex and their difference; answer {reading.answer(classes)}"
    shown = embed_image(content.getvalue(), words, "image/webp")
    return f'<figure class="sheet">{shown}<figcaption>{escape(words)}</figcaption></figure>'


def _number(value: float | None, digits: int = 3) -> Cell:
    return Cell("–", None) if value is None else Cell(f"{value:.{digits}f}", value)


PAGE = "index.html"

_MOST_LINES = 40  # printed; predictions.csv has all


def write_outputs(
    folder: Path,
    readings: Sequence[Recognition],
    classes: Sequence[str],
    about: Mapping[str, Any],
    flags: Sequence[Flag],
) -> list[str]:
    """Writes table, strips, page and, last, predictions.json.

    Args:
      folder: to write into.
      readings: in the order of the table.
      classes: of the answers.
      about: what was asked, for predictions.json.
      flags: of the recording as a whole.

    Returns:
      The lines that tell it in short.
    """
    write_predictions_csv(folder / PREDICTIONS_CSV, readings, classes)
    (folder / STRIPS).mkdir(exist_ok=True)
    strips: list[Image.Image] = []
    for reading in readings:
        if reading.lengths is not None:
            strip = draw_recognition(reading, classes)
            strip.save(folder / STRIPS / f"{reading.name}.png")
            if len(strips) < MOST_STRIPS:
                strips.append(strip)
    title = "Answers for " + ", ".join(Path(path).name for path in about["input"])
    write_text(folder / PAGE, render_predictions_page(title, readings, strips, classes, flags))
    scored = score_predictions(readings, classes)
    write_predictions_json(
        folder / PREDICTIONS_JSON, readings, classes, {**about, **({"score": scored} if scored else {})}, flags
    )
    lines = [*_lines(readings, classes), *(f"beware: {flag.sentence}" for flag in flags)]
    if scored:
        lines.append(f"{scored['right']} of {scored['clips']} clips as annotated; UF1 {scored['uf1']:.3f}")
    return lines


def score_predictions(readings: Sequence[Recognition], classes: Sequence[str]) -> dict[str, Any]:
    """How the answers compare with the annotation, over all clips; empty where there is none."""
    known = [(reading.truth, answer) for reading in readings if reading.truth and (answer := reading.answer(classes))]
    if not known:
        return {}
    truth, said = ([classes.index(pair[side]) for pair in known] for side in (0, 1))
    counts = metrics.confusion(truth, said, len(classes))
    return {
        "clips": len(known),
        "right": int(counts.trace()),
        "accuracy": metrics.accuracy(counts),
        "uf1": metrics.uf1(counts),
        "uar": metrics.uar(counts),
    }


def _lines(readings: Sequence[Recognition], classes: Sequence[str]) -> Iterator[str]:
    for reading in readings[:_MOST_LINES]:
        answer = reading.answer(classes)
        lengths = "" if reading.lengths is None else " ".join(f"{length:.2f}" for length in reading.lengths)
        seconds = reading.seconds(reading.apex)
        when = f"apex {reading.apex}" + ("" if seconds is None else f" ({seconds:.2f} s)")
        words = ", ".join(flag.word for flag in reading.flags)
        truth = f", shown {reading.truth}" if reading.truth else ""
        yield f"{reading.name}: {answer or reading.kind} [{lengths}] {when}{truth}" + (
            f"; beware: {words}" if words else ""
        )
    if len(readings) > _MOST_LINES:
        yield f"... and {len(readings) - _MOST_LINES} more"
    if not readings:
        yield "no event was found"
