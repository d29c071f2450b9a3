"""The ten facial regions of CapsuleNet's apex spotting, and means over them (docs/databases.md, "Apex spotting").

Spotting the apex of a clip that has none annotated: the frame in which the face has moved most.

Crops are to be registered to the onset first: that is worth more than the choice of a method. Mean
absolute error in frames over the 24 clips of faces/micro, registered and not, by
experiments/apex_spotting.py (128 pixels, the onset's landmarks; the middle frame: 1.71):

    difference     0.21   3.75
    ratio          0.71   3.42
    ratio_offset   0.42   2.17

Without subject04/sad, which shows no motion, the registered ones are 0.09, 0.39 and 0.39.
CapsuleNet's published code works on whole frames and finds the landmarks again on each: 3.21. Neither
that nor the scale matters much: at 64, 128, native 140 to 155, and 256 pixels the ratio errs by 0.62,
0.71, 0.58 and 0.25 frames registered, and by 3.2 to 3.4 not; landmarks of each frame change the
registered ones by less than 0.3. So the crop is the one that is prepared.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.landmarks import Box, Points
from icegan_jax.errors import UserError

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


METHODS = ("difference", "ratio", "ratio_offset", "middle")

Grey = NDArray[np.uint8]

Scores = NDArray[np.float64]

# Pixels that are held and worked on at a time, 32 crops of 128x128: memory does not grow with the clip.
_CHUNK_PIXELS = 32 * 128 * 128


def spot_apex(
    onset: Grey,
    later: Iterable[tuple[int, Grey]],
    *,
    method: str = "difference",
    offset: Grey | None = None,
    points: Points | Callable[[Grey], Points] | None = None,
) -> int:
    """Returns the number of the frame in which the face has moved most.

    Methods:
        "difference": the largest mean |frame - onset| over the whole crop, after each has been
            given mean 0 and contrast 1, as the light drifts (docs/design.md, "Crop and registration").
        "ratio": CapsuleNet's, as its published code: the largest mean, over ten regions of the
            face, of (|frame - onset| + 1) / (|frame - the frame before it| + 1). The first frame
            after the onset scores 1. Source: docs/databases.md, "Apex spotting", epsilon = 1 frame.
        "ratio_offset": the same with (|frame - offset| + 1) / (|frame - the frame before it| + 1)
            added, as its paper describes.
        "middle": the frame halfway between onset and offset among those that exist; no pixel is
            looked at (see ``middle_frame``, which needs no crops).

    Args:
        onset: uint8[h, w], the crop of the neutral face.
        later: (number, uint8[h, w] crop) of the frames after the onset up to the offset,
            ascending; read once, a few at a time.
        method: one of ``METHODS``.
        offset: uint8[h, w], the crop of the last frame; for "ratio_offset".
        points: for the ratios: float64[68, 2] landmarks of the onset in pixels of the crop, or a
            function that finds them in a crop, called on every frame, as published.

    Returns:
        The first frame number of the highest score.

    Raises:
        UserError: the method is unknown, or the ten regions hold no pixel of the crop.
        ValueError: there is no frame after the onset, they differ in size, or an argument that the
            method needs is missing.
    """
    check_method(method)
    if method == "middle":
        return middle_frame([number for number, _ in later])
    if method != "difference" and points is None:
        raise ValueError(f"{method} needs the landmarks")
    if method == "ratio_offset" and offset is None:
        raise ValueError("ratio_offset needs the offset's crop")
    best, apex = -np.inf, None
    for numbers, frames in _chunks(onset, later):
        if method == "difference":
            scores = _difference(onset, frames)
        else:
            assert points is not None
            scores = _ratio(onset, frames, points, offset if method == "ratio_offset" else None)
        highest = int(np.argmax(scores))
        if scores[highest] > best:
            best, apex = scores[highest], numbers[highest]
    if apex is None:
        raise ValueError("no frame after the onset")
    return apex


def check_method(method: str) -> None:
    """Refuses a method that is not one of ``METHODS``.

    Raises:
        UserError: it is unknown.
    """
    if method not in METHODS:
        raise UserError(f"apex method {method!r} is unknown; use {', '.join(METHODS[:-1])} or {METHODS[-1]}")


def middle_frame(later: Sequence[int]) -> int:
    """Returns the middle frame of a clip; without gaps it is (onset + offset) // 2.

    Args:
        later: numbers of the frames that exist after the onset up to the offset, ascending.

    Raises:
        ValueError: there is none.
    """
    if not later:
        raise ValueError("no frame after the onset")
    return later[max(len(later) // 2 - 1, 0)]  # position len // 2 counted from the onset


def _chunks(onset: Grey, later: Iterable[tuple[int, Grey]]) -> Iterator[tuple[list[int], Grey]]:
    """Yields numbers and uint8[1 + n, h, w]: n frames behind the one before them."""
    stream = iter(later)
    before = onset
    length = max(1, _CHUNK_PIXELS // onset.size)
    while chunk := list(islice(stream, length)):
        frames = np.stack([before, *(frame for _, frame in chunk)])
        yield [number for number, _ in chunk], frames
        before = frames[-1]


def _difference(onset: Grey, frames: Grey) -> Scores:
    """Scores uint8[1 + n, h, w], the frame before them first; float64[n]."""
    return np.abs(_standardised(frames[1:]) - _standardised(onset[None])).mean((1, 2))


def _standardised(frames: Grey) -> NDArray[np.float64]:
    """Returns each frame with mean 0 and standard deviation 1 (0 everywhere where it is flat)."""
    pixels = frames - frames.mean((1, 2), keepdims=True)
    return np.asarray(pixels / np.maximum(pixels.std((1, 2), keepdims=True), 1e-6))


def _ratio(onset: Grey, frames: Grey, points: Points | Callable[[Grey], Points], offset: Grey | None) -> Scores:
    """Scores uint8[1 + n, h, w], the frame before them first; float64[n]."""
    pixels = frames.astype(np.float64)
    change = np.abs(pixels[1:] - onset) + 1
    if offset is not None:
        change += np.abs(pixels[1:] - offset) + 1
    change /= np.abs(np.diff(pixels, axis=0)) + 1
    places = np.stack([points(frame) for frame in frames[1:]]) if callable(points) else points
    means = region_means(change, ten_regions(places))
    seen = ~np.isnan(means)
    if not seen.any(1).all():
        raise UserError("the regions that the ratio compares hold no pixel of the crop; use --apex=difference")
    return np.asarray(np.where(seen, means, 0).sum(1) / seen.sum(1))
