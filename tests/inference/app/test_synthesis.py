import base64
import io
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from icegan_jax.errors import UserError
from icegan_jax.inference.app.synthesis import FACE, WHOLE, synthesis_html
from icegan_jax.inference.ensemble import Ensemble, load_ensemble


@pytest.fixture(scope="module")
def ensemble(run_dir: Path) -> Ensemble:
    return load_ensemble(run_dir, generator=True)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """240x260 pixels, in colour."""
    path = tmp_path / "photo.png"
    Image.fromarray(skimage.data.astronaut()[:260, 110:350]).save(path)
    return path


def files(html: str) -> list[Image.Image]:
    """Return the pictures: of each class the face, then the difference image."""
    matches = re.findall(r'<img alt="[^"]*" src="data:image/png;base64,([^"]+)"', html)
    return [Image.open(io.BytesIO(base64.b64decode(content))) for content in matches]


def faces(html: str) -> list[NDArray[np.int64]]:
    return [np.asarray(picture.convert("RGB"), np.int64) for picture in files(html)[::2]]


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
    for name, picture in zip(ensemble.classes, files(html)[::2], strict=True):
        assert picture.size == (320, 320)
        words = f"Synthetic expression, not a recording: {name}, intensity 0.5, draw 3; "
        assert picture.info["Description"].startswith(words)
        packet = picture.info["XML:com.adobe.xmp"]
        assert "compositeWithTrainedAlgorithmicMedia" in packet and f'"run": "{ensemble.run_id}"' in packet
        assert f'download="{name}_synthetic.png"' in html


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
    assert "photo.png: several faces, of which the largest is taken." in html
    assert all((pictures[:, 240:] == beside).all() for pictures in faces(html))


def test_no_face(ensemble: Ensemble, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "gray.png"), np.full((60, 60), 128, np.uint8))
    with pytest.raises(UserError, match="gray.png: no face found; give a picture of a frontal face"):
        synthesis_html(ensemble, tmp_path / "gray.png", 1.0, 0, FACE)
