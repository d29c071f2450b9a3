"""The outputs of recognition: predictions.csv, predictions.json, picture strips, and a page."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from icegan_jax.data.names import spreadsheet_cell
from icegan_jax.evaluation import metrics
from icegan_jax.evaluation.calibration import NO_EXPRESSION
from icegan_jax.inference.inputs import RECORDING_FILE
from icegan_jax.inference.predictions_page import render_predictions_page
from icegan_jax.inference.quality_flags import QualityFlag
from icegan_jax.inference.recognize import TRACE_FILE, Recognition
from icegan_jax.inference.timeline import read_timeline
from icegan_jax.inference.visualize import ANNOTATED_VIDEO, draw_recognition
from icegan_jax.io import write_bytes, write_json, write_text
from icegan_jax.reporting.render import encode_picture

PREDICTIONS_CSV = "predictions.csv"
PREDICTIONS_JSON = "predictions.json"
PAGE_FILE = "index.html"
STRIPS_DIR = "strips"

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
)  # of predictions.csv; a column for each class follows
# The files beside the page, to which the page links.
_FILES = {
    ANNOTATED_VIDEO: "copy of the video with the predictions",
    PREDICTIONS_CSV: "table of the predictions",
    PREDICTIONS_JSON: "the same with all options",
    TRACE_FILE: "change and head motion of each frame",
    RECORDING_FILE: "recording of the camera",
}
_MAX_LINES = 40  # printed; predictions.csv has all results


def write_outputs(
    folder: Path,
    results: Sequence[Recognition],
    classes: Sequence[str],
    metadata: Mapping[str, Any],
    flags: Sequence[QualityFlag],
) -> list[str]:
    """Write the table, the strips, the page and, last, predictions.json.

    Args:
        folder: the folder to write into.
        results: the results, in the order of the table.
        classes: the class names, in label order.
        metadata: for predictions.json: the input ("input": a list of paths), the options, the run, and what the page
            says about the networks ("networks", see ``describe_networks``).
        flags: the quality flags of the networks, and of the recording as a whole.

    Returns:
        A summary, as lines to print.
    """
    write_predictions_csv(folder / PREDICTIONS_CSV, results, classes)
    (folder / STRIPS_DIR).mkdir(exist_ok=True)
    for result in results:
        if result.lengths is not None:
            strip = draw_recognition(result, classes)
            write_bytes(folder / STRIPS_DIR / f"{result.name}.png", encode_picture(strip, "PNG"))
    score = score_predictions(results, classes)
    page = render_predictions_page(
        "Predictions for " + ", ".join(Path(path).name for path in metadata["input"]),
        results,
        classes,
        flags,
        networks=metadata["networks"],
        files={name: text for name, text in _FILES.items() if name == PREDICTIONS_JSON or (folder / name).exists()},
        score=score,
        timeline=read_timeline(folder / TRACE_FILE, results) if (folder / TRACE_FILE).exists() else None,
    )
    write_text(folder / PAGE_FILE, page)
    if score:
        metadata = {**metadata, "score": score}
    write_predictions_json(folder / PREDICTIONS_JSON, results, classes, metadata, flags)
    lines = [*_summary_lines(results, classes), *(f"caution: {flag.sentence}" for flag in flags)]
    if score:
        lines.append(
            f"{score['right']} of {score['clips']} clips as annotated, by the longest capsule; UF1 {score['uf1']:.3f}; "
            f"{score['no_expression']} answered {NO_EXPRESSION}"
        )
    return lines


def write_predictions_csv(path: Path, results: Sequence[Recognition], classes: Sequence[str]) -> None:
    """Write predictions.csv: a row for each clip or event, with ``COLUMNS`` and the capsule length of each class.

    Frames are numbers, times are seconds, and flags are words separated by blanks.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*COLUMNS, *classes))
    for result in results:
        fields = result_fields(result, classes)
        fields["flags"] = " ".join(flag["word"] for flag in fields["flags"])
        scores = fields["scores"] or {}
        cells = (*(fields[name] for name in COLUMNS), *(scores.get(name) for name in classes))
        writer.writerow([_csv_cell(cell) for cell in cells])
    write_text(path, text.getvalue())


