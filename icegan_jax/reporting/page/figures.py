"""The sections that show pictures, with the words to read them by."""

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


def render_confusion(run: Run, pictures: ReportFigures) -> str:
    """The matrix of all clips, and one per database where there are several."""
    counts = run.counts
    words = (
        f"Rows: the true class. UF1 {metrics.uf1(counts):.3f}, UAR {metrics.uar(counts):.3f}, "
        f"accuracy {metrics.accuracy(counts):.3f}, of all clips."
    )
    shown = [("all clips", pictures.confusion), *pictures.confusions.items()]
    drawn = [
        embed_figure(content, f"Confusion matrix, {name}", CHART) for name, content in shown if content is not None
    ]
    return f'{paragraph(words, "soft")}<div class="side">{"".join(drawn)}</div>'


def render_worst_clips(run: Run, pictures: ReportFigures) -> str:
    """The wrong answers that the network was surest of, as pictures."""
    if not pictures.worst:
        return paragraph("Every held-out clip was answered rightly: there is no wrong one to show.")
    wrong = sum(row.label != row.prediction for row in run.predictions)
    which = (
        f"Of {wrong} wrong answers the {MAX_WORST_CLIPS} with the largest margin"
        if wrong > MAX_WORST_CLIPS
        else "Every wrong answer"
    )
    words = (
        f"{which}, the surest first. Margin: by how much the capsule of the class answered is longer than that of the "
        "true one. Each strip: onset, apex, and apex minus onset (red brighter, blue darker, enlarged "
        f"{style.DIFFERENCE_GAIN} times)."
    )
    drawn = "".join(_figure(clip, run.classes) for clip in pictures.worst)
    return f'{paragraph(words, "soft")}<div class="side">{drawn}</div>'


def render_difference_maps(run: Run, pictures: ReportFigures) -> str:
    """Where faces move."""
    whose = "held-out" if run.scored else "training"
    words = (
        "Mean absolute difference to the onset, pixel by pixel. Above: the real apexes of each class. Below: the faces "
        f"that the generator draws for each class from the onsets of all {whose} clips. Colours end at the "
        "99.5th percentile of their row; what lights up beside the face is hair and background that moved."
    )
    return _shown(pictures.changes, words, "Where faces move, real and synthetic", HALF_CHART)


def render_synthesis(run: Run, pictures: ReportFigures) -> str:
    """The synthesis sheet."""
    whose = "a subject whose fold never saw them" if run.scored else "a person that the generator was trained on"
    words = (
        f"Each row is {whose}. From the onset, the generator draws one face per class; the frame marks the class that "
        "the real apex shows. Differences are signed, red brighter and blue darker than the onset, enlarged "
        f"{style.DIFFERENCE_GAIN} times. The generator is that of the last step. Rows are spread over the subjects, "
        "the wanted class turns from row to row."
    )
    return _shown(pictures.synthesis, words, "Synthetic faces beside onset and real apex", WIDE_SHEET)


def render_curves(pictures: ReportFigures) -> str:
    """The training curves."""
    if pictures.losses is None:
        return paragraph(_NO_LOG)
    return _shown(pictures.losses, _CURVES, "Training curves", WIDE_CHART)


def _shown(content: bytes | None, words: str, name: str, kind: str) -> str:
    return paragraph(words, "soft") + (embed_figure(content, name, kind) if content is not None else "")


def _figure(clip: WorstClip, classes: Sequence[str]) -> str:
    row = clip.row
    name = f"{row.dataset} / {row.subject} / {row.clip}"
    lengths = ", ".join(f"{word} {length:.3f}" for word, length in zip(classes, row.scores, strict=True))
    answer = f"true {classes[row.label]}, answered {classes[row.prediction]}"
    drawn = paragraph("no picture of this clip", "soft")
    if clip.strip is not None:
        drawn = embed_image(clip.strip, f"{name}: onset, apex, difference", "image/webp")
    return (
        f"<figure>{drawn}<figcaption><b>{escape(answer)}</b>{escape(name)}<br>"
        f'<span class="soft">capsule lengths: {escape(lengths)}; margin {clip.margin:.3f}</span></figcaption></figure>'
    )
