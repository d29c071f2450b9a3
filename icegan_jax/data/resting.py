"""Resting faces: frames beside the onset that show no expression, and such changes as noise, a codec or the head make.

The recognizer learns from them that no change is no class (docs/design.md, "Losses and the update").
"""

import zlib
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.dataset import Pairs

Gray = NDArray[np.uint8]

# Share of the way to the apex in which the face still rests, where the clip starts at its onset: a movement that rises
# as a cosine has made 2% of its way there. With fewer than 10 frames to the apex no frame lies within it.
_RESTING_SHARE = 0.1

# The largest changes that ``disturb`` makes. Together they change a crop by 0 to 3.5 gray levels in the mean; H.264
# (CRF 18 to 28) changes crops of still faces with a noise of 0 to 4 gray levels by 0.01 to 3.1 (six faces).
_SHIFT = 0.2  # pixels
_BRIGHTNESS = 0.01  # as a share
_NOISE = 2.5  # deviation in gray levels, before the blur
_BLUR = 0.6  # deviation in pixels
_QUALITY = (98, 80)  # of JPEG, of the least and of the largest change
_UNDISTURBED = 1 / 3  # share of the faces that stay as they are


def resting_frames(onset: int, apex: int, numbers: Sequence[int], count: int) -> list[int]:
    """Return the numbers of ``count`` frames in which the face is at rest, ascending.

    The frames are spread over those before the onset that are no farther from the onset than the apex, so that light
    and head drift as far as in the expression. Where there are none, they are spread over the first tenth of the frames
    from the onset to the apex; where there are none either, all are the onset.

    Args:
        onset: frame number of the onset.
        apex: frame number of the apex, after the onset.
        numbers: numbers of the frames that exist, ascending.
        count: how many to return; frames are repeated where too few exist.
    """
    before = [n for n in numbers if 2 * onset - apex <= n < onset]
    near = [n for n in numbers if onset < n <= onset + int(_RESTING_SHARE * (apex - onset))]
    frames = before or near or [onset]
    return [frames[round(place)] for place in np.linspace(0, len(frames) - 1, count)]


def disturb(face: Gray, rng: np.random.Generator) -> Gray:
    """Return the face uint8[h, w] as another frame of a face at rest may show it: shifted, brighter, noisy, compressed.

    All changes have the same random share of their maximum; a third of the faces stay as they are.
    """
    strength = float(rng.uniform(-_UNDISTURBED / (1 - _UNDISTURBED), 1.0))
    if strength <= 0:
        return face
    right, down, light = strength * rng.uniform(-1, 1, 3)
    shift = np.array([[1, 0, _SHIFT * right], [0, 1, _SHIFT * down]])
    moved = cv2.warpAffine(
        face.astype(np.float32), shift, face.shape[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    noisy = moved * (1 + _BRIGHTNESS * light) + rng.normal(0.0, _NOISE * strength, face.shape)
    blurred = cv2.GaussianBlur(noisy, (0, 0), max(_BLUR * strength * rng.uniform(), 1e-3))
    levels = np.clip(np.rint(blurred), 0, 255).astype(np.uint8)
    quality = round(_QUALITY[0] + strength * rng.uniform() * (_QUALITY[1] - _QUALITY[0]))
    _, code = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE), np.uint8)


def disturbed_resting_faces(pairs: Pairs, index: NDArray[np.integer]) -> Gray:
    """Return the resting faces uint8[..., h, w] of pairs int[...], disturbed; equal for equal names and faces."""
    unique, inverse = np.unique(index, return_inverse=True)
    faces = []
    for i in unique.tolist():
        name = f"{pairs.dataset[i]}/{pairs.subject[i]}/{pairs.clip[i]}/{pairs.shift[i]}"
        faces.append(disturb(pairs.rest[i], np.random.default_rng(zlib.crc32(name.encode()))))
    return np.stack(faces)[inverse.reshape(index.shape)]
