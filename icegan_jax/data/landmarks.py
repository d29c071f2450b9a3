"""Finding a face: 68 landmarks, and the box that crops it.

The paper detects the landmarks "repeatedly" and crops by the refined ones; how often, and with what
margin, it leaves open. The box comes from one frame of a clip and is applied to all of its frames,
as landmarks jitter by more than a micro-expression moves (docs/design.md, "Crop and registration").
"""

import functools
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageFile

Grey = NDArray[np.uint8]
Points = NDArray[np.float64]

# Margin around the landmarks' tight box, as a fraction of its width (docs/design.md, "Test faces and the reference
# classifier").
MARGIN = 0.1
# Refinement: the landmarks are found again in a crop this much larger than their box on every side,
# scaled to this many pixels, until no side of the box moves by more than 1% of its width. Chosen
# here: the paper gives no numbers.
_REFINE_MARGIN = 0.5
_REFINE_PIXELS = 400
_REFINE_ROUNDS = 5
_SETTLED = 0.01


@dataclass(frozen=True)
class Box:
    """A rectangle in pixel coordinates: pixel centres are whole numbers, sides need not be."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """Extent from left to right, in pixels."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Extent from top to bottom, in pixels."""
        return self.bottom - self.top

    def grown(self, margin: float) -> "Box":
        """Returns the box with ``margin`` times its width added on every side."""
        pad = margin * self.width
        return Box(self.left - pad, self.top - pad, self.right + pad, self.bottom + pad)

    def within(self, shape: tuple[int, ...]) -> "Box":
        """Returns the part of the box inside an image of shape (h, w): no border is cropped."""
        h, w = shape
        return Box(
            max(self.left, -0.5),
            max(self.top, -0.5),
            min(self.right, w - 0.5),
            min(self.bottom, h - 0.5),
        )


@dataclass(frozen=True)
class Face:
    """A face that was found.

    Attributes:
        points: float64[68, 2], the landmarks' x and y in pixels, in dlib's order.
        count: how many faces the detector saw in that image; the largest one was taken.
        position: which of the images given it was found in; 0 is the first.
        help: what the detector needed, as "upsampled twice"; empty where it needed nothing.
    """

    points: Points
    count: int
    position: int
    help: str

    def box(self, margin: float = MARGIN) -> Box:
        """Returns the tight box of the landmarks with ``margin`` of its width on every side."""
        return bounding_box(self.points).grown(margin)


def bounding_box(points: Points) -> Box:
    """Returns the smallest box around float64[n, 2] points (x, y)."""
    (left, top), (right, bottom) = points.min(0), points.max(0)
    return Box(float(left), float(top), float(right), float(bottom))


def find_face(images: Iterable[Grey], tries: int | None = None) -> Face | None:
    """Finds the largest face in the first of the images that shows one.

    Each image is tried as it is, then upsampled, then upsampled after histogram equalisation, then
    with a mirrored border around it (a frame that was cropped too tightly for the detector), before
    the next. A face whose landmarks' middle lies outside the image is none: the border mirrors it
    there. Of faces of one size the leftmost is taken, and then the topmost.

    Args:
        images: uint8[h, w] grey images, the onset first; read lazily.
        tries: how many of these preparations are tried; None: all. An image without a face costs all of them.

    Returns:
        The face with its refined landmarks, or None where no image shows one.
    """
    for position, image in enumerate(images):
        for help_, prepared, upsample, border in islice(_attempts(image), tries):
            shapes = [points for points in _detect(prepared, upsample) if _inside(points - border, image)]
            if not shapes:
                continue
            points = _refine(prepared, max(shapes, key=_prominence), _prominence) - border
            if _inside(points, image):
                return Face(points, len(shapes), position, help_)
    return None


def find_faces(image: Grey) -> list[Face]:
    """Finds all faces of an image, left to right; of them ``find_face`` takes the largest.

    Args:
        image: uint8[h, w], grey.

    Returns:
        The faces with their refined landmarks; none where the image shows none.
    """
    for help_, prepared, upsample, border in _attempts(image):
        shapes = [points for points in _detect(prepared, upsample) if _inside(points - border, image)]
        refined = [_refine(prepared, points, _nearness(points)) - border for points in shapes]
        found = [Face(points, len(shapes), 0, help_) for points in refined if _inside(points, image)]
        if found:
            return sorted(found, key=lambda face: bounding_box(face.points).left)
    return []


