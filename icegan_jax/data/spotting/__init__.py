"""Spotting expressions in long videos, in memory that does not grow.

``tracking`` follows the face, ``skin`` says which part of it is compared and ``change`` how, ``stream`` makes a row of
every frame, ``trace`` holds the rows, ``events`` finds expressions in them, ``quiet`` a moment of rest, ``spot`` does
it all; ``timing`` knows how long expressions last.
"""

from icegan_jax.data.spotting.events import Event, SpottingResult, find_events, quietest_interval, spot_events
from icegan_jax.data.spotting.stream import trace_video
from icegan_jax.data.spotting.trace import ROW_FIELDS, Row, Trace

__all__ = ["ROW_FIELDS", "Event", "Row", "Spotting", "Trace", "find_events", "follow", "quietest", "spot_events"]
