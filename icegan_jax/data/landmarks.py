"""Face detection: 68 landmarks, and the box by which the face is cropped.

The paper detects the landmarks "repeatedly" and crops by the refined landmarks, but gives neither the number of rounds
nor the margin. The box comes from one frame of a clip and is applied to all frames of the clip, as landmarks jitter by
more than a micro-expression moves (docs/design.md, "Crop and registration").
"""

import functools
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
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

# Images with a longer side are scaled to this many pixels before dlib, which finds faces of 80 pixels, searches them,
# and to twice or four times as many where a preparation upsamples: 48 megapixels without a face take 5 s, not 108.
_SEARCH_PIXELS = 1280
# dlib's confidence in a face from which on no quarter turn is tried and no doubt is named. Refined, 192 of 198 real
# test faces score 1.0 to 3.2 and the others at least 0.75; after each of the four turns all were found at the right
# turn. A mask over the mouth scores 0.7, dark glasses 0.9, and what dlib takes for a face in upside-down faces and in
# pictures without a face at most 0.6. Of 12 drawn faces one scores 0.4, the others 1.6 to 2.9.
SURE_SCORE = 1.0
TURNS = (0, 1, 2, 3)  # quarter turns, counterclockwise
_TURN_TRIES = 2  # preparations of which the quarter turns are searched where the upright image shows no face

