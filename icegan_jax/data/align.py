"""Registration of a clip's frames to the onset, and the crop of the face, in one resampling.

A head drifts by a pixel while a micro-expression moves the skin by one to three pixels (docs/design.md, "Crop and
registration"). Each frame is moved back onto the onset by a rigid, sub-pixel motion that maximizes the enhanced
correlation coefficient (ECC; Evangelidis and Psarakis, PAMI 2008; OpenCV's ``findTransformECC``), and each crop is
sampled from the original image once.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.landmarks import Box

Gray = NDArray[np.uint8]
Crop = NDArray[np.float32]
Motion = NDArray[np.float64]

IDENTITY: Motion = np.eye(2, 3)

# ECC works on the crop with this share of the crop's width around it, so that a moved frame still fills the crop.
_ECC_MARGIN = 0.15
# Gaussian blur before ECC, in pixels (docs/design.md, "Test faces and the reference classifier"), for crops of at most
# _ECC_PIXELS on a side. Larger crops are scaled down, which leaves 2 working pixels for each of the 128 output pixels.
_ECC_SIGMA = 2.0
_ECC_PIXELS = 256
_ECC_ITERATIONS = 100
_ECC_PRECISION = 1e-6
# A head that keeps its pose moves by less within a clip: beyond these limits ECC has diverged.
_MAX_SHIFT = 0.25  # of the crop's width
_MAX_ROTATION = math.radians(15)


def estimate_motion(onset: Gray, frame: Gray, box: Box) -> Motion | None:
    """Estimate the rigid motion that takes a point of the onset's face to its position in the frame.

    Args:
        onset: uint8[h, w], the frame registered to.
        frame: uint8[h, w], another frame of the clip.
        box: the face in the onset; only the pixels inside the box are compared.

    Returns:
        float64[2, 3], [rotation | shift in pixels] from onset to frame. None where ECC does not converge, or where the
        motion is larger than a head that keeps its pose can make.
    """
    if onset.shape != frame.shape:
        return None
    left, top, right, bottom = box.grown(_ECC_MARGIN).pixel_bounds(onset.shape)
    scale = min(1.0, _ECC_PIXELS / max(box.width, box.height))
    onset_region, frame_region = (
        scale_and_blur(image[top:bottom, left:right], scale, _ECC_SIGMA) for image in (onset, frame)
    )
    # The part of the onset that is compared, in working pixels: x' + 0.5 = scale (x - left + 0.5).
    template_box = Box(
        scale * (box.left - left + 0.5) - 0.5,
        scale * (box.top - top + 0.5) - 0.5,
        scale * (box.right - left + 0.5) - 0.5,
        scale * (box.bottom - top + 0.5) - 0.5,
    )
    x0, y0, x1, y1 = template_box.pixel_bounds(onset_region.shape)
    initial = np.array([[1, 0, x0], [0, 1, y0]], np.float32)
    try:
        correlation, warp = cv2.findTransformECC(
            onset_region[y0:y1, x0:x1],
            frame_region,
            initial,
            cv2.MOTION_EUCLIDEAN,
            (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, _ECC_ITERATIONS, _ECC_PRECISION),
        )
    except cv2.error:
        return None
    rotation = np.asarray(warp[:, :2], np.float64)
    # From the template's working pixels to the region's, then to pixels of the image.
    shift = warp[:, 2] - rotation @ (x0, y0)
    origin = np.array([left, top]) + (1 / scale - 1) / 2
    shift = shift / scale + origin - rotation @ origin
    motion = np.hstack([rotation, shift[:, None]])
    plausible = motion_extent(motion, box) <= _MAX_SHIFT * box.width and rotation_angle(motion) <= _MAX_ROTATION
    return motion if math.isfinite(correlation) and plausible else None


def scale_and_blur(region: Gray, scale: float, sigma: float) -> Crop:
    """Return the region uint8[h, w] as float32, scaled by ``scale`` (at most 1), then blurred by ``sigma`` pixels."""
    pixels = region.astype(np.float32)
    if scale < 1:
        smaller = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        pixels = np.asarray(smaller, np.float32)
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.float32)


def rotation_angle(motion: Motion) -> float:
    """Return the angle in radians, at least 0, by which a rigid motion rotates."""
    return abs(math.atan2(motion[1, 0], motion[0, 0]))


def motion_extent(motion: Motion, box: Box) -> float:
    """Return the distance in pixels by which a rigid motion float64[2, 3] moves the center of a face's box."""
    center = np.array([(box.left + box.right) / 2, (box.top + box.bottom) / 2])
    return float(np.linalg.norm(motion[:, :2] @ center + motion[:, 2] - center))


def crop_face(image: Gray, box: Box, motion: Motion, size: int) -> Crop:
    """Sample the face from the image, moved back by ``motion``, in one resampling.

    The box is sampled cubically at a whole multiple of ``size`` that is no coarser than the image, and the samples of
    each output pixel are averaged (INTER_AREA).

    Args:
        image: uint8[h, w].
        box: the face in the onset's coordinates.
        motion: float64[2, 3] from ``estimate_motion``, or ``IDENTITY``.
        size: pixels on a side of the result.

    Returns:
        float32[size, size], gray levels from 0 to 255; cubic interpolation can go a little beyond both ends.
    """
    oversampling = max(1, math.ceil(max(box.width, box.height) / size))
    samples = size * oversampling
    step_x, step_y = box.width / samples, box.height / samples
    grid = np.array([[step_x, 0, box.left + step_x / 2], [0, step_y, box.top + step_y / 2], [0, 0, 1]])
    sampled = cv2.warpAffine(
        image.astype(np.float32),
        motion @ grid,
        (samples, samples),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if oversampling > 1:
        sampled = cv2.resize(sampled, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(sampled, np.float32)


def match_brightness(crop: Crop, onset: Crop) -> Crop:
    """Scale ``crop`` float32[h, w] to the mean of ``onset``, as the light drifts within a clip."""
    mean = float(crop.mean())
    return crop if mean <= 0 else np.asarray(crop * (float(onset.mean()) / mean), np.float32)


def crop_frame(image: Gray, onset: Gray, neutral: Crop, box: Box, *, register: bool) -> tuple[Gray, Motion | None]:
    """Crop a frame as the onset of its clip was cropped.

    Args:
        image: uint8[h, w], the frame.
        onset: uint8[h, w], the whole onset.
        neutral: float32[size, size], the crop of the onset.
        box: the face in the onset.
        register: whether the frame is moved onto the onset and its brightness is matched.

    Returns:
        uint8[size, size], and the motion from the onset to the frame: None where registration failed, ``IDENTITY``
        where the frame is not registered.
    """
    motion = estimate_motion(onset, image, box) if register else IDENTITY
    crop = crop_face(image, box, IDENTITY if motion is None else motion, len(neutral))
    return to_gray(match_brightness(crop, neutral) if register else crop), motion


def to_gray(crop: Crop) -> Gray:
    """Round gray levels float32[h, w] to uint8[h, w]."""
    return np.clip(np.rint(crop), 0, 255).astype(np.uint8)
