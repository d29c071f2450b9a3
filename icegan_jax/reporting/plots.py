"""The confusion matrix of all held-out clips.

Training curves: folds/*/metrics.jsonl as small multiples.
"""

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

WIDTH = 5.6  # inches, of up to three classes

HEIGHT = 4.9

CELL = 1.0  # inches that each further class adds

CONFUSION_NAME_LIMIT = 14  # letters that fit under a cell


def draw_confusion_matrix(counts: npt.NDArray[np.int64], title: str, classes: Sequence[str] = EXPRESSIONS) -> Figure:
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
            colour = "white" if share[truth, guess] > 0.55 else style.TEXT_COLOR
            percent = f"{share[truth, guess]:.0%}" if clips[truth] else "–"
            for text, drop, va, size in (
                (f"{counts[truth, guess]}", 0.0, "bottom", 16),
                (percent, 0.09, "top", 10),
            ):
                axes.text(guess, truth + drop, text, ha="center", va=va, fontsize=size, color=colour)

    ticks = range(len(counts))
    names = [style.escape_mathtext(style.truncate(name, CONFUSION_NAME_LIMIT)) for name in classes]
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


COLUMNS = 5

PANEL_WIDTH = 2.5

PANEL_HEIGHT = 2.1

FOLD_COLOR = "#5b7a9d"

MEAN_COLOR = "#12335b"

LOG_ABOVE = 100.0  # a mean curve whose top is this many times its bottom gets a log axis

LEGEND_LINES = 5  # names of classes below one another in a panel

NAME_LIMIT = 14  # letters of each

AXES = ("step", "epoch")  # what a line of metrics.jsonl counts rather than measures

BY_CLASS = ("length_", "predicted_")  # what precedes a class's name, with a player's name before it or nothing


@dataclass(frozen=True)
class Curve:
    """One quantity of one fold.

    Attributes:
      steps: int64[n], rising.
      values: float64[n].
    """

    steps: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """One small plot: the names in metrics.jsonl that share it, each with its colours and label."""

    title: str
    names: tuple[str, ...]
    labels: tuple[str, ...]


