"""The sortable table of subjects, and the sortable and searchable table of clips."""

from collections.abc import Sequence

from icegan_jax.evaluation.predictions import Prediction
from icegan_jax.reporting.page.html import NUMBER, Cell, Column, TableRow, paragraph, table

_SUBJECTS = (
    "Correct clips of all clips, by subject and true class. A score per subject would mean little: many subjects have "
    "one or two clips. A press on a header sorts by it."
)
_CLIPS = (
    "What was answered for each held-out clip, and the capsule length of each class, between 0 and 1; the longest is "
    "the answer. Margin: the length of the true class minus the longest of the others, below 0 where the answer is "
    "wrong."
)
_FILTER = (
    '<form class="filter" data-table="clips"><label><input type="checkbox" name="wrong"> wrong answers only</label>'
    '<input type="search" name="words" placeholder="subject, clip or class" aria-label="subject, clip or class">'
    '<output name="shown" class="soft"></output></form>'
)


def render_subjects(predictions: Sequence[Prediction], classes: Sequence[str]) -> str:
    """Return a table with a row per subject: clips, correct clips, and correct clips of each class."""
    by_subject: dict[tuple[str, str], list[Prediction]] = {}
    for row in predictions:
        by_subject.setdefault((row.dataset, row.subject), []).append(row)
    rows: list[TableRow] = []
    for (dataset, subject), clips in sorted(by_subject.items()):
        of_class = [_correct([row for row in clips if row.label == label]) for label in range(len(classes))]
        rows.append([dataset, subject, Cell(str(len(clips)), len(clips)), _correct(clips), *of_class])
    numbers = ("clips", "correct", *classes)
    columns = [Column("dataset", "name"), Column("subject"), *(Column(name, NUMBER) for name in numbers)]
    return paragraph(_SUBJECTS, "soft") + table("Subjects", columns, rows)


def render_clips(predictions: Sequence[Prediction], classes: Sequence[str]) -> str:
    """Return a table with a row per clip, and a form that filters the rows."""
    numbers = [Column(f"length {name}", NUMBER) for name in classes]
    names = [Column("dataset", "name"), Column("subject"), Column("clip"), Column("true"), Column("answered", "answer")]
    rows: list[TableRow] = []
    for row in predictions:
        lengths = [Cell(f"{length:.3f}", length) for length in row.scores]
        labels = (classes[row.label], classes[row.prediction])
        rows.append([row.dataset, row.subject, row.clip, *labels, *lengths, _margin(row)])
    row_classes = ["" if row.label == row.prediction else "wrong" for row in predictions]
    columns = [*names, *numbers, Column("margin", NUMBER)]
    return paragraph(_CLIPS, "soft") + _FILTER + table("Clips", columns, rows, row_classes, "clips")


def _correct(rows: Sequence[Prediction]) -> Cell:
    if not rows:
        return Cell("–", None)
    correct = sum(row.label == row.prediction for row in rows)
    return Cell(f"{correct} / {len(rows)}", correct / len(rows))


def _margin(row: Prediction) -> Cell:
    others = [length for label, length in enumerate(row.scores) if label != row.label]
    if not others:
        return Cell("–", None)
    margin = row.scores[row.label] - max(others)
    return Cell(f"{margin:+.3f}", margin)
