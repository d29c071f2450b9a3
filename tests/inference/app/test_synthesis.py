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
def model(run_dir: Path) -> Ensemble:
    return load_ensemble(run_dir, generator=True)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """240x260 pixels, in colour."""
    path = tmp_path / "photo.png"
    Image.fromarray(skimage.data.astronaut()[:260, 110:350]).save(path)
    return path


def files(html: str) -> list[Image.Image]:
    """The pictures: of each class the face, then what changed."""
    found = re.findall(r'<img alt="[^"]*" src="data:image/png;base64,([^"]+)"', html)
    return [Image.open(io.BytesIO(base64.b64decode(content))) for content in found]


def faces(html: str) -> list[NDArray[np.int64]]:
    return [np.asarray(picture.convert("RGB"), np.int64) for picture in files(html)[::2]]


def test_nothing_changes_outside_the_face(model: Ensemble, photo: Path) -> None:
    made = faces(synthesis_html(model, photo, 1.0, 0, WHOLE))
    before = np.asarray(Image.open(photo), np.int64)
    assert len(made) == 3 and all(face.shape == (260, 240, 3) for face in made)
    assert all((face[:40] == before[:40]).all() and (face[200:] == before[200:]).all() for face in made)
    assert all(np.abs(face - before).max() > 0 for face in made)


def test_intensity_and_noise_are_kept_within_their_bounds(model: Ensemble, photo: Path) -> None:
    before = np.asarray(Image.open(photo), np.int64)
    assert all((face == before).all() for face in faces(synthesis_html(model, photo, -1.0, 0, WHOLE)))
    assert synthesis_html(model, photo, 9.0, 99, WHOLE) == synthesis_html(model, photo, 2.0, 31, WHOLE)
    assert synthesis_html(model, photo, 1.0, -5, FACE) == synthesis_html(model, photo, 1.0, 0, FACE)
    assert synthesis_html(model, photo, 1.0, 1, FACE) != synthesis_html(model, photo, 1.0, 0, FACE)


def test_every_file_says_that_it_is_synthetic(model: Ensemble, photo: Path) -> None:
    html = synthesis_html(model, photo, 0.5, 3, FACE)
    for name, picture in zip(model.classes, files(html)[::2], strict=True):
        assert picture.size == (320, 320)
        words = f"Synthetic expression, not a recording: {name}, intensity 0.5, draw 3; "
        assert picture.info["Description"].startswith(words)
        packet = picture.info["XML:com.adobe.xmp"]
        assert "compositeWithTrainedAlgorithmicMedia" in packet and f'"run": "{model.run_id}"' in packet
        assert f'download="{name}_synthetic.png"' in html


def test_large_pictures_are_shown_smaller(model: Ensemble, photo: Path) -> None:
    large = cv2.resize(cv2.imread(str(photo)), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(photo), large)
    assert all(face.shape == (800, 738, 3) for face in faces(synthesis_html(model, photo, 1.0, 0, WHOLE)))


def test_of_several_faces_the_largest(model: Ensemble, photo: Path) -> None:
    face = np.asarray(Image.open(photo))
    small = np.asarray(Image.fromarray(face).resize((180, 195)))
    beside = np.zeros((260, 180, 3), np.uint8)
    beside[:195] = small
    Image.fromarray(np.hstack([face, beside])).save(photo)
    html = synthesis_html(model, photo, 1.0, 0, WHOLE)
    assert "photo.png: several faces, of which the largest is taken." in html
    assert all((made[:, 240:] == beside).all() for made in faces(html))


def test_no_face(model: Ensemble, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((60, 60), 128, np.uint8))
    with pytest.raises(UserError, match="grey.png: no face found; give a picture of a frontal face"):
        synthesis_html(model, tmp_path / "grey.png", 1.0, 0, FACE)
