"""The sections with figures, and the text that explains the figures."""

from collections.abc import Sequence
from html import escape

from icegan_jax.evaluation import metrics
from icegan_jax.reporting import style
from icegan_jax.reporting.figures import ReportFigures
from icegan_jax.reporting.grids import MAX_WORST_CLIPS, WorstClip
from icegan_jax.reporting.page.html import (
    CHART,
    HALF_CHART,
    WIDE_CHART,
    WIDE_SHEET,
    embed_figure,
    embed_image,
    paragraph,
)
from icegan_jax.reporting.run_files import Run

NO_FACES = (
    "This run has no folds/*/synthesis.npz (a run without a generator writes none), so there are no faces to show: no "
    "worst clips, no maps of where faces move, no synthesis sheet."
)
_NO_LOG = "This run has no folds/*/metrics.jsonl, so there are no curves to show."
_CURVES = "A thin line per fold, and their mean."


def render_confusion(run: Run, figures: ReportFigures) -> str:
    """Return the confusion matrix of all clips, and one per database where there are several."""
    counts = run.counts
    text = (
        f"Rows: the true class. UF1 {metrics.uf1(counts):.3f}, UAR {metrics.uar(counts):.3f}, "
        f"accuracy {metrics.accuracy(counts):.3f}, of all clips."
    )
    matrices = [("all clips", figures.confusion), *figures.dataset_confusions.items()]
    embedded = [embed_figure(png, f"Confusion matrix, {name}", CHART) for name, png in matrices if png is not None]
    return f'{paragraph(text, "soft")}<div class="side">{"".join(embedded)}</div>'


def render_worst_clips(run: Run, figures: ReportFigures) -> str:
    """Return the wrong predictions with the largest margins, each with the strip of its faces."""
    if not figures.worst_clips:
        return paragraph("Every held-out clip was answered rightly: there is no wrong one to show.")
    wrong = sum(row.label != row.prediction for row in run.predictions)
    which = (
        f"Of {wrong} wrong answers the {MAX_WORST_CLIPS} with the largest margin"
        if wrong > MAX_WORST_CLIPS
        else "Every wrong answer"
    )
    text = (
        f"{which}, the surest first. Margin: by how much the capsule of the class answered is longer than that of the "
        "true one. Each strip: onset, apex, and apex minus onset (red brighter, blue darker, enlarged "
        f"{style.DIFFERENCE_GAIN} times)."
    )
    strips = "".join(_render_worst_clip(clip, run.classes) for clip in figures.worst_clips)
    return f'{paragraph(text, "soft")}<div class="side">{strips}</div>'


def render_difference_maps(run: Run, figures: ReportFigures) -> str:
    """Return the mean differences to the onset, real and synthetic."""
    whose = "held-out" if run.scored else "training"
    text = (
        "Mean absolute difference to the onset, pixel by pixel. Above: the real apexes of each class. Below: the faces "
        f"that the generator draws for each class from the onsets of all {whose} clips. Colours end at the "
        "99.5th percentile of their row; what lights up beside the face is hair and background that moved."
    )
    return _with_text(figures.difference_maps, text, "Where faces move, real and synthetic", HALF_CHART)


def render_synthesis(run: Run, figures: ReportFigures) -> str:
    """Return the grid of synthesized faces."""
    whose = "a subject whose fold never saw them" if run.scored else "a person that the generator was trained on"
    text = (
        f"Each row is {whose}. From the onset, the generator draws one face per class; the frame marks the class that "
        "the real apex shows. Differences are signed, red brighter and blue darker than the onset, enlarged "
        f"{style.DIFFERENCE_GAIN} times. The generator is that of the last step. Rows are spread over the subjects, "
        "the wanted class turns from row to row."
    )
    return _with_text(figures.synthesis, text, "Synthetic faces beside onset and real apex", WIDE_SHEET)


def render_curves(figures: ReportFigures) -> str:
    """Return the training curves."""
    if figures.losses is None:
        return paragraph(_NO_LOG)
    return _with_text(figures.losses, _CURVES, "Training curves", WIDE_CHART)


def _with_text(png: bytes | None, text: str, name: str, css_class: str) -> str:
    return paragraph(text, "soft") + (embed_figure(png, name, css_class) if png is not None else "")


def _render_worst_clip(clip: WorstClip, classes: Sequence[str]) -> str:
    row = clip.prediction
    name = f"{row.dataset} / {row.subject} / {row.clip}"
    lengths = ", ".join(f"{label} {length:.3f}" for label, length in zip(classes, row.scores, strict=True))
    labels = f"true {classes[row.label]}, answered {classes[row.prediction]}"
    image = paragraph("no picture of this clip", "soft")
    if clip.strip is not None:
        image = embed_image(clip.strip, f"{name}: onset, apex, difference", "image/webp")
    return (
        f"<figure>{image}<figcaption><b>{escape(labels)}</b>{escape(name)}<br>"
        f'<span class="soft">capsule lengths: {escape(lengths)}; margin {clip.margin:.3f}</span></figcaption></figure>'
    )