def _attempts(image: Grey) -> Iterable[tuple[str, Grey, int, int]]:
    """Yields (help, image to search, times to upsample, border in pixels), the cheapest first."""
    yield "", image, 0, 0
    yield "upsampled", image, 1, 0
    equalised = np.asarray(cv2.equalizeHist(image), np.uint8)
    yield "equalised and upsampled", equalised, 1, 0
    border = max(1, min(image.shape) // 3)
    edged = cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_REFLECT_101)
    yield "border added and upsampled", np.asarray(edged, np.uint8), 1, border
    if max(image.shape) <= 2 * _REFINE_PIXELS:  # dlib sees faces of 80 pixels, here of 20
        yield "equalised and upsampled twice", equalised, 2, 0


def embed_face(image: Grey) -> NDArray[np.float64]:
    """Describes whose face a prepared crop shows: float64[128], dlib's face recognition network.

    The whole crop is taken as the face, as ``prepare`` made it one: no detector decides. Enlarging the crop first, or
    a border around it, tells people apart no better (faces/micro). Cosines between these vectors lie close together:
    0.999 for two clips of a person there, 0.84 for two people, and 0.88 even for noise beside a face. Read them
    beside those of other people only.

    Args:
        image: uint8[h, w], grey.
    """
    h, w = image.shape
    colours = np.ascontiguousarray(np.repeat(image[..., None], 3, axis=2))
    (embedding,) = _library().face_encodings(colours, [(0, w, h, 0)], model="large")  # top, right, bottom, left
    return np.asarray(embedding, np.float64)


@functools.cache
def _library() -> Any:
    """Returns face_recognition's functions and dlib's networks."""
    with warnings.catch_warnings():
        # face_recognition_models reads its files through pkg_resources, which warns at import.
        warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
        from face_recognition import api
    # Its import tells Pillow, for the whole process, to fill truncated images with grey.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    return api


def _detect(image: Grey, upsample: int) -> list[Points]:
    """Returns float64[68, 2] landmarks of every face in the image."""
    # dlib's frontal face detector and its 68-point shape predictor
    detector, predictor = _library().face_detector, _library().pose_predictor_68_point
    image = np.ascontiguousarray(image)
    shapes = (predictor(image, face) for face in detector(image, upsample))
    return [np.array([(p.x, p.y) for p in shape.parts()], np.float64) for shape in shapes]


def _prominence(points: Points) -> tuple[float, float, float]:
    """Sorts faces by the area of their box; of equal ones the left and then the upper one is higher."""
    box = bounding_box(points)
    return box.width * box.height, -box.left, -box.top


def _nearness(points: Points) -> Callable[[Points], float]:
    """Sorts faces by how near their middle is to that of ``points``."""
    return lambda others: -float(np.linalg.norm(others.mean(0) - points.mean(0)))


def _inside(points: Points, image: Grey) -> bool:
    """Whether the middle of the landmarks' box is in the image: then a part of the box is, too."""
    x, y = (points.min(0) + points.max(0)) / 2
    h, w = image.shape
    return bool(0 <= x <= w - 1 and 0 <= y <= h - 1)


def _refine(image: Grey, points: Points, order: Callable[[Points], Any]) -> Points:
    """Detects again in a crop around the face, at one scale for all, until the box settles.

    Where the crop shows several faces, the one that comes last in the order is taken, in the image's pixels.
    """
    h, w = image.shape
    for _ in range(_REFINE_ROUNDS):
        box = bounding_box(points)
        wide = box.grown(_REFINE_MARGIN)
        left, top = max(0, int(wide.left)), max(0, int(wide.top))
        crop = image[top : min(h, int(wide.bottom) + 1), left : min(w, int(wide.right) + 1)]
        if not crop.size:
            return points
        scale = _REFINE_PIXELS / max(crop.shape)
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        shapes = _detect(np.asarray(cv2.resize(crop, None, fx=scale, fy=scale, interpolation=how)), 0)
        if not shapes:
            return points
        # Pixel centres: x' + 0.5 = scale (x + 0.5).
        points = max(((shape + 0.5) / scale - 0.5 + (left, top) for shape in shapes), key=order)
        new = bounding_box(points)
        sides = np.subtract((new.left, new.top, new.right, new.bottom), (box.left, box.top, box.right, box.bottom))
        if np.abs(sides).max() <= _SETTLED * new.width:
            break
    return points
