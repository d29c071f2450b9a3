import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from icegan_jax.data.crop import CropOptions
from icegan_jax.data.spotting import ROW_FIELDS, Event, SpottingResult, Trace, TraceRow
from icegan_jax.data.video import write_video
from icegan_jax.errors import UserError
from icegan_jax.inference.ensemble import Ensemble
from icegan_jax.inference.inputs import FrameSource, open_video
from icegan_jax.inference.recognize import Recognition, recognize_spotted, recording_flags, spot_source
from tests.data.spotting.videos import another_face, rise_and_fall, video
from tests.inference.recordings import Gray, astronaut, frames

MICRO = (Event("micro", 10, 13, 16, 3.0), Event("micro", 30, 33, 36, 2.0))
MACRO = Event("macro", 5, 20, 40, 5.0)
FOLDS = ("one", "two")


class Recording:
    """A face at rest but for two events, 7 frames each, from frame 10 and from frame 30; it records what is read."""

    def __init__(self) -> None:
        still, moving = frames([0.0])[0], frames()
        self.frames = [still] * 10 + moving + [still] * 13 + moving + [still] * 10
        self.numbers_read: list[int] = []

    def read(self, numbers: Iterable[int]) -> Iterator[tuple[int, Gray]]:
        for number in numbers:
            self.numbers_read.append(number)
            yield number, self.frames[number]

    def source(self, fps: float | None = 60.0) -> FrameSource:
        return FrameSource("film", Path("film.mp4"), range(len(self.frames)), fps, self.read, is_video=True)


def spotting(*spotted: Event, frames: int = 47, seen: int = 47) -> SpottingResult:
    rows = [TraceRow(n, 0.1, 0.1, 0.1, 0.1, 0.0, 0.0, n < seen) for n in range(frames)]
    return SpottingResult(Trace.from_rows(rows, 60.0), list(spotted))


def predict(onset: Gray, apex: Gray) -> np.ndarray:
    assert onset.shape == apex.shape == (1, 64, 64)
    return np.array([[0.2, 0.9, 0.1]], np.float32)


def recognize(
    recording: Recording, *spotted: Event, fps: float = 60.0, threshold: float | None = None
) -> list[Recognition]:
    """Recognize the events with an ensemble that predicts the second of three classes."""
    networks = SimpleNamespace(
        predict=predict, fold_names=FOLDS, classes=("a", "b", "c"), calibration=None, threshold=threshold, flags=()
    )
    ensemble = cast(Ensemble, networks)
    return list(recognize_spotted(recording.source(fps), spotting(*spotted), CropOptions(size=64), ensemble))


def test_the_results_are_ordered_by_offset() -> None:
    results = recognize(Recording(), MICRO[0], MACRO, MICRO[1])
    assert [result.kind for result in results] == ["micro", "micro", "macro"]
    assert [(result.onset, result.apex, result.offset) for result in results[:2]] == [(10, 14, 16), (30, 34, 36)]
    assert [result.name for result in results] == ["film_001", "film_003", "film_002"]
    assert results[0].label == "b" and results[0].folds == FOLDS
    assert results[0].seconds(results[0].apex) == pytest.approx(14 / 60)


def test_an_event_whose_capsules_are_short_shows_no_expression() -> None:
    (result,) = recognize(Recording(), MICRO[0], threshold=0.95)
    assert (result.label, result.longest_class) == ("no expression", "b")


def test_a_macro_expression_gets_no_prediction() -> None:
    recording = Recording()
    (result,) = recognize(recording, MACRO)
    assert result.lengths is None and [flag.word for flag in result.flags] == ["macro"]
    assert (result.onset, result.apex, result.offset) == (5, 20, 40)
    assert recording.numbers_read == []


def test_only_the_frames_of_events_are_read_and_once() -> None:
    recording = Recording()
    recognize(recording, *MICRO)
    assert recording.numbers_read == [*range(10, 17), *range(30, 37)]


