"""Change of a face between crops: the mean over the third of the face's blocks that change most.

The feature-difference analysis of Moilanen et al. 2014 and of Li et al. ("Towards reading hidden emotions", IEEE
Transactions on Affective Computing 9, 2018) divides the face into 6 x 6 blocks, compares each block with the mean of
the block k frames before and k frames after, and averages the 12 largest differences. Those authors compare histograms
of local binary patterns on frames aligned by the eyes; here gray levels are compared, registered to a fraction of a
pixel.
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
SHARE = 1 / 3  # of the blocks is averaged, the 12 largest of 36
# Gray levels. Where a crop has an overexposed pixel, all crops are cut at _WHITE, a level that an overexposed pixel
# does not affect when it is blurred with its neighbors. The light is measured on pixels whose level may grow by a third
# before they reach _WHITE.
_OVEREXPOSED = 245.0
_WHITE = 225.0
_FAR_FROM_WHITE = 170.0
_MIN_BLOCK_SHARE = 0.5  # a block of which a smaller share lies in the mask is not used


@dataclass(frozen=True)
class FaceAppearance:
    """A standardized crop that can be compared with others of the same face.

    Attributes:
        pixels: float32[CROP_PIXELS, CROP_PIXELS], gray levels with mean 0 and deviation 1; 0 outside the mask.
        ceiling: the level above which pixels may be overexposed; infinite where no pixel is overexposed.
    """

    pixels: Crop
    ceiling: float


class FaceComparison:
    """Measures the change between crops of one face.

    The light is normalized by the mean and the deviation of the pixels that are far from white in the first crop.
    """

    def __init__(self, points: Points, box: Box, first: Crop) -> None:
        """Prepare the mask of the face.

        Args:
            points: float64[68, 2], the landmarks in pixels of the image.
            box: the box of the crops in pixels of the same image.
            first: float32[CROP_PIXELS, CROP_PIXELS], the first crop.
        """
        corner, size = np.array([box.left, box.top]), np.array([box.width, box.height])
        self._mask = face_mask((points - corner) / size * CROP_PIXELS - 0.5, (CROP_PIXELS, CROP_PIXELS))
        threshold = max(_FAR_FROM_WHITE, float(np.median(first[self._mask > 0])))
        self._dark_mask = self._mask * (first <= threshold).astype(np.uint8)
        coverage = _block_means(np.asarray(self._mask, np.float32))
        self._used = coverage >= _MIN_BLOCK_SHARE
        self._coverage = coverage[self._used]
        self._averaged = max(1, round(SHARE * self._coverage.size))

    def appearance(self, crop: Crop) -> FaceAppearance:
        """Standardize a crop float32[CROP_PIXELS, CROP_PIXELS] of gray levels."""
        mean, deviation = (value.item() for value in cv2.meanStdDev(crop, mask=self._dark_mask))
        deviation = max(deviation, 1e-6)
        pixels = (crop - np.float32(mean)) * (self._mask / np.float32(deviation))
        overexposed = cv2.minMaxLoc(crop, mask=self._mask)[1] >= _OVEREXPOSED
        return FaceAppearance(np.asarray(pixels, np.float32), (_WHITE - mean) / deviation if overexposed else math.inf)

    def frame_change(self, before: FaceAppearance, after: FaceAppearance) -> float:
        """Return the change from one frame to the next."""
        a, b = _clip_to_ceiling(before, after)
        return self._change(a, b)

    def window_change(
        self, before: FaceAppearance, middle: FaceAppearance, after: FaceAppearance
    ) -> tuple[float, float]:
        """Return the change from the mean of the outer two frames to the middle one, and from the first to the last."""
        a, b, c = _clip_to_ceiling(before, middle, after)
        return self._change(b, np.asarray(cv2.addWeighted(a, 0.5, c, 0.5, 0), np.float32)), self._change(a, c)

    def _change(self, a: Crop, b: Crop) -> float:
        """Return the mean |a - b| over the third of the blocks where that is largest."""
        changes = _block_means(np.asarray(cv2.absdiff(a, b), np.float32))[self._used] / self._coverage
        changes.partition(changes.size - self._averaged)
        return float(changes[-self._averaged :].mean())


def _clip_to_ceiling(*appearances: FaceAppearance) -> list[Crop]:
    """Clip all crops to the lowest ceiling: white in one frame may be less than that level in another frame."""
    ceiling = min(appearance.ceiling for appearance in appearances)
    if math.isinf(ceiling):
        return [appearance.pixels for appearance in appearances]
    return [np.minimum(appearance.pixels, np.float32(ceiling)) for appearance in appearances]


def _block_means(crop: Crop) -> Crop:
    """Return the mean of each block, float32[BLOCKS * BLOCKS]."""
    return np.asarray(cv2.resize(crop, (BLOCKS, BLOCKS), interpolation=cv2.INTER_AREA), np.float32).ravel()
