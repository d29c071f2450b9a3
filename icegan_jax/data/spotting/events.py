"""From the trace of a video to the events in it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.spotting.timing import MICRO_SECONDS, half_windows
from icegan_jax.data.spotting.trace import Trace

Signal = NDArray[np.float64]

# Background and threshold follow the video: they are the median and the median deviation of this time around a frame.
_AROUND_SECONDS = 60.0
_EVERY_SECONDS = 1.0  # they are worked out anew; in between they are interpolated
LEVEL = 0.25
Z = 8.0
SHARE = 0.2


@dataclass(frozen=True)
class Event:
    """An expression that was spotted.

    Attributes:
        kind: "micro", at most half a second long and gone after it, or "macro".
        onset: number of the frame in which it starts.
        apex: of the frame in which the face differs most from before and after.
        offset: of the frame in which it has ended.
        strength: contrast at the apex in units of the threshold: at least 1.
    """

    kind: str
    onset: int
    apex: int
    offset: int
    strength: float


def find_events(trace: Trace) -> list[Event]:
    micro, macro = half_windows(trace.fps)
    quick = _Scale(trace.change, micro, trace.fps)
    slow = _Scale(trace.slow, macro, trace.fps)
    lasting = trace.lasting - _local_median(np.asarray(trace.lasting, np.float64), trace.fps)[0]
    longest = round(MICRO_SECONDS * trace.fps)
    found = []
    large = []
    for apex in slow.peaks():
        left, right = slow.around(apex, 0.5)
        if right - left > longest:
            large.append(("macro", *slow.around(apex, LEVEL), apex, slow.strength[apex]))
    for apex in quick.peaks():
        left, right = quick.around(apex, LEVEL)
        ...
    return found
