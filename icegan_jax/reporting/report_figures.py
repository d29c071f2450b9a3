"""The figures of a report: confusion matrices, training curves, and pictures made of faces."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from icegan_jax.evaluation.predictions import Prediction
from icegan_jax.evaluation.synthesis.faces import SynthesizedFaces
from icegan_jax.reporting import style
from icegan_jax.reporting.face_grid import FaceGrid, cell_side, compare_faces, difference_image
from icegan_jax.reporting.plots import draw_confusion_matrix, draw_training_curves
from icegan_jax.reporting.run_files import Run

MAX_WORST_CLIPS = 12
_MAX_ROWS = 8  # of the synthesis sheet
_MIN_CELL = 128  # pixels on a side of a face in the synthesis sheet; smaller faces are enlarged
_MAP_SIDE = 192  # pixels on a side of a difference map
_MAP_PERCENTILE = 99.5  # upper end of the colors: hair and background differ far more than the face

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


class WorstClip(NamedTuple):
    """A clip with a wrong prediction.

    Attributes:
      prediction: of the clip.
      margin: the capsule length of the predicted class minus that of the true class.
      faces: uint8[h, 3 * w, 3], onset, apex and their difference; None where the run has no faces of the clip.
    """

    prediction: Prediction
    margin: float
    faces: Color | None


@dataclass(frozen=True)
class ReportFigures:
    """The figures of a report; None where the run has no data for a figure.

    Attributes:
      confusions: name and picture of the confusion matrix of all clips, then of each database where there are several.
      worst_clips: wrong predictions with their faces.
      difference_maps: uint8[h, w, 3], mean differences to the onset, real and synthetic.
      synthesis: uint8[h, w, 3], the sheet of synthesized faces.
      losses: picture of the training curves.
    """

    confusions: list[tuple[str, Image.Image]] = field(default_factory=list)
    worst_clips: list[WorstClip] = field(default_factory=list)
    difference_maps: Color | None = None
    synthesis: Color | None = None
    losses: Image.Image | None = None


def draw_report_figures(run: Run) -> ReportFigures:
    """Draw confusion matrices of a run with a score, figures of faces if the faces were read, and training curves."""
    confusions = []
    if run.scored:
        counts = {"all clips": run.counts}
        if len(run.results["datasets"]) > 1:
            counts |= {name: np.array(block["confusion"]) for name, block in run.results["datasets"].items()}
        for number, (name, matrix) in enumerate(counts.items()):
            title = f"{style.truncate(name, 20)}: " * (number > 0) + f"{matrix.sum()} held-out clips"
            confusions.append((name, style.figure_to_picture(draw_confusion_matrix(matrix, title, run.classes))))
    losses = style.figure_to_picture(draw_training_curves(run.logs, run.classes)) if run.logs else None
    if run.faces is None:
        return ReportFigures(confusions, losses=losses)
    return ReportFigures(
        confusions,
        find_worst_clips(run.predictions, run.faces),
        draw_difference_maps(mean_differences(run.faces), run.classes),
        draw_synthesis_sheet(run.faces, choose_clips(run.faces), run.classes),
        losses,
    )


def mean_differences(faces: SynthesizedFaces) -> DifferenceMaps:
    """Compute the mean absolute difference of each pixel to the onset, class by class."""
    onset = faces.onset.astype(np.int16)
    k = faces.synthetic.shape[1]
    difference = np.abs(faces.apex - onset)
    clips = np.bincount(faces.label, minlength=k)
    real = [difference[faces.label == label].sum(axis=0) / max(clips[label], 1) for label in range(k)]
    synthetic = [np.abs(faces.synthetic[:, label] - onset).mean(axis=0) for label in range(k)]
    return DifferenceMaps(np.stack(real), np.stack(synthetic), tuple(clips.tolist()))


def draw_difference_maps(differences: DifferenceMaps, classes: Sequence[str]) -> Color:
    """Draw the maps of the real faces above those of the synthetic ones: a column per class, a scale beside each row.

    Returns:
        uint8[height, width, 3].
    """
    clips = (differences.clips, [sum(differences.clips)] * len(classes))
    cells, cell_names = [], []
    for maps, counts in zip((differences.real, differences.synthetic), clips, strict=True):
        limit = max(float(np.percentile(maps, _MAP_PERCENTILE)), 1.0)
        scale = np.full((_MAP_SIDE, _MAP_SIDE, 3), 255, np.uint8)
        scale[:, : _MAP_SIDE // 8] = _colors(np.linspace(1, 0, _MAP_SIDE)[:, None])
        cells.append([*(_colors(values / limit) for values in maps), scale])
        names = [
            f"{count} clip{'s' * (count > 1)}, mean {values.mean():.1f}" if count else "no clip"
            for values, count in zip(maps, counts, strict=True)
        ]
        cell_names.append([*names, f"0 (white) to {limit:.1f}"])
    columns = (*classes, "gray levels of 255")
    return FaceGrid(("real", "synthetic"), columns, (_MAP_SIDE, _MAP_SIDE), "", cell_names).draw(cells)


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
        pictures = None if index is None else compare_faces(faces.onset[index], faces.apex[index])
        worst.append(WorstClip(row, _margin(row), pictures))
    return worst


def _colors(shares: NDArray[np.float64]) -> Color:
    """Return the colors uint8[h, w, 3] of shares of the limit, from white (0) to dark blue (1 and above)."""
    return (matplotlib.colormaps["Blues"](np.clip(shares, 0, 1))[..., :3] * 255).round().astype(np.uint8)


def _margin(row: Prediction) -> float:
    return row.scores[row.prediction] - row.scores[row.label]
