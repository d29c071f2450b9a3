"""The clips that the network was most sure of and wrong about, as pictures."""

import io
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image

from icegan_jax.evaluation.predictions import Prediction
from icegan_jax.evaluation.synthesis.faces import Faces
from icegan_jax.reporting.synthesis_sheet import CHANGES, GAIN

MOST = 12  # clips shown
_QUALITY = 90  # of the WebP files; a clip takes about 10 kB


class WorstClip(NamedTuple):
    """A wrong answer.

    Attributes:
      row: the prediction.
      margin: the length of the class answered minus that of the true one.
      strip: WebP of onset, apex and their difference side by side; None where the run has no faces of the clip.
    """

    row: Prediction
    margin: float
    strip: bytes | None


def find_worst(predictions: Sequence[Prediction], faces: Faces, most: int = MOST) -> list[WorstClip]:
    """The wrong answers, those with the largest margin first, at most ``most`` of them."""
    keys = zip(faces.person, faces.clip, strict=True)
    index = {(dataset, subject, clip): number for number, ((dataset, subject), clip) in enumerate(keys)}
    found = []
    for row in sorted((row for row in predictions if row.label != row.prediction), key=_margin, reverse=True)[:most]:
        number = index.get((row.dataset, row.subject, row.clip))
        strip = None if number is None else draw_strip(faces.onset[number], faces.apex[number])
        found.append(WorstClip(row, _margin(row), strip))
    return found


def draw_strip(onset: npt.NDArray[np.uint8], apex: npt.NDArray[np.uint8]) -> bytes:
    """Onset, apex, and the signed difference as the synthesis sheet colours it, as WebP.

    Args:
      onset: uint8[h, w].
      apex: uint8[h, w].
    """
    change = apex.astype(np.float64) - onset
    share = np.clip(0.5 + change * GAIN / (2 * 255), 0, 1)
    colours = (matplotlib.colormaps[CHANGES](share)[..., :3] * 255).round().astype(np.uint8)
    grey = np.repeat(np.concatenate([onset, apex], axis=1)[..., None], 3, axis=2)
    data = io.BytesIO()
    strip = Image.fromarray(np.concatenate([grey, colours], axis=1))
    strip.save(data, "WEBP", quality=_QUALITY)
    return data.getvalue()


def _margin(row: Prediction) -> float:
    return row.scores[row.prediction] - row.scores[row.label]
