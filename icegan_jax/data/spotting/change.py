"""How much a face has changed from one crop to another: the third of its blocks that change most.

The feature-difference analysis of Moilanen et al. 2014 and of Li et al. ("Towards reading hidden emotions", IEEE
Transactions on Affective Computing 9, 2018) cuts the face into 6 x 6 blocks, compares each with the mean of the block
k frames before and k frames after, and averages the 12 largest differences. Theirs are distances between histograms of
local binary patterns on frames aligned by the eyes; ours are of grey levels, registered to a fraction of a pixel.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.faces import Box, Points
from icegan_jax.data.spotting.skin import face_mask
from icegan_jax.data.spotting.tracking import CROP_PIXELS

Crop = NDArray[np.float32]

BLOCKS = 6  # on a side of the face (Moilanen et al. 2014)
SHARE = 1 / 3  # of the blocks are averaged (the 12 largest of 36)
_LEAST_OF_A_BLOCK = 0.5  # a block of which less is left is left out


class Comparison:
    """Compares crops of one face.

    Attributes:
        kept: uint8[CROP_PIXELS, CROP_PIXELS], 1 where the crop is compared.
    """

    def __init__(self, points: Points, box: Box) -> None:
        """Takes the landmarks, float64[68, 2], and the box of the crops, both in pixels of one picture."""
        corner, size = np.array([box.left, box.top]), np.array([box.width, box.height])
        places = (points - corner) / size * CROP_PIXELS - 0.5
        self.kept = face_mask(places, (CROP_PIXELS, CROP_PIXELS))
        left = _blocks(self.kept.astype(np.float32))
        self._used = left >= _LEAST_OF_A_BLOCK
        self._left = left[self._used]
        self._highest = max(1, round(SHARE * self._left.size))

    def standardised(self, crop: Crop) -> Crop:
        """Gives float32[CROP_PIXELS, CROP_PIXELS] mean 0 and deviation 1 where it is compared, 0 elsewhere."""
        mean, deviation = cv2.meanStdDev(crop, mask=self.kept)
        return np.asarray((crop - mean.item()) * (self.kept / np.float32(max(deviation.item(), 1e-6))), np.float32)

    def between(self, a: Crop, b: Crop) -> float:
        """Returns the mean |a - b|, of standardised crops, over the third of the blocks where it is largest."""
        found = _blocks(cv2.absdiff(a, b))[self._used] / self._left
        found.sort()
        return float(found[-self._highest :].mean())


def _blocks(crop: Crop) -> Crop:
    """Returns the mean of each block, float32[BLOCKS * BLOCKS]."""
    return np.asarray(cv2.resize(crop, (BLOCKS, BLOCKS), interpolation=cv2.INTER_AREA), np.float32).ravel()
