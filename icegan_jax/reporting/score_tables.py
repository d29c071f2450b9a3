"""The tables of the held-out clips: scores of each class, confusion, subjects and clips."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from icegan_jax.evaluation import metrics
from icegan_jax.evaluation.predictions import Prediction
from icegan_jax.reporting.render import NUMBER, Cell, Column, Row, Table, TableCell, number_cell


class Confusion(NamedTuple):
    """A confusion matrix; its rows are the truth.

    Attributes:
      name: of the clips that are counted.
      counts: int64[k, k].
      shares: float64[k, k], of the clips of the true class; 0 for a class without clips.
    """

    name: str
    counts: metrics.Counts
    shares: metrics.Ratios


def confusions(results: Mapping[str, Any]) -> list[Confusion]:
    """Return the confusion matrix of all clips, then of each database where there are several."""
    blocks = {"all clips": results["overall"]}
    if len(results["datasets"]) > 1:
        blocks |= results["datasets"]
    matrices = []
    for name, block in blocks.items():
        counts = np.array(block["confusion"], np.int64)
        matrices.append(Confusion(name, counts, counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)))
    return matrices


def class_table(matrices: Sequence[Confusion], classes: Sequence[str]) -> Table:
    """Return precision, recall and F1 of each class, for all clips and for each database."""
    rows = []
    for matrix in matrices:
        counts = matrix.counts
        columns = (metrics.precision_per_class, metrics.recall_per_class, metrics.f1_per_class)
        scores = np.stack([score(counts) for score in columns], axis=1)
        for label, name in enumerate(classes):
            of_class = (counts[label].sum(), counts[:, label].sum(), counts[label, label])
            cells = [number_cell(None if np.isnan(score) else float(score)) for score in scores[label]]
            rows.append(Row([matrix.name, name, *(number_cell(float(number), 0) for number in of_class), *cells]))
    numbers = [Column(name, NUMBER) for name in ("clips", "predicted", "correct", "precision", "recall", "F1")]
    return Table("Classes", [Column("clips of", "name"), Column("class"), *numbers], rows)


def subjects_table(predictions: Sequence[Prediction], classes: Sequence[str]) -> Table:
    """Return a table with a row per subject: clips, scores, and correct clips of each class."""
    by_subject: dict[tuple[str, str], list[Prediction]] = {}
    for row in predictions:
        by_subject.setdefault((row.dataset, row.subject), []).append(row)
    rows = []
    for (dataset, subject), clips in sorted(by_subject.items()):
        counts = metrics.confusion([row.label for row in clips], [row.prediction for row in clips], len(classes))
        scores = [number_cell(score(counts)) for score in (metrics.accuracy, metrics.uf1, metrics.uar)]
        of_class = [_correct(int(counts[label, label]), int(counts[label].sum())) for label in range(len(classes))]
        correct = _correct(int(np.trace(counts)), len(clips))
        rows.append(Row([dataset, subject, number_cell(len(clips), 0), correct, *scores, *of_class]))
    numbers = [Column(name, NUMBER) for name in ("clips", "correct", "accuracy", "UF1", "UAR", *classes)]
    return Table("Subjects", [Column("dataset", "name"), Column("subject"), *numbers], rows)


def clips_table(predictions: Sequence[Prediction], classes: Sequence[str]) -> Table:
    """Return a table with a row per clip; margin: the length of the true class minus the longest of the others."""
    names = [Column("dataset", "name"), Column("subject"), Column("clip"), Column("true"), Column("answered", "answer")]
    lengths = [Column(f"length {name}", NUMBER) for name in classes]
    rows = []
    for row in predictions:
        labels = (classes[row.label], classes[row.prediction])
        margin = Cell("–", None)
        if others := [length for label, length in enumerate(row.scores) if label != row.label]:
            value = row.scores[row.label] - max(others)
            margin = Cell(f"{value:+.3f}", value)
        cells: list[TableCell] = [row.dataset, row.subject, row.clip, *labels, *map(number_cell, row.scores), margin]
        rows.append(Row(cells, {} if row.label == row.prediction else {"wrong": "yes"}))
    return Table("Clips", [*names, *lengths, Column("margin", NUMBER)], rows)


def _correct(correct: int, clips: int) -> Cell:
    return Cell(f"{correct} / {clips}", correct / clips) if clips else Cell("–", None)
