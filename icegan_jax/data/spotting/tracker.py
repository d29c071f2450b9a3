"""Tracking of one face from frame to frame, and its crops with the head's motion removed.

Frames are registered as in ``icegan_jax.data.align`` (rigid, sub-pixel, ECC), with changes for long videos:
registration starts from the motion of the previous frame, works on a face of 128 pixels, ignores the eyes and what is
around the face, and replaces the template from time to time, so that the head may move anywhere in the image.

The mask excludes the background, which stays while the head moves, and the neck, which moves less. The mask also
excludes the eyes: blinks last as long as micro-expressions and move more (Liong, See, Wong and Phan, "Less is more:
micro-expression recognition from video using apex frame", Signal Processing: Image Communication 62, 2018). The
registration needs the same mask: a drawn blink moved the whole face by 0.2 pixels with the eyes and by 0.01 without.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.align import rotation_angle, scale_and_blur
from icegan_jax.data.landmarks import Box, Face, Points

Gray = NDArray[np.uint8]
Crop = NDArray[np.float32]
Motion = NDArray[np.float64]  # [3, 3], homogeneous

CROP_PIXELS = 72  # on a side of the crops

_EYES = (slice(36, 42), slice(42, 48))  # of the 68 landmarks
_EYE_MARGIN = 0.06  # of the face's width, excluded around the lids

_FACE_PIXELS = 128  # a wider face is scaled down to this width before registration and crop
_BLUR_SIGMA = 1.0  # in pixels of the scaled face, against sensor noise
_SEARCH_MARGIN = 0.25  # of the face's width, on every side of the region in which the face is searched
_MIN_TEMPLATE_PIXELS = 16  # on a side of the part of a face that is inside the image
_ECC_ITERATIONS = 30
_ECC_PRECISION = 1e-4
# Two frames of one face have a larger correlation, whatever the expression; two faces have a smaller one.
_MIN_CORRELATION = 0.9
_MAX_SHIFT = 0.2  # of the face's width, from the template: beyond this limit ECC has diverged

# The template is replaced after this shift (of the face's width), this rotation, or this time.
_TEMPLATE_SHIFT = 0.1
_TEMPLATE_ROTATION = math.radians(5)
_TEMPLATE_SECONDS = 5.0

# A detected face whose center or width differs by more than this share of the width is not the tracked face. The
# landmarks of one face differ by half as much when the mouth opens.
_MAX_DISAGREEMENT = 0.2


def face_mask(points: Points, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return uint8[h, w], 1 on the face, 0 on the eyes and outside the face.

    Args:
        points: float64[68, 2], the landmarks in pixels of the image.
        shape: (h, w) of the image.
    """
    face, eyes = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    _fill_hull(face, points)
    for eye in _EYES:
        _fill_hull(eyes, points[eye])
    side = 2 * round(_EYE_MARGIN * float(np.ptp(points[:, 0]))) + 1
    eyes = np.asarray(cv2.dilate(eyes, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))), np.uint8)
    return face * (1 - eyes)


def _fill_hull(mask: NDArray[np.uint8], points: Points) -> None:
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(points).astype(np.int32)), 1)


@dataclass(frozen=True)
class _Template:
    """The face in the frame with which later frames are registered.

    Attributes:
        pixels: float32[h, w], the face.
        mask: uint8[h, w], 1 where the face is compared.
        region_mask: uint8, 1 in the whole search region, for OpenCV.
        region: left, top, right, bottom in the image (the last two excluded) of the search region.
        to_image: transformation from pixels of the search region to those of the image.
        corner: transformation from pixels of the template to those of the search region.
        motion: motion from the frame in which the face was detected to the frame of the template.
    """

    pixels: Crop
    mask: Gray
    region_mask: Gray
    region: tuple[int, int, int, int]
    to_image: Motion
    corner: Motion
    motion: Motion


