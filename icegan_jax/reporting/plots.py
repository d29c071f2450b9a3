"""The confusion matrix of the held-out clips, and the training curves of folds/*/metrics.jsonl."""

import math
from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, Stroke
from PIL import Image

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.reporting import style
from icegan_jax.reporting.curves import Curve, Panel, mean_over_folds

# The confusion matrix; lengths in inches.
_MATRIX_WIDTH = 5.6  # of up to three classes
_MATRIX_HEIGHT = 4.9
_MATRIX_CELL = 1.0  # added by each further class
_MATRIX_NAME_LIMIT = 14  # letters that fit under a cell

# The training curves; lengths in inches.
_COLUMNS = 5
_PANEL_WIDTH = 2.5
_PANEL_HEIGHT = 2.1
_PADDING = 4  # points around a plot that is cut out
FOLD_COLOR = "#5b7a9d"
MEAN_COLOR = "#12335b"
_LOG_SCALE_RATIO = 100.0  # a mean curve whose maximum is this many times its minimum gets a log axis
_LEGEND_LINES = 5  # lines of class names in a panel
_LEGEND_NAME_LIMIT = 14  # letters


def draw_confusion_matrix(counts: npt.NDArray[np.int64], title: str, classes: Sequence[str] = EXPRESSIONS) -> Figure:
    """Draw counts and row percentages, with the percentage as the shade.

    Args:
      counts: int64[k, k], rows truth.
      title: one line above the matrix.
      classes: k names, in label order.
    """
    clips = counts.sum(axis=1)
    share = counts / np.maximum(clips, 1)[:, None]

    added = _MATRIX_CELL * max(len(classes) - 3, 0)
    figure = Figure(figsize=(_MATRIX_WIDTH + added, _MATRIX_HEIGHT + added), layout="constrained")
    axes = figure.add_subplot()
    shades = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for i in range(len(counts)):
        for j in range(len(counts)):
            color = "white" if share[i, j] > 0.55 else style.TEXT_COLOR
            percent = f"{share[i, j]:.0%}" if clips[i] else "–"
            axes.text(j, i, f"{counts[i, j]}", ha="center", va="bottom", fontsize=16, color=color)
            axes.text(j, i + 0.09, percent, ha="center", va="top", fontsize=10, color=color)

    ticks = range(len(counts))
    names = [style.escape_mathtext(style.truncate(style.legible(name), _MATRIX_NAME_LIMIT)) for name in classes]
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
    axes.set_title(style.escape_mathtext(title), fontsize=style.TITLE_SIZE, pad=10)

    bar = figure.colorbar(shades, ax=axes, shrink=0.8, pad=0.03, format="{x:.0%}")
    bar.set_label("share of the true class", fontsize=style.SMALL_SIZE)
    bar.ax.tick_params(labelsize=style.SMALL_SIZE, length=2)
    bar.outline.set_visible(False)
    return figure


def draw_training_curves(
    folds: Sequence[Mapping[str, Curve]], panels: Sequence[Panel], classes: Sequence[str] = EXPRESSIONS
) -> Figure:
    """Draw a thin line per fold, and the mean over folds; each heading begins a row of plots.

    Args:
      folds: the curves of each fold, as ``read_metrics`` returns them; at least one.
      panels: at least one, as ``choose_panels`` returns them.
      classes: names of the classes, in label order.
    """
    sections = {heading: list(group) for heading, group in groupby(panels, key=lambda panel: panel.heading)}
    heights = [math.ceil(len(group) / _COLUMNS) for group in sections.values()]
    legend = 0.65
    size = (_COLUMNS * _PANEL_WIDTH, sum(heights) * _PANEL_HEIGHT + 0.35 * len(heights) + legend)
    figure = Figure(figsize=size, layout="constrained")
    ratios = [legend, *(height * _PANEL_HEIGHT + 0.35 for height in heights)]
    strips = figure.subfigures(len(ratios), 1, height_ratios=ratios, squeeze=False)[:, 0]
    _draw_legend(strips[0], len(folds))
    for strip, height, (heading, group) in zip(strips[1:], heights, sections.items(), strict=True):
        strip.suptitle(heading, x=0.008, ha="left", fontsize=style.TITLE_SIZE, color=style.TEXT_COLOR)
        grid = strip.subplots(height, _COLUMNS, squeeze=False).ravel()
        for axes in grid[len(group) :]:
            axes.set_visible(False)
        for axes, panel in zip(grid, group, strict=False):
            _draw_panel(axes, panel, folds, classes)
    return figure