# Landmarks of a face that looks at the camera. On 147 of the real test faces the line between the eyes is tilted by at
# most 4 degrees, the nose lies at 0.32 to 0.55 of the way from the eyes to the mouth, and the distances of the tip of
# the nose to both ends of the jaw differ by a factor of at most 1.3; landmarks in upside-down faces reach 0.76 and 3.5.
_MAX_TILT = math.radians(45)
_NOSE_BETWEEN = (0.2, 0.7)
_MAX_ASYMMETRY = 2.5  # of a head that is turned by about 30 degrees


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

    def turned_back(self, turn: int, shape: tuple[int, ...]) -> "Box":
        """Return the box in an image of which ``numpy.rot90(image, turn)`` has the shape (h, w)."""
        box, (h, w) = self, shape
        for _ in range(turn):
            box, h, w = Box(h - 1 - box.bottom, box.left, h - 1 - box.top, box.right), w, h
        return box

    def pixel_bounds(self, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
        """Return left, top, right, bottom (the last two excluded) of the pixels of an image (h, w) under the box."""
        h, w = shape
        left, top = max(0, math.floor(self.left)), max(0, math.floor(self.top))
        return left, top, min(w, math.ceil(self.right) + 1), min(h, math.ceil(self.bottom) + 1)


@dataclass(frozen=True)
class Face:
    """A detected face.

    Attributes:
        points: float64[68, 2], the landmarks' x and y in pixels of the turned image, in dlib's order.
        count: number of faces that the detector found in the image, of which the largest was taken.
        position: position, from 0, of the face's image among the images that were searched.
        help: preparation of the image that the detector needed, such as "upsampled"; empty where it needed none.
        turn: number of counterclockwise quarter turns, as of ``numpy.rot90``, after which the face is upright.
        score: the detector's confidence, at least ``SURE_SCORE`` for most faces that look at the camera.
    """

    points: Points
    count: int
    position: int
    help: str
    turn: int = 0
    score: float = SURE_SCORE

    def box(self, margin: float = MARGIN) -> Box:
        """Return the tight box of the landmarks with ``margin`` of that box's width added on every side."""
        return bounding_box(self.points).grown(margin)


def bounding_box(points: Points) -> Box:
    """Return the smallest box around points (x, y), float64[n, 2]."""
    (left, top), (right, bottom) = points.min(0), points.max(0)
    return Box(float(left), float(top), float(right), float(bottom))


def find_face(images: Iterable[Gray], tries: int | None = None, turns: Sequence[int] = TURNS) -> Face | None:
    """Find the largest face in the first of the images in which a face is detected, see ``find_faces``.

    Args:
        images: uint8[h, w] gray images, the onset first; read lazily.
        tries: number of preparations to try on each image; None for all. An image without a face costs all of them.
        turns: the counterclockwise quarter turns to search, the most likely first.

    Returns:
        The face with its refined landmarks, of faces of equal size the leftmost, then the topmost; None where no face
        is detected in any image.
    """
    for position, image in enumerate(images):
        faces = find_faces(image, tries, turns)
        if faces:
            return replace(max(faces, key=_size_key), position=position)
    return None


def find_faces(image: Gray, tries: int | None = None, turns: Sequence[int] = TURNS) -> list[Face]:
    """Find all faces of an image, from left to right.

    The image is searched as given, then upsampled, then upsampled after histogram equalization, then with a mirrored
    border (for a frame that was cropped too tightly for the detector), until a face is detected. Where the detector
    finds no face or is not sure, the quarter turns of the image are searched, too, and the turn with the highest score
    is taken. A detection is discarded whose landmarks have their center outside the image, as it is a mirror image in
    the border, or are not those of an upright face, and one that is not detected again in its own crop.

    Args:
        image: uint8[h, w], gray.
        tries: see ``find_face``.
        turns: see ``find_face``.

    Returns:
        The faces with their refined landmarks, all after the same turn; an empty list where no face is detected.
    """
    for search in _searches(image, tries, turns):
        refined = (_refined_face(search, points) for points in search.shapes)
        faces = sorted((face for face in refined if face is not None), key=lambda face: bounding_box(face.points).left)
        if faces:
            return [replace(face, count=len(faces)) for face in faces]
    return []


@dataclass(frozen=True)
class _Search:
    """The faces that the detector finds in an image.

    Attributes:
        help: the preparation of the image.
        turn: quarter turns of the image.
        image: uint8[h, w], the prepared and turned image.
        border: pixels that the preparation added on every side.
        shapes: the landmarks float64[68, 2] of each face, in pixels of ``image``.
        score: the highest score of a face.
    """

    help: str
    turn: int
    image: Gray
    border: int
    shapes: list[Points]
    score: float


def _searches(image: Gray, tries: int | None, turns: Sequence[int]) -> Iterator[_Search]:
    """Yield the result of each preparation that shows a face, at the turn with the highest score."""
    for number, (help_, prepared, upsample, border) in enumerate(islice(_preparations(image), tries)):
        search = partial(_search, help_, prepared, upsample, border)
        best = search(turns[0])
        if best.score < SURE_SCORE and (best.shapes or number < _TURN_TRIES):
            best = max([best, *map(search, turns[1:])], key=lambda result: result.score)
        if best.shapes:
            yield best


def _search(help_: str, prepared: Gray, upsample: int, border: int, turn: int) -> _Search:
    """Detect the faces in a prepared image, which is turned and, where it is large, scaled down."""
    image = np.rot90(prepared, turn)
    scale = 1.0
    if max(image.shape) > _SEARCH_PIXELS:
        scale, upsample = _SEARCH_PIXELS * 2**upsample / max(image.shape), 0
    detected = [(score, (points + 0.5) / scale - 0.5) for score, points in _detect(_scaled(image, scale), upsample)]
    detected = [(score, points) for score, points in detected if _inside(points, image, border)]
    best = max((score for score, _ in detected), default=-math.inf)
    return _Search(help_, turn, image, border, [points for _, points in detected], best)


def _refined_face(search: _Search, points: Points) -> Face | None:
    """Return the face with refined landmarks; None where the detection is discarded, see ``find_faces``."""
    points, score = _refine(search.image, points)
    if not (score > 0 and _inside(points, search.image, search.border) and _is_upright_face(points)):
        return None
    return Face(points - search.border, 1, 0, search.help, search.turn, score)


def _preparations(image: Gray) -> Iterable[tuple[str, Gray, int, int]]:
    """Yield (preparation, image to search, times to upsample, border in pixels), the cheapest first."""
    yield "", image, 0, 0
    yield "upsampled", image, 1, 0
    equalized = np.asarray(cv2.equalizeHist(image), np.uint8)
    yield "equalized and upsampled", equalized, 1, 0
    border = max(1, min(image.shape) // 3)
    edged = cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_REFLECT_101)
    yield "border added and upsampled", np.asarray(edged, np.uint8), 1, border
    # dlib detects faces of 80 pixels; upsampled twice, of 20
    if max(image.shape) <= 2 * _REFINE_PIXELS or max(image.shape) > 2 * _SEARCH_PIXELS:
        yield "equalized and upsampled twice", equalized, 2, 0


def _is_upright_face(points: Points) -> bool:
    """Return whether landmarks float64[68, 2] have the proportions of an upright face that looks at the camera."""
    left_eye, right_eye, mouth, nose = points[36:42].mean(0), points[42:48].mean(0), points[48:].mean(0), points[30]
    x, y = right_eye - left_eye
    across = np.array([x, y]) / max(math.hypot(x, y), 1e-6)
    down = np.array([-across[1], across[0]])
    middle = (left_eye + right_eye) / 2
    to_mouth, to_nose = float((mouth - middle) @ down), float((nose - middle) @ down)
    to_left, to_right = (float(np.linalg.norm(nose - end)) for end in (points[0], points[16]))
    lowest, highest = _NOSE_BETWEEN
    return (
        abs(math.atan2(y, x)) <= _MAX_TILT
        and to_mouth > 0
        and lowest <= to_nose / to_mouth <= highest
        and max(to_left, to_right) <= _MAX_ASYMMETRY * min(to_left, to_right)
    )


@functools.cache
def face_recognition() -> Any:
    """Return the module with face_recognition's functions and dlib's networks."""
    with warnings.catch_warnings():
        # face_recognition_models reads its files through pkg_resources, which warns at import.
        warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
        from face_recognition import api
    # That import makes Pillow, for the whole process, fill truncated images with gray.
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    return api


def _detect(image: Gray, upsample: int) -> list[tuple[float, Points]]:
    """Return (score, landmarks float64[68, 2]) of every face in the image."""
    # dlib's frontal face detector and its 68-point shape predictor
    detector, predictor = face_recognition().face_detector, face_recognition().pose_predictor_68_point
    image = np.array(image, order="C")  # a copy, as dlib refuses the strides of a turned row
    faces, scores, _ = detector.run(image, upsample)
    shapes = (predictor(image, face) for face in faces)
    points = [np.array([(p.x, p.y) for p in shape.parts()], np.float64) for shape in shapes]
    return list(zip(scores, points, strict=True))


def _scaled(image: Gray, scale: float) -> Gray:
    if scale == 1:
        return image
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=interpolation), np.uint8)