def write_predictions_json(
    path: Path,
    results: Sequence[Recognition],
    classes: Sequence[str],
    metadata: Mapping[str, Any],
    flags: Sequence[QualityFlag],
) -> None:
    """Write predictions.json: the metadata, the classes, the flags of the recording, and each result."""
    readings = [result_fields(result, classes) | {"folds": list(result.folds)} for result in results]
    content = {**metadata, "classes": list(classes), "flags": _flag_fields(flags), "readings": readings}
    write_json(path, content)


def result_fields(result: Recognition, classes: Sequence[str]) -> dict[str, Any]:
    """Return the fields of a result by the names of ``COLUMNS``, and "scores", the capsule length of each class."""
    scores = None
    if result.lengths is not None:
        scores = {name: round(float(length), 6) for name, length in zip(classes, result.lengths, strict=True)}
    times = {f"{name}_s": result.seconds(getattr(result, name)) for name in ("onset", "apex", "offset")}
    return {
        "name": result.name,
        "input": result.input_name,
        "kind": result.kind,
        "onset": result.onset,
        "apex": result.apex,
        "offset": result.offset,
        **{name: None if time is None else round(time, 4) for name, time in times.items()},
        "prediction": result.label,
        "margin": None if result.margin is None else round(result.margin, 6),
        "truth": result.truth,
        "flags": _flag_fields(result.flags),
        "strip": f"{STRIPS_DIR}/{result.name}.png" if result.lengths is not None else None,
        "scores": scores,
    }


def _flag_fields(flags: Sequence[QualityFlag]) -> list[dict[str, str]]:
    return [{"word": flag.word, "sentence": flag.sentence} for flag in flags]


def _csv_cell(value: object) -> object:
    """Return an empty cell for None, and text that a spreadsheet does not take for a formula."""
    return spreadsheet_cell(value) if isinstance(value, str) else "" if value is None else value


def score_predictions(results: Sequence[Recognition], classes: Sequence[str]) -> dict[str, Any]:
    """Return the scores and the confusion of all clips with an annotation and a prediction; empty without any.

    As in the scores of a run, the longest capsule counts even where the answer is "no expression"; "no_expression" is
    the number of these answers.
    """
    pairs = [
        (classes.index(result.truth), classes.index(prediction))
        for result in results
        if result.truth and (prediction := result.longest_class)
    ]
    if not pairs:
        return {}
    truth, predicted = ([pair[side] for pair in pairs] for side in (0, 1))
    counts = metrics.confusion(truth, predicted, len(classes))
    return {
        "clips": len(pairs),
        "right": int(counts.trace()),
        "no_expression": sum(bool(result.truth) and result.label == NO_EXPRESSION for result in results),
        "accuracy": metrics.accuracy(counts),
        "uf1": metrics.uf1(counts),
        "uar": metrics.uar(counts),
        "confusion": counts.tolist(),
    }


def _summary_lines(results: Sequence[Recognition], classes: Sequence[str]) -> Iterator[str]:
    for result in results[:_MAX_LINES]:
        prediction = result.label or result.kind
        lengths = "" if result.lengths is None else " ".join(f"{length:.2f}" for length in result.lengths)
        seconds = result.seconds(result.apex)
        apex = f"apex {result.apex}" + ("" if seconds is None else f" ({seconds:.2f} s)")
        truth = f", shown {result.truth}" if result.truth else ""
        words = ", ".join(flag.word for flag in result.flags)
        caution = f"; caution: {words}" if words else ""
        yield f"{result.name}: {prediction} [{lengths}] {apex}{truth}{caution}"
    if len(results) > _MAX_LINES:
        yield f"... and {len(results) - _MAX_LINES} more"
    if not results:
        yield "no event was found"
