"""What the page does when it is asked for faces: a neutral face in, one with each expression out, as HTML."""

from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from icegan_jax.data.images import to_grey
from icegan_jax.data.landmarks import Box
from icegan_jax.inference.app.html import download_link, png_data_url
from icegan_jax.inference.composite import build_renderer
from icegan_jax.inference.ensemble import Ensemble
from icegan_jax.inference.media import encode_still
from icegan_jax.inference.neutral_faces import find_neutral_faces
from icegan_jax.inference.synthesize import MOST_INTENSITY, SynthesisRequest, provenance_of
from icegan_jax.inference.visualize import difference_image
from icegan_jax.reporting.grids import DIFFERENCE_GAIN
from icegan_jax.reporting.page.html import embed_image

Colour = NDArray[np.uint8]

MOST_DRAW = 31
FACE, WHOLE = "face", "whole"
_FACE_PIXELS = 320  # on a side, of a face with its surroundings
_WHOLE_PIXELS = 800  # of the longer side; synthesize writes the picture as large as it is


def synthesis_html(model: Ensemble, path: Path, intensity: float, draw: int, what: str) -> str:
    """Puts every class of the run on a neutral face.

    Args:
        model: whose generators draw.
        path: a picture of the face; the largest one in it is taken.
        intensity: how much of the change, 0 to ``MOST_INTENSITY``; 1 is as trained.
        draw: which noise, 0 to ``MOST_DRAW``.
        what: ``FACE`` shows the face and its surroundings, ``WHOLE`` the picture.

    Raises:
        UserError: the picture cannot be read or shows no face.
    """
    (portrait,) = find_neutral_faces([path], model.size)
    intensity, draw = min(max(intensity, 0.0), MOST_INTENSITY), min(max(draw, 0), MOST_DRAW)
    shown = portrait if what == WHOLE else portrait.framed(_FACE_PIXELS)
    paint = build_renderer(model, [shown], range(len(model.classes)), [draw], crop=False)
    neutral, figures = _face(shown.picture, shown.box), []
    for name, made in zip(model.classes, paint.faces(intensity)[0], strict=True):
        mark = provenance_of(_order(path, name, intensity, draw), model, [shown])
        file = encode_still(_small(made), ".png", mark, None)
        figures.append(_figure(name, file, difference_image(neutral, _face(made, shown.box))))
    words = (
        "Synthetic. With each face, what changed in its grey levels, "
        f"{DIFFERENCE_GAIN} times enlarged; red is brighter."
    )
    note = f"{path.name}: several faces, of which the largest is taken." if portrait.note else ""
    notes = "".join(f'<p class="soft">{escape(line)}</p>' for line in (note, words) if line)
    return f'<section class="answer">{notes}<div class="faces made">{"".join(figures)}</div></section>'


def _order(path: Path, expression: str, intensity: float, draw: int) -> SynthesisRequest:
    """The same, asked of ``synthesize``: what the file says of itself."""
    return SynthesisRequest(
        source=path,
        out=Path(f"{expression}_synthetic.png"),
        expression=expression,
        intensity=intensity,
        frames=None,
        apex_at=0.5,
        rate=25.0,
        draws=1,
        seed=draw,
        face=None,
        crop=False,
        differences=False,
    )


def _figure(name: str, file: bytes, change: Image.Image) -> str:
    change.thumbnail((_FACE_PIXELS, _FACE_PIXELS))
    face = embed_image(file, f"{name}, synthetic", "image/png")
    below = embed_image(png_data_url(change), f"{name}: what changed", "image/png")
    save = download_link(file, f"{name}_synthetic.png", "Save")
    return f"<figure>{face}<figcaption><b>{escape(name)}</b> {save}</figcaption>{below}</figure>"


def _face(picture: Colour, box: Box) -> NDArray[np.uint8]:
    """The grey levels in the box."""
    top, left = max(0, round(box.top)), max(0, round(box.left))
    return to_grey(np.ascontiguousarray(picture[top : round(box.bottom) + 1, left : round(box.right) + 1]))


def _small(picture: Colour) -> Colour:
    seen = Image.fromarray(picture)
    seen.thumbnail((_WHOLE_PIXELS, _WHOLE_PIXELS))
    return np.asarray(seen, np.uint8)
