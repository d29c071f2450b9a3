"""Spotting expressions in long videos, in memory that does not grow.

``tracker`` follows the face and masks the part of it that is compared, ``change`` measures how much the face changed,
``stream`` makes one row per frame, ``trace`` holds the rows, ``events`` finds expressions in them.
"""

from icegan_jax.data.spotting.events import Event, SpottingResult, find_events, quietest_interval, spot_events
from icegan_jax.data.spotting.stream import trace_video
from icegan_jax.data.spotting.trace import ROW_FIELDS, Row, Trace

__all__ = [
    "ROW_FIELDS",
    "Event",
    "Row",
    "SpottingResult",
    "Trace",
    "find_events",
    "quietest_interval",
    "spot_events",
    "trace_video",
]
