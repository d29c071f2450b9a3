"""What the page does when it is asked for faces: a neutral face in, one with each expression out, as HTML."""

import base64
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from icegan_jax.data.faces import Box
from icegan_jax.data.pictures import to_grey
from icegan_jax.reporting.page.html import image
from icegan_jax.reporting.synthesis_sheet import GAIN
from icegan_jax.use.model import Model
from icegan_jax.use.page.telling import png
from icegan_jax.use.strip import difference
from icegan_jax.use.synthesis.encoding import still
from icegan_jax.use.synthesis.marking import CHANGED, Mark
from icegan_jax.use.synthesis.placing import place
from icegan_jax.use.synthesis.portrait import find_portraits

Colour = NDArray[np.uint8]

MOST_INTENSITY = 2.0  # as synthesize takes
MOST_DRAW = 31
FACE, WHOLE = "face", "whole"
_FACE_PIXELS = 320  # on a side, of a face with its surroundings
_WHOLE_PIXELS = 800  # of the longer side; whole pictures are written by synthesize


def make_faces(model: Model, path: Path, intensity: float, draw: int, what: str) -> str:
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
    (portrait,) = find_portraits([path], model.size)
    intensity, draw = min(max(intensity, 0.0), MOST_INTENSITY), min(max(draw, 0), MOST_DRAW)
    count = len(model.classes)
    draws = np.full(count, draw, np.int32)
    changes = model.change(np.repeat(portrait.onset[None], count, axis=0), np.arange(count, dtype=np.int32), draws)
    shown = portrait if what == WHOLE else portrait.framed(_FACE_PIXELS)
    figures = []
    for name, change in zip(model.classes, changes, strict=True):
        placed = place(shown.picture, shown.box, change, intensity)
        file = still(_small(placed), ".png", _mark(model, name, intensity, draw), None)
        figures.append(_figure(name, file, difference(_face(shown.picture, shown.box), _face(placed, shown.box))))
    words = f"Synthetic. With each face, what changed in its grey levels, {GAIN} times enlarged; red is brighter."
    note = f"{portrait.note.partition(';')[0]}." if portrait.note else ""
    notes = "".join(f'<p class="soft">{escape(line)}</p>' for line in (note, words) if line)
    return f'<section class="answer">{notes}<div class="faces made">{"".join(figures)}</div></section>'


def _figure(name: str, file: bytes, change: Image.Image) -> str:
    address = f"data:image/png;base64,{base64.b64encode(file).decode('ascii')}"
    link = f'<a href="{address}" download="{escape(name)}_synthetic.png">Save</a>'
    face = image(file, f"{name}, synthetic", "image/png")
    map_ = image(png(change), f"{name}: what changed", "image/png")
    return f"<figure>{face}<figcaption><b>{escape(name)}</b> {link}</figcaption>{map_}</figure>"


def _mark(model: Model, name: str, intensity: float, draw: int) -> Mark:
    record = {"run_id": model.run, "expression": name, "intensity": intensity, "draw": draw}
    return Mark(CHANGED, f"Synthetic: the expression {name} was put on this face by a network.", record)


def _face(picture: Colour, box: Box) -> NDArray[np.uint8]:
    """The grey levels in the box."""
    top, left = max(0, round(box.top)), max(0, round(box.left))
    return to_grey(np.ascontiguousarray(picture[top : round(box.bottom) + 1, left : round(box.right) + 1]))


def _small(picture: Colour) -> Colour:
    seen = Image.fromarray(picture)
    seen.thumbnail((_WHOLE_PIXELS, _WHOLE_PIXELS))
    return np.asarray(seen, np.uint8)
