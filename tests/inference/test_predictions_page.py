from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from icegan_jax.inference import predictions_page
from icegan_jax.inference.describe import describe_networks
from icegan_jax.inference.ensemble import load_ensemble
from icegan_jax.inference.outputs import score_predictions
from icegan_jax.inference.predictions_page import render_predictions_page
from icegan_jax.inference.quality_flags import QualityFlag
from icegan_jax.inference.recognize import Recognition
from icegan_jax.inference.timeline import read_timeline
from icegan_jax.io import read_json
from tests.inference.test_visualize import CLASSES, make_result
from tests.reporting.parsed_page import ParsedPage

NETWORKS = {"run": "demo", "networks": "fold a", "held-out scores": "UF1 0.5"}


def render(results: list[Recognition], **changes: object) -> str:
    content = {"flags": [], "networks": NETWORKS, "files": {}, "score": score_predictions(results, CLASSES)}
    return render_predictions_page("Predictions", results, CLASSES, **(content | changes))


def test_a_flag_of_all_results_appears_once_in_the_page() -> None:
    shared = QualityFlag("rate_unknown", "No rate is known.")
    other = make_result(name="b", flags=(shared, QualityFlag("close_call", "Two are alike.")))
    page = render([make_result(flags=(shared,)), other])
    assert page.count("No rate is known.") == 1
    assert "clip&lt;1&gt;" in page and "clip<1>" not in page
    ParsedPage(page).check_self_contained()


def test_the_page_says_that_there_are_no_events_and_which_networks_answered() -> None:
    page = render([], flags=[QualityFlag("slow_camera", "Filmed slowly.")])
    words = ParsedPage(page).words()
    assert "No event was found." in words and "Filmed slowly." in words
    assert "Answered by the run demo, fold a." in words and "held-out scores UF1 0.5" in words


def test_scores_and_wrong_answers_are_in_the_page() -> None:
    right = np.array([0.1, 0.9, 0.2], np.float32)
    parsed = ParsedPage(
        render([make_result(), make_result(name="b", lengths=right), make_result(name="c", truth=None)])
    )
    words = parsed.words()
    assert "1 of 2 clips right by the longest capsule" in words and "0.500 accuracy" in words and "0.333 UF1" in words
    assert "positive 1 50% 1 50% 0 0%" in words  # answered negative, positive, surprise
    rows = [row for row in parsed.every("tr") if "data-card" in row]
    assert [(row["data-card"], row.get("data-wrong")) for row in rows] == [("clip<1>", "yes"), ("b", None), ("c", None)]
    assert "wrong answers only" in words
    missed = ParsedPage(render([make_result(truth="negative", threshold=0.8), make_result(name="b")])).words()
    assert "also for the 1 clip answered" in missed and "missed" in missed
    assert "wrong answers only" not in render([make_result(truth=None), make_result(name="b", truth=None)])


def test_the_faces_are_in_the_page_as_the_networks_received_them(monkeypatch: pytest.MonkeyPatch) -> None:
    results = [make_result(), make_result(name="b")]
    onset, apex, again, difference = ParsedPage(render(results[:1])).pictures()
    assert (onset == 120).all() and (again == onset).all() and onset.shape == difference.shape == (32, 32, 3)
    assert (apex[8:16] == 150).all()
    monkeypatch.setattr(predictions_page, "MAX_DRAWN", 1)
    page = render(results)
    assert "The pictures of the other 1 are in the folder strips" in page
    assert len(ParsedPage(page).pictures()) == 4


def test_the_timeline_and_the_files_beside_the_page(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    changes = ["", *(f"{0.01 if second else 0.5}" for second in range(9))]
    rows = "".join(f"{i},{change},{i}\n" for i, change in enumerate(changes))
    trace.write_text(f"position,change,seconds\n{rows}")
    event = make_result(onset=110, apex=210, offset=310, lengths=np.array([0.1, 0.9, 0.2], np.float32))
    timeline = read_timeline(trace, [event])
    ((name, text, color, left, width),) = timeline.events
    assert (name, color) == ("clip<1>", "#e69f00") and text == "clip<1>: positive, 1.00 to 3.00 s"
    assert left == pytest.approx(1000 / 9) and width == pytest.approx(2000 / 9)
    assert [text for _, text in timeline.ticks][:3] == ["0:00", "0:02", "0:04"]
    assert timeline.curve.startswith("M111 0.0L222 98.0") and timeline.curve.count("M") == 1
    files = {"annotated.mp4": "copy of the video", "trace.csv": "change of each frame"}
    parsed = ParsedPage(render([event], timeline=timeline, files=files))
    links = [str(link["href"]) for link in parsed.every("a")]
    assert (
        links[:3] == [*files, "#clip%3C1%3E"] and "annotated.mp4#t=0.50" in links and "strips/clip%3C1%3E.png" in links
    )
    macro = replace(event, lengths=None, kind="macro")
    no_face = read_timeline(trace, [macro])
    assert no_face.colors == {"macro": "#8a919c"}
    assert not [link for link in ParsedPage(render([macro], timeline=no_face)).every("a") if link.get("href")]


def test_the_description_of_the_networks(run_dir: Path) -> None:
    ensemble = load_ensemble(run_dir, generator=False)
    description = describe_networks(ensemble)
    uf1 = read_json(run_dir / "results.json")["overall"]["uf1"]
    assert description["networks"] == "mean over 3 folds" and description["databases"] == "tiny"
    assert description["held-out scores"].startswith(f"UF1 {uf1:.3f} [")
    unfinished = replace(ensemble, run_dir=run_dir / "folds")
    assert describe_networks(unfinished)["held-out scores"] == "none, as the run has no results yet"