def test_overlapping_events_share_their_frames() -> None:
    recording = Recording()
    results = recognize(recording, Event("micro", 10, 13, 16, 3.0), Event("micro", 12, 14, 18, 2.0))
    assert [result.offset for result in results] == [16, 18]
    assert recording.numbers_read == list(range(10, 19))


def test_an_event_without_a_face_gets_no_prediction() -> None:
    recording = Recording()
    recording.frames[10:17] = [np.full((260, 240), 90, np.uint8)] * 7
    (result,) = recognize(recording, MICRO[0])
    assert result.lengths is None and result.flags[-1].word == "not_read"
    assert "no face in onset 10" in result.flags[-1].sentence


def test_a_slow_camera_is_flagged_for_every_event() -> None:
    assert "slow_camera" in [flag.word for flag in recognize(Recording(), MICRO[0], fps=25.0)[0].flags]


@pytest.mark.parametrize(("seen", "words"), [(47, []), (20, ["face_rarely_seen"])])
def test_the_flags_of_the_recording(seen: int, words: list[str]) -> None:
    flags = recording_flags(Recording().source(), spotting(seen=seen), ())
    assert [flag.word for flag in flags] == words


def test_events_of_two_people_are_flagged() -> None:
    one, two = recognize(Recording(), *MICRO)
    flags = recording_flags(Recording().source(), spotting(), (one, two))
    assert flags == []
    another = replace(two, onset_face=another_face((64, 64)))
    assert [flag.word for flag in recording_flags(Recording().source(), spotting(), (one, another))] == [
        "several_people"
    ]


def test_the_trace_has_a_row_for_each_frame(tmp_path: Path) -> None:
    recording = Recording()
    recording.frames = [*frames([0.0]) * 40]
    spotted = spot_source(recording.source(), tmp_path / "trace.csv")
    with (tmp_path / "trace.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [*ROW_FIELDS, "seconds"] and len(rows) == 40
    assert rows[39]["seconds"] == "0.650" and rows[39]["position"] == "39"
    for row, change in zip(rows, spotted.trace.change, strict=True):
        assert (row["change"] == "") == math.isnan(change)


def test_events_are_timed_by_the_frames_own_time_stamps(tmp_path: Path) -> None:
    """A camera films 10 frames per second in the dark and 60 in the light, where the face moves for 0.25 s."""
    moving = rise_and_fall(130, 145, 0.6)
    pictures = video(astronaut(), 200, smile=moving)
    times = np.concatenate([np.arange(80) / 10, 8 + np.arange(120) / 60])
    write_video(tmp_path / "film.mp4", ((times[number], picture) for number, picture in pictures), 30)
    source = open_video(tmp_path / "film.mp4", None)
    spotted = spot_source(source, tmp_path / "trace.csv")
    ((onset, apex, offset),) = [(event.onset, event.apex, event.offset) for event in spotted.events]
    assert (abs(onset - 130), abs(apex - 137.5), abs(offset - 145)) < (3, 3, 3)
    assert source.seconds(apex) == pytest.approx(8 + 57.5 / 60, abs=0.05)
    with (tmp_path / "trace.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["position"]) for row in rows] == list(range(200))
    assert rows[79]["seconds"] == "7.900"
    assert [flag.word for flag in recording_flags(source, spotted, ())] == ["rate_varies"]


def test_no_face_in_any_frame(tmp_path: Path) -> None:
    recording = Recording()
    recording.frames = [np.full((60, 60), 90, np.uint8)] * 30
    with pytest.raises(UserError, match=r"film\.mp4: no face in any frame; give a recording of a frontal face"):
        spot_source(recording.source(), tmp_path / "trace.csv")


def test_no_frame_rate(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be timed without a frame rate; give it with --fps"):
        spot_source(Recording().source(None), tmp_path / "trace.csv")
    assert not (tmp_path / "trace.csv").exists()
