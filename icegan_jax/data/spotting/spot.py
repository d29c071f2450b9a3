"""Spotting in one call: the pass over the frames, then the events of its trace."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.spotting.events import Event, find_events
from icegan_jax.data.spotting.stream import follow
from icegan_jax.data.spotting.trace import Row, Trace

Grey = NDArray[np.uint8]


@dataclass(frozen=True)
class Spotting:
    """What was found in a video: every frame's row, and the events by onset."""

    trace: Trace
    events: list[Event]


def spot_events(
    frames: Iterable[tuple[int, Grey]], fps: float, *, on_row: Callable[[Row], None] | None = None
) -> Spotting:
    """Spots the expressions in a video.

    Args:
        frames: (number, uint8[h, w] grey levels), read one at a time.
        fps: frames per second of these frames.
        on_row: called with each row as it becomes known, a second behind the frames.

    Returns:
        The trace, 33 bytes a frame (7 MB an hour at 60 frames per second), and the events. A clip of less than half a
        second has none, as nothing is known of its frames; ``icegan_jax.data.apex`` is for those.

    Raises:
        UserError: ``fps`` is no positive finite number.
    """
    trace = Trace.of(_told(follow(frames, fps), on_row), fps)
    return Spotting(trace, find_events(trace))


def _told(rows: Iterator[Row], on_row: Callable[[Row], None] | None) -> Iterator[Row]:
    for row in rows:
        if on_row is not None:
            on_row(row)
        yield row
