"""Where faces move: the mean change of each pixel, of the real apexes and of the synthetic ones, class by class."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from icegan_jax.evaluation.synthesis.faces import Faces
from icegan_jax.reporting import style

SIDE = 1.9  # inches of a map
GAP = 0.12
LEFT = 1.25
HEAD = 0.4
ROW = 0.42  # between the rows, for the words below a map
BAR = 1.0  # for the colour bar and its numbers
NAME_LIMIT = 20
SHOWN = 99.5  # percentile at which the colours end: hair and background reach far beyond the face


class Changes(NamedTuple):
    """Mean absolute differences to the onset, in grey levels of 255.

    Attributes:
      real: float64[k, h, w], of the real apexes of each class; 0 where it has no clip.
      synthetic: float64[k, h, w], of the faces synthesised for each class from every clip's onset.
      clips: how many real ones each class has.
    """

    real: npt.NDArray[np.float64]
    synthetic: npt.NDArray[np.float64]
    clips: tuple[int, ...]


def mean_changes(faces: Faces) -> Changes:
    """The mean change of each pixel, class by class."""
    onset = faces.onset.astype(np.int16)
    k = faces.synthetic.shape[1]
    moved = np.abs(faces.apex - onset)
    clips = np.bincount(faces.label, minlength=k)
    real = [moved[faces.label == label].sum(axis=0) / max(clips[label], 1) for label in range(k)]
    synthetic = [np.abs(faces.synthetic[:, label] - onset).mean(axis=0) for label in range(k)]
    return Changes(np.stack(real), np.stack(synthetic), tuple(clips.tolist()))


def draw_changes(changes: Changes, classes: Sequence[str]) -> Figure:
    """Draw the real changes over the synthetic ones, a column per class and a colour bar per row."""
    width = LEFT + len(classes) * (SIDE + GAP) + BAR
    figure = Figure(figsize=(width, HEAD + 2 * (SIDE + ROW)))
    rows = (
        ("real", changes.real, changes.clips),
        ("synthetic", changes.synthetic, [sum(changes.clips)] * len(classes)),
    )
    for place, (name, maps, clips) in enumerate(rows):
        top = HEAD + place * (SIDE + ROW)
        limit = max(float(np.percentile(maps, SHOWN)), 1.0)
        for column, label in enumerate(classes):
            axes = style.picture_axes(figure, LEFT + column * (SIDE + GAP), top, SIDE)
            drawn = axes.imshow(maps[column], cmap="Blues", vmin=0, vmax=limit)
            if not place:
                word = style.plain(style.shortened(label, NAME_LIMIT))
                axes.set_title(word, fontsize=style.TITLE_SIZE, color=style.INK, pad=6)
            number = f"{clips[column]} clip" + "s" * (clips[column] > 1)
            words = f"{number}, mean {maps[column].mean():.1f}" if clips[column] else "no clip"
            axes.set_xlabel(words, fontsize=style.SMALL_SIZE, color=style.INK)
        middle = 1 - (top + SIDE / 2) / figure.get_figheight()
        figure.text(0.15 / width, middle, name, fontsize=style.TITLE_SIZE, color=style.INK, va="center")
        _draw_bar(figure, drawn, LEFT + len(classes) * (SIDE + GAP), top)
    return figure


def _draw_bar(figure: Figure, drawn: AxesImage, left: float, top: float) -> None:
    width, height = figure.get_size_inches()
    axes = figure.add_axes((left / width, 1 - (top + SIDE) / height, 0.12 / width, SIDE / height))
    bar = figure.colorbar(drawn, cax=axes, extend="max")
    bar.set_label("grey levels of 255", fontsize=style.SMALL_SIZE)
    bar.ax.tick_params(labelsize=style.SMALL_SIZE, length=2)
    bar.outline.set_visible(False)
