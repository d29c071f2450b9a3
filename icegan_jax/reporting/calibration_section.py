"""The section of the report on the threshold of "no expression" and on the reliability of the capsule lengths."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from icegan_jax.evaluation.calibration import MAX_FALSE_ALARMS, NUM_BINS, Calibration, Reliability, Threshold
from icegan_jax.reporting import style
from icegan_jax.reporting.plots import MEAN_COLOR, cut_out_panels
from icegan_jax.reporting.render import NUMBER, Column, Row, Table, number_cell

_SIZE = (10.0, 3.8)  # inches, of two panels
_RESTING_COLOR = "#e69f00"


def calibration_context(calibration: Calibration, classes: Sequence[str]) -> dict[str, Any]:
    """Return what templates/calibration.html shows."""
    figure = draw_calibration(calibration)
    return {
        "threshold": calibration.threshold,
        "max_false_alarms": MAX_FALSE_ALARMS,
        "close_call": calibration.close_call,
        "reliability": calibration.reliability,
        "table": _threshold_table(calibration.threshold, classes),
        "figures": cut_out_panels(figure, style.figure_to_picture(figure)),
    }


def calibration_tiles(calibration: Calibration | None) -> list[tuple[str, str]]:
    """Return the tile of false alarms and missed clips; none for a run without a calibration."""
    if calibration is None:
        return []
    threshold = calibration.threshold
    missed = f"{sum(threshold.missed)} / {sum(threshold.clips)} clips get none"
    return [(f"{sum(threshold.false_alarms)} / {sum(threshold.resting)}", f"faces at rest get a class; {missed}")]


def draw_calibration(calibration: Calibration) -> Figure:
    """Draw the longest capsules of clips and of resting pairs, and the reliability diagram of the clips."""
    figure = Figure(figsize=_SIZE, layout="constrained")
    lengths, reliability = figure.subplots(1, 2)
    for axes in (lengths, reliability):
        style.style_axes(axes)
        axes.set_xlim(0, 1)
        axes.set_xlabel("length of the longest capsule", fontsize=style.TEXT_SIZE, color=style.TEXT_COLOR)
    _draw_lengths(lengths, calibration)
    _draw_reliability(reliability, calibration.reliability)
    return figure


def _draw_lengths(axes: Axes, calibration: Calibration) -> None:
    edges = np.linspace(0, 1, NUM_BINS + 1)
    threshold = calibration.threshold
    series = (
        ("clips with an expression", calibration.reliability.clips, MEAN_COLOR),
        ("pairs at rest", threshold.resting_by_length, _RESTING_COLOR),
    )
    axes.axvline(threshold.length, color=style.TEXT_COLOR, linewidth=1.2, linestyle="--")
    axes.annotate(
        "no expression | a class",
        (threshold.length, 1.01),
        xycoords=("data", "axes fraction"),
        ha="center",
        fontsize=style.SMALL_SIZE,
        color=style.TEXT_COLOR,
    )
    for name, counts, color in series:
        axes.stairs(np.array(counts) / max(sum(counts), 1), edges, fill=True, color=color, alpha=0.45, label=name)
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.set_ylabel("share of the held-out ones", fontsize=style.TEXT_SIZE, color=style.TEXT_COLOR)
    _add_legend(axes)


def _draw_reliability(axes: Axes, reliability: Reliability) -> None:
    """Draw the accuracy of each bin above the mean length of its clips; the number is that of the clips."""
    used = np.flatnonzero(reliability.clips)
    length, accuracy = np.array(reliability.length)[used], np.array(reliability.accuracy)[used]
    axes.plot([0, 1], [0, 1], color=style.MUTED_COLOR, linewidth=1, linestyle="--", label="length = accuracy")
    axes.plot(
        length, accuracy, color=MEAN_COLOR, linestyle="none", marker="o", label="held-out clips, and their number"
    )
    for place, x, y in zip(used, length, accuracy, strict=True):
        axes.annotate(
            str(reliability.clips[place]),
            (x, y),
            xytext=(0, -12 if y > 0.5 else 6),
            textcoords="offset points",
            ha="center",
            fontsize=style.SMALL_SIZE,
            color=style.TEXT_COLOR,
        )
    axes.set_ylim(-0.03, 1.03)
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.set_ylabel("share of right answers", fontsize=style.TEXT_SIZE, color=style.TEXT_COLOR)
    _add_legend(axes)


def _add_legend(axes: Axes) -> None:
    """Add the legend above the plot and the name of the threshold, where no data lie below the legend."""
    axes.legend(fontsize=style.SMALL_SIZE, frameon=False, loc="lower left", bbox_to_anchor=(0, 1.06), ncols=2)


def _threshold_table(threshold: Threshold, classes: Sequence[str]) -> Table:
    columns = ("pairs at rest, by longest capsule", "false alarms", "clips, by true class", "missed")
    counts = (threshold.resting, threshold.false_alarms, threshold.clips, threshold.missed)
    rows = [
        Row([name, *(number_cell(number, 0) for number in numbers)])
        for name, *numbers in zip((*classes, "all"), *((*each, sum(each)) for each in counts), strict=True)
    ]
    return Table("Faces at rest", [Column("class"), *(Column(name, NUMBER) for name in columns)], rows)
