"""Registering the frames of a clip to its onset, and cropping them, in one resampling.

Heads drift by a pixel while a micro-expression moves one to three (docs/design.md, "Crop and registration"). Each frame
is moved back onto the onset by a rigid, sub-pixel motion, found by maximising the enhanced
correlation coefficient (Evangelidis and Psarakis, PAMI 2008; OpenCV's ``findTransformECC``), and is
read from the original image once.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.landmarks import Box

Grey = NDArray[np.uint8]
Crop = NDArray[np.float32]
Motion = NDArray[np.float64]

IDENTITY: Motion = np.eye(2, 3)

# ECC works on the crop with this much of its width around it, so that a moved frame has pixels to
# show.
_ECC_MARGIN = 0.15
# Gaussian blur before ECC, in pixels (docs/design.md, "Test faces and the reference classifier"), at crops of at most
# _ECC_PIXELS; larger ones are scaled down, which leaves 2 working pixels for each of the 128 of the output.
_ECC_SIGMA = 2.0
_ECC_PIXELS = 256
_ECC_STEPS = 100
_ECC_PRECISION = 1e-6
# A head that keeps its pose does not move further within a clip; beyond it ECC has gone astray.
_MOST_SHIFT = 0.25  # of the crop's width
_MOST_TURN = math.radians(15)


def estimate_motion(onset: Grey, frame: Grey, box: Box) -> Motion | None:
    """Finds the rigid motion that takes a point of the onset's face to its place in the frame.

    Args:
        onset: uint8[h, w], the frame registered to.
        frame: uint8[h, w], another frame of the clip.
        box: the face in the onset; only its inside is compared.

    Returns:
        float64[2, 3], [rotation | shift in pixels] from onset to frame, or None where the
        correlation could not be maximised or the motion is more than a head that keeps its pose can
        make.
    """
    if onset.shape != frame.shape:
        return None
    left, top, right, bottom = _whole(box.grown(_ECC_MARGIN), onset.shape)
    scale = min(1.0, _ECC_PIXELS / max(box.width, box.height))
    still, moving = (_smoothed(g[top:bottom, left:right], scale) for g in (onset, frame))
    # The part of the onset that is compared, in working pixels: x' + 0.5 = scale (x - left + 0.5).
    place = Box(
        scale * (box.left - left + 0.5) - 0.5,
        scale * (box.top - top + 0.5) - 0.5,
        scale * (box.right - left + 0.5) - 0.5,
        scale * (box.bottom - top + 0.5) - 0.5,
    )
    x0, y0, x1, y1 = _whole(place, still.shape)
    start = np.array([[1, 0, x0], [0, 1, y0]], np.float32)
    try:
        fit, motion = cv2.findTransformECC(
            still[y0:y1, x0:x1],
            moving,
            start,
            cv2.MOTION_EUCLIDEAN,
            (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, _ECC_STEPS, _ECC_PRECISION),
        )
    except cv2.error:
        return None
    turn = np.asarray(motion[:, :2], np.float64)
    # From the template's working pixels to the region's, then to pixels of the image.
    shift = motion[:, 2] - turn @ (x0, y0)
    origin = np.array([left, top]) + (1 / scale - 1) / 2
    shift = shift / scale + origin - turn @ origin
    found = np.hstack([turn, shift[:, None]])
    angle = abs(math.atan2(turn[1, 0], turn[0, 0]))
    if not (math.isfinite(fit) and motion_extent(found, box) <= _MOST_SHIFT * box.width and angle <= _MOST_TURN):
        return None
    return found


def _whole(box: Box, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Returns left, top, right, bottom (the last two excluded) of the pixels under the box."""
    h, w = shape
    left, top = max(0, math.floor(box.left)), max(0, math.floor(box.top))
    return left, top, min(w, math.ceil(box.right) + 1), min(h, math.ceil(box.bottom) + 1)


def _smoothed(region: Grey, scale: float) -> Crop:
    grey = region.astype(np.float32)
    if scale < 1:
        smaller = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        grey = np.asarray(smaller, np.float32)
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), _ECC_SIGMA), np.float32)


def crop_face(image: Grey, box: Box, motion: Motion, size: int) -> Crop:
    """Reads the face from the image, moved back by ``motion``, in one resampling.

    The box is sampled cubically at a whole multiple of ``size`` that is no coarser than the image,
    and the samples of each output pixel are averaged (INTER_AREA).

    Args:
        image: uint8[h, w].
        box: the face in the onset's coordinates.
        motion: float64[2, 3] from ``estimate_motion``, or ``IDENTITY``.
        size: pixels on a side of the result.

    Returns:
        float32[size, size], grey levels 0 to 255 and possibly a little beyond.
    """
    times = max(1, math.ceil(max(box.width, box.height) / size))
    fine = size * times
    step_x, step_y = box.width / fine, box.height / fine
    grid = np.array([[step_x, 0, box.left + step_x / 2], [0, step_y, box.top + step_y / 2], [0, 0, 1]])
    sampled = cv2.warpAffine(
        image.astype(np.float32),
        motion @ grid,
        (fine, fine),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if times > 1:
        sampled = cv2.resize(sampled, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(sampled, np.float32)


def match_brightness(crop: Crop, onset: Crop) -> Crop:
    """Scales float32[h, w] ``crop`` to the mean of ``onset``: light drifts within a clip."""
    mean = float(crop.mean())
    return crop if mean <= 0 else np.asarray(crop * (float(onset.mean()) / mean), np.float32)


def crop_frame(image: Grey, onset: Grey, neutral: Crop, box: Box, *, register: bool) -> tuple[Grey, Motion | None]:
    """Crops a frame as its onset was cropped.

    Args:
        image: uint8[h, w], the frame.
        onset: uint8[h, w], the whole onset.
        neutral: float32[size, size], its crop.
        box: the face in the onset.
        register: whether to move the frame onto the onset and match its brightness.

    Returns:
        uint8[size, size], and the motion from the onset to the frame; None where the frame could not be moved,
        ``IDENTITY`` where it was not to be.
    """
    motion = estimate_motion(onset, image, box) if register else IDENTITY
    crop = crop_face(image, box, IDENTITY if motion is None else motion, len(neutral))
    return to_grey(match_brightness(crop, neutral) if register else crop), motion


def motion_extent(motion: Motion, box: Box) -> float:
    """Returns how far, in pixels, a ``motion`` takes the middle of a face's box."""
    middle = np.array([(box.left + box.right) / 2, (box.top + box.bottom) / 2])
    return float(np.linalg.norm(motion[:, :2] @ middle + motion[:, 2] - middle))


def to_grey(crop: Crop) -> Grey:
    """Rounds float32[h, w] grey levels to uint8[h, w]."""
    return np.clip(np.rint(crop), 0, 255).astype(np.uint8)
