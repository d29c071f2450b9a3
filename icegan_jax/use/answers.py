"""What ``predict`` writes: predictions.csv, predictions.json, a strip of pictures per answer, and a page."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from icegan_jax.data.names import FORMULA
from icegan_jax.evaluation.files import write_json, write_text
from icegan_jax.use.flags import Flag
from icegan_jax.use.reading import Reading

TABLE = "predictions.csv"
CONTENT = "predictions.json"
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


def write_table(path: Path, readings: Sequence[Reading], classes: Sequence[str]) -> None:
    """Writes predictions.csv: a row per clip or event, frames as numbers, times in seconds, a length per class."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*COLUMNS, *classes))
    for reading in readings:
        row = as_row(reading, classes)
        scores = row["scores"] or {}
        cells = [row[name] for name in COLUMNS if name != "flags"]
        cells.insert(COLUMNS.index("flags"), " ".join(flag["word"] for flag in row["flags"]))
        writer.writerow([_cell(cell) for cell in (*cells, *(scores.get(name) for name in classes))])
    write_text(path, text.getvalue())


def write_content(
    path: Path, readings: Sequence[Reading], classes: Sequence[str], about: Mapping[str, Any], flags: Sequence[Flag]
) -> None:
    """Writes predictions.json: what was asked, who answered, and every reading with its flags in sentences."""
    whole = [{"word": flag.word, "sentence": flag.sentence} for flag in flags]
    rows = [as_row(reading, classes) | {"folds": list(reading.folds)} for reading in readings]
    write_json(path, {**about, "classes": list(classes), "flags": whole, "readings": rows})


def as_row(reading: Reading, classes: Sequence[str]) -> dict[str, Any]:
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
