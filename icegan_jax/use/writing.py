"""The folder that ``predict`` leaves, and the lines that it prints."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from icegan_jax.evaluation import metrics
from icegan_jax.evaluation.files import write_text
from icegan_jax.use.answers import CONTENT, STRIPS, TABLE, write_content, write_table
from icegan_jax.use.flags import Flag
from icegan_jax.use.page_of_answers import MOST_STRIPS, render
from icegan_jax.use.reading import Reading
from icegan_jax.use.strip import draw_strip

PAGE = "index.html"
_MOST_LINES = 40  # printed; predictions.csv has all


def write_answers(
    folder: Path, readings: Sequence[Reading], classes: Sequence[str], about: Mapping[str, Any], flags: Sequence[Flag]
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
    write_table(folder / TABLE, readings, classes)
    (folder / STRIPS).mkdir(exist_ok=True)
    strips: list[Image.Image] = []
    for reading in readings:
        if reading.lengths is not None:
            strip = draw_strip(reading, classes)
            strip.save(folder / STRIPS / f"{reading.name}.png")
            if len(strips) < MOST_STRIPS:
                strips.append(strip)
    title = "Answers for " + ", ".join(Path(path).name for path in about["input"])
    write_text(folder / PAGE, render(title, readings, strips, classes, flags))
    scored = score(readings, classes)
    write_content(folder / CONTENT, readings, classes, {**about, **({"score": scored} if scored else {})}, flags)
    lines = [*_lines(readings, classes), *(f"beware: {flag.sentence}" for flag in flags)]
    if scored:
        lines.append(f"{scored['right']} of {scored['clips']} clips as annotated; UF1 {scored['uf1']:.3f}")
    return lines


def score(readings: Sequence[Reading], classes: Sequence[str]) -> dict[str, Any]:
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


def _lines(readings: Sequence[Reading], classes: Sequence[str]) -> Iterator[str]:
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
