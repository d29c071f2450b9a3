"""The part of the picture that is compared: the face within its landmarks, without the eyes.

What is behind the head stays where it is while the head moves, and the neck moves less. Blinks last as long as
micro-expressions and move more: Liong, See, Wong and Phan ("Less is more: micro-expression recognition from video using
apex frame", Signal Processing: Image Communication 62, 2018) leave the eyes out of what is compared. They have to be
left out of the registration, too: a drawn blink pulled the whole face along by 0.2 pixels, by 0.01 without the eyes.

Following one face from frame to frame, and cropping it with the head's motion taken out.

The registration of ``icegan_jax.data.align`` (rigid, sub-pixel, ECC) as long videos need it: it starts from the
motion of the frame before, works on a face of 128 pixels, leaves out the eyes and what is around the face, and replaces
the frame it compares with now and then, so that the head may go anywhere in the picture.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.landmarks import Box, Face, Points

_EYES = (slice(36, 42), slice(42, 48))  # of the 68 landmarks

_AROUND_EYES = 0.06  # of the face's width, left out around the lids


def face_mask(points: Points, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return uint8[h, w], 1 on the face, 0 on the eyes and beside it.

    Args:
        points: float64[68, 2], the landmarks in pixels of the picture.
        shape: (h, w) of the picture.
    """
    face, eyes = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    _fill(face, points)
    for eye in _EYES:
        _fill(eyes, points[eye])
    side = 2 * round(_AROUND_EYES * float(np.ptp(points[:, 0]))) + 1
    eyes = np.asarray(cv2.dilate(eyes, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))), np.uint8)
    return face * (1 - eyes)


def _fill(mask: NDArray[np.uint8], points: Points) -> None:
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(points).astype(np.int32)), 1)


Grey = NDArray[np.uint8]

Crop = NDArray[np.float32]

Motion = NDArray[np.float64]  # [3, 3], homogeneous

# Pixels on a side of the crops.
CROP_PIXELS = 72

# A wider face is scaled down to this before it is registered and cropped.
_FACE_PIXELS = 128

_BLUR = 1.0  # Gaussian, in those pixels: takes out sensor noise

_MARGIN = 0.25  # of the face's width, on every side: where the face is searched for

_FEWEST_PIXELS = 16  # on a side of what is left of a face at the picture's edge

_ECC_STEPS = 30

_ECC_PRECISION = 1e-4

# Two frames of one face correlate better, whatever it does; two faces do not.
_LEAST_CORRELATION = 0.9

# Of the face's width: the shift from the frame compared with beyond which ECC has gone astray.
_MOST_SHIFT = 0.2

# The frame compared with is replaced after this shift (of the face's width), this turn, or this time.
_FAR = 0.1

_TURNED = math.radians(5)

_OLD_SECONDS = 5.0

# A face found elsewhere or of another size, by this much of its width, is not the one followed; landmarks of one face
# differ by half as much when the mouth opens.
_DISAGREES = 0.2


@dataclass(frozen=True)
class _Anchor:
    """The frame that later ones are compared with.

    Attributes:
        template: float32[h, w], the face in it.
        kept: uint8[h, w], 1 where it is compared.
        anywhere: uint8, 1 in the whole region that is searched.
        place: left, top, right, bottom in the picture (the last two excluded) of the region that is searched.
        to_picture: from pixels of the region to those of the picture.
        corner: from pixels of the template to those of the region.
        motion: from the frame in which the face was found to this one.
    """

    template: Crop
    kept: Grey
    anywhere: Grey
    place: tuple[int, int, int, int]
    to_picture: Motion
    corner: Motion
    motion: Motion


