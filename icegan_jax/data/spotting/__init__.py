"""Spotting of expressions in long videos, in bounded memory.

``tracker`` tracks the face and masks the part of the face that is compared, ``change`` measures changes of the face,
``stream`` computes one row of measurements per frame, and ``events`` finds expressions in the rows.
"""

from icegan_jax.data.spotting.events import (
    Event,
    SpottingResult,
    estimate_interval,
    find_events,
    quietest_interval,
    spot_events,
)
from icegan_jax.data.spotting.stream import ROW_FIELDS, Trace, TraceRow, trace_video

__all__ = [
    "ROW_FIELDS",
    "Event",
    "SpottingResult",
    "Trace",
    "TraceRow",
    "estimate_interval",
    "find_events",
    "quietest_interval",
    "spot_events",
    "trace_video",
]
