from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.errors import UserError
from icegan_jax.inference.app import html as html_module
from icegan_jax.inference.app.recognition import recognize_pair_html, recognize_video_html
from icegan_jax.inference.ensemble import Ensemble, load_ensemble
from icegan_jax.inference.face_crops import FIRST
from icegan_jax.inference.quality_flags import QualityFlag
from icegan_jax.inference.recognize import Recognition
from tests.inference.recordings import write_pair, write_video


@pytest.fixture(scope="module")
def ensemble(run_dir: Path) -> Ensemble:
    return load_ensemble(run_dir, generator=False)


def test_the_result_of_a_pair(ensemble: Ensemble, tmp_path: Path) -> None:
    html = recognize_pair_html(ensemble, *write_pair(tmp_path))
    assert html.count("<figure>") == 3 and html.count("<img ") == 3
    assert sum(f'<p class="class">{name}</p>' in html for name in ensemble.classes) == 1
    assert "the networks of 3 folds" in html


def test_a_short_video_is_one_clip(ensemble: Ensemble, tmp_path: Path) -> None:
    html = recognize_video_html(ensemble, write_video(tmp_path / "film.avi", fps=100), None, FIRST)
    assert "<b>apex</b> 0.04 s" in html and "Filmed at" not in html
    slow = recognize_video_html(ensemble, tmp_path / "film.avi", 20.0, FIRST)
    assert "<b>apex</b> 0.20 s" in slow and "Filmed at 20 frames per second" in slow


def test_the_events_of_a_long_video(ensemble: Ensemble, tmp_path: Path) -> None:
    """Twice the same expression, a second and a half apart."""
    still, once = [0.0] * 30, [0.2, 0.6, 1.0, 1.0, 0.6, 0.2]
    video = write_video(tmp_path / "film.avi", [*still, *once, *still, *once, *still], fps=30)
    html = recognize_video_html(ensemble, video, None, FIRST)
    assert "2 events found</p>" in html and html.count("<td>micro</td>") == 2 and html.count("<figure>") == 6
    assert "Filmed at 30 frames per second" in html


def test_a_very_long_video_is_refused(ensemble: Ensemble, tmp_path: Path) -> None:
    video = write_video(tmp_path / "film.avi")
    with pytest.raises(UserError, match="film.avi: takes 70 s, this page reads 60 at most; give it to .*predict"):
        recognize_video_html(ensemble, video, 0.1, FIRST)


def result(number: int, lengths: tuple[float, ...] | None, *flags: QualityFlag) -> Recognition:
    face = None if lengths is None else np.full((32, 32), 100, np.uint8)
    at = (0, 10 * number, 10 * number + 4, 10 * number + 8, 100.0)
    matches = None if lengths is None else np.array(lengths, np.float32)
    kind = "macro" if lengths is None else "micro"
    return Recognition(f"film_{number}", "film", kind, *at, flags, None, matches, face, face, None, ("a",), EXPRESSIONS)


def test_the_table_of_events() -> None:
    slow, close = QualityFlag("slow", "Slow <camera>."), QualityFlag("close", "Close call.")
    results = [result(1, (0.1, 0.9, 0.2), slow, close), result(2, None, slow)]
    html = html_module.recording_html(results, [slow], EXPRESSIONS)
    assert "2 events found<" in html and html.count("<tr>") == 3 and html.count("<img ") == 3
    assert (
        "<td>micro</td><td>positive</td><td>0.90</td><td>0.10 s</td><td>0.14 s</td><td>0.18 s</td><td>Close call.</td>"
        in html
    )
    assert "<td>macro</td>" in html and "<td>none</td><td>–</td>" in html
    assert html.count("Slow &lt;camera&gt;.") == 1
    empty = html_module.recording_html([], [slow], EXPRESSIONS)
    assert "<table" not in empty and "No events found<" in empty
    assert "1 event found<" in html_module.recording_html(results[:1], [], EXPRESSIONS)


def test_the_number_of_drawn_events_is_limited() -> None:
    results = [result(number, (0.1, 0.9, 0.2)) for number in range(html_module.MAX_DRAWN + 2)]
    html = html_module.recording_html(results, [], EXPRESSIONS)
    assert html.count("<figure>") == 3 * html_module.MAX_DRAWN and "2 more are not shown here." in html


def test_names_are_escaped_and_lengths_are_bounded() -> None:
    escaped = replace(result(1, (1.2, 0.0), QualityFlag("a", "<i>")), classes=("<b>", "c"))
    html = html_module.clip_html(escaped, escaped.classes)
    assert "<i>" not in html.replace("<i style", "") and '<p class="class">&lt;b&gt;</p>' in html
    assert "width:100.0%" in html and "width:0.0%" in html
    assert html_module.error_html("<x>") == '<p class="problem" role="alert">&lt;x&gt;</p>'