class Tracker:
    """Follow a face through the frames after the one in which it was found.

    Attributes:
        box: the face in the frame in which it was found.
        motion: float64[3, 3], rigid, from that frame's pixels to those of the last frame followed.
    """

    def __init__(self, frame: Grey, face: Face, fps: float) -> None:
        self.box = box = face.box().within(frame.shape)
        self._points = np.hstack([face.points, np.ones((len(face.points), 1))])
        self.motion: Motion = np.eye(3)
        self._scale = min(1.0, _FACE_PIXELS / max(box.width, box.height))
        self._old = max(1, round(_OLD_SECONDS * fps))
        self._middle = np.array([(box.left + box.right) / 2, (box.top + box.bottom) / 2, 1.0])
        step_x, step_y = box.width / CROP_PIXELS, box.height / CROP_PIXELS
        self._grid: Motion = np.array(
            [[step_x, 0, box.left + step_x / 2], [0, step_y, box.top + step_y / 2], [0, 0, 1]]
        )
        self._frame = frame
        self._age = 0  # frames since the anchor
        self._anchor_at(frame)

    def follow(self, frame: Grey) -> bool:
        """Move on to the next frame, uint8[h, w]; False: the face is not where it could have got to."""
        if frame.shape != self._frame.shape:
            return False
        found = self._align(frame)
        if not found and self._age:  # the head may have turned since: compare with the frame before
            self._anchor_at(self._frame)
            found = self._align(frame)
        if not found:
            return False
        self._age += 1
        self._frame = frame
        since = self.motion @ np.linalg.inv(self._anchor.motion)
        if self._far(since) > _FAR * self.box.width or _turn(since) > _TURNED or self._age >= self._old:
            self._anchor_at(frame)
        return True

    def shift(self) -> tuple[float, float]:
        """Return how far the middle of the face is from where it was found, x and y in pixels of the picture."""
        x, y, _ = (self.motion - np.eye(3)) @ self._middle
        return float(x), float(y)

    def agrees(self, box: Box) -> bool:
        """Whether a face that was found in the last frame is the one that is followed."""
        x, y, _ = self.motion @ self._middle
        off = math.hypot(x - (box.left + box.right) / 2, y - (box.top + box.bottom) / 2)
        return off <= _DISAGREES * self.box.width and abs(box.width / self.box.width - 1) <= _DISAGREES

    def crop(self) -> Crop:
        """Return float32[CROP_PIXELS, CROP_PIXELS], the face in the last frame, moved back to where it was found."""
        onto = np.linalg.inv(self._anchor.to_picture) @ self.motion @ self._grid
        size = (CROP_PIXELS, CROP_PIXELS)
        how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        crop = cv2.warpAffine(self._region, onto[:2], size, flags=how, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(crop, np.float32)

    def _anchor_at(self, frame: Grey) -> None:
        """Compare the frames to come with this one, in which the face is at ``motion``."""
        x, y, _ = self.motion @ self._middle
        half = np.array([self.box.width, self.box.height]) / 2
        box = Box(x - half[0], y - half[1], x + half[0], y + half[1])
        place = _whole(box.grown(_MARGIN), frame.shape)
        self._region = self._cut(frame, place)
        still, s = (1 / self._scale - 1) / 2, self._scale
        # Pixel centres: x' + 0.5 = scale (x - left + 0.5).
        to_picture = np.array([[1 / s, 0, place[0] + still], [0, 1 / s, place[1] + still], [0, 0, 1]])
        (left, top, _), (right, bottom, _) = (
            np.linalg.inv(to_picture) @ corner for corner in ((box.left, box.top, 1), (box.right, box.bottom, 1))
        )
        x0, y0, x1, y1 = _whole(Box(left, top, right, bottom), self._region.shape)
        template = np.ascontiguousarray(self._region[y0:y1, x0:x1])
        corner = np.array([[1.0, 0, x0], [0, 1, y0], [0, 0, 1]])
        points = self._points @ (np.linalg.inv(to_picture @ corner) @ self.motion).T
        kept = face_mask(points[:, :2], template.shape)
        anywhere = np.ones(self._region.shape, np.uint8)
        self._anchor = _Anchor(template, kept, anywhere, place, to_picture, corner, self.motion)
        self._warp = corner[:2].astype(np.float32)
        self._frame = frame
        self._age = 0

    def _align(self, frame: Grey) -> bool:
        """Set ``motion`` to this frame, if the face is there."""
        anchor = self._anchor
        if min(anchor.template.shape) < _FEWEST_PIXELS:
            return False
        region = self._cut(frame, anchor.place)
        until = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, _ECC_STEPS, _ECC_PRECISION)
        try:
            fit, warp = cv2.findTransformECCWithMask(
                anchor.template, region, anchor.kept, anchor.anywhere, self._warp.copy(), cv2.MOTION_EUCLIDEAN, until, 1
            )
        except cv2.error:
            return False
        there = np.vstack([warp, [0, 0, 1]]) @ np.linalg.inv(anchor.corner)
        since = anchor.to_picture @ there @ np.linalg.inv(anchor.to_picture)
        motion = since @ anchor.motion
        x, y, _ = motion @ self._middle
        inside = 0 <= x < frame.shape[1] and 0 <= y < frame.shape[0]
        if not (fit >= _LEAST_CORRELATION and self._far(since) <= _MOST_SHIFT * self.box.width and inside):
            return False
        self.motion, self._warp, self._region = motion, np.asarray(warp, np.float32), region
        return True

    def _far(self, since: Motion) -> float:
        """By how much the middle of the face has moved since the anchor, in pixels of the picture."""
        before = self._anchor.motion @ self._middle
        return float(np.linalg.norm(since @ before - before))

    def _cut(self, frame: Grey, place: tuple[int, int, int, int]) -> Crop:
        left, top, right, bottom = place
        part = frame[top:bottom, left:right].astype(np.float32)
        if self._scale < 1:
            smaller = cv2.resize(part, None, fx=self._scale, fy=self._scale, interpolation=cv2.INTER_AREA)
            part = np.asarray(smaller, np.float32)
        return np.asarray(cv2.GaussianBlur(part, (0, 0), _BLUR), np.float32)


def _turn(motion: Motion) -> float:
    return abs(math.atan2(motion[1, 0], motion[0, 0]))


def _whole(box: Box, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom (the last two excluded) of the pixels under the box."""
    h, w = shape
    left, top = max(0, math.floor(box.left)), max(0, math.floor(box.top))
    return left, top, min(w, math.ceil(box.right) + 1), min(h, math.ceil(box.bottom) + 1)
