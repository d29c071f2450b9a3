"""The page's synthesis: a picture of a neutral face in, HTML with a face for each expression out."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from icegan_jax.data.images import to_gray
from icegan_jax.data.landmarks import Box
from icegan_jax.inference.app.html import TEMPLATE, png_url
from icegan_jax.inference.composite import build_renderer
from icegan_jax.inference.ensemble import Ensemble
from icegan_jax.inference.face_crops import find_neutral_faces
from icegan_jax.inference.media import encode_still
from icegan_jax.inference.synthesize import MAX_INTENSITY, SynthesisRequest, provenance_metadata
from icegan_jax.reporting.face_grid import difference_image
from icegan_jax.reporting.render import data_url, render_macro
from icegan_jax.reporting.style import DIFFERENCE_GAIN

MAX_DRAW = 31
FACE, WHOLE = "face", "whole"
_FACE_PIXELS = 320  # on a side, of a face with its surroundings
_WHOLE_PIXELS = 800  # of the longer side; the command synthesize keeps the size of the picture

Color = NDArray[np.uint8]


def synthesis_html(ensemble: Ensemble, path: Path, intensity: float, draw: int, view: str) -> str:
    """Synthesize every class of the run on a neutral face.

    Args:
        ensemble: the generators.
        path: a picture, whose largest face is used.
        intensity: the factor of the change, clipped to [0, ``MAX_INTENSITY``]; 1 as trained.
        draw: the number of the noise draw, clipped to [0, ``MAX_DRAW``].
        view: ``FACE`` shows the face and its surroundings, ``WHOLE`` the picture.

    Raises:
        UserError: The picture cannot be read or shows no face.
    """
    (neutral_face,) = find_neutral_faces([path], ensemble.image_size)
    intensity, draw = min(max(intensity, 0.0), MAX_INTENSITY), min(max(draw, 0), MAX_DRAW)
    shown = neutral_face if view == WHOLE else neutral_face.close_up(_FACE_PIXELS)
    renderer = build_renderer(ensemble, [shown], range(len(ensemble.classes)), [draw], crop=False)
    onset, faces = _gray_box(shown.picture, shown.box), []
    for name, picture in zip(ensemble.classes, renderer.render(intensity)[0], strict=True):
        request = SynthesisRequest(path, Path(f"{name}_synthetic.png"), name, intensity, seed=draw)
        provenance = provenance_metadata(request, ensemble, [shown])
        png = encode_still(_shrink(picture, _WHOLE_PIXELS), ".png", provenance, None)
        difference = _shrink(difference_image(onset, _gray_box(picture, shown.box)), _FACE_PIXELS)
        faces.append((name, data_url(png, "image/png"), png_url(difference)))
    note = f"{path.name}: several faces, of which the largest is taken." if neutral_face.note else ""
    return render_macro(TEMPLATE, "synthesis", faces=faces, note=note, gain=DIFFERENCE_GAIN)


def _gray_box(picture: Color, box: Box) -> NDArray[np.uint8]:
    """Return the gray levels in the box."""
    top, left = max(0, round(box.top)), max(0, round(box.left))
    return to_gray(np.ascontiguousarray(picture[top : round(box.bottom) + 1, left : round(box.right) + 1]))


def _shrink(picture: Color, side: int) -> Color:
    shown = Image.fromarray(picture)
    shown.thumbnail((side, side))
    return np.asarray(shown, np.uint8)
