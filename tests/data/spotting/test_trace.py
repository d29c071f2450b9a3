import math
from dataclasses import astuple

import numpy as np
import pytest

from icegan_jax.data.spotting import ROW_FIELDS, Trace, TraceRow
from icegan_jax.data.spotting.trace import half_windows
from icegan_jax.errors import UserError


def test_a_trace_holds_what_its_rows_hold() -> None:
    rows = [TraceRow(7, 0.5, 0.25, math.nan, 0.125, -1.5, 2.0, True), TraceRow(9, *[math.nan] * 6, False)]
    trace = Trace.from_rows(iter(rows), 25)
    assert (trace.fps, trace.position.tolist(), trace.seen.tolist()) == (25, [7, 9], [True, False])
    for i, row in enumerate(rows):
        columns = [getattr(trace, name)[i] for name in ROW_FIELDS]
        np.testing.assert_array_equal(np.array(columns, float), np.array(astuple(row), float))
    assert trace.change.dtype == np.float32 and trace.position.dtype == np.int64
    assert len(Trace.from_rows([], 25).position) == 0


def test_windows_are_half_a_second_and_two_whatever_the_frame_rate() -> None:
    assert [half_windows(fps) for fps in (1, 25, 60, 200)] == [(1, 1), (6, 25), (15, 60), (50, 200)]
    with pytest.raises(UserError, match="the frame rate is 0 per second"):
        half_windows(0)
