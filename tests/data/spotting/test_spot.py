"""Event spotting on seconds of video: planted expressions are spotted, other changes are not."""

from itertools import chain

import numpy as np
import pytest
from numpy.typing import NDArray

from icegan_jax.data.spotting import SpottingResult, Trace, TraceRow, spot_events
from tests.data.spotting.videos import FPS, another_face, nod, rise_and_fall, video

Gray = NDArray[np.uint8]


def events(spotting: SpottingResult, kind: str) -> list[tuple[int, int, int]]:
    return [(event.onset, event.apex, event.offset) for event in spotting.events if event.kind == kind]


def test_a_smile_of_a_third_of_a_second_on_a_moving_head_is_found(face_image: Gray) -> None:
    """It moves by 2 pixels, the head by 4."""
    frames = video(face_image, 130, smile=rise_and_fall(60, 70, 0.35), shift=nod, first=1000)
    rows: list[TraceRow] = []
    spotting = spot_events(frames, FPS, on_row=rows.append)
    ((onset, apex, offset),) = events(spotting, "micro")
    assert abs(apex - 1065) <= 1 and abs(onset - 1060) <= 1 and abs(offset - 1070) <= 1
    assert len(spotting.events) == 1 and spotting.events[0].strength > 2
    again = Trace.from_rows(rows, FPS)
    assert again.position.tolist() == list(range(1000, 1130))
    np.testing.assert_array_equal(again.change, spotting.trace.change)


def test_a_smile_of_more_than_a_second_is_no_micro_expression(face_image: Gray) -> None:
    spotting = spot_events(video(face_image, 240, smile=rise_and_fall(100, 140, 0.6), shift=nod), FPS)
    ((onset, apex, offset),) = events(spotting, "macro")
    assert abs(apex - 120) <= 4 and 100 <= onset <= 110 and 130 <= offset <= 140
    assert not events(spotting, "micro")


def test_a_smile_that_stays_is_no_micro_expression(face_image: Gray) -> None:
    def smile(i: int) -> float:
        return 0.6 * min(1.0, max(0.0, (i - 60) / 6))

    spotting = spot_events(video(face_image, 130, smile=smile, shift=nod), FPS)
    assert np.nanmax(spotting.trace.change) > 3 * np.nanmedian(spotting.trace.change)  # it was seen
    assert not events(spotting, "micro")


@pytest.mark.parametrize("case", ["noise", "nodding", "light", "overexposed"])
def test_changes_without_an_expression_give_no_event(face_image: Gray, case: str) -> None:
    options = {
        "noise": {},
        "nodding": {"shift": nod},
        "light": {"light": lambda i: 1 + 0.1 * np.sin(i / 6)},
        "overexposed": {"light": lambda i: 1.2 * (1 + 0.1 * np.exp(-(((i - 65) / 4) ** 2)))},
    }[case]
    spotting = spot_events(video(face_image, 130, **options), FPS)
    assert spotting.trace.seen.all()
    assert not spotting.events


def test_a_cut_to_another_person_gives_no_event(face_image: Gray) -> None:
    """Nothing is compared across it: the first and last quarter of a second of both sides have no change."""
    other = another_face(face_image.shape)
    spotting = spot_events(chain(video(face_image, 70), video(other, 70, first=70)), FPS)
    trace = spotting.trace
    assert trace.seen.all() and not spotting.events
    unknown = np.flatnonzero(np.isnan(trace.change)).tolist()
    assert unknown == [*range(8), *range(62, 78), *range(132, 140)]
    assert np.isnan(trace.step[70]) and np.isfinite(trace.step[[69, 71]]).all()
    assert trace.dx[70] == 0 and trace.dy[70] == 0


def test_a_video_of_three_frames_and_one_without_a_face(face_image: Gray) -> None:
    short = spot_events(video(face_image, 3), FPS)
    assert short.trace.seen.all() and np.isnan(short.trace.change).all() and not short.events
    blank = spot_events(((i, np.full((120, 160), 128, np.uint8)) for i in range(40)), FPS)
    assert not blank.trace.seen.any() and np.isnan(blank.trace.dx).all() and not blank.events
    assert spot_events(iter(()), FPS).events == []
