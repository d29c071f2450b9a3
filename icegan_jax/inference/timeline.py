"""The timeline of a recording on the page of its predictions: the change of the face from trace.csv, and the events."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icegan_jax.inference.recognize import Recognition
from icegan_jax.reporting.style import MUTED_COLOR, class_color

_WIDTH, _HEIGHT = 1000, 100  # of the drawing, in its own units, which the page stretches
_MIN_EVENT_WIDTH = 3.0  # so that a short event in a long recording is visible
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600)  # seconds between labels
_MAX_TICKS = 8

Signal = NDArray[np.float64]


class TimelineEvent(NamedTuple):
    """An event: the name of its result, what a pointer shows, its color, and left side and width in the drawing."""

    name: str
    text: str
    color: str
    left: float
    width: float


@dataclass(frozen=True)
class Timeline:
    """A drawing of ``width`` by ``height`` units.

    Attributes:
        curve: the change over time, as the data of an SVG path.
        events: the events, ordered by onset.
        ticks: positions in percent of the width, and the time at each.
        colors: the names and the colors of the answers.
        width, height: the size of the drawing.
    """

    curve: str
    events: Sequence[TimelineEvent]
    ticks: Sequence[tuple[float, str]]
    colors: dict[str, str]
    width: int = _WIDTH
    height: int = _HEIGHT


def read_timeline(trace: Path, results: Sequence[Recognition]) -> Timeline:
    """Return the timeline of a recording.

    Args:
        trace: trace.csv of the recording, of at least one frame.
        results: the results for its events, whose times are known.
    """
    with trace.open(newline="", encoding="utf-8") as file:
        rows = [(float(row["seconds"]), float(row["change"] or "nan")) for row in csv.DictReader(file)]
    seconds, change = np.array(rows).T
    duration = max(float(seconds[-1]), 1e-3)
    events, colors = [], {}
    for result in results:
        start, end = result.seconds(result.onset) or 0.0, result.seconds(result.offset) or 0.0
        label = result.label or result.kind
        colors[label] = class_color(result.classes.index(label)) if label in result.classes else MUTED_COLOR
        left, width = _WIDTH * start / duration, max(_MIN_EVENT_WIDTH, _WIDTH * (end - start) / duration)
        text = f"{result.name}: {label}, {start:.2f} to {end:.2f} s"
        events.append(TimelineEvent(result.name, text, colors[label], left, width))
    step = next((step for step in _TICKS if duration <= _MAX_TICKS * step), _TICKS[-1])
    ticks = [(100 * time / duration, _time_text(time, step)) for time in np.arange(0, duration, step)]
    return Timeline(_path(seconds / duration, change), events, ticks, colors)


def _path(position: Signal, change: Signal) -> str:
    """Return the path of the largest change in each unit of the width; it breaks where no face was tracked.

    Args:
        position: float64[n], from 0 to 1.
        change: float64[n], NaN where it is unknown.
    """
    most = np.full(_WIDTH + 1, -np.inf)
    known = ~np.isnan(change)
    np.maximum.at(most, np.rint(_WIDTH * position[known]).astype(int), change[known])
    filled = np.flatnonzero(np.isfinite(most))
    if not filled.size:
        return ""
    scale = _HEIGHT / max(float(most.max()), 1e-9)
    # A recording of fewer frames than units has a value in every k-th unit.
    longest = 2 * max(1.0, _WIDTH / len(position))
    letters = np.where(np.diff(filled, prepend=-_WIDTH) > longest, "M", "L")
    return "".join(f"{letter}{x} {_HEIGHT - scale * most[x]:.1f}" for letter, x in zip(letters, filled, strict=True))


def _time_text(seconds: float, step: float) -> str:
    if step < 1:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
