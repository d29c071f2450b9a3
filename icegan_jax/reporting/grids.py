"""Figures made of faces: difference maps by class, the grid of synthesized faces, and strips of wrong predictions."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from PIL import Image

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.evaluation.predictions import Prediction
from icegan_jax.evaluation.synthesis.faces import SynthesizedFaces
from icegan_jax.reporting import style

DIFFERENCE_COLORMAP = "RdBu_r"  # for signed differences: red is brighter, blue darker

# Difference maps; lengths in inches.
_MAP_SIDE = 1.9
_MAP_GAP = 0.12
_MAP_LEFT = 1.25
_MAP_TOP = 0.4
_MAP_ROW_GAP = 0.42  # holds the text below a map
_COLORBAR_WIDTH = 1.0  # with its numbers
_MAP_NAME_LIMIT = 20  # letters
_MAP_PERCENTILE = 99.5  # upper end of the colors: hair and background differ far more than the face

# The grid of synthesized faces; lengths in inches.
MAX_GRID_ROWS = 8
_CELL = 1.22  # 128 pixels are 183 at 150 dpi
_CELL_GAP = 0.06
_GRID_TOP = 1.5
_GRID_BOTTOM = 0.75
_LETTER_WIDTH = 0.077  # of a row's name
_ROW_NAME_LIMIT = 22  # letters
_CLASS_NAME_LIMIT = 14  # letters that fit above a face

MAX_WORST_CLIPS = 12
_STRIP_QUALITY = 90  # of the WebP files; a clip takes about 10 kB


class DifferenceMaps(NamedTuple):
    """Mean absolute differences to the onset, in gray levels of 255.

    Attributes:
      real: float64[k, h, w], of the real apexes of each class; 0 for a class without clips.
      synthetic: float64[k, h, w], of the faces synthesized for each class from every clip's onset.
      clips: number of real clips of each class.
    """

    real: npt.NDArray[np.float64]
    synthetic: npt.NDArray[np.float64]
    clips: tuple[int, ...]


@dataclass(frozen=True)
class Example:
    """One clip of the grid of synthesized faces.

    Attributes:
      subject: dataset and subject.
      clip: name of the clip.
      label: the class of the clip.
      onset: uint8[h, w], the neutral face: the input of G beside noise and class.
      synthetic: uint8[k, h, w], G's face for each class.
      apex: uint8[h, w], the real expression.
    """

    subject: str
    clip: str
    label: int
    onset: npt.NDArray[np.uint8]
    synthetic: npt.NDArray[np.uint8]
    apex: npt.NDArray[np.uint8]


class WorstClip(NamedTuple):
    """A clip with a wrong prediction.

    Attributes:
      prediction: of the clip.
      margin: the capsule length of the predicted class minus that of the true class.
      strip: WebP of onset, apex and their difference side by side; None where the run has no faces of the clip.
    """

    prediction: Prediction
    margin: float
    strip: bytes | None


def mean_differences(faces: SynthesizedFaces) -> DifferenceMaps:
    """Compute the mean absolute difference of each pixel to the onset, class by class."""
    onset = faces.onset.astype(np.int16)
    k = faces.synthetic.shape[1]
    difference = np.abs(faces.apex - onset)
    clips = np.bincount(faces.label, minlength=k)
    real = [difference[faces.label == label].sum(axis=0) / max(clips[label], 1) for label in range(k)]
    synthetic = [np.abs(faces.synthetic[:, label] - onset).mean(axis=0) for label in range(k)]
    return DifferenceMaps(np.stack(real), np.stack(synthetic), tuple(clips.tolist()))


def draw_difference_maps(differences: DifferenceMaps, classes: Sequence[str]) -> Figure:
    """Draw the maps of the real faces above those of the synthetic ones: a column per class, a color bar per row."""
    width = _MAP_LEFT + len(classes) * (_MAP_SIDE + _MAP_GAP) + _COLORBAR_WIDTH
    figure = Figure(figsize=(width, _MAP_TOP + 2 * (_MAP_SIDE + _MAP_ROW_GAP)))
    rows = (
        ("real", differences.real, differences.clips),
        ("synthetic", differences.synthetic, [sum(differences.clips)] * len(classes)),
    )
    for row, (name, maps, clips) in enumerate(rows):
        top = _MAP_TOP + row * (_MAP_SIDE + _MAP_ROW_GAP)
        limit = max(float(np.percentile(maps, _MAP_PERCENTILE)), 1.0)
        for column, label in enumerate(classes):
            axes = style.image_axes(figure, _MAP_LEFT + column * (_MAP_SIDE + _MAP_GAP), top, _MAP_SIDE)
            drawn = axes.imshow(maps[column], cmap="Blues", vmin=0, vmax=limit)
            if not row:
                title = style.escape_mathtext(style.truncate(label, _MAP_NAME_LIMIT))
                axes.set_title(title, fontsize=style.TITLE_SIZE, color=style.TEXT_COLOR, pad=6)
            number = f"{clips[column]} clip" + "s" * (clips[column] > 1)
            text = f"{number}, mean {maps[column].mean():.1f}" if clips[column] else "no clip"
            axes.set_xlabel(text, fontsize=style.SMALL_SIZE, color=style.TEXT_COLOR)
        middle = 1 - (top + _MAP_SIDE / 2) / figure.get_figheight()
        figure.text(0.15 / width, middle, name, fontsize=style.TITLE_SIZE, color=style.TEXT_COLOR, va="center")
        _draw_colorbar(figure, drawn, _MAP_LEFT + len(classes) * (_MAP_SIDE + _MAP_GAP), top)
    return figure


def choose_examples(faces: SynthesizedFaces, max_rows: int = MAX_GRID_ROWS) -> list[Example]:
    """Choose one clip of each of at most `max_rows` subjects by a rule that does not depend on the faces.

    The subjects are spread evenly over the sorted ones. The class changes from row to row, in label order; the
    subject's first clip of that class is taken, or the subject's first clip where there is none.
    """
    subjects = sorted(set(faces.subject))
    chosen = np.linspace(0, len(subjects) - 1, min(max_rows, len(subjects))).round().astype(int)
    num_classes = faces.synthetic.shape[1]
    return [_choose_clip(faces, subjects[index], row % num_classes) for row, index in enumerate(chosen)]


def draw_synthesis_grid(
    examples: Sequence[Example], classes: Sequence[str] = EXPRESSIONS, title: str = "Synthesis of held-out subjects"
) -> Figure:
    """Draw a row per example: onset, a synthesis per class, real apex, then the difference of each to the onset.

    Differences are signed, red brighter and blue darker than the onset, and enlarged `style.DIFFERENCE_GAIN` times:
    255 / style.DIFFERENCE_GAIN gray levels and more have full color.
    """
    columns = 2 + 2 * len(classes) + 1
    longest = max(len(name) for example in examples for name in (_row_name(example.subject), example.clip))
    left = 0.35 + _LETTER_WIDTH * min(longest, _ROW_NAME_LIMIT)
    width = left + columns * (_CELL + _CELL_GAP) + 3 * _CELL_GAP + 0.15
    height = _GRID_TOP + len(examples) * (_CELL + _CELL_GAP) + _GRID_BOTTOM
    figure = Figure(figsize=(width, height))

    def add_cell(row: int, column: int) -> Axes:
        before_maps = 3 * _CELL_GAP if column > len(classes) + 1 else 0
        x = left + column * (_CELL + _CELL_GAP) + before_maps
        return style.image_axes(figure, x, _GRID_TOP + row * (_CELL + _CELL_GAP), _CELL)

    for row, example in enumerate(examples):
        _draw_row([add_cell(row, column) for column in range(columns)], example, classes, first=row == 0)
    _draw_headings(figure, left, len(classes), title)
    return figure


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
        strip = None if index is None else draw_strip(faces.onset[index], faces.apex[index])
        worst.append(WorstClip(row, _margin(row), strip))
    return worst


def draw_strip(onset: npt.NDArray[np.uint8], apex: npt.NDArray[np.uint8]) -> bytes:
    """Draw onset, apex, and their signed difference in the colors of the synthesis grid, as WebP.

    Args:
      onset: uint8[h, w].
      apex: uint8[h, w].
    """
    difference = apex.astype(np.float64) - onset
    share = np.clip(0.5 + difference * style.DIFFERENCE_GAIN / (2 * 255), 0, 1)
    colors = (matplotlib.colormaps[DIFFERENCE_COLORMAP](share)[..., :3] * 255).round().astype(np.uint8)
    gray = np.repeat(np.concatenate([onset, apex], axis=1)[..., None], 3, axis=2)
    data = io.BytesIO()
    strip = Image.fromarray(np.concatenate([gray, colors], axis=1))
    strip.save(data, "WEBP", quality=_STRIP_QUALITY)
    return data.getvalue()


def _draw_colorbar(figure: Figure, drawn: AxesImage, left: float, top: float) -> None:
    width, height = figure.get_size_inches()
    axes = figure.add_axes((left / width, 1 - (top + _MAP_SIDE) / height, 0.12 / width, _MAP_SIDE / height))
    bar = figure.colorbar(drawn, cax=axes, extend="max")
    bar.set_label("gray levels of 255", fontsize=style.SMALL_SIZE)
    bar.ax.tick_params(labelsize=style.SMALL_SIZE, length=2)
    bar.outline.set_visible(False)


def _choose_clip(faces: SynthesizedFaces, subject: tuple[str, str], label: int) -> Example:
    clips = [index for index, other in enumerate(faces.subject) if other == subject]
    row = next((index for index in clips if faces.label[index] == label), clips[0])
    return Example(
        subject=" ".join(subject),
        clip=faces.clip[row],
        label=int(faces.label[row]),
        onset=faces.onset[row],
        synthetic=faces.synthetic[row],
        apex=faces.apex[row],
    )


def _draw_row(cells: Sequence[Axes], example: Example, classes: Sequence[str], *, first: bool) -> None:
    faces = [example.onset, *example.synthetic, example.apex]
    class_names = [style.escape_mathtext(style.truncate(name, _CLASS_NAME_LIMIT)) for name in classes]
    titles = ["onset", *class_names, "real apex"]
    limit = 255 / style.DIFFERENCE_GAIN
    for axes, face in zip(cells, faces, strict=False):
        axes.imshow(face, cmap="gray", vmin=0, vmax=255)
    for axes, face in zip(cells[len(faces) :], faces[1:], strict=True):
        difference = face.astype(np.int16) - example.onset.astype(np.int16)
        axes.imshow(difference, cmap=DIFFERENCE_COLORMAP, vmin=-limit, vmax=limit)
    if first:
        for axes, title in zip(cells, [*titles, *titles[1:]], strict=True):
            axes.set_title(title, fontsize=style.TEXT_SIZE + 1, color=style.TEXT_COLOR, pad=4)

    color = style.class_color(example.label)
    real, of_class = len(faces) - 1, 1 + example.label
    for column in (of_class, real, len(faces) + example.label, len(cells) - 1):
        cells[column].spines[:].set(visible=True, color=color, linewidth=2.2)
    cells[real].text(
        0.04,
        0.04,
        class_names[example.label],
        transform=cells[real].transAxes,
        fontsize=style.SMALL_SIZE,
        color="white",
        bbox={"facecolor": color, "edgecolor": "none", "pad": 1.8},
    )
    cells[0].text(
        -0.07,
        0.5,
        f"{style.escape_mathtext(_row_name(example.subject))}\n{style.escape_mathtext(_row_name(example.clip))}",
        transform=cells[0].transAxes,
        ha="right",
        va="center",
        fontsize=style.SMALL_SIZE,
        color=style.TEXT_COLOR,
    )


def _draw_headings(figure: Figure, left: float, num_classes: int, title: str) -> None:
    width, height = figure.get_size_inches()

    def at(x: float, from_top: float) -> tuple[float, float]:
        return x / width, 1 - from_top / height

    faces_end = left + (num_classes + 2) * (_CELL + _CELL_GAP) - _CELL_GAP
    maps_start = faces_end + 4 * _CELL_GAP
    maps_end = left + (2 * num_classes + 3) * (_CELL + _CELL_GAP) + 2 * _CELL_GAP
    synthesized = (left + _CELL + _CELL_GAP, left + (num_classes + 1) * (_CELL + _CELL_GAP) - _CELL_GAP)
    figure.text(*at(0.2, 0.38), title, fontsize=style.TITLE_SIZE + 4, color=style.TEXT_COLOR)
    note = "framed: the class that the real apex shows; rows chosen by a fixed rule"
    figure.text(*at(0.2, 0.63), note, fontsize=style.TEXT_SIZE, color=style.MUTED_COLOR)
    for start, end, text in (
        (*synthesized, "synthesized apex"),
        (maps_start, maps_end, f"difference to the onset, gain {style.DIFFERENCE_GAIN}"),
    ):
        middle = (start + end) / 2
        figure.text(*at(middle, 1.14), text, ha="center", fontsize=style.TEXT_SIZE + 2)
        (x0, y), (x1, _) = at(start, 1.2), at(end, 1.2)
        figure.add_artist(Line2D([x0, x1], [y, y], color=style.MUTED_COLOR, linewidth=0.8))

    bar_width = 3.2
    box = ((maps_start + maps_end - bar_width) / 2 / width, 0.42 / height)
    bar = figure.add_axes((*box, bar_width / width, 0.11 / height))
    limit = 255 / style.DIFFERENCE_GAIN
    ramp = np.linspace(-limit, limit, 256)[None]
    bar.imshow(ramp, cmap=DIFFERENCE_COLORMAP, aspect="auto", extent=(-limit, limit, 0, 1))
    bar.set_yticks([])
    bar.set_xticks([-60, -30, 0, 30, 60], ["−60", "−30", "0", "+30", "+60"])
    bar.tick_params(labelsize=style.SMALL_SIZE, length=2)
    bar.spines[:].set_visible(False)
    bar.set_xlabel("darker   ·   gray levels of 255   ·   brighter", fontsize=style.SMALL_SIZE)


def _row_name(name: str) -> str:
    return style.truncate(name, _ROW_NAME_LIMIT)


def _margin(row: Prediction) -> float:
    return row.scores[row.prediction] - row.scores[row.label]
