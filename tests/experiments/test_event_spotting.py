"""The experiment on seconds of drawn faces, and its parts on what is known."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from experiments import event_spotting
from experiments.event_spotting import (
    Drift,
    MeasuredClip,
    PlantedEvent,
    VideoSegment,
    estimate_noise,
    match_events,
    plan_video,
    render_segment,
)
from icegan_jax.data.clips import Clip
from icegan_jax.data.spotting import ROW_FIELDS, Event

Gray = NDArray[np.uint8]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on 20 seconds: two drawn people for ten seconds each."""
    out = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_spotting, "SUBJECT_SECONDS", 10.0)
        patch.setattr(event_spotting, "REST_SECONDS", (1.5, 2.5))
        options = ["--minutes=0.3334", "--fps=30", "--subjects=2", "--frames=13", "--exclude=p01/surprise_1"]
        assert event_spotting.main([f"--out={out}", *options]) == 0
    return out


def test_every_frame_is_built_and_looked_at(run: Path) -> None:
    trace = rows(run / "trace.csv")
    assert list(trace[0]) == list(ROW_FIELDS)
    assert [int(row["position"]) for row in trace] == list(range(600))
    assert [i for i, row in enumerate(trace) if row["step"] == "nan"] == [0, 300]  # the cut
    memory = rows(run / "memory.csv")
    assert [int(row["rows"]) for row in memory] == list(range(50, 601, 50))
    assert all(50 < float(row["mebibytes"]) <= float(row["peak"]) + 1 for row in memory)


def test_scores_are_those_of_the_events(run: Path) -> None:
    """Most of what is planted is found, and the table says how much of it."""
    planted, spotted = rows(run / "planted.csv"), rows(run / "spotted.csv")
    micro = [row for row in spotted if row["kind"] == "micro"]
    found = [
        planted_event
        for planted_event in planted
        if any(int(planted_event["onset"]) <= int(m["apex"]) <= int(planted_event["offset"]) for m in micro)
    ]
    assert len(planted) >= 6 and len(found) >= 0.7 * len(planted)
    table = {row["subject"]: row for row in rows(run / "table.csv")}
    assert list(table) == ["p01", "p02", "all", "all without p01/surprise_1"]
    assert float(table["all"]["apex_recall"]) == pytest.approx(len(found) / len(planted))
    assert float(table["all"]["apex_false_per_minute"]) == pytest.approx((len(micro) - len(found)) * 3, abs=0.01)
    assert int(table["p01"]["planted"]) + int(table["p02"]["planted"]) == len(planted)
    excluded = [
        planted_event
        for planted_event in planted
        if (planted_event["subject"], planted_event["clip"]) == ("p01", "surprise_1")
    ]
    assert int(table["all without p01/surprise_1"]["planted"]) == len(planted) - len(excluded)


def clip(subject: str, name: str, frames: int, value: int, end: tuple[float, ...] = (0, 0, 0, 0)) -> MeasuredClip:
    """A clip of a gradient with a bright patch, whose head has gone to ``end`` in its last frame."""
    image = np.tile(np.linspace(40, 120, 80), (60, 1))
    image[20:40, 30:50] += value
    trajectory = np.linspace((0, 0, 0, 0), end, frames)
    center = np.array([40.0, 30.0])
    annotated = Clip("d", subject, name, 0, Path("nowhere"), 10, 14, 10 + frames - 1)
    return MeasuredClip(annotated, [image.astype(np.uint8)] * frames, center, trajectory, 2.0)


def test_a_plan_fills_the_video_with_clips_and_rests() -> None:
    people = {name: [clip(name, f"c{i}", 9 + i, 20 * i) for i in range(3)] for name in "ab"}
    segments = plan_video(people, 2500, 10, np.random.default_rng(0))
    assert [segment.first for segment in segments] == [0, *np.cumsum([segment.frames for segment in segments])[:-1]]
    assert sum(segment.frames for segment in segments) == 2500
    for before, here in zip(segments, segments[1:], strict=False):
        same = before.source.clip.subject == here.source.clip.subject
        assert same or here.first % 600 == 0  # a minute each
        if not here.is_rest:
            assert before.is_rest and 20 <= before.frames <= 60 and before.source is here.source
        elif here.first % 600:
            assert here.previous is before.source and here.frames >= 20
    played = [segment.source.clip.clip for segment in segments if not segment.is_rest and segment.first < 600]
    assert {*played[:3]} == {*played[3:6]} == {"c0", "c1", "c2"}
    planted = event_spotting.list_planted_events(segments)
    assert [planted_event.offset - planted_event.onset for planted_event in planted] == [
        segment.frames - 1 for segment in segments if not segment.is_rest
    ]
    assert all(planted_event.apex - planted_event.onset == 4 for planted_event in planted)


