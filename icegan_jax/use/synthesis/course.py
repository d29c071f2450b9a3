"""The course of an expression in time: how far it has gone in each frame."""

import numpy as np
from numpy.typing import NDArray

LEAST_FRAMES = 3  # onset, apex, offset


def course(frames: int, apex_at: float) -> NDArray[np.float64]:
    """Shares of the full expression, float64[frames]: 0 at the onset, 1 at the apex, 0 at the offset.

    Half a cosine leads up and half a one down, so that nothing starts or stops with a jerk. The curve is chosen here:
    the databases annotate the three moments and nothing in between. (The program's drawn people move likewise, each
    with a bend of their own: ``data/procedural/play.py``.)

    Args:
        frames: at least ``LEAST_FRAMES``.
        apex_at: where the apex lies, 0 to 1 of the way from the first to the last frame; it falls on a whole frame
            between the two.
    """
    apex = apex_frame(frames, apex_at)
    i = np.arange(frames)
    up, down = i / apex, (frames - 1 - i) / (frames - 1 - apex)
    return 0.5 - 0.5 * np.cos(np.pi * np.minimum(up, down))


def apex_frame(frames: int, apex_at: float) -> int:
    """The position of the apex, from 0."""
    return min(max(round(apex_at * (frames - 1)), 1), frames - 2)
