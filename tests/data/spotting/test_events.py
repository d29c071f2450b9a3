"""Events of synthetic traces: what is an event, where it starts and where it ends."""

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from icegan_jax.data.spotting import ROW_FIELDS, Trace, estimate_interval, find_events

FPS = 60.0
FLOOR = 0.02  # what noise alone amounts to

Signal = NDArray[np.float64]


def displacement(frames: int, *bumps: tuple[int, int, float]) -> Signal:
    """A face that moves to ``height`` between onset and offset, once per bump."""
    i = np.arange(frames)
    moved = np.zeros(frames)
    for onset, offset, height in bumps:
        share = np.clip((i - onset) / (offset - onset), 0, 1)
        moved += height * np.sin(np.pi * share) ** 2
    return moved


def traced(moved: Signal, fps: float = FPS, noise: float = 0.001, seed: int = 0) -> Trace:
    """The trace of a face of which one number tells how far it has moved, through noise."""
    n = len(moved)
    rng = np.random.default_rng(seed)

    def measured(signal: Signal) -> NDArray[np.float32]:
        return (np.hypot(signal, FLOOR) + noise * rng.standard_normal(n)).astype(np.float32)

    def around(far: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        before, after = np.full(n, np.nan), np.full(n, np.nan)
        before[far:], after[:-far] = moved[:-far], moved[far:]
        return measured(moved - (before + after) / 2), measured(after - before)

    change, lasting = around(round(fps / 4))
    slow, _ = around(round(fps))
    step = measured(np.diff(moved, prepend=np.nan))  # not known of the first frame: a stretch begins
    nothing = np.zeros(n, np.float32)
    return Trace(fps, np.arange(n) + 5, change, lasting, slow, step, nothing, nothing, np.ones(n, bool))


@pytest.mark.parametrize(("fps", "length"), [(60.0, 12), (60.0, 18), (60.0, 29), (200.0, 60), (25.0, 10)])
def test_a_micro_expression_is_found_where_it_is(fps: float, length: int) -> None:
    onset = round(10 * fps)
    (event,) = find_events(traced(displacement(round(20 * fps), (onset, onset + length, 0.1)), fps))
    assert event.kind == "micro" and event.strength > 1
    # Positions in the trace begin at 5.
    slack = max(1, length // 8)
    assert abs(event.onset - (onset + 5)) <= slack and abs(event.offset - (onset + length + 5)) <= slack
    assert abs(event.apex - (onset + 5 + length / 2)) <= max(1, length // 20)


def test_each_of_several_is_found_and_its_echoes_are_not() -> None:
    """Half a window before and after an event the change is half as large: no further event."""
    onsets = [300, 500, 640, 900, 1300]
    events = find_events(traced(displacement(1800, *((onset, onset + 20, 0.08 + onset / 1e4) for onset in onsets))))
    assert [event.kind for event in events] == ["micro"] * 5
    assert [event.apex - 15 for event in events] == pytest.approx(onsets, abs=1)


@pytest.mark.parametrize("apart", [50, 60, 70])
def test_an_expression_a_second_after_another_is_found_as_it_is(apart: int) -> None:
    """At the scale of two seconds each hides the other."""
    first, second = find_events(traced(displacement(1800, (600, 620, 0.1), (600 + apart, 620 + apart, 0.2))))
    assert [first.kind, second.kind] == ["micro", "micro"]
    assert [first.onset, first.offset] == pytest.approx([605, 625], abs=3)
    assert [second.onset, second.offset] == pytest.approx([605 + apart, 625 + apart], abs=3)


def test_an_event_near_the_ends_of_a_video_spans_onset_to_offset() -> None:
    """Within a second of the ends the change at the scale of two seconds is unknown."""
    events = find_events(traced(displacement(270, (15, 25, 0.1), (240, 250, 0.1)), 30.0))
    assert [(event.onset - 5, event.offset - 5) for event in events] == [(15, 25), (240, 250)]


@pytest.mark.parametrize("length", [42, 75])
def test_a_longer_expression_is_a_macro_expression(length: int) -> None:
    (event,) = find_events(traced(displacement(2400, (1000, 1000 + length, 0.2))))
    assert event.kind == "macro"
    assert event.onset == pytest.approx(1005, abs=15) and event.offset == pytest.approx(1005 + length, abs=15)


@pytest.mark.parametrize(("rest", "end"), [(0.0, 45), (0.06, 45), (0.095, 79)])
def test_each_side_of_the_apex_of_a_clip_has_its_own_level_at_rest(rest: float, end: int) -> None:
    """A face that does not return to the onset exactly is at rest all the same; a face that keeps the change is not."""
    change = 0.001 + displacement(80, (25, 45, 0.1))
    change[36:] = np.maximum(change[36:], rest)
    onset, offset = estimate_interval(dict(enumerate(change.tolist())))
    assert abs(onset - 25) <= 2 and abs(offset - end) <= 4


def test_a_lasting_change_is_no_micro_expression() -> None:
    moved = displacement(1200, (600, 640, 0.2))
    moved[620:] = 0.2
    events = find_events(traced(moved))
    assert not [event for event in events if event.kind == "micro"]
    brief = displacement(1200, (600, 612, 0.2))
    brief[606:616] = 0.2
    brief[616:622] = displacement(1200, (610, 622, 0.2))[
        616:622
    ]  # and what comes back after a third of a second is one
    assert [event.kind for event in find_events(traced(brief))] == ["micro"]


def test_noise_gives_no_event_however_much_there_is() -> None:
    for noise in (0.0001, 0.001, 0.004):
        assert not find_events(traced(np.zeros(36000), noise=noise))
    assert not find_events(traced(np.zeros(600), noise=0))


def joined(*traces: Trace) -> Trace:
    """Stretches of a video, with a cut between them."""
    columns = {name: np.concatenate([getattr(trace, name) for trace in traces]) for name in ROW_FIELDS}
    columns["position"] = np.arange(len(columns["position"])) + 5
    return Trace(FPS, **columns)


def test_every_stretch_has_its_own_threshold() -> None:
    """The same small event is found in a quiet stretch and not in a noisy one, and the cut is none."""
    moved = displacement(3000, (1500, 1518, 0.04))
    noisy, quiet = traced(moved, noise=0.004), traced(moved, noise=0.0005, seed=1)
    (event,) = find_events(joined(noisy, quiet, noisy))
    assert abs(event.apex - (3000 + 1514)) <= 1


def test_the_threshold_follows_the_noise_of_a_stretch() -> None:
    moved = displacement(24000, (1500, 1518, 0.04), (22500, 22518, 0.04))
    quiet, noisy = traced(moved, noise=0.0005), traced(moved, noise=0.002)
    share = np.clip((np.arange(24000) - 6000) / 12000, 0, 1)
    mixed = {name: (1 - share) * getattr(quiet, name) + share * getattr(noisy, name) for name in ("change", "slow")}
    first, *more = find_events(dataclasses.replace(noisy, **mixed))
    assert abs(first.apex - 1514) <= 1
    assert not more or (len(more) == 1 and more[0].strength < 0.4 * first.strength)


def test_frames_without_a_face_are_no_events_and_hide_none() -> None:
    trace = traced(displacement(6000, (1000, 1020, 0.1), (5000, 5020, 0.1)))
    trace.seen[1200:4800] = False
    for values in (trace.change, trace.slow, trace.lasting, trace.step):
        values[1200:4801] = np.nan
    assert [event.apex for event in find_events(trace)] == pytest.approx([1015, 5015], abs=1)
    for values in (trace.change, trace.slow, trace.lasting):
        values[:] = np.nan
    assert find_events(trace) == []


@pytest.mark.parametrize("frames", [0, 1, 20, 40])
def test_a_trace_that_is_too_short_has_none(frames: int) -> None:
    unknown = np.full(frames, np.nan, np.float32)
    trace = Trace(FPS, np.arange(frames), *[unknown] * 6, np.ones(frames, bool))
    assert find_events(trace) == []
