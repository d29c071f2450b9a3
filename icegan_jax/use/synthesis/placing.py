"""Placing what changes in a face back into the picture that the face was cropped from."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.faces import MARGIN, Box

Colour = NDArray[np.uint8]
Floats = NDArray[np.float32]

# Over this share of the box, from its edge inwards, the change sets in: the margin around the landmarks.
_FEATHER = MARGIN / (1 + 2 * MARGIN)
# Gaussian blur of the motion, in pixels of the crop: transposed convolutions leave a wobble from pixel to pixel, which
# is nothing at the crop's size and a zigzag along every edge of a picture ten times as large. Chosen by eye.
_SMOOTH = 1.0


def place(picture: Colour, box: Box, change: Floats, intensity: float) -> Colour:
    """Changes the face in a picture; outside the box no pixel is another.

    Smoothed motion and grey levels are enlarged to the picture's pixels (cubic), fade towards the edge of the box, and
    are applied to the picture itself: its pixels move, cubically interpolated, so that its detail and colour stay; the
    grey levels are added to red, green and blue alike.

    Args:
        picture: uint8[h, w, 3], RGB.
        box: the crop, in the picture's pixels.
        change: float32[n, n, 3] of the crop, see ``use.model.Model.change``.
        intensity: how much of it; 0 leaves every pixel as it is.

    Returns:
        uint8[h, w, 3].
    """
    n = len(change)
    change = np.dstack([cv2.GaussianBlur(change[..., :2], (0, 0), _SMOOTH), change[..., 2]])
    top, bottom = _within(box.top, box.bottom, picture.shape[0])
    left, right = _within(box.left, box.right, picture.shape[1])
    y, x = np.arange(top, bottom, dtype=np.float32), np.arange(left, right, dtype=np.float32)
    fade = np.outer(_fade(y, box.top, box.bottom), _fade(x, box.left, box.right))
    scaled = np.array((box.height / n, box.width / n, 1), np.float32) * np.float32(intensity) * fade[..., None]
    down, across, added = np.moveaxis(_enlarged(change, box, top, bottom, left, right) * scaled, 2, 0)
    part = box.grown(MARGIN)  # whence pixels may come
    y0, y1 = _within(part.top, part.bottom, picture.shape[0])
    x0, x1 = _within(part.left, part.right, picture.shape[1])
    source = picture[y0:y1, x0:x1].astype(np.float32)
    columns, rows = x[None, :] - x0 + across, y[:, None] - y0 + down
    moved = cv2.remap(source, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    placed = picture.copy()
    placed[top:bottom, left:right] = np.clip(np.rint(moved + added[..., None]), 0, 255).astype(np.uint8)
    return placed


def _within(start: float, end: float, pixels: int) -> tuple[int, int]:
    """First and last (excluded) of the pixels whose centres lie in an interval."""
    return max(0, math.ceil(start)), min(pixels, math.floor(end) + 1)


def _fade(at: Floats, start: float, end: float) -> Floats:
    """0 at the ends of an interval, 1 from ``_FEATHER`` of its length inwards, half a cosine in between."""
    inwards = np.minimum(at - start, end - at) / (_FEATHER * (end - start))
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.clip(inwards, 0, 1)), np.float32)


def _enlarged(fields: Floats, box: Box, top: int, bottom: int, left: int, right: int) -> Floats:
    """Fields [n, n, c] of the crop at the picture's pixels, float32[bottom - top, right - left, c].

    Where the picture is coarser than the crop, several samples a pixel are averaged.
    """
    n = len(fields)
    times = max(1, math.ceil(n / min(box.width, box.height)))
    # From sample j to picture x = left - 0.5 + (j + 0.5) / times, and on to the crop, (x - box.left) n / width - 0.5.
    sx, sy = n / box.width, n / box.height
    x0 = (left - 0.5 + 0.5 / times - box.left) * sx - 0.5
    y0 = (top - 0.5 + 0.5 / times - box.top) * sy - 0.5
    sampled = cv2.warpAffine(
        fields,
        np.array([[sx / times, 0, x0], [0, sy / times, y0]]),
        ((right - left) * times, (bottom - top) * times),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if times > 1:
        sampled = cv2.resize(sampled, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    return np.asarray(sampled, np.float32)
