import csv
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from icegan_jax.data.crop import CropOptions
from icegan_jax.data.spotting import ROW_FIELDS, Event, SpottingResult, Trace, TraceRow
from icegan_jax.errors import UserError
from icegan_jax.inference import events
from icegan_jax.inference.inputs import FrameSource
from tests.inference.moving import Grey, frames

OPTIONS = CropOptions(size=64)
FOLDS = ("one", "two")


class Recording:
    """A face at rest but for two events, 7 frames each, from frame 10 and from frame 30; it notes what is read."""

    def __init__(self) -> None:
        still, moving = frames([0.0])[0], frames()
        self.frames = [still] * 10 + moving + [still] * 13 + moving + [still] * 10
        self.read_so_far: list[int] = []

    def read(self, numbers: Iterable[int]) -> Iterator[tuple[int, Grey]]:
        for number in numbers:
            self.read_so_far.append(number)
            yield number, self.frames[number]

    def source(self, fps: float | None = 60.0) -> FrameSource:
        return FrameSource("film", Path("film.mp4"), range(len(self.frames)), fps, self.read, video=True)


def spotting(*found: Event, frames: int = 47, seen: int = 47) -> SpottingResult:
    rows = [TraceRow(n, 0.1, 0.1, 0.1, 0.1, 0.0, 0.0, n < seen) for n in range(frames)]
    return SpottingResult(Trace.from_rows(rows, 60.0), list(found))


def lengths(onset: Grey, apex: Grey) -> np.ndarray:
    assert onset.shape == apex.shape == (1, 64, 64)
    return np.array([[0.2, 0.9, 0.1]], np.float32)


MICRO = (Event("micro", 10, 13, 16, 3.0), Event("micro", 30, 33, 36, 2.0))
MACRO = Event("macro", 5, 20, 40, 5.0)


def test_every_event_is_read_in_the_order_of_their_ends() -> None:
    recording = Recording()
    found = list(
        events.recognize_candidates(recording.source(), spotting(MICRO[0], MACRO, MICRO[1]), OPTIONS, lengths, FOLDS)
    )
    assert [recognition.kind for recognition in found] == ["micro", "micro", "macro"]
    assert [(recognition.onset, recognition.apex, recognition.offset) for recognition in found[:2]] == [
        (10, 14, 16),
        (30, 34, 36),
    ]
    assert [recognition.name for recognition in found] == ["film_001", "film_003", "film_002"]
    assert found[0].label == "b" and found[0].folds == FOLDS
    assert found[0].seconds(found[0].apex) == pytest.approx(14 / 60)


def test_no_network_is_asked_about_a_macro_expression() -> None:
    recording = Recording()
    (recognition,) = events.recognize_candidates(recording.source(), spotting(MACRO), OPTIONS, lengths, FOLDS)
    assert recognition.lengths is None and [flag.word for flag in recognition.flags] == ["macro"]
    assert (recognition.onset, recognition.apex, recognition.offset) == (5, 20, 40)
    assert recording.read_so_far == []


def test_only_the_frames_of_events_are_read_and_once() -> None:
    recording = Recording()
    list(events.recognize_candidates(recording.source(), spotting(*MICRO), OPTIONS, lengths, FOLDS))
    assert recording.read_so_far == [*range(10, 17), *range(30, 37)]


def test_events_that_overlap_share_their_frames() -> None:
    recording = Recording()
    overlapping = (Event("micro", 10, 13, 16, 3.0), Event("micro", 12, 14, 18, 2.0))
    found = list(events.recognize_candidates(recording.source(), spotting(*overlapping), OPTIONS, lengths, FOLDS))
    assert [recognition.offset for recognition in found] == [16, 18]
    assert recording.read_so_far == list(range(10, 19))


def test_an_event_without_a_face_is_named_without_an_answer() -> None:
    recording = Recording()
    recording.frames[10:17] = [np.full((260, 240), 90, np.uint8)] * 7
    (recognition,) = events.recognize_candidates(recording.source(), spotting(MICRO[0]), OPTIONS, lengths, FOLDS)
    assert recognition.lengths is None and recognition.flags[-1].word == "not_read"
    assert "no face in onset 10" in recognition.flags[-1].sentence


def test_a_slow_camera_is_said_of_every_event() -> None:
    found = events.recognize_candidates(Recording().source(25.0), spotting(MICRO[0]), OPTIONS, lengths, FOLDS)
    assert "slow_camera" in [flag.word for flag in next(found).flags]


@pytest.mark.parametrize(("seen", "words"), [(47, []), (20, ["face_rarely_seen"])])
def test_what_is_said_of_the_whole(seen: int, words: list[str]) -> None:
    found = events.recording_flags(Recording().source(), spotting(seen=seen))
    assert [flag.word for flag in found] == words


def test_the_trace_is_written_as_it_is_found(tmp_path: Path) -> None:
    recording = Recording()
    recording.frames = [*frames([0.0]) * 40]
    spotted = events.spot_events_in(recording.source(), tmp_path / "trace.csv")
    with (tmp_path / "trace.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [*ROW_FIELDS, "seconds"] and len(rows) == 40
    assert rows[39]["seconds"] == "0.650" and rows[39]["position"] == "39"
    for row, change in zip(rows, spotted.trace.change, strict=True):
        assert (row["change"] == "") == math.isnan(change)


def test_no_face_in_any_frame(tmp_path: Path) -> None:
    recording = Recording()
    recording.frames = [np.full((60, 60), 90, np.uint8)] * 30
    with pytest.raises(UserError, match=r"film\.mp4: no face in any frame; give a recording of a frontal face"):
        events.spot_events_in(recording.source(), tmp_path / "trace.csv")


def test_no_rate(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be timed without a frame rate; name it with --fps"):
        events.spot_events_in(Recording().source(None), tmp_path / "trace.csv")
    assert not (tmp_path / "trace.csv").exists()