def test_drift_wanders_as_far_and_as_fast_as_it_was_measured() -> None:
    drift = Drift(np.array([3.0, 3.0, 0.02, 0.05]), np.array([0.4, 0.4, 0.001, 0.01]))
    again = Drift.of([drift.sample(6000, np.random.default_rng(seed)) for seed in range(4)])
    np.testing.assert_allclose(again.reach, drift.reach, rtol=0.15)
    np.testing.assert_allclose(again.step, drift.step, rtol=0.15)


def test_a_rest_leads_from_where_a_clip_ended_to_where_the_next_begins() -> None:
    before, after = clip("a", "x", 9, 60, end=(5, -4, 0, 0.1)), clip("a", "y", 9, 90)
    drift = Drift(np.array([2.0, 2.0, 0.01, 0.02]), np.array([0.3, 0.3, 0.001, 0.003]))
    frames = list(render_segment(VideoSegment(0, 60, after, before, True), drift, np.random.default_rng(0)))
    assert len(frames) == 60 and frames[0].dtype == np.uint8
    moved = cv2.warpAffine(before.frames[0].astype(np.float32), np.float32([[1, 0, 5], [0, 1, -4]]), (80, 60))
    inside = np.s_[8:-8, 8:-8]
    assert np.abs(frames[0] - np.exp(0.1) * moved)[inside].mean() < 2.5  # noise of deviation 2 has a mean of 1.6
    assert np.abs(frames[-1] - after.frames[0].astype(float))[inside].mean() < 3
    assert np.abs(frames[30] - moved)[inside].mean() > 5
    assert np.mean([estimate_noise(a, b) for a, b in zip(frames, frames[1:], strict=False)]) == pytest.approx(
        2.0, abs=0.3
    )
    assert [
        frame is played
        for frame, played in zip(
            render_segment(VideoSegment(0, 9, after, None, False), drift, None), after.frames, strict=True
        )
    ]


def test_a_hit_by_either_criterion() -> None:
    planted = [PlantedEvent("a", "x", 100, 105, 109), PlantedEvent("a", "y", 200, 205, 209)]

    def event(onset: int, apex: int, offset: int) -> Event:
        return Event("micro", onset, apex, offset, 2.0)

    half = event(100, 102, 119)  # shares 10 of 20 frames
    less = event(205, 206, 216)  # 5 of 17
    twice = event(101, 108, 110)  # overlaps more than half, but a planted event is hit once
    beside = event(300, 305, 309)
    spotted = [half, less, beside]
    assert match_events(planted, spotted, "iou") == [(planted[0], half)]
    assert match_events(planted, spotted, "apex") == [(planted[0], half), (planted[1], less)]
    assert match_events(planted, [half, twice], "iou") == [(planted[0], twice)]
    score = event_spotting.score_events("a", planted, [*spotted, Event("macro", 0, 5, 9, 1.0)], minutes=2)
    assert (score.spotted, score.macro, score.iou_recall, score.iou_false_per_minute) == (3, 1, 0.5, 1.0)
    assert (score.apex_recall, score.apex_false_per_minute) == (1.0, 0.5)
    assert (score.apex_error_mean, score.apex_error_median) == (2.0, 2.0)


def test_bad_input_is_one_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn = run / "drawn_0_2_13" / "clips.csv"
    lines = drawn.read_text().replace("frames/", f"{drawn.parent}/frames/").splitlines()
    cells = lines[1].split(",")
    raw = tmp_path / "clips.csv"
    raw.write_text("\n".join([lines[0], ",".join([*cells[:6], "", cells[7]])]))
    one = tmp_path / "one.csv"
    one.write_text("\n".join(lines[:2]))
    for command, message in (
        ([f"--raw={raw}"], f"error: clip {'/'.join(cells[:3])}: the apex is empty; fill in the column apex\n"),
        ([f"--raw={one}", "--exclude=p9/x"], f"error: --exclude=p9/x: no such clip in {one}; give SUBJECT/CLIP\n"),
        (["--minutes=0"], "error: --minutes and --fps must be positive, and --seed not negative\n"),
    ):
        assert event_spotting.main([*command, f"--out={tmp_path}"]) == 2
        assert capsys.readouterr().err.endswith(message)
        assert not (tmp_path / "video.mkv").exists()
