"""All figures of a report."""

from dataclasses import dataclass, field

import numpy as np

from icegan_jax.reporting import style
from icegan_jax.reporting.grids import (
    WorstClip,
    choose_examples,
    draw_difference_maps,
    draw_synthesis_grid,
    find_worst_clips,
    mean_differences,
)
from icegan_jax.reporting.plots import draw_confusion_matrix, draw_training_curves
from icegan_jax.reporting.run_files import Run


@dataclass(frozen=True)
class ReportFigures:
    """The figures as PNG; None where the run has no data for a figure.

    Attributes:
      confusion: confusion matrix of all clips.
      dataset_confusions: confusion matrix of each database, by name; empty where there is only one database.
      worst_clips: wrong predictions with their faces.
      difference_maps: mean differences to the onset, real and synthetic.
      synthesis: the grid of synthesized faces.
      losses: the training curves.
    """

    confusion: bytes | None = None
    dataset_confusions: dict[str, bytes] = field(default_factory=dict)
    worst_clips: list[WorstClip] = field(default_factory=list)
    difference_maps: bytes | None = None
    synthesis: bytes | None = None
    losses: bytes | None = None


def draw_report_figures(run: Run) -> ReportFigures:
    """Draw confusion matrices of a run with a score, figures of faces if the faces were read, and training curves."""
    confusion, dataset_confusions = None, {}
    if run.scored:
        confusion = style.figure_to_png(
            draw_confusion_matrix(run.counts, f"{run.counts.sum()} held-out clips", run.classes)
        )
        if len(run.results["datasets"]) > 1:
            for name, block in run.results["datasets"].items():
                counts = np.array(block["confusion"], np.int64)
                title = f"{style.truncate(name, 20)}: {counts.sum()} held-out clips"
                dataset_confusions[name] = style.figure_to_png(draw_confusion_matrix(counts, title, run.classes))
    losses = style.figure_to_png(draw_training_curves(run.logs, run.classes)) if run.logs else None
    if run.faces is None:
        return ReportFigures(confusion, dataset_confusions, losses=losses)
    title = "Synthesis of held-out subjects" if run.scored else "Synthesis of people it was trained on"
    return ReportFigures(
        confusion=confusion,
        dataset_confusions=dataset_confusions,
        worst_clips=find_worst_clips(run.predictions, run.faces),
        difference_maps=style.figure_to_png(draw_difference_maps(mean_differences(run.faces), run.classes)),
        synthesis=style.figure_to_png(draw_synthesis_grid(choose_examples(run.faces), run.classes, title)),
        losses=losses,
    )