def _size_key(face: Face) -> tuple[float, float, float]:
    """Return a sort key of faces: the area of the box, then how far left, then how far up."""
    box = bounding_box(face.points)
    return box.width * box.height, -box.left, -box.top


def _inside(points: Points, image: Gray, border: int) -> bool:
    """Return whether the center of the landmarks' box, and therefore part of the box, is within the border."""
    x, y = (points.min(0) + points.max(0)) / 2
    h, w = image.shape
    return bool(border <= x <= w - 1 - border and border <= y <= h - 1 - border)


def _refine(image: Gray, points: Points) -> tuple[Points, float]:
    """Detect the landmarks again in a crop around the face, at one scale for all faces, until the box converges.

    Args:
        image: uint8[h, w].
        points: float64[68, 2], the landmarks to refine; where the crop shows several faces, those of the nearest one.

    Returns:
        float64[68, 2], in pixels of the image, and the score of the last detection; 0 where no crop shows a face.
    """
    h, w = image.shape
    score, center = 0.0, points.mean(0)
    for _ in range(_REFINE_ROUNDS):
        box = bounding_box(points)
        region = box.grown(_REFINE_MARGIN)
        left, top = max(0, int(region.left)), max(0, int(region.top))
        crop = image[top : min(h, int(region.bottom) + 1), left : min(w, int(region.right) + 1)]
        if not crop.size:
            break
        scale = _REFINE_PIXELS / max(crop.shape)
        detected = _detect(_scaled(crop, scale), 0)
        if not detected:
            break
        # Centers of pixels: x' + 0.5 = scale (x + 0.5).
        in_image = [(s, (shape + 0.5) / scale - 0.5 + (left, top)) for s, shape in detected]
        score, points = min(in_image, key=lambda scored: float(np.linalg.norm(scored[1].mean(0) - center)))
        new = bounding_box(points)
        sides = np.subtract((new.left, new.top, new.right, new.bottom), (box.left, box.top, box.right, box.bottom))
        if np.abs(sides).max() <= _CONVERGED * new.width:
            break
    return points, score
