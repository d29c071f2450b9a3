"""The part of the picture that is compared: the face within its landmarks, without the eyes.

What is behind the head stays where it is while the head moves, and the neck moves less. Blinks last as long as
micro-expressions and move more: Liong, See, Wong and Phan ("Less is more: micro-expression recognition from video using
apex frame", Signal Processing: Image Communication 62, 2018) leave the eyes out of what is compared. They have to be
left out of the registration, too: a drawn blink pulled the whole face along by 0.2 pixels, by 0.01 without the eyes.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.faces import Points

_EYES = (slice(36, 42), slice(42, 48))  # of the 68 landmarks
_AROUND_EYES = 0.06  # of the face's width, left out around the lids


def face_mask(points: Points, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Returns uint8[h, w], 1 on the face, 0 on the eyes and beside it.

    Args:
        points: float64[68, 2], the landmarks in pixels of the picture.
        shape: (h, w) of the picture.
    """
    face, eyes = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    _fill(face, points)
    for eye in _EYES:
        _fill(eyes, points[eye])
    side = 2 * round(_AROUND_EYES * float(np.ptp(points[:, 0]))) + 1
    eyes = np.asarray(cv2.dilate(eyes, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))), np.uint8)
    return face * (1 - eyes)


def _fill(mask: NDArray[np.uint8], points: Points) -> None:
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(points).astype(np.int32)), 1)
