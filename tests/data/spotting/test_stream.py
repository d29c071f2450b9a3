"""The trace of a video: a row per frame, one face at a time, bounded memory."""

import math
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from itertools import chain

import numpy as np
import pytest
from numpy.typing import NDArray

from icegan_jax.data.landmarks import Face
from icegan_jax.data.spotting import ROW_FIELDS, Trace, TraceRow, stream, trace_video
from icegan_jax.data.spotting.stream import half_windows
from icegan_jax.errors import UserError
from tests.data.spotting.videos import FPS, another_face, video

Gray = NDArray[np.uint8]


def test_rows_come_a_second_behind_the_frames_and_memory_does_not_grow(face_image: Gray) -> None:
    read = 0

    def counted(frames: int) -> Iterator[tuple[int, Gray]]:
        nonlocal read
        for item in video(face_image, frames):
            read += 1
            yield item

    lag, held = [], []
    tracemalloc.start()
    for row in trace_video(counted(120), fps=10):
        lag.append(read - row.position)
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert set(lag[:109]) == {11}  # the frame itself and 10 after it
    crop = 72 * 72 * 4
    assert abs(held[105] - held[40]) < 3 * crop
    assert held[105] - held[0] < 20 * crop


def test_the_head_is_followed_however_far_it_goes(face_image: Gray) -> None:
    """By 50 pixels, half of its width: the frame that is compared with is replaced on the way."""
    wide = np.pad(face_image, ((0, 0), (40, 40)), mode="edge")
    rows = list(trace_video(video(wide, 100, shift=lambda i: (0.5 * i - 25, 0.2 * i)), FPS))
    trace = Trace.from_rows(rows, FPS)
    assert trace.seen.all()
    np.testing.assert_allclose(np.diff(trace.dx), 0.5, atol=0.15)
    np.testing.assert_allclose(trace.dx[-1], 49.5, atol=2.5)  # it turns, too, about the picture's middle
    assert np.nanmax(trace.change) < 1.5 * np.nanmedian(trace.change)


def test_a_face_is_detected_once_a_second_without_a_tracked_face(
    face_image: Gray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And checked every half minute where there is one."""
    detections: list[int] = []
    at = 0
    real = stream.find_face

    def find(images: Sequence[Gray], tries: int, turns: tuple[int, ...]) -> Face | None:
        detections.append(at)
        return real(images, tries, turns)

    monkeypatch.setattr(stream, "find_face", find)

    def frames() -> Iterator[tuple[int, Gray]]:
        nonlocal at
        blank = ((i, np.full(face_image.shape, 128, np.uint8)) for i in range(25))
        for item in chain(blank, video(face_image, 330, first=25)):
            at = item[0]
            yield item

    trace = Trace.from_rows(trace_video(frames(), fps=10), 10)
    assert detections == [0, 10, 20, 30, 330]
    assert np.flatnonzero(trace.seen)[0] == 30 and trace.seen[30:].all()


def test_tracking_restarts_where_a_detection_disagrees(face_image: Gray, monkeypatch: pytest.MonkeyPatch) -> None:
    """The picture slides, too slowly to be a cut, away from what the tracker holds."""
    monkeypatch.setattr(stream.Tracker, "track", lambda self, frame: True)
    monkeypatch.setattr(stream, "_CHECK_SECONDS", 1.0)
    far = np.roll(face_image, 40, axis=1)
    trace = Trace.from_rows(trace_video(((i, face_image if i < 5 else far) for i in range(20)), fps=10), 10)
    assert np.isnan(trace.step[10]) and np.isfinite(trace.step[[9, 11]]).all()


def test_a_frame_of_another_size_is_a_cut(face_image: Gray) -> None:
    smaller = np.ascontiguousarray(face_image[10:, 10:])
    trace = Trace.from_rows(trace_video(((i, face_image if i < 12 else smaller) for i in range(24)), fps=10), 10)
    assert trace.seen.all() and np.isnan(trace.step[12])


def test_a_head_that_leaves_the_picture_is_not_seen(face_image: Gray) -> None:
    frames = ((i, np.pad(face_image, ((0, 0), (8 * i, 0)), mode="edge")[:, :240]) for i in range(30))
    trace = Trace.from_rows(trace_video(frames, fps=10), 10)
    assert trace.seen[:8].all() and not trace.seen[-3:].any()


def test_a_recording_on_its_side_is_turned(face_image: Gray) -> None:
    frames = [(i, frame) for i, frame in video(face_image, 30, shift=lambda i: (0.5 * i, 0.0))]
    upright, turned = (
        Trace.from_rows(trace_video(((i, np.rot90(frame, k)) for i, frame in frames), fps=10), 10) for k in (0, 1)
    )
    assert turned.seen.all()
    np.testing.assert_allclose(turned.dx, upright.dx, atol=0.2)
    np.testing.assert_allclose(turned.step, upright.step, rtol=0.1)


def test_the_frames_of_the_same_face(face_image: Gray) -> None:
    smaller = np.ascontiguousarray(face_image[10:, 10:])
    trace = Trace.from_rows(trace_video(((i, face_image if i < 12 else smaller) for i in range(24)), fps=10), 10)
    assert trace.frames_of_same_face(15) == list(range(12, 24)) and trace.frames_of_same_face(0) == list(range(12))


def test_a_large_picture_is_searched_at_a_smaller_scale(face_image: Gray, monkeypatch: pytest.MonkeyPatch) -> None:
    large = np.kron(face_image, np.ones((4, 4), np.uint8))
    sizes = []
    real = stream.find_face

    def find(images: Sequence[Gray], tries: int, turns: tuple[int, ...]) -> Face | None:
        sizes.append(images[0].shape)
        return real(images, tries, turns)

    monkeypatch.setattr(stream, "find_face", find)
    actual, here = stream._detect_face(large), real([face_image])
    assert actual is not None and here is not None and max(sizes[0]) == 640
    np.testing.assert_allclose((actual.points + 0.5) / 4 - 0.5, here.points, atol=2)


def test_another_face_correlates_less(face_image: Gray) -> None:
    """The threshold lies between two frames of one face and two faces in one place."""
    face = stream._detect_face(face_image)
    assert face is not None
    tracker = stream.Tracker(face_image, face, FPS)
    assert not tracker.track(another_face(face_image.shape))
    ((_, noisy),) = video(face_image, 1, smile=lambda i: 1.0, shift=lambda i: (2.0, 1.0))
    assert tracker.track(noisy)


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
    for fps in (0, -25, math.nan, math.inf):
        with pytest.raises(UserError, match="the frame rate is .* per second; give a positive number"):
            trace_video(iter(()), fps)
