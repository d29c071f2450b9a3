"""The ten facial regions of CapsuleNet's apex spotting, and means over them (docs/databases.md, "Apex spotting")."""

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.faces import Box, Points

Regions = NDArray[np.int64]

# Landmarks that place the regions, in dlib's order of 68 from 0 (docs/databases.md, "Apex spotting").
_CHIN = 8
_LEFT_BROW, _RIGHT_BROW = 19, 24
_LEFT_NOSE, _RIGHT_NOSE = 31, 35
_LEFT_EYE, _RIGHT_EYE = 36, 45
_LEFT_MOUTH, _RIGHT_MOUTH = 48, 54


def points_in_crop(points: Points, box: Box, size: int) -> Points:
    """Returns float64[..., 2] points of an image in the pixels of its crop by ``box``.

    The crop is that of ``registration.crop_face``: ``size`` pixels on a side, whatever the box's
    proportions; pixel centres are whole numbers in both.
    """
    return (points - (box.left, box.top)) * (size / box.width, size / box.height) - 0.5


def ten_regions(points: Points) -> Regions:
    """Places ten squares on a face, each about half a mouth wide.

    In order: left and right mouth corner, chin, left and right side of the nose, outside the left
    and the right eye, between the brows, left and right brow ("left" in the image). Source:
    docs/databases.md, "Apex spotting", whose landmarks are whole numbers; of landmarks that are not, a region's
    bounds are rounded down, as half a pixel is there.

    Args:
        points: float64[..., 68, 2], x and y in pixels, in dlib's order.

    Returns:
        int64[..., 10, 4]: left, top, right, bottom of each region, the last two excluded. They may
        lie outside the image; they are empty where the mouth is less than 2 pixels wide.
    """
    x, y = points[..., 0], points[..., 1]
    w = np.maximum(np.trunc((x[..., _RIGHT_MOUTH] - x[..., _LEFT_MOUTH]) / 2), 0)
    h = np.trunc(w / 2)
    brows_x = (x[..., _LEFT_BROW] + x[..., _RIGHT_BROW]) / 2
    brows_y = (y[..., _LEFT_BROW] + y[..., _RIGHT_BROW]) / 2

    def corner(point: int) -> tuple[NDArray[np.float64], ...]:
        return x[..., point] - h, y[..., point] - h, x[..., point] + h, y[..., point] + h

    def row(left: NDArray[np.float64], middle: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        return left, middle - w / 2, left + w, middle + w / 2

    mouth_left, mouth_right = corner(_LEFT_MOUTH), corner(_RIGHT_MOUTH)
    squares = (
        mouth_left,
        mouth_right,
        (x[..., _CHIN] - h, y[..., _CHIN] - w, x[..., _CHIN] + h, y[..., _CHIN]),
        (x[..., _LEFT_NOSE] - w, mouth_left[1] - w, x[..., _LEFT_NOSE], mouth_left[1]),
        (x[..., _RIGHT_NOSE], mouth_right[1] - w, x[..., _RIGHT_NOSE] + w, mouth_right[1]),
        row(x[..., _LEFT_EYE] - w, y[..., _LEFT_EYE]),
        row(x[..., _RIGHT_EYE], y[..., _RIGHT_EYE]),
        (brows_x - h, brows_y - h, brows_x + h, brows_y + h),
        row(brows_x - 1.5 * w, brows_y),
        row(brows_x + 0.5 * w, brows_y),
    )
    return np.floor(np.stack([np.stack(square, -1) for square in squares], -2)).astype(np.int64)


def region_means(maps: NDArray[np.float64], regions: Regions) -> NDArray[np.float64]:
    """Returns the mean of each map over each region, through integral images.

    Args:
        maps: float64[n, h, w].
        regions: int64[n, r, 4] or, the same for all maps, int64[r, 4]: left, top, right, bottom,
            the last two excluded. What leaves the image is cut off.

    Returns:
        float64[n, r], NaN where nothing of a region lies in the image.
    """
    n, height, width = maps.shape
    sums = np.zeros((n, height + 1, width + 1))
    np.cumsum(maps, 1, out=sums[:, 1:, 1:])
    np.cumsum(sums[:, 1:, 1:], 2, out=sums[:, 1:, 1:])
    left, right = np.clip(regions[..., (0, 2)], 0, width).transpose(-1, *range(regions.ndim - 1))
    top, bottom = np.clip(regions[..., (1, 3)], 0, height).transpose(-1, *range(regions.ndim - 1))
    image = np.arange(n)[:, None]
    total = sums[image, bottom, right] - sums[image, top, right] - sums[image, bottom, left] + sums[image, top, left]
    area = np.maximum(right - left, 0) * np.maximum(bottom - top, 0)
    return np.where(area > 0, total / np.maximum(area, 1), np.nan)
