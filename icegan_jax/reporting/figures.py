"""Every picture of a report, drawn."""

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
    """PNG files, None where the run has nothing to draw.

    Attributes:
      confusion: of all clips.
      confusions: of each database, by name; empty where there is one only.
      worst: wrong answers with their faces.
      changes: where faces move, real and synthetic.
      synthesis: the sheet of synthetic faces.
      losses: the training curves.
    """

    confusion: bytes | None = None
    confusions: dict[str, bytes] = field(default_factory=dict)
    worst: list[WorstClip] = field(default_factory=list)
    changes: bytes | None = None
    synthesis: bytes | None = None
    losses: bytes | None = None


def draw_report_figures(run: Run) -> ReportFigures:
    """Draw what the run has: matrices where it has a score, faces where it was read with them, curves."""
    confusion, confusions = None, {}
    if run.scored:
        confusion = style.figure_to_png(
            draw_confusion_matrix(run.counts, f"{run.counts.sum()} held-out clips", run.classes)
        )
        if len(run.results["datasets"]) > 1:
            for name, block in run.results["datasets"].items():
                counts = np.array(block["confusion"], np.int64)
                title = f"{style.truncate(name, 20)}: {counts.sum()} held-out clips"
                confusions[name] = style.figure_to_png(draw_confusion_matrix(counts, title, run.classes))
    losses = style.figure_to_png(draw_training_curves(run.logs, run.classes)) if run.logs else None
    if run.faces is None:
        return ReportFigures(confusion, confusions, losses=losses)
    title = "Synthesis of held-out subjects" if run.scored else "Synthesis of people it was trained on"
    return ReportFigures(
        confusion=confusion,
        confusions=confusions,
        worst=find_worst_clips(run.predictions, run.faces),
        changes=style.figure_to_png(draw_difference_maps(mean_differences(run.faces), run.classes)),
        synthesis=style.figure_to_png(draw_synthesis_grid(choose_examples(run.faces), run.classes, title)),
        losses=losses,
    )
