import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.errors import UserError
from icegan_jax.inference.app import results as results_module
from icegan_jax.inference.app.results import FACE, WHOLE, recognize_pair_html, recognize_video_html, synthesis_html
from icegan_jax.inference.ensemble import Ensemble, load_ensemble
from icegan_jax.inference.face_crops import FIRST
from icegan_jax.inference.quality_flags import QualityFlag
from icegan_jax.inference.recognize import Recognition
from icegan_jax.inference.timeline import Timeline
from tests.inference.recordings import write_pair, write_video

EMPTY = Timeline("", [], [], {})


@pytest.fixture(scope="module")
def recognizer(run_dir: Path) -> Ensemble:
    return load_ensemble(run_dir, generator=False)


def test_the_result_of_a_pair(recognizer: Ensemble, tmp_path: Path) -> None:
    html = recognize_pair_html(recognizer, *write_pair(tmp_path))
    assert html.count("<img ") == 4 and "<video" not in html  # onset, apex with the onset over it, difference
    assert sum(f'<p class="class">{name}</p>' in html for name in (*recognizer.classes, "no expression")) == 1
    assert "the networks of 3 folds" in html


def test_a_short_video_is_one_clip(recognizer: Ensemble, tmp_path: Path) -> None:
    html = recognize_video_html(recognizer, write_video(tmp_path / "film.avi", fps=100), None, FIRST)
    assert "apex 0.04 s" in html and "Filmed at" not in html
    assert "<video controls autoplay loop muted playsinline" in html and 'src="data:video/mp4;base64,' in html
    slow = recognize_video_html(recognizer, tmp_path / "film.avi", 20.0, FIRST)
    assert "apex 0.20 s" in slow and "Filmed at 20 frames per second" in slow


def test_the_events_of_a_long_video(recognizer: Ensemble, tmp_path: Path) -> None:
    """Twice the same expression, a second and a half apart."""
    still, once = [0.0] * 30, [0.2, 0.6, 1.0, 1.0, 0.6, 0.2]
    video = write_video(tmp_path / "film.avi", [*still, *once, *still, *once, *still], fps=30)
    html = recognize_video_html(recognizer, video, None, FIRST)
    assert "2 events found</p>" in html and html.count("<td>micro</td>") == 2 and html.count("<img ") == 8
    assert html.count("<rect ") == 2 and '<figure class="timeline">' in html
    assert "Filmed at 30 frames per second" in html


def test_a_very_long_video_is_refused(recognizer: Ensemble, tmp_path: Path) -> None:
    video = write_video(tmp_path / "film.avi")
    with pytest.raises(UserError, match="film.avi: takes 70 s, this page reads 60 at most; give it to .*predict"):
        recognize_video_html(recognizer, video, 0.1, FIRST)


def result(number: int, lengths: tuple[float, ...] | None, *flags: QualityFlag) -> Recognition:
    face = None if lengths is None else np.full((32, 32), 100, np.uint8)
    at = (0, 10 * number, 10 * number + 4, 10 * number + 8, 100.0)
    matches = None if lengths is None else np.array(lengths, np.float32)
    kind = "macro" if lengths is None else "micro"
    return Recognition(f"film_{number}", "film", kind, *at, flags, None, matches, face, face, None, ("a",), EXPRESSIONS)


def test_the_table_of_events() -> None:
    slow, close = QualityFlag("slow", "Slow <camera>."), QualityFlag("close", "Close call.")
    results = [result(1, (0.1, 0.9, 0.2), slow, close), result(2, None, slow)]
    html = results_module.recording_html(results, [slow], EXPRESSIONS, EMPTY)
    assert "2 events found<" in html and html.count("<tr>") == 3 and html.count("<img ") == 4
    assert (
        "<td>micro</td><td>positive</td><td>0.90</td><td>0.10 s</td><td>0.14 s</td><td>0.18 s</td><td>Close call.</td>"
        in html
    )
    assert "<td>macro</td>" in html and "<td>none</td><td>–</td>" in html
    assert html.count("Slow &lt;camera&gt;.") == 1
    empty = results_module.recording_html([], [slow], EXPRESSIONS, EMPTY)
    assert "<table" not in empty and "No events found<" in empty
    assert "1 event found<" in results_module.recording_html(results[:1], [], EXPRESSIONS, EMPTY)


def test_the_number_of_drawn_events_is_limited() -> None:
    results = [result(number, (0.1, 0.9, 0.2)) for number in range(results_module.MAX_DRAWN + 2)]
    html = results_module.recording_html(results, [], EXPRESSIONS, EMPTY)
    assert html.count("<img ") == 4 * results_module.MAX_DRAWN and "2 more are not shown here." in html