def cut_out_panels(figure: Figure, picture: Image.Image) -> list[Image.Image]:
    """Cut the plots out of the picture of a figure: equally large, in their order."""
    scale = picture.width / figure.bbox.width
    pictures = []
    for axes in figure.axes:
        if axes.get_visible():
            tight = axes.get_tightbbox()
            assert tight is not None  # since the axes are visible
            box = tight.padded(_PADDING)
            edges = (box.x0, figure.bbox.height - box.y1, box.x1, figure.bbox.height - box.y0)
            pictures.append(picture.crop(tuple(round(scale * edge) for edge in edges)))
    size = max(cut.width for cut in pictures), max(cut.height for cut in pictures)
    return [_with_size(cut, size) for cut in pictures]


def _with_size(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return a picture in the lower right corner of a transparent one."""
    larger = Image.new("RGBA", size)
    larger.paste(picture, (size[0] - picture.width, size[1] - picture.height))
    return larger


def _draw_panel(axes: Axes, panel: Panel, folds: Sequence[Mapping[str, Curve]], classes: Sequence[str]) -> None:
    several = len(panel.classes) > 1
    line_width = 0.8 if len(folds) < 12 else 0.5
    halo = [Stroke(linewidth=3.4, foreground="white"), Normal()]
    means, diverged, last = [], 0, ""
    for name, label in panel.classes.items():
        color = style.class_color(classes.index(label)) if label else MEAN_COLOR
        curves = [fold[name] for fold in folds if name in fold]
        for curve in curves:
            fold_color = color if several else FOLD_COLOR
            axes.plot(curve.steps, curve.values, color=fold_color, linewidth=line_width, alpha=0.3)
            diverged += not np.isfinite(curve.values).all()
        mean = mean_over_folds(curves)
        means.append(mean.values[np.isfinite(mean.values)])
        last = f"{mean.values[-1]:.3g}" if mean.values.size else "–"
        axes.plot(
            mean.steps,
            mean.values,
            color=color,
            linewidth=1.8,
            path_effects=halo,
            label=style.escape_mathtext(f"{style.truncate(style.legible(label), _LEGEND_NAME_LIMIT)} {last}"),
            zorder=3,
        )

    style.style_axes(axes)
    _set_scale(axes, panel, np.concatenate(means))
    heading = panel.title if several else f"{panel.title}: {last}"
    notes = [panel.network, f"not finite in {diverged}" if diverged else ""]
    axes.set_title(
        style.escape_mathtext(heading) + "\n" + style.escape_mathtext(", ".join(filter(None, notes))),
        fontsize=style.TEXT_SIZE,
        loc="left",
        color=style.TEXT_COLOR,
    )
    axes.set_xlabel("step", fontsize=style.SMALL_SIZE, color=style.MUTED_COLOR)
    if several:
        columns = math.ceil(len(panel.classes) / _LEGEND_LINES)
        axes.legend(fontsize=style.SMALL_SIZE - 1, frameon=False, handlelength=1.2, ncols=columns)


def _set_scale(axes: Axes, panel: Panel, values: npt.NDArray[np.float64]) -> None:
    if panel.is_share:
        axes.set_ylim(-0.03, 1.03)  # for shares and squashed lengths (Sabour et al. 2017, eq. 1)
    elif values.size and values.min() > 0 and values.max() > _LOG_SCALE_RATIO * values.min():
        axes.set_yscale("log")


def _draw_legend(strip: Figure, num_folds: int) -> None:
    one = Line2D([], [], color=FOLD_COLOR, linewidth=1, alpha=0.6)
    mean = Line2D([], [], color=MEAN_COLOR, linewidth=2.2)
    folds = "1 fold" if num_folds == 1 else f"{num_folds} folds"
    strip.suptitle(f"Training, {folds}", fontsize=style.TITLE_SIZE + 3, x=0.008, y=0.85, ha="left")
    handles = [one, mean]
    labels = ["one fold", "mean over folds, with its last value"]
    strip.legend(handles, labels, loc="center right", ncols=2, frameon=False, fontsize=9)
