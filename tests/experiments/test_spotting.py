"""The experiments of apex and event spotting on drawn faces, and their parts on what is known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments import apex_spotting, event_spotting
from experiments.event_spotting import Drift, MeasuredClip, PlantedEvent, match_events, plan_video
from icegan_jax.data.clips import Clip, read_clips
from icegan_jax.data.spotting import ROW_FIELDS, Event


@pytest.mark.slow
def test_apex_spotting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [f"--out={tmp_path}", "--subjects=1", "--frames=8", "--whole", "--exclude=p01/positive_1"]
    assert apex_spotting.main(command) == 0
    clips = {clip.name: clip for clip in read_clips(tmp_path / "drawn_0_1_8" / "clips.csv")}
    spotted, scores = pd.read_csv(tmp_path / "spotted.csv"), pd.read_csv(tmp_path / "scores.csv")
    assert len(spotted) == 3 * 10 and list(scores["clips"]) == [3] * 10 + [2] * 10
    for row in spotted.itertuples():
        clip = clips[row.clip]
        assert row.given == clip.apex and row.error == row.spotted - row.given and clip.onset < row.spotted
    for score in scores[:10].itertuples():
        own = spotted[(spotted["method"] == score.method) & (spotted["frames"] == score.frames)]
        assert score.mean == pytest.approx(own["error"].abs().mean())
    assert "| method | frames | clips |" in (tmp_path / "scores.md").read_text()
    capsys.readouterr()
    raw = tmp_path / "drawn_0_1_8" / "clips.csv"
    assert apex_spotting.main([f"--raw={raw}", f"--out={tmp_path}", "--exclude=p09/x"]) == 2
    assert f"--exclude=p09/x: no such clip in {raw}" in capsys.readouterr().err


@pytest.mark.slow
def test_event_spotting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """20 seconds of two drawn people, ten seconds each: most of what is planted is found."""
    monkeypatch.setattr(event_spotting, "SUBJECT_SECONDS", 10.0)
    monkeypatch.setattr(event_spotting, "REST_SECONDS", (1.5, 2.5))
    options = ["--minutes=0.3334", "--fps=30", "--subjects=2", "--frames=13", "--exclude=p01/surprise_1"]
    assert event_spotting.main([f"--out={tmp_path}", *options]) == 0
    trace, planted, spotted, table = (
        pd.read_csv(tmp_path / f"{n}.csv") for n in ("trace", "planted", "spotted", "table")
    )
    assert list(trace.columns) == list(ROW_FIELDS) and len(trace) == 600
    micro = spotted[spotted["kind"] == "micro"]["apex"]
    found = [((event.onset <= micro) & (micro <= event.offset)).any() for event in planted.itertuples()]
    assert len(planted) >= 6 and sum(found) >= 0.7 * len(planted)
    recall = table.set_index("subject")["apex_recall"]
    assert list(recall.index) == ["p01", "p02", "all", "all without p01/surprise_1"]
    assert recall["all"] == pytest.approx(sum(found) / len(planted))
    capsys.readouterr()
    assert event_spotting.main([f"--out={tmp_path}", "--minutes=0"]) == 2
    assert "--minutes and --fps must be positive" in capsys.readouterr().err


def test_a_plan_fills_the_video_with_clips_and_rests() -> None:
    def clip(subject: str, name: str, frames: int) -> MeasuredClip:
        image = np.zeros((60, 80), np.uint8)
        annotated = Clip("d", subject, name, 0, Path("nowhere"), 10, 14, 10 + frames - 1)
        return MeasuredClip(annotated, [image] * frames, np.array([40.0, 30.0]), np.zeros((frames, 4)), 2.0)

    people = {name: [clip(name, f"c{i}", 9 + i) for i in range(3)] for name in "ab"}
    segments = plan_video(people, 2500, 10, np.random.default_rng(0))
    assert [segment.first for segment in segments] == [0, *np.cumsum([segment.frames for segment in segments])[:-1]]
    assert sum(segment.frames for segment in segments) == 2500
    for before, here in zip(segments, segments[1:], strict=False):
        if not here.is_rest:
            assert before.is_rest and 20 <= before.frames <= 60 and before.source is here.source
    planted = event_spotting.list_planted_events(segments)
    assert len(planted) == sum(not segment.is_rest for segment in segments)
    assert all(event.apex - event.onset == 4 for event in planted)


def test_drift_wanders_as_far_and_as_fast_as_it_was_measured() -> None:
    drift = Drift(np.array([3.0, 3.0, 0.02, 0.05]), np.array([0.4, 0.4, 0.001, 0.01]))
    again = Drift.of([drift.sample(6000, np.random.default_rng(seed)) for seed in range(4)])
    np.testing.assert_allclose(again.reach, drift.reach, rtol=0.15)
    np.testing.assert_allclose(again.step, drift.step, rtol=0.15)


def test_a_hit_by_either_criterion() -> None:
    planted = [PlantedEvent("a", "x", 100, 105, 109), PlantedEvent("a", "y", 200, 205, 209)]

    def event(onset: int, apex: int, offset: int) -> Event:
        return Event("micro", onset, apex, offset, 2.0)

    half = event(100, 102, 119)  # shares 10 of 20 frames
    less = event(205, 206, 216)  # 5 of 17
    twice = event(101, 108, 110)  # overlaps more than half, but a planted event is hit once
    spotted = [half, less, event(300, 305, 309)]
    assert match_events(planted, spotted, "iou") == [(planted[0], half)]
    assert match_events(planted, spotted, "apex") == [(planted[0], half), (planted[1], less)]
    assert match_events(planted, [half, twice], "iou") == [(planted[0], twice)]
    score = event_spotting.score_events("a", planted, [*spotted, Event("macro", 0, 5, 9, 1.0)], minutes=2)
    assert (score.spotted, score.macro, score.iou_recall, score.iou_false_per_minute) == (3, 1, 0.5, 1.0)
    assert (score.apex_recall, score.apex_false_per_minute, score.apex_error_mean) == (1.0, 0.5, 2.0)
