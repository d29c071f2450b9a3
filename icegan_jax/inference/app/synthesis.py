"""The page's synthesis: a picture of a neutral face in, HTML with a face for each expression out."""

from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from icegan_jax.data.images import to_gray
from icegan_jax.data.landmarks import Box
from icegan_jax.inference.app.html import download_link, png_bytes
from icegan_jax.inference.composite import build_renderer
from icegan_jax.inference.ensemble import Ensemble
from icegan_jax.inference.face_crops import find_neutral_faces
from icegan_jax.inference.media import encode_still
from icegan_jax.inference.synthesize import MAX_INTENSITY, SynthesisRequest, provenance_metadata
from icegan_jax.inference.visualize import difference_image
from icegan_jax.reporting.page.html import embed_image
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
    onset, figures = _gray_box(shown.picture, shown.box), []
    for name, picture in zip(ensemble.classes, renderer.render(intensity)[0], strict=True):
        request = SynthesisRequest(path, Path(f"{name}_synthetic.png"), name, intensity, seed=draw)
        provenance = provenance_metadata(request, ensemble, [shown])
        png = encode_still(_shrink(picture), ".png", provenance, None)
        figures.append(_figure(name, png, difference_image(onset, _gray_box(picture, shown.box))))
    note = f"{path.name}: several faces, of which the largest is taken." if neutral_face.note else ""
    legend = f"Synthetic. Below each face: the difference of gray levels, x{DIFFERENCE_GAIN}; red is brighter."
    lines = "".join(f'<p class="soft">{escape(line)}</p>' for line in (note, legend) if line)
    return f'<section class="result">{lines}<div class="faces synthetic">{"".join(figures)}</div></section>'


def _figure(name: str, png: bytes, difference: Image.Image) -> str:
    difference.thumbnail((_FACE_PIXELS, _FACE_PIXELS))
    face = embed_image(png, f"{name}, synthetic", "image/png")
    below = embed_image(png_bytes(difference), f"{name}: what changed", "image/png")
    link = download_link(png, f"{name}_synthetic.png", "Save")
    return f"<figure>{face}<figcaption><b>{escape(name)}</b> {link}</figcaption>{below}</figure>"


def _gray_box(picture: Color, box: Box) -> NDArray[np.uint8]:
    """Return the gray levels in the box."""
    top, left = max(0, round(box.top)), max(0, round(box.left))
    return to_gray(np.ascontiguousarray(picture[top : round(box.bottom) + 1, left : round(box.right) + 1]))


def _shrink(picture: Color) -> Color:
    shown = Image.fromarray(picture)
    shown.thumbnail((_WHOLE_PIXELS, _WHOLE_PIXELS))
    return np.asarray(shown, np.uint8)