def read_metrics(path: Path) -> dict[str, Curve]:
    """Read one fold's metrics.jsonl.

    A step that was logged twice (a resumed run) keeps its later values. A null is a number that was not finite: NaN.

    Returns:
      {name: Curve}; empty for an empty file.

    Raises:
      UserError: a line is not an object of numbers with a step; the message names it.
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
            values = {name: _number(entry[name]) for name in entry if name not in AXES}
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise UserError(f'{path}:{number}: not a line like {{"step": 10, "g_l1": 0.2}}: delete the line') from error
        for name, value in values.items():
            logged.setdefault(name, {})[step] = value
    return {name: _curve(by_step) for name, by_step in logged.items()}


def draw_training_curves(folds: Sequence[Mapping[str, Curve]], classes: Sequence[str] = EXPRESSIONS) -> Figure:
    """Draw every logged quantity, a thin line per fold and their mean.

    Generator losses, discriminator losses, accuracies with capsule lengths and answers (one panel each, a
    colour per class), norms, and whatever else was logged each begin a row.

    Args:
      folds: the curves of each fold, as `read_metrics` gives them; at least one.
      classes: their names, in label order.
    """
    sections = _sections(sorted({name for fold in folds for name in fold}), classes)
    heights = [math.ceil(len(panels) / COLUMNS) for panels in sections.values()]
    legend = 0.65
    size = (COLUMNS * PANEL_WIDTH, sum(heights) * PANEL_HEIGHT + 0.35 * len(heights) + legend)
    figure = Figure(figsize=size, layout="constrained")
    ratios = [legend, *(height * PANEL_HEIGHT + 0.35 for height in heights)]
    strips = figure.subfigures(len(ratios), 1, height_ratios=ratios, squeeze=False)[:, 0]
    _draw_legend(strips[0], len(folds))
    for strip, height, (heading, panels) in zip(strips[1:], heights, sections.items(), strict=True):
        strip.suptitle(heading, x=0.008, ha="left", fontsize=style.TITLE_SIZE, color=style.TEXT_COLOR)
        grid = strip.subplots(height, COLUMNS, squeeze=False).ravel()
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        for axes, panel in zip(grid, panels, strict=False):
            _draw_panel(axes, panel, folds, classes)
    return figure


def mean_over_folds(curves: Sequence[Curve]) -> Curve:
    """The mean at every step that all folds logged.

    A step at which one fold diverged (NaN) stays NaN: a gap is shown, not hidden.
    """
    common = curves[0].steps
    for curve in curves[1:]:
        common = np.intersect1d(common, curve.steps)
    rows = [curve.values[np.isin(curve.steps, common)] for curve in curves]
    with np.errstate(invalid="ignore"):  # inf - inf of diverged folds
        return Curve(common, np.mean(rows, axis=0))


def _number(value: Any) -> float:
    """A number of a log; raises what ``float`` raises."""
    return math.nan if value is None else float(value)


def _curve(by_step: Mapping[int, float]) -> Curve:
    steps = sorted(by_step)
    return Curve(np.array(steps, np.int64), np.array([by_step[step] for step in steps]))


def _sections(names: Sequence[str], classes: Sequence[str]) -> dict[str, list[Panel]]:
    by_class = _class_panels(names, classes)
    taken = {name for panel in by_class for name in panel.names}
    rest = [name for name in names if name not in taken]
    accuracies = [name for name in rest if "accuracy" in name]
    norms = [name for name in rest if name.endswith("_norm")]
    losses = [name for name in rest if name not in accuracies and name not in norms]
    generator = [name for name in losses if name.startswith("g_")]
    discriminator = [name for name in losses if name.startswith("d_")]
    other = [name for name in losses if not name.startswith(("g_", "d_"))]
    sections = {
        "Generator losses": [_single(name) for name in generator],
        "Discriminator losses": [_single(name) for name in discriminator],
        "Accuracy, capsule lengths and answers": [*(_single(name) for name in accuracies), *by_class],
        "Norms of gradients, parameters and statistics": [_single(name) for name in norms],
        "Other quantities": [_single(name) for name in other],
    }
    return {heading: panels for heading, panels in sections.items() if panels}


def _single(name: str) -> Panel:
    return Panel(name, (name,), ("",))


def _class_panels(names: Sequence[str], classes: Sequence[str]) -> list[Panel]:
    """Names such as length_negative: the classes of one prefix share a panel."""
    prefixes = []
    for name in names:
        for word in classes:
            prefix = name.removesuffix(word)
            if prefix != name and prefix.endswith(BY_CLASS) and prefix not in prefixes:
                prefixes.append(prefix)
    panels = []
    for prefix in prefixes:
        words = [word for word in classes if prefix + word in names]
        panels.append(Panel(f"{prefix}*", tuple(prefix + word for word in words), tuple(words)))
    return panels


def _draw_panel(axes: Axes, panel: Panel, folds: Sequence[Mapping[str, Curve]], classes: Sequence[str]) -> None:
    many = len(panel.names) > 1
    thin = 0.8 if len(folds) < 12 else 0.5
    halo = [Stroke(linewidth=3.4, foreground="white"), Normal()]
    means, broken = [], 0
    for name, label in zip(panel.names, panel.labels, strict=True):
        colour = style.class_color(classes.index(label)) if label else MEAN_COLOR
        curves = [fold[name] for fold in folds if name in fold]
        for curve in curves:
            light = colour if many else FOLD_COLOR
            axes.plot(curve.steps, curve.values, color=light, linewidth=thin, alpha=0.3)
            broken += not np.isfinite(curve.values).all()
        mean = mean_over_folds(curves)
        means.append(mean.values[np.isfinite(mean.values)])
        axes.plot(
            mean.steps,
            mean.values,
            color=colour,
            linewidth=1.8,
            path_effects=halo,
            label=style.escape_mathtext(style.truncate(label, NAME_LIMIT)),
            zorder=3,
        )

    style.style_axes(axes)
    _scale(axes, panel, np.concatenate(means))
    title = style.escape_mathtext(panel.title) + (f"  (not finite in {broken})" if broken else "")
    axes.set_title(title, fontsize=style.TEXT_SIZE, loc="left", color=style.TEXT_COLOR)
    axes.set_xlabel("step", fontsize=style.SMALL_SIZE, color=style.MUTED_COLOR)
    if many:
        columns = math.ceil(len(panel.names) / LEGEND_LINES)
        axes.legend(fontsize=style.SMALL_SIZE - 1, frameon=False, handlelength=1.2, ncols=columns)


def _scale(axes: Axes, panel: Panel, values: npt.NDArray[np.float64]) -> None:
    if "accuracy" in panel.title or panel.title.removesuffix("*").endswith(BY_CLASS):
        axes.set_ylim(-0.03, 1.03)  # a share, or a squashed length (Sabour et al. 2017, eq. 1)
    elif values.size and values.min() > 0 and values.max() > LOG_ABOVE * values.min():
        axes.set_yscale("log")


def _draw_legend(strip: Figure, num_folds: int) -> None:
    one = Line2D([], [], color=FOLD_COLOR, linewidth=1, alpha=0.6)
    mean = Line2D([], [], color=MEAN_COLOR, linewidth=2.2)
    folds = "1 fold" if num_folds == 1 else f"{num_folds} folds"
    strip.suptitle(f"Training, {folds}", fontsize=style.TITLE_SIZE + 3, x=0.008, y=0.85, ha="left")
    handles = [one, mean]
    labels = ["one fold", "mean over folds"]
    strip.legend(handles, labels, loc="center right", ncols=2, frameon=False, fontsize=9)
