"""Face detection: 68 landmarks, and the box by which the face is cropped.

The paper detects the landmarks "repeatedly" and crops by the refined landmarks, but gives neither the number of rounds
nor the margin. The box comes from one frame of a clip and is applied to all frames of the clip, as landmarks jitter by
more than a micro-expression moves (docs/design.md, "Crop and registration").
"""

import functools
import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageFile

Gray = NDArray[np.uint8]
Points = NDArray[np.float64]

# Margin around the landmarks' tight box, as a fraction of that box's width (docs/design.md, "Test faces and the
# reference classifier").
MARGIN = 0.1
# Refinement: the landmarks are detected again in a crop that exceeds their box by this share of its width on every side
# and is scaled to this many pixels, until no side of the box moves by more than 1% of its width. The numbers are ours,
# as the paper gives none.
_REFINE_MARGIN = 0.5
_REFINE_PIXELS = 400
_REFINE_ROUNDS = 5
_CONVERGED = 0.01


@dataclass(frozen=True)
class Box:
    """A rectangle in pixel coordinates, in which the centers of pixels are whole numbers and the sides need not be."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """The extent from left to right in pixels."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """The extent from top to bottom in pixels."""
        return self.bottom - self.top

    def grown(self, margin: float) -> "Box":
        """Return the box with ``margin`` times the box's width added on every side."""
        pad = margin * self.width
        return Box(self.left - pad, self.top - pad, self.right + pad, self.bottom + pad)

    def within(self, shape: tuple[int, ...]) -> "Box":
        """Return the part of the box inside an image of shape (h, w), so that no border is cropped."""
        h, w = shape
        return Box(
            max(self.left, -0.5),
            max(self.top, -0.5),
            min(self.right, w - 0.5),
            min(self.bottom, h - 0.5),
        )

    def pixel_bounds(self, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
        """Return left, top, right, bottom (the last two excluded) of the pixels of an image (h, w) under the box."""
        h, w = shape
        left, top = max(0, math.floor(self.left)), max(0, math.floor(self.top))
        return left, top, min(w, math.ceil(self.right) + 1), min(h, math.ceil(self.bottom) + 1)


@dataclass(frozen=True)
class Face:
    """A detected face.

    Attributes:
        points: float64[68, 2], the landmarks' x and y in pixels, in dlib's order.
        count: number of faces that the detector found in the image, of which the largest was taken.
        position: position, from 0, of the face's image among the images that were searched.
        help: preparation of the image that the detector needed, such as "upsampled"; empty where it needed none.
    """

    points: Points
    count: int
    position: int
    help: str

    def box(self, margin: float = MARGIN) -> Box:
        """Return the tight box of the landmarks with ``margin`` of that box's width added on every side."""
        return bounding_box(self.points).grown(margin)


def bounding_box(points: Points) -> Box:
    """Return the smallest box around points (x, y), float64[n, 2]."""
    (left, top), (right, bottom) = points.min(0), points.max(0)
    return Box(float(left), float(top), float(right), float(bottom))


def find_face(images: Iterable[Gray], tries: int | None = None) -> Face | None:
    """Find the largest face in the first of the images in which a face is detected.

    Each image is searched as given, then upsampled, then upsampled after histogram equalization, then with a mirrored
    border (for a frame that was cropped too tightly for the detector), before the next image is searched. A detection
    whose landmarks have their center outside the image is discarded, as it is a mirror image in the border. Of faces of
    equal size the leftmost is taken, then the topmost.

    Args:
        images: uint8[h, w] gray images, the onset first; read lazily.
        tries: number of preparations to try on each image; None for all. An image without a face costs all of them.

    Returns:
        The face with its refined landmarks, or None where no face is detected in any image.
    """
    for position, image in enumerate(images):
        for help_, prepared, upsample, border in islice(_preparations(image), tries):
            shapes = [points for points in _detect(prepared, upsample) if _inside(points - border, image)]
            if not shapes:
                continue
            points = _refine(prepared, max(shapes, key=_size_key), _size_key) - border
            if _inside(points, image):
                return Face(points, len(shapes), position, help_)
    return None


def find_faces(image: Gray) -> list[Face]:
    """Find all faces of an image, from left to right; ``find_face`` returns the largest of them.

    Args:
        image: uint8[h, w], gray.

    Returns:
        The faces with their refined landmarks; an empty list where no face is detected.
    """
    for help_, prepared, upsample, border in _preparations(image):
        shapes = [points for points in _detect(prepared, upsample) if _inside(points - border, image)]
        refined = [_refine(prepared, points, _distance_key(points)) - border for points in shapes]
        faces = [Face(points, len(shapes), 0, help_) for points in refined if _inside(points, image)]
        if faces:
            return sorted(faces, key=lambda face: bounding_box(face.points).left)
    return []


def _preparations(image: Gray) -> Iterable[tuple[str, Gray, int, int]]:
    """Yield (preparation, image to search, times to upsample, border in pixels), the cheapest first."""
    yield "", image, 0, 0
    yield "upsampled", image, 1, 0
    equalized = np.asarray(cv2.equalizeHist(image), np.uint8)
    yield "equalized and upsampled", equalized, 1, 0
    border = max(1, min(image.shape) // 3)
    edged = cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_REFLECT_101)
    yield "border added and upsampled", np.asarray(edged, np.uint8), 1, border
    if max(image.shape) <= 2 * _REFINE_PIXELS:  # dlib detects faces of 80 pixels; upsampled twice, of 20
        yield "equalized and upsampled twice", equalized, 2, 0


def embed_face(image: Gray) -> NDArray[np.float64]:
    """Return the identity embedding of a prepared crop by dlib's face recognition network.

    The whole crop is taken as the face, without a detector. Enlarging the crop first, or adding a border, does not
    separate people better. Cosines between embeddings lie close together: on the real test faces 0.999 for two clips of
    one person, 0.84 for two people, and 0.88 even for noise and a face. A cosine means little without those of others.

    Args:
        image: uint8[h, w], gray.

    Returns:
        float64[128].
    """
    h, w = image.shape
    channels = np.ascontiguousarray(np.repeat(image[..., None], 3, axis=2))
    location = (0, w, h, 0)  # top, right, bottom, left
    (embedding,) = _face_recognition().face_encodings(channels, [location], model="large")
    return np.asarray(embedding, np.float64)


@functools.cache
def _face_recognition() -> Any:
    """Return the module with face_recognition's functions and dlib's networks."""
    with warnings.catch_warnings():
        # face_recognition_models reads its files through pkg_resources, which warns at import.
        warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
        from face_recognition import api
    # That import makes Pillow, for the whole process, fill truncated images with gray.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    return api


def _detect(image: Gray, upsample: int) -> list[Points]:
    """Return the landmarks float64[68, 2] of every face in the image."""
    # dlib's frontal face detector and its 68-point shape predictor
    detector, predictor = _face_recognition().face_detector, _face_recognition().pose_predictor_68_point
    image = np.ascontiguousarray(image)
    shapes = (predictor(image, face) for face in detector(image, upsample))
    return [np.array([(p.x, p.y) for p in shape.parts()], np.float64) for shape in shapes]


def _size_key(points: Points) -> tuple[float, float, float]:
    """Return a sort key of faces: the area of the box, then how far left, then how far up."""
    box = bounding_box(points)
    return box.width * box.height, -box.left, -box.top


def _distance_key(points: Points) -> Callable[[Points], float]:
    """Return a sort key of faces that is largest for the face whose center is nearest to that of ``points``."""
    return lambda others: -float(np.linalg.norm(others.mean(0) - points.mean(0)))


def _inside(points: Points, image: Gray) -> bool:
    """Return whether the center of the landmarks' box, and therefore part of the box, is in the image."""
    x, y = (points.min(0) + points.max(0)) / 2
    h, w = image.shape
    return bool(0 <= x <= w - 1 and 0 <= y <= h - 1)


def _refine(image: Gray, points: Points, key: Callable[[Points], Any]) -> Points:
    """Detect the landmarks again in a crop around the face, at one scale for all faces, until the box converges.

    Args:
        image: uint8[h, w].
        points: float64[68, 2], the landmarks to refine.
        key: sort key; where the crop shows several faces, the face with the largest key is taken.

    Returns:
        float64[68, 2], in pixels of the image.
    """
    h, w = image.shape
    for _ in range(_REFINE_ROUNDS):
        box = bounding_box(points)
        region = box.grown(_REFINE_MARGIN)
        left, top = max(0, int(region.left)), max(0, int(region.top))
        crop = image[top : min(h, int(region.bottom) + 1), left : min(w, int(region.right) + 1)]
        if not crop.size:
            return points
        scale = _REFINE_PIXELS / max(crop.shape)
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        shapes = _detect(np.asarray(cv2.resize(crop, None, fx=scale, fy=scale, interpolation=interpolation)), 0)
        if not shapes:
            return points
        # Centers of pixels: x' + 0.5 = scale (x + 0.5).
        points = max(((shape + 0.5) / scale - 0.5 + (left, top) for shape in shapes), key=key)
        new = bounding_box(points)
        sides = np.subtract((new.left, new.top, new.right, new.bottom), (box.left, box.top, box.right, box.bottom))
        if np.abs(sides).max() <= _CONVERGED * new.width:
            break
    return points
