"""The figures of a report: confusion matrices, training curves, and pictures made of faces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from icegan_jax.evaluation.predictions import Prediction
from icegan_jax.evaluation.synthesis.faces import SynthesizedFaces
from icegan_jax.reporting import style
from icegan_jax.reporting.curves import Curve, choose_panels
from icegan_jax.reporting.face_grid import FaceGrid, cell_side, difference_image
from icegan_jax.reporting.plots import cut_out_panels, draw_confusion_matrix, draw_training_curves
from icegan_jax.reporting.run_files import Run

MAX_WORST_CLIPS = 12
_MAX_ROWS = 8  # of the synthesis sheet
_MIN_CELL = 128  # pixels on a side of a face in the synthesis sheet; smaller faces are enlarged
_MAP_PERCENTILE = 99.5  # upper end of the colors: hair and background differ far more than the face

Gray = NDArray[np.uint8]
Color = NDArray[np.uint8]


class DifferenceMaps(NamedTuple):
    """Mean absolute differences to the onset, in gray levels of 255.

    Attributes:
      real: float64[k, h, w], of the real apexes of each class; 0 for a class without clips.
      synthetic: float64[k, h, w], of the faces synthesized for each class from every clip's onset.
      clips: number of real clips of each class.
    """

    real: NDArray[np.float64]
    synthetic: NDArray[np.float64]
    clips: tuple[int, ...]


class MotionMaps(NamedTuple):
    """The maps of ``DifferenceMaps`` in colors, on one scale.

    Attributes:
      real: uint8[h, w, 3] per class; white for no difference, dark blue for ``limit`` and above.
      synthetic: likewise.
      scale: uint8[1, 64, 3], the colors from 0 to ``limit``.
      limit: in gray levels of 255.
    """

    real: list[Color]
    synthetic: list[Color]
    scale: Color
    limit: float


class WorstClip(NamedTuple):
    """A clip with a wrong prediction.

    Attributes:
      prediction: of the clip.
      margin: the capsule length of the predicted class minus that of the true class.
      faces: onset and apex, uint8[h, w]; None where the run has no faces of the clip.
    """

    prediction: Prediction
    margin: float
    faces: tuple[Gray, Gray] | None


class TrainingCurves(NamedTuple):
    """The training curves.

    Attributes:
      whole: all plots in one picture.
      sections: heading, and title and picture of each plot, of each group of plots.
      constants: a text for each quantity that is constant and not drawn.
    """

    whole: Image.Image
    sections: list[tuple[str, list[tuple[str, Image.Image]]]]
    constants: list[str]


@dataclass(frozen=True)
class ReportFigures:
    """The figures of a report; None where the run has no data for a figure.

    Attributes:
      confusion: picture of the confusion matrix of all clips.
      worst_clips: wrong predictions with their faces.
      differences: mean differences to the onset.
      motion: these differences in colors.
      chosen_clips: indices of the clips whose synthesis is shown.
      synthesis: uint8[h, w, 3], the sheet of synthesized faces.
      curves: the training curves.
    """

    confusion: Image.Image | None = None
    worst_clips: list[WorstClip] = field(default_factory=list)
    differences: DifferenceMaps | None = None
    motion: MotionMaps | None = None
    chosen_clips: list[int] = field(default_factory=list)
    synthesis: Color | None = None
    curves: TrainingCurves | None = None


def draw_report_figures(run: Run) -> ReportFigures:
    """Draw the confusion matrix of a run with a score, figures of faces if the faces were read, and training curves."""
    confusion = None
    if run.scored:
        title = f"{run.counts.sum()} held-out clips"
        confusion = style.figure_to_picture(draw_confusion_matrix(run.counts, title, run.classes))
    curves = draw_curves(run.logs, run.classes) if run.logs else None
    if run.faces is None:
        return ReportFigures(confusion, curves=curves)
    chosen, differences = choose_clips(run.faces), mean_differences(run.faces)
    return ReportFigures(
        confusion,
        find_worst_clips(run.predictions, run.faces),
        differences,
        color_maps(differences),
        chosen,
        draw_synthesis_sheet(run.faces, chosen, run.classes),
        curves,
    )


def draw_curves(logs: Sequence[Mapping[str, Curve]], classes: Sequence[str]) -> TrainingCurves | None:
    """Draw the training curves of each fold; return None where every quantity is constant."""
    panels, constants = choose_panels(logs, classes)
    if not panels:
        return None
    figure = draw_training_curves(logs, panels, classes)
    whole = style.figure_to_picture(figure)
    named = zip(panels, cut_out_panels(figure, whole), strict=True)
    sections = [
        (heading, [(f"{panel.title} {panel.network}".strip(), picture) for panel, picture in group])
        for heading, group in groupby(named, key=lambda pair: pair[0].heading)
    ]
    return TrainingCurves(whole, sections, constants)


def mean_differences(faces: SynthesizedFaces) -> DifferenceMaps:
    """Compute the mean absolute difference of each pixel to the onset, class by class."""
    onset = faces.onset.astype(np.int16)
    k = faces.synthetic.shape[1]
    difference = np.abs(faces.apex - onset)
    clips = np.bincount(faces.label, minlength=k)
    real = [difference[faces.label == label].sum(axis=0) / max(clips[label], 1) for label in range(k)]
    synthetic = [np.abs(faces.synthetic[:, label] - onset).mean(axis=0) for label in range(k)]
    return DifferenceMaps(np.stack(real), np.stack(synthetic), tuple(clips.tolist()))


def color_maps(differences: DifferenceMaps) -> MotionMaps:
    """Color the maps of real and synthetic faces on one scale, so that the two amplitudes can be compared."""
    both = np.concatenate([differences.real, differences.synthetic])
    limit = max(float(np.percentile(both, _MAP_PERCENTILE)), 1.0)
    real, synthetic = ([_colors(values / limit) for values in maps] for maps in differences[:2])
    return MotionMaps(real, synthetic, _colors(np.linspace(0, 1, 64)[None]), limit)


def choose_clips(faces: SynthesizedFaces, max_rows: int = _MAX_ROWS) -> list[int]:
    """Choose one clip of each of at most `max_rows` subjects by a rule that does not depend on the faces.

    The subjects are spread evenly over the sorted ones. The class changes from row to row, in label order; the
    subject's first clip of that class is taken, or the subject's first clip where there is none.
    """
    subjects = sorted(set(faces.subject))
    chosen = np.linspace(0, len(subjects) - 1, min(max_rows, len(subjects))).round().astype(int)
    clips = []
    for row, number in enumerate(chosen):
        of_subject = [index for index, other in enumerate(faces.subject) if other == subjects[number]]
        label = row % faces.synthetic.shape[1]
        clips.append(next((index for index in of_subject if faces.label[index] == label), of_subject[0]))
    return clips


def draw_synthesis_sheet(faces: SynthesizedFaces, clips: Sequence[int], classes: Sequence[str]) -> Color:
    """Draw a row per clip: onset, a synthesis per class, real apex, then the difference of each to the onset.

    Args:
      faces: of a run.
      clips: the indices of the clips to draw.
      classes: the class names, in label order.

    Returns:
        uint8[height, width, 3]. A frame in the color of the class marks the real apex and the synthesis of its class.
    """
    k = len(classes)
    columns = ["\nonset", *(f"synthetic\n{name}" for name in classes), "real\napex"]
    columns += [*(f"difference\n{name}" for name in classes), "difference\nreal apex"]
    rows = [f"{' '.join(faces.subject[clip])}\n{faces.clip[clip]}\n{classes[faces.label[clip]]}" for clip in clips]
    caption = (
        "Framed: the class that the real apex shows; rows chosen by a fixed rule. Difference to the onset: red "
        f"brighter, blue darker, full color at {255 / style.DIFFERENCE_GAIN:.0f} gray levels of 255."
    )
    cells, frames = [], {}
    for row, clip in enumerate(clips):
        shown = [*faces.synthetic[clip], faces.apex[clip]]
        cells.append([faces.onset[clip], *shown, *(difference_image(faces.onset[clip], face) for face in shown)])
        label = int(faces.label[clip])
        for column in (1 + label, 1 + k, 2 + k + label, 2 + 2 * k):
            frames[row, column] = style.class_color(label)
    side = cell_side(faces.onset.shape[1], _MIN_CELL)
    return FaceGrid(rows, columns, (side, side), caption).draw(cells, frames)


def find_worst_clips(
    predictions: Sequence[Prediction], faces: SynthesizedFaces, limit: int = MAX_WORST_CLIPS
) -> list[WorstClip]:
    """Return the wrong predictions, those with the largest margin first, at most ``limit`` of them."""
    keys = zip(faces.subject, faces.clip, strict=True)
    index_of = {(dataset, subject, clip): index for index, ((dataset, subject), clip) in enumerate(keys)}
    wrong = sorted((row for row in predictions if row.label != row.prediction), key=_margin, reverse=True)
    worst = []
    for row in wrong[:limit]:
        index = index_of.get((row.dataset, row.subject, row.clip))
        pair = None if index is None else (faces.onset[index], faces.apex[index])
        worst.append(WorstClip(row, _margin(row), pair))
    return worst


def _colors(shares: NDArray[np.float64]) -> Color:
    """Return the colors uint8[h, w, 3] of shares of the limit, from white (0) to dark blue (1 and above)."""
    return (matplotlib.colormaps["Blues"](np.clip(shares, 0, 1))[..., :3] * 255).round().astype(np.uint8)


def _margin(row: Prediction) -> float:
    return row.scores[row.prediction] - row.scores[row.label]