class Tracker:
    """Tracks a face through the frames after the one in which the face was detected.

    Attributes:
        box: the face in the frame in which the face was detected.
        motion: float64[3, 3], rigid, from pixels of that frame to those of the last tracked frame.
    """

    def __init__(self, frame: Gray, face: Face, fps: float) -> None:
        """Start with the frame uint8[h, w] in which ``face`` was detected; ``fps``: frames per second."""
        self.box = box = face.box().within(frame.shape)
        self._points = np.hstack([face.points, np.ones((len(face.points), 1))])
        self.motion: Motion = np.eye(3)
        self._scale = min(1.0, _FACE_PIXELS / max(box.width, box.height))
        self._max_age = max(1, round(_TEMPLATE_SECONDS * fps))
        self._center = np.array([(box.left + box.right) / 2, (box.top + box.bottom) / 2, 1.0])
        step_x, step_y = box.width / CROP_PIXELS, box.height / CROP_PIXELS
        self._grid: Motion = np.array(
            [[step_x, 0, box.left + step_x / 2], [0, step_y, box.top + step_y / 2], [0, 0, 1]]
        )
        self._frame = frame
        self._age = 0  # frames since the template
        self._set_template(frame)

    def track(self, frame: Gray) -> bool:
        """Register the next frame uint8[h, w]; return False where the face is not within reach of the previous one."""
        if frame.shape != self._frame.shape:
            return False
        tracked = self._register(frame)
        if not tracked and self._age:  # the head may have turned since the template: register to the previous frame
            self._set_template(self._frame)
            tracked = self._register(frame)
        if not tracked:
            return False
        self._age += 1
        self._frame = frame
        since = self.motion @ np.linalg.inv(self._template.motion)
        moved = self._shift_since_template(since) > _TEMPLATE_SHIFT * self.box.width
        if moved or rotation_angle(since) > _TEMPLATE_ROTATION or self._age >= self._max_age:
            self._set_template(frame)
        return True

    def head_shift(self) -> tuple[float, float]:
        """Return the shift (x, y) in pixels of the face's center since the face was detected."""
        x, y, _ = (self.motion - np.eye(3)) @ self._center
        return float(x), float(y)

    def matches(self, box: Box) -> bool:
        """Return whether a face detected in the last frame is the tracked face."""
        x, y, _ = self.motion @ self._center
        distance = math.hypot(x - (box.left + box.right) / 2, y - (box.top + box.bottom) / 2)
        same_width = abs(box.width / self.box.width - 1) <= _MAX_DISAGREEMENT
        return distance <= _MAX_DISAGREEMENT * self.box.width and same_width

    def crop(self) -> Crop:
        """Return float32[CROP_PIXELS, CROP_PIXELS], the face in the last frame with the head's motion removed."""
        to_region = np.linalg.inv(self._template.to_image) @ self.motion @ self._grid
        size = (CROP_PIXELS, CROP_PIXELS)
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        crop = cv2.warpAffine(self._region, to_region[:2], size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(crop, np.float32)

    def _set_template(self, frame: Gray) -> None:
        """Register later frames to this frame, in which the face is at ``motion``."""
        x, y, _ = self.motion @ self._center
        half = np.array([self.box.width, self.box.height]) / 2
        box = Box(x - half[0], y - half[1], x + half[0], y + half[1])
        region = box.grown(_SEARCH_MARGIN).pixel_bounds(frame.shape)
        self._region = self._cut(frame, region)
        offset, s = (1 / self._scale - 1) / 2, self._scale
        # Centers of pixels: x' + 0.5 = scale (x - left + 0.5).
        to_image = np.array([[1 / s, 0, region[0] + offset], [0, 1 / s, region[1] + offset], [0, 0, 1]])
        (left, top, _), (right, bottom, _) = (
            np.linalg.inv(to_image) @ corner for corner in ((box.left, box.top, 1), (box.right, box.bottom, 1))
        )
        x0, y0, x1, y1 = Box(left, top, right, bottom).pixel_bounds(self._region.shape)
        pixels = np.ascontiguousarray(self._region[y0:y1, x0:x1])
        corner = np.array([[1.0, 0, x0], [0, 1, y0], [0, 0, 1]])
        points = self._points @ (np.linalg.inv(to_image @ corner) @ self.motion).T
        mask = face_mask(points[:, :2], pixels.shape)
        region_mask = np.ones(self._region.shape, np.uint8)
        self._template = _Template(pixels, mask, region_mask, region, to_image, corner, self.motion)
        self._warp = corner[:2].astype(np.float32)
        self._frame = frame
        self._age = 0

    def _register(self, frame: Gray) -> bool:
        """Set ``motion`` to that of this frame, and return True, where the face is found near the previous position."""
        template = self._template
        if min(template.pixels.shape) < _MIN_TEMPLATE_PIXELS:
            return False
        region = self._cut(frame, template.region)
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, _ECC_ITERATIONS, _ECC_PRECISION)
        try:
            correlation, warp = cv2.findTransformECCWithMask(
                template.pixels,
                region,
                template.mask,
                template.region_mask,
                self._warp.copy(),
                cv2.MOTION_EUCLIDEAN,
                criteria,
                1,
            )
        except cv2.error:
            return False
        in_region = np.vstack([warp, [0, 0, 1]]) @ np.linalg.inv(template.corner)
        since = template.to_image @ in_region @ np.linalg.inv(template.to_image)
        motion = since @ template.motion
        x, y, _ = motion @ self._center
        inside = 0 <= x < frame.shape[1] and 0 <= y < frame.shape[0]
        near = self._shift_since_template(since) <= _MAX_SHIFT * self.box.width
        if not (correlation >= _MIN_CORRELATION and near and inside):
            return False
        self.motion, self._warp, self._region = motion, np.asarray(warp, np.float32), region
        return True

    def _shift_since_template(self, since: Motion) -> float:
        """Return the shift in pixels of the face's center by the motion since the template."""
        before = self._template.motion @ self._center
        return float(np.linalg.norm(since @ before - before))

    def _cut(self, frame: Gray, region: tuple[int, int, int, int]) -> Crop:
        left, top, right, bottom = region
        return scale_and_blur(frame[top:bottom, left:right], self._scale, _BLUR_SIGMA)