def test_names_are_escaped_and_lengths_are_bounded() -> None:
    escaped = replace(result(1, (1.2, 0.0), QualityFlag("a", "<i>")), classes=("<b>", "c"))
    html = results_module.clip_html(escaped, escaped.classes)
    assert "<i>" not in html.replace("<i style", "") and '<p class="class">&lt;b&gt;</p>' in html
    assert "width:100.0%" in html and "width:0.0%" in html
    assert results_module.error_html("<x>") == '<p class="problem" role="alert">&lt;x&gt;</p>'


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """240x260 pixels, in colour."""
    path = tmp_path / "photo.png"
    Image.fromarray(skimage.data.astronaut()[:260, 110:350]).save(path)
    return path


def files(html: str) -> list[Image.Image]:
    """Return the pictures: of each class the onset, the face, the onset again, the animation, the difference."""
    matches = re.findall(r'<img [^>]*src="data:image/[a-z]+;base64,([^"]+)"', html)
    return [Image.open(io.BytesIO(base64.b64decode(content))) for content in matches]


def faces(html: str) -> list[NDArray[np.int64]]:
    return [np.asarray(picture.convert("RGB"), np.int64) for picture in files(html)[1::5]]


def test_nothing_changes_outside_the_face(ensemble: Ensemble, photo: Path) -> None:
    pictures = faces(synthesis_html(ensemble, photo, 1.0, 0, WHOLE))
    before = np.asarray(Image.open(photo), np.int64)
    assert len(pictures) == 3 and all(face.shape == (260, 240, 3) for face in pictures)
    assert all((face[:40] == before[:40]).all() and (face[200:] == before[200:]).all() for face in pictures)
    assert all(np.abs(face - before).max() > 0 for face in pictures)


def test_intensity_and_draw_are_clipped(ensemble: Ensemble, photo: Path) -> None:
    before = np.asarray(Image.open(photo), np.int64)
    assert all((face == before).all() for face in faces(synthesis_html(ensemble, photo, -1.0, 0, WHOLE)))
    assert synthesis_html(ensemble, photo, 9.0, 99, WHOLE) == synthesis_html(ensemble, photo, 2.0, 31, WHOLE)
    assert synthesis_html(ensemble, photo, 1.0, -5, FACE) == synthesis_html(ensemble, photo, 1.0, 0, FACE)
    assert synthesis_html(ensemble, photo, 1.0, 1, FACE) != synthesis_html(ensemble, photo, 1.0, 0, FACE)


def test_provenance_metadata(ensemble: Ensemble, photo: Path) -> None:
    html = synthesis_html(ensemble, photo, 0.5, 3, FACE)
    for name, picture in zip(ensemble.classes, files(html)[1::5], strict=True):
        assert picture.size == (320, 320)
        words = f"Synthetic expression, not a recording: {name}, intensity 0.5, draw 3; "
        assert picture.info["Description"].startswith(words)
        packet = picture.info["XML:com.adobe.xmp"]
        assert "compositeWithTrainedAlgorithmicMedia" in packet and f'"run": "{ensemble.run_id}"' in packet
        assert f'download="{name}_synthetic.png"' in html
    before, _, again, animation, _ = files(html)[:5]
    assert np.array_equal(before, again) and 1 < animation.n_frames <= 15 and animation.size == (320, 320)
    assert animation.info["xmp"]


def test_a_large_picture_is_shrunk(ensemble: Ensemble, photo: Path) -> None:
    large = cv2.resize(cv2.imread(str(photo)), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(photo), large)
    assert all(face.shape == (800, 738, 3) for face in faces(synthesis_html(ensemble, photo, 1.0, 0, WHOLE)))


def test_the_largest_of_several_faces_is_used(ensemble: Ensemble, photo: Path) -> None:
    face = np.asarray(Image.open(photo))
    small = np.asarray(Image.fromarray(face).resize((180, 195)))
    beside = np.zeros((260, 180, 3), np.uint8)
    beside[:195] = small
    Image.fromarray(np.hstack([face, beside])).save(photo)
    html = synthesis_html(ensemble, photo, 1.0, 0, WHOLE)
    assert "photo.png: 2 faces, of which the largest is taken." in html
    assert all((pictures[:, 240:] == beside).all() for pictures in faces(html))


def test_a_face_on_its_side_is_turned(ensemble: Ensemble, photo: Path) -> None:
    Image.fromarray(np.rot90(np.asarray(Image.open(photo)))).save(photo)
    html = synthesis_html(ensemble, photo, 1.0, 0, WHOLE)
    assert "photo.png: turned by 270 degrees counterclockwise" in html and "is taken" not in html


def test_no_face(ensemble: Ensemble, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "gray.png"), np.full((60, 60), 128, np.uint8))
    with pytest.raises(UserError, match="gray.png: no face found; give a picture of a frontal face"):
        synthesis_html(ensemble, tmp_path / "gray.png", 1.0, 0, FACE)
