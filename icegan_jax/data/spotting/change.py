"""How much a face has changed from one crop to another: the third of its blocks that change most.

The feature-difference analysis of Moilanen et al. 2014 and of Li et al. ("Towards reading hidden emotions", IEEE
Transactions on Affective Computing 9, 2018) cuts the face into 6 x 6 blocks, compares each with the mean of the block
k frames before and k frames after, and averages the 12 largest differences. Theirs are distances between histograms of
local binary patterns on frames aligned by the eyes; ours are of grey levels, registered to a fraction of a pixel.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.landmarks import Box, Points
from icegan_jax.data.spotting.tracker import CROP_PIXELS, face_mask

Crop = NDArray[np.float32]

BLOCKS = 6  # on a side of the face (Moilanen et al. 2014)
SHARE = 1 / 3  # of the blocks are averaged (the 12 largest of 36)
# Grey levels. Where a crop has an overexposed pixel, it is cut at a level that such a pixel does not touch when it is
# blurred with its neighbours; light is measured where it may grow by a third before that happens.
_OVEREXPOSED = 245.0
_WHITE = 225.0
_FAR_FROM_WHITE = 170.0
_LEAST_OF_A_BLOCK = 0.5  # a block of which less is left is left out


@dataclass(frozen=True)
class FaceAppearance:
    """A crop that can be compared with others of the face.

    Attributes:
        pixels: float32[CROP_PIXELS, CROP_PIXELS], grey levels with mean 0 and deviation 1; 0 where nothing is compared.
        ceiling: the level above which nothing is known; infinite where no pixel is overexposed.
    """

    pixels: Crop
    ceiling: float


class FaceComparison:
    """Compare crops of one face.

    Light is taken out by the mean and the deviation of the pixels that are far from white in the first crop.
    """

    def __init__(self, points: Points, box: Box, first: Crop) -> None:
        """Take the landmarks, float64[68, 2], the box of the crops, both in pixels of one picture, and a crop."""
        corner, size = np.array([box.left, box.top]), np.array([box.width, box.height])
        self._kept = face_mask((points - corner) / size * CROP_PIXELS - 0.5, (CROP_PIXELS, CROP_PIXELS))
        far = max(_FAR_FROM_WHITE, float(np.median(first[self._kept > 0])))
        self._dark = self._kept * (first <= far).astype(np.uint8)
        left = _blocks(np.asarray(self._kept, np.float32))
        self._used = left >= _LEAST_OF_A_BLOCK
        self._left = left[self._used]
        self._most = max(1, round(SHARE * self._left.size))

    def look(self, crop: Crop) -> FaceAppearance:
        """Prepare float32[CROP_PIXELS, CROP_PIXELS] grey levels."""
        mean, deviation = (found.item() for found in cv2.meanStdDev(crop, mask=self._dark))
        deviation = max(deviation, 1e-6)
        pixels = (crop - np.float32(mean)) * (self._kept / np.float32(deviation))
        white = cv2.minMaxLoc(crop, mask=self._kept)[1] >= _OVEREXPOSED
        return FaceAppearance(np.asarray(pixels, np.float32), (_WHITE - mean) / deviation if white else math.inf)

    def step(self, before: FaceAppearance, here: FaceAppearance) -> float:
        """Return the change from one frame to the next."""
        a, b = _below_white(before, here)
        return self._change(a, b)

    def around(self, before: FaceAppearance, here: FaceAppearance, after: FaceAppearance) -> tuple[float, float]:
        """Return the change from the mean of two frames to the one between them, and from the first to the last."""
        a, b, c = _below_white(before, here, after)
        return self._change(b, np.asarray(cv2.addWeighted(a, 0.5, c, 0.5, 0), np.float32)), self._change(a, c)

    def _change(self, a: Crop, b: Crop) -> float:
        """The mean |a - b| over the third of the blocks where it is largest."""
        found = _blocks(np.asarray(cv2.absdiff(a, b), np.float32))[self._used] / self._left
        found.partition(found.size - self._most)
        return float(found[-self._most :].mean())


def _below_white(*looks: FaceAppearance) -> list[Crop]:
    """Cut all at what the camera can show in each: white in one frame may be less than that in another."""
    ceiling = min(look.ceiling for look in looks)
    if math.isinf(ceiling):
        return [look.pixels for look in looks]
    return [np.minimum(look.pixels, np.float32(ceiling)) for look in looks]


def _blocks(crop: Crop) -> Crop:
    """Return the mean of each block, float32[BLOCKS * BLOCKS]."""
    return np.asarray(cv2.resize(crop, (BLOCKS, BLOCKS), interpolation=cv2.INTER_AREA), np.float32).ravel()
