"""The confusion matrix of the held-out clips, and the training curves of folds/*/metrics.jsonl."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, Stroke

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.errors import UserError
from icegan_jax.reporting import style

# The confusion matrix; lengths in inches.
_MATRIX_WIDTH = 5.6  # of up to three classes
_MATRIX_HEIGHT = 4.9
_MATRIX_CELL = 1.0  # added by each further class
_MATRIX_NAME_LIMIT = 14  # letters that fit under a cell

# The training curves; lengths in inches.
_COLUMNS = 5
_PANEL_WIDTH = 2.5
_PANEL_HEIGHT = 2.1
FOLD_COLOR = "#5b7a9d"
MEAN_COLOR = "#12335b"
_LOG_SCALE_RATIO = 100.0  # a mean curve whose maximum is this many times its minimum gets a log axis
_LEGEND_LINES = 5  # lines of class names in a panel
_LEGEND_NAME_LIMIT = 14  # letters
_COUNTERS = ("step", "epoch")  # fields of metrics.jsonl that count and are not measured
_CLASS_PREFIXES = ("length_", "predicted_")  # before a class's name, after the name of a network or nothing
_HEADINGS = {  # of the rows of plots
    "g_": "Generator losses",
    "d_": "Discriminator losses",
    "*": "Accuracy, capsule lengths and answers",
    "_norm": "Norms of gradients, parameters and statistics",
    "": "Other quantities",
}

Panel = dict[str, str]  # the quantities of metrics.jsonl that share a plot, and the class of each, or ""


@dataclass(frozen=True)
class Curve:
    """One logged quantity of one fold.

    Attributes:
      steps: int64[n], rising.
      values: float64[n].
    """

    steps: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]


def read_metrics(path: Path) -> dict[str, Curve]:
    """Read one fold's metrics.jsonl.

    A step that was logged twice, by a resumed run, keeps the later values. A null, which stands for a number that was
    not finite, is read as NaN.

    Returns:
      {name: Curve}; empty for an empty file.

    Raises:
      UserError: a line is not an object of numbers with a step; the message names the line.
    """
    logged: dict[str, dict[int, float]] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text: train this fold again") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            step = int(entry["step"])
            values = {name: _number(entry[name]) for name in entry if name not in _COUNTERS}
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise UserError(f'{path}:{number}: not a line like {{"step": 10, "g_l1": 0.2}}: delete the line') from error
        for name, value in values.items():
            logged.setdefault(name, {})[step] = value
    return {name: _curve(by_step) for name, by_step in logged.items()}


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
    names = [style.escape_mathtext(style.truncate(name, _MATRIX_NAME_LIMIT)) for name in classes]
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


def draw_training_curves(folds: Sequence[Mapping[str, Curve]], classes: Sequence[str] = EXPRESSIONS) -> Figure:
    """Draw every logged quantity: a thin line per fold, and the mean over folds.

    Generator losses, discriminator losses, accuracies with capsule lengths and shares of predictions (one panel each,
    with a color per class), norms, and all other quantities begin a row each.

    Args:
      folds: the curves of each fold, as `read_metrics` returns them; at least one.
      classes: names of the classes, in label order.
    """
    sections = _sections(sorted({name for fold in folds for name in fold}), classes)
    heights = [math.ceil(len(panels) / _COLUMNS) for panels in sections.values()]
    legend = 0.65
    size = (_COLUMNS * _PANEL_WIDTH, sum(heights) * _PANEL_HEIGHT + 0.35 * len(heights) + legend)
    figure = Figure(figsize=size, layout="constrained")
    ratios = [legend, *(height * _PANEL_HEIGHT + 0.35 for height in heights)]
    strips = figure.subfigures(len(ratios), 1, height_ratios=ratios, squeeze=False)[:, 0]
    _draw_legend(strips[0], len(folds))
    for strip, height, (heading, panels) in zip(strips[1:], heights, sections.items(), strict=True):
        strip.suptitle(heading, x=0.008, ha="left", fontsize=style.TITLE_SIZE, color=style.TEXT_COLOR)
        grid = strip.subplots(height, _COLUMNS, squeeze=False).ravel()
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        for axes, (title, panel) in zip(grid, panels.items(), strict=False):
            _draw_panel(axes, title, panel, folds, classes)
    return figure


def mean_over_folds(curves: Sequence[Curve]) -> Curve:
    """Return the mean at every step that all folds logged.

    A step at which one fold diverged (NaN) stays NaN, so that the plot has a gap there.
    """
    common = curves[0].steps
    for curve in curves[1:]:
        common = np.intersect1d(common, curve.steps)
    rows = [curve.values[np.isin(curve.steps, common)] for curve in curves]
    with np.errstate(invalid="ignore"):  # inf - inf of diverged folds
        return Curve(common, np.mean(rows, axis=0))


def _number(value: Any) -> float:
    """Convert a value of a log; raise what ``float`` raises."""
    return math.nan if value is None else float(value)


def _curve(by_step: Mapping[int, float]) -> Curve:
    steps = sorted(by_step)
    return Curve(np.array(steps, np.int64), np.array([by_step[step] for step in steps]))


def _sections(names: Sequence[str], classes: Sequence[str]) -> dict[str, dict[str, Panel]]:
    """Return the panels of each row of plots by their titles; the classes of a quantity such as length_* share one."""
    panels: dict[str, Panel] = {}
    for name in names:
        title, of_class = name, ""
        for label in classes:
            prefix = name.removesuffix(label)
            if prefix != name and prefix.endswith(_CLASS_PREFIXES):
                title, of_class = f"{prefix}*", label
        panels.setdefault(title, {})[name] = of_class
    sections: dict[str, dict[str, Panel]] = {heading: {} for heading in _HEADINGS.values()}
    for title in sorted(panels, key=lambda title: title.endswith("*")):  # stable: classes come last
        shared = title.endswith("*") or "accuracy" in title
        kind = "*" if shared else "_norm" if title.endswith("_norm") else title[:2]
        labels = sorted(panels[title].items(), key=lambda item: classes.index(item[1]) if item[1] else 0)
        sections[_HEADINGS.get(kind, _HEADINGS[""])][title] = dict(labels)
    return {heading: rows for heading, rows in sections.items() if rows}


def _draw_panel(
    axes: Axes, title: str, panel: Panel, folds: Sequence[Mapping[str, Curve]], classes: Sequence[str]
) -> None:
    several = len(panel) > 1
    line_width = 0.8 if len(folds) < 12 else 0.5
    halo = [Stroke(linewidth=3.4, foreground="white"), Normal()]
    means, diverged = [], 0
    for name, label in panel.items():
        color = style.class_color(classes.index(label)) if label else MEAN_COLOR
        curves = [fold[name] for fold in folds if name in fold]
        for curve in curves:
            fold_color = color if several else FOLD_COLOR
            axes.plot(curve.steps, curve.values, color=fold_color, linewidth=line_width, alpha=0.3)
            diverged += not np.isfinite(curve.values).all()
        mean = mean_over_folds(curves)
        means.append(mean.values[np.isfinite(mean.values)])
        axes.plot(
            mean.steps,
            mean.values,
            color=color,
            linewidth=1.8,
            path_effects=halo,
            label=style.escape_mathtext(style.truncate(label, _LEGEND_NAME_LIMIT)),
            zorder=3,
        )

    style.style_axes(axes)
    _set_scale(axes, title, np.concatenate(means))
    heading = style.escape_mathtext(title) + (f"  (not finite in {diverged})" if diverged else "")
    axes.set_title(heading, fontsize=style.TEXT_SIZE, loc="left", color=style.TEXT_COLOR)
    axes.set_xlabel("step", fontsize=style.SMALL_SIZE, color=style.MUTED_COLOR)
    if several:
        columns = math.ceil(len(panel) / _LEGEND_LINES)
        axes.legend(fontsize=style.SMALL_SIZE - 1, frameon=False, handlelength=1.2, ncols=columns)


def _set_scale(axes: Axes, title: str, values: npt.NDArray[np.float64]) -> None:
    if "accuracy" in title or title.endswith("*"):
        axes.set_ylim(-0.03, 1.03)  # for shares and squashed lengths (Sabour et al. 2017, eq. 1)
    elif values.size and values.min() > 0 and values.max() > _LOG_SCALE_RATIO * values.min():
        axes.set_yscale("log")


def _draw_legend(strip: Figure, num_folds: int) -> None:
    one = Line2D([], [], color=FOLD_COLOR, linewidth=1, alpha=0.6)
    mean = Line2D([], [], color=MEAN_COLOR, linewidth=2.2)
    folds = "1 fold" if num_folds == 1 else f"{num_folds} folds"
    strip.suptitle(f"Training, {folds}", fontsize=style.TITLE_SIZE + 3, x=0.008, y=0.85, ha="left")
    handles = [one, mean]
    labels = ["one fold", "mean over folds"]
    strip.legend(handles, labels, loc="center right", ncols=2, frameon=False, fontsize=9)
