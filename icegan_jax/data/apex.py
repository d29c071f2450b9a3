"""Apex spotting: the frame of a clip in which the face has moved most, for clips without an annotated apex.

Crops should be registered to the onset first, which matters more than the choice of a method. Mean absolute error in
frames over the 24 clips of real test faces, registered and not registered, by ``experiments.apex_spotting``
(128 pixels, the onset's landmarks; the middle frame errs by 1.71):

    difference     0.21   3.75
    ratio          0.71   3.42
    ratio_offset   0.42   2.17

Without the one clip that shows no motion, the registered errors are 0.09, 0.39 and 0.39. CapsuleNet's published code
works on whole frames and detects the landmarks in each frame, and has a mean error of 3.21. Neither the landmarks of
each frame nor the scale matters much: at 64, 128, native 140 to 155, and 256 pixels the ratio errs by 0.62, 0.71, 0.58
and 0.25 frames registered, and by 3.2 to 3.4 not registered; landmarks of each frame change the registered errors by
less than 0.3. Spotting therefore works on the prepared crop.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.landmarks import Box, Points
from icegan_jax.errors import UserError

Gray = NDArray[np.uint8]
Regions = NDArray[np.int64]
Scores = NDArray[np.float64]

METHODS = ("difference", "ratio", "ratio_offset", "middle")

# Pixels that are held and processed at a time, 32 crops of 128x128: memory does not grow with the clip.
_CHUNK_PIXELS = 32 * 128 * 128

# Landmarks that position the ten regions, in dlib's order of 68 from 0 (docs/databases.md, "Apex spotting").
_CHIN = 8
_LEFT_BROW, _RIGHT_BROW = 19, 24
_LEFT_NOSE, _RIGHT_NOSE = 31, 35
_LEFT_EYE, _RIGHT_EYE = 36, 45
_LEFT_MOUTH, _RIGHT_MOUTH = 48, 54


def spot_apex(
    onset: Gray,
    later: Iterable[tuple[int, Gray]],
    *,
    method: str = "difference",
    offset: Gray | None = None,
    points: Points | Callable[[Gray], Points] | None = None,
) -> int:
    """Return the number of the frame in which the face has moved most.

    Methods:
        "difference": the largest mean |frame - onset| over the whole crop, after both have been standardized to mean 0
            and deviation 1, as the light drifts (docs/design.md, "Crop and registration").
        "ratio": the method of CapsuleNet's published code: the largest mean, over ten regions of the face, of
            (|frame - onset| + 1) / (|frame - previous frame| + 1). The first frame after the onset scores 1. Source:
            docs/databases.md, "Apex spotting", epsilon = 1 frame.
        "ratio_offset": "ratio" with (|frame - offset| + 1) / (|frame - previous frame| + 1) added, as in CapsuleNet's
            paper.
        "middle": the frame halfway between onset and offset among the frames that exist, whatever the pixels are (see
            ``middle_frame``, which needs no crops).

    Args:
        onset: uint8[h, w], the crop of the neutral face.
        later: (number, crop uint8[h, w]) of the frames after the onset up to the offset, ascending; read once, a few
            frames at a time.
        method: one of ``METHODS``.
        offset: uint8[h, w], the crop of the last frame; for "ratio_offset".
        points: for the ratios, the landmarks float64[68, 2] of the onset in pixels of the crop, or a function that
            returns the landmarks of a crop and is called on every frame, as in the published code.

    Returns:
        The number of the first frame with the highest score.

    Raises:
        UserError: the method is unknown, or the ten regions contain no pixel of the crop.
        ValueError: there is no frame after the onset, the frames differ in size, or an argument that the method needs
            is missing.
    """
    check_apex_method(method)
    if method == "middle":
        return middle_frame([number for number, _ in later])
    if method != "difference" and points is None:
        raise ValueError(f"{method} needs the landmarks")
    if method == "ratio_offset" and offset is None:
        raise ValueError("ratio_offset needs the offset's crop")
    if method == "difference":
        return largest_change(change_from_onset(onset, later))
    assert points is not None
    ratios: dict[int, float] = {}
    for numbers, frames in _chunks(onset, later):
        ratio = _ratio(onset, frames, points, offset if method == "ratio_offset" else None)
        ratios |= zip(numbers, ratio.tolist(), strict=True)
    return largest_change(ratios)


def change_from_onset(onset: Gray, later: Iterable[tuple[int, Gray]]) -> dict[int, float]:
    """Return {number: mean |frame - onset| of standardized crops}; arguments as of ``spot_apex``."""
    change: dict[int, float] = {}
    for numbers, frames in _chunks(onset, later):
        change |= zip(numbers, _difference(onset, frames).tolist(), strict=True)
    return change


def largest_change(change: Mapping[int, float]) -> int:
    """Return the number of the first frame with the largest change.

    Raises:
        ValueError: there is no frame.
    """
    if not change:
        raise ValueError("no frame after the onset")
    return max(change, key=change.__getitem__)


def check_apex_method(method: str) -> None:
    """Check that a method is one of ``METHODS``.

    Raises:
        UserError: the method is unknown.
    """
    if method not in METHODS:
        raise UserError(f"apex method {method!r} is unknown; use {', '.join(METHODS[:-1])} or {METHODS[-1]}")


def middle_frame(later: Sequence[int]) -> int:
    """Return the number of the middle frame of a clip, which is (onset + offset) // 2 where no frame is missing.

    Args:
        later: numbers of the frames that exist after the onset up to the offset, ascending.

    Raises:
        ValueError: there is no such frame.
    """
    if not later:
        raise ValueError("no frame after the onset")
    return later[max(len(later) // 2 - 1, 0)]  # position len // 2 counted from the onset


def _chunks(onset: Gray, later: Iterable[tuple[int, Gray]]) -> Iterator[tuple[list[int], Gray]]:
    """Yield the numbers of n frames, and uint8[1 + n, h, w]: the frame before the first of them, then the n frames."""
    remaining = iter(later)
    previous = onset
    length = max(1, _CHUNK_PIXELS // onset.size)
    while chunk := list(islice(remaining, length)):
        frames = np.stack([previous, *(frame for _, frame in chunk)])
        yield [number for number, _ in chunk], frames
        previous = frames[-1]


def _difference(onset: Gray, frames: Gray) -> Scores:
    """Return the scores float64[n] of n frames uint8[1 + n, h, w], which follow the frame before them."""
    return np.abs(_standardize(frames[1:]) - _standardize(onset[None])).mean((1, 2))


def _standardize(frames: Gray) -> NDArray[np.float64]:
    """Return each frame with mean 0 and standard deviation 1, or 0 everywhere for a constant frame."""
    pixels = frames - frames.mean((1, 2), keepdims=True)
    return np.asarray(pixels / np.maximum(pixels.std((1, 2), keepdims=True), 1e-6))


def _ratio(onset: Gray, frames: Gray, points: Points | Callable[[Gray], Points], offset: Gray | None) -> Scores:
    """Return the scores float64[n] of n frames uint8[1 + n, h, w], which follow the frame before them."""
    pixels = frames.astype(np.float64)
    change = np.abs(pixels[1:] - onset) + 1
    if offset is not None:
        change += np.abs(pixels[1:] - offset) + 1
    change /= np.abs(np.diff(pixels, axis=0)) + 1
    landmarks = np.stack([points(frame) for frame in frames[1:]]) if callable(points) else points
    means = region_means(change, ten_regions(landmarks))
    inside = ~np.isnan(means)
    if not inside.any(1).all():
        raise UserError("the regions that the ratio compares hold no pixel of the crop; use --apex=difference")
    return np.asarray(np.where(inside, means, 0).sum(1) / inside.sum(1))


def points_in_crop(points: Points, box: Box, size: int) -> Points:
    """Return points float64[..., 2] of an image in the pixels of the image's crop by ``box``.

    The crop is that of ``align.crop_face``: ``size`` pixels on a side, whatever the box's proportions. Pixels have
    their centers at whole numbers in both.
    """
    return (points - (box.left, box.top)) * (size / box.width, size / box.height) - 0.5


def ten_regions(points: Points) -> Regions:
    """Return the ten facial regions of CapsuleNet's apex spotting: squares, each about half a mouth wide.

    The order is left and right mouth corner, chin, left and right side of the nose, outside the left and the right eye,
    between the brows, left and right brow ("left" in the image). Source: docs/databases.md, "Apex spotting", where
    landmarks are whole numbers; for fractional landmarks the bounds of a region are rounded down, as half a pixel is in
    the source.

    Args:
        points: float64[..., 68, 2], x and y in pixels, in dlib's order.

    Returns:
        int64[..., 10, 4]: left, top, right, bottom of each region, the last two excluded. Regions may lie outside the
        image, and are empty where the mouth is less than 2 pixels wide.
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
    """Return the mean of each map over each region, computed from integral images.

    Args:
        maps: float64[n, h, w].
        regions: int64[n, r, 4] or, the same for all maps, int64[r, 4]: left, top, right, bottom, the last two excluded.
            Parts outside the image are cut off.

    Returns:
        float64[n, r], NaN where no part of a region lies in the image.
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
