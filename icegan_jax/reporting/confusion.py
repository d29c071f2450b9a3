"""The confusion matrix of all held-out clips."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.reporting import style

WIDTH = 5.6  # inches, of up to three classes
HEIGHT = 4.9
CELL = 1.0  # inches that each further class adds
NAME_LIMIT = 14  # letters that fit under a cell


def draw_confusion(counts: npt.NDArray[np.int64], title: str, classes: Sequence[str] = EXPRESSIONS) -> Figure:
    """Draw counts and row percentages; the shade is the percentage.

    Args:
      counts: int64[k, k], rows truth.
      title: one line over the matrix.
      classes: k names, in label order.
    """
    clips = counts.sum(axis=1)
    share = counts / np.maximum(clips, 1)[:, None]

    wider = CELL * max(len(classes) - 3, 0)
    figure = Figure(figsize=(WIDTH + wider, HEIGHT + wider), layout="constrained")
    axes = figure.add_subplot()
    shades = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for truth in range(len(counts)):
        for guess in range(len(counts)):
            colour = "white" if share[truth, guess] > 0.55 else style.INK
            percent = f"{share[truth, guess]:.0%}" if clips[truth] else "–"
            for text, drop, va, size in (
                (f"{counts[truth, guess]}", 0.0, "bottom", 16),
                (percent, 0.09, "top", 10),
            ):
                axes.text(guess, truth + drop, text, ha="center", va=va, fontsize=size, color=colour)

    ticks = range(len(counts))
    names = [style.plain(style.shortened(name, NAME_LIMIT)) for name in classes]
    axes.set_xticks(ticks, names)
    rows = [f"{name}\n{count} clips" for name, count in zip(names, clips, strict=True)]
    axes.set_yticks(ticks, rows)
    axes.set_xlabel("predicted", fontsize=style.TEXT_SIZE + 1, labelpad=6)
    axes.set_ylabel("true", fontsize=style.TEXT_SIZE + 1, labelpad=6)
    axes.tick_params(length=0, labelsize=style.TEXT_SIZE)
    axes.set_xticks(np.arange(len(counts) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(counts) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=3)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(style.plain(title), fontsize=style.TITLE_SIZE, pad=10)

    bar = figure.colorbar(shades, ax=axes, shrink=0.8, pad=0.03, format="{x:.0%}")
    bar.set_label("share of the true class", fontsize=style.SMALL_SIZE)
    bar.ax.tick_params(labelsize=style.SMALL_SIZE, length=2)
    bar.outline.set_visible(False)
    return figure
