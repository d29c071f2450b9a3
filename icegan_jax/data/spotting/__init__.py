"""Spotting of expressions in long videos, in bounded memory.

``tracker`` tracks the face and masks the part of the face that is compared, ``change`` measures changes of the face,
``stream`` computes one row of measurements per frame, ``trace`` holds the rows, and ``events`` finds expressions.
"""

from icegan_jax.data.spotting.events import Event, SpottingResult, find_events, quietest_interval, spot_events
from icegan_jax.data.spotting.stream import trace_video
from icegan_jax.data.spotting.trace import ROW_FIELDS, Trace, TraceRow

__all__ = [
    "ROW_FIELDS",
    "Event",
    "SpottingResult",
    "Trace",
    "TraceRow",
    "find_events",
    "quietest_interval",
    "spot_events",
    "trace_video",
]
