"""The page of the predictions: scores, timeline, table, and the faces of each result."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from icegan_jax.evaluation.calibration import NO_EXPRESSION
from icegan_jax.inference.quality_flags import QualityFlag
from icegan_jax.inference.recognize import Recognition
from icegan_jax.inference.timeline import Timeline
from icegan_jax.inference.visualize import ANNOTATED_VIDEO, class_lengths
from icegan_jax.reporting.render import NUMBER, Column, LinkCell, Row, Table, TableCell, number_cell, render
from icegan_jax.reporting.score_tables import class_table, confusions

MAX_DRAWN = 100  # results with faces in the page, 40 kB each; the folder of strips has all
_RIGHT, _WRONG, _MISSED = "right", "wrong", "missed"
_SCORE_NAMES = {"uf1": "UF1", "uar": "UAR", "accuracy": "accuracy"}


def render_predictions_page(
    title: str,
    results: Sequence[Recognition],
    classes: Sequence[str],
    flags: Sequence[QualityFlag],
    *,
    networks: Mapping[str, str],
    files: Mapping[str, str],
    score: Mapping[str, Any],
    timeline: Timeline | None = None,
) -> str:
    """Render index.html.

    Args:
        title: the title of the page.
        results: the results.
        classes: the class names, in label order.
        flags: the quality flags of the recording as a whole.
        networks: what the page says about the networks, see ``describe_networks``.
        files: the files beside the page: what each is, by name.
        score: see ``outputs.score_predictions``; empty without annotations.
        timeline: of a recording searched for events; None: there is none.
    """
    shared = [*flags, *_shared_flags(results)]
    predicted = [result for result in results if result.lengths is not None]
    drawn = predicted[:MAX_DRAWN]
    matrices = confusions({"overall": score, "datasets": {}}) if score else []
    return render(
        "predictions.html",
        title=title,
        files=files,
        cautions=[flag.sentence for flag in dict.fromkeys(shared)],
        tiles=_tiles(results, score),
        classes=classes,
        matrices=matrices,
        class_scores=class_table(matrices, classes),
        num_missed=score.get("no_expression", 0),
        timeline=timeline,
        predictions=_table(results, {result.name for result in drawn}, shared),
        answers=list(dict.fromkeys(_answer(result) for result in results)),
        drawn=[_card(result, classes, shared, has_video=ANNOTATED_VIDEO in files) for result in drawn],
        num_others=len(predicted) - len(drawn),
        networks=networks,
    )


def _answer(result: Recognition) -> str:
    return result.label or "no prediction"


def _correctness(result: Recognition) -> str:
    """Return whether the answer is that of the annotation; empty without annotation or answer."""
    if not result.truth or result.label is None:
        return ""
    if result.label == NO_EXPRESSION:
        return _MISSED
    return _RIGHT if result.label == result.truth else _WRONG


def _tiles(results: Sequence[Recognition], score: Mapping[str, Any]) -> list[tuple[str, str]]:
    if score:
        tiles = [(f"{score['right']} of {score['clips']}", "clips right by the longest capsule")]
        return [*tiles, *((f"{score[name]:.3f}", text) for name, text in _SCORE_NAMES.items())]
    counts = Counter(map(_answer, results))
    return [(str(count), answer) for answer, count in counts.most_common()] if len(results) > 1 else []


def _table(results: Sequence[Recognition], drawn: set[str], shared: Sequence[QualityFlag]) -> Table:
    has_truth = any(result.truth for result in results)
    has_events = any(result.kind != "clip" for result in results)
    has_times = any(result.seconds(result.apex) is not None for result in results)
    columns = [Column("name"), *([Column("kind")] if has_events else []), Column("prediction", "answer")]
    columns += [Column("annotated"), Column("correct")] if has_truth else []
    columns += [Column(name, NUMBER) for name in ("margin", "onset", "apex", "offset")]
    columns += [Column(f"{name}, s", NUMBER) for name in ("onset", "apex", "offset") if has_times]
    rows = []
    for result in results:
        cells: list[TableCell] = [result.name]
        if result.name in drawn:
            cells = [LinkCell(result.name, f"#{quote(result.name)}")]
        cells += [*([result.kind] if has_events else []), _answer(result)]
        cells += [result.truth or "", _correctness(result)] if has_truth else []
        moments = (result.onset, result.apex, result.offset)
        cells += [number_cell(result.margin), *(number_cell(frame, 0) for frame in moments)]
        cells += [number_cell(result.seconds(frame), 2) for frame in moments if has_times]
        cells.append(" ".join(flag.sentence for flag in result.flags if flag not in shared))
        fields = {"answer": _answer(result), "card": result.name}
        rows.append(Row(cells, fields | ({"wrong": "yes"} if _correctness(result) in (_WRONG, _MISSED) else {})))
    return Table("Predictions", [*columns, Column("caution", "words")], rows)


def _card(
    result: Recognition, classes: Sequence[str], shared: Sequence[QualityFlag], *, has_video: bool
) -> dict[str, Any]:
    """Return what the page shows of a result with a prediction."""
    times = [(moment, getattr(result, moment)) for moment in ("onset", "apex", "offset")]
    return {
        "name": result.name,
        "label": result.label,
        "longest_class": result.longest_class,
        "truth": result.truth,
        "correctness": _correctness(result),
        "onset_face": result.onset_face,
        "apex_face": result.apex_face,
        "times": [(moment, frame, result.seconds(frame)) for moment, frame in times],
        "start": result.seconds(result.onset) if has_video else None,
        "lengths": class_lengths(result, classes),
        "flags": [flag.sentence for flag in result.flags if flag not in shared],
    }


def _shared_flags(results: Sequence[Recognition]) -> list[QualityFlag]:
    """Return the flags that all of several results have; the page shows them once."""
    if len(results) < 2:
        return []
    return [flag for flag in results[0].flags if all(flag in result.flags for result in results)]
