"""Whether two prepared crops show the face of one person."""

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.landmarks import face_recognition

Gray = NDArray[np.uint8]

# Crops with a larger correlation show one person; the embeddings of others are compared. Measured on 128x128 crops of
# the real test faces, registered to the onset: onset and apex of one person correlate at 0.86 to 1.00 (moved faces) or
# 0.70 to 1.00 (still faces, full expressions), with distances of 0.06 to 0.32 or 0.02 to 0.50; 60 pairs of two people
# correlate at 0.78 at most, with distances of 0.60 to 0.93.
_SAME_CORRELATION = 0.8
_SAME_DISTANCE = 0.55


def embed_face(image: Gray) -> NDArray[np.float64]:
    """Return the identity embedding of a prepared crop by dlib's face recognition network.

    The whole crop is taken as the face, without a detector. Enlarging the crop first, or adding a border, does not
    separate people better. Cosines between embeddings lie close together: on the real test faces 0.999 for two clips of
    one person, 0.84 for two people, and 0.88 even for noise and a face. A cosine means little without those of others.

    Args:
        image: uint8[h, w], gray.

    Returns:
        float64[128].
    """
    h, w = image.shape
    channels = np.ascontiguousarray(np.repeat(image[..., None], 3, axis=2))
    location = (0, w, h, 0)  # top, right, bottom, left
    (embedding,) = face_recognition().face_encodings(channels, [location], model="large")
    return np.asarray(embedding, np.float64)


def same_face_as(onset: Gray) -> Callable[[Gray], bool]:
    """Return a function that tells whether a prepared crop uint8[n, n] shows the person of the prepared crop ``onset``.

    A crop without a face does not. The onset is embedded once, when a crop first needs it.
    """
    onset_embedding = functools.cache(lambda: embed_face(onset))

    def shows_same_face(other: Gray) -> bool:
        return look_alike(onset, other) or bool(np.linalg.norm(onset_embedding() - embed_face(other)) <= _SAME_DISTANCE)

    return shows_same_face


def look_alike(onset: Gray, other: Gray) -> bool:
    """Return whether two prepared crops uint8[n, n] correlate as only those of one person do."""
    a, b = (crop - crop.mean() for crop in (onset, other))
    return bool((a * b).sum() >= _SAME_CORRELATION * max(float(np.sqrt((a * a).sum() * (b * b).sum())), 1.0))
