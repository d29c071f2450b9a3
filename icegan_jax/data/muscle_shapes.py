"""Where the action units of the three classes show on a real face, drawn from its 68 landmarks.

Which muscle moves which part of the face says the Facial Action Coding System (Ekman and Friesen 1978); the shapes
and their sizes, in units of the distance between the eyes' centres, are ours.
"""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.faces import Grey, Points, find_face

Mask = NDArray[np.bool_]

# Landmarks in dlib's order of 68, from 0; "left" is the image's left.
_BROWS = (slice(17, 22), slice(22, 27))  # from the image's left to its right
_EYES = (slice(36, 42), slice(42, 48))
_UPPER_LIDS = ((36, 37, 38, 39), (42, 43, 44, 45))
_OUTER_CORNERS = (36, 45)
_LOWER_LIDS = ((40, 41), (46, 47))
_WINGS = (31, 35)
_CORNERS = (48, 54)
_NOSE = (27, 31, 33, 35)
_LOWER_LIP = (48, 54, 55, 56, 57, 58, 59)
_JAW = slice(4, 13)
_BORDER = 0.3  # of the picture, around a crop that shows the face too tightly for the detector


def find_landmarks(faces: Sequence[Grey]) -> tuple[list[Points], list[int]]:
    """Finds the landmarks of prepared faces.

    Each face is searched as it is, then twice as large inside a border. Where neither shows a face, the mean landmarks
    of the others stand in: prepared faces are cropped alike.

    Args:
        faces: uint8[h, w] each, of one shape.

    Returns:
        float64[68, 2] landmarks (x, y) of each, and the positions of those that were given the others' mean. All of
        them where no face shows one: then the list of landmarks is empty.
    """
    found = [_landmarks(face) for face in faces]
    known = [points for points in found if points is not None]
    missing = [place for place, points in enumerate(found) if points is None]
    if not known:
        return [], missing
    mean = np.mean(known, axis=0)
    return [mean if points is None else points for points in found], missing


def _landmarks(face: Grey) -> Points | None:
    shown = find_face([face])
    if shown is not None:
        return shown.points
    border = round(_BORDER * max(face.shape))
    edged = cv2.copyMakeBorder(face, border, border, border, border, cv2.BORDER_REPLICATE)
    twice = cv2.resize(edged, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    shown = find_face([np.asarray(twice, np.uint8)])
    if shown is None:
        return None
    # Pixel centres: x' + 0.5 = 2 (x + border + 0.5).
    return (shown.points + 0.5) / 2 - 0.5 - border


def unit_masks(points: Points, shape: tuple[int, int]) -> dict[str, Mask]:
    """Draws where each action unit of the three classes moves or creases the skin.

    Args:
        points: float64[68, 2], the landmarks (x, y) in pixels.
        shape: (h, w) of the masks.

    Returns:
        bool[h, w] by unit: AU1, AU2, AU4, AU5, AU6, AU9, AU12, AU15, AU26.
    """
    eyes = [points[eye].mean(0) for eye in _EYES]
    u = float(np.linalg.norm(eyes[1] - eyes[0]))
    sides = (-1, 1)

    def at(point: int, out: float = 0.0, down: float = 0.0, side: int = 1) -> Points:
        return points[point] + (side * out * u, down * u)

    def hull(corners: Points, up: float = 0.0, down: float = 0.0) -> Mask:
        """What the corners enclose, stretched up and down by so many eye distances."""
        spread = np.concatenate([corners - (0, up * u), corners + (0, down * u)])
        mask = np.zeros(shape, np.uint8)
        cv2.fillConvexPoly(mask, np.asarray(cv2.convexHull(np.rint(spread).astype(np.int32))), 1)
        return mask.astype(bool)

    def ellipse(centre: Points, half_width: float, half_height: float) -> Mask:
        y, x = np.mgrid[: shape[0], : shape[1]]
        return ((x - centre[0]) / (half_width * u)) ** 2 + ((y - centre[1]) / (half_height * u)) ** 2 <= 1

    def both(masks: Sequence[Mask]) -> Mask:
        return np.logical_or.reduce(masks)

    outer_brows = (points[17:21], points[23:27])
    cheeks = [
        points[list(lid)].mean(0) + (side * 0.1 * u, 0.33 * u) for lid, side in zip(_LOWER_LIDS, sides, strict=True)
    ]
    wings = np.stack([at(wing, 0.08, side=side) for wing, side in zip(_WINGS, sides, strict=True)])
    folds = [
        hull(
            np.stack(
                [at(wing, 0.06, side=side), at(wing, 0.26, side=side), at(corner, 0.26, side=side), points[corner]]
            )
        )
        for wing, corner, side in zip(_WINGS, _CORNERS, sides, strict=True)
    ]
    return {
        "AU1": hull(points[20:24], up=0.5, down=0.08),  # inner brows, and the middle of the forehead that creases
        "AU2": both([hull(brow, up=0.5, down=0.08) for brow in outer_brows]),  # outer brows and the forehead above
        "AU4": hull(points[_BROWS[0].start : _BROWS[1].stop], up=0.08, down=0.14),  # brows and between
        "AU5": both([hull(points[list(lid)], up=0.14, down=0.03) for lid in _UPPER_LIDS]),  # upper lids
        "AU6": both(  # cheeks under the eyes, and the outer eye corners
            [ellipse(cheek, 0.36, 0.3) for cheek in cheeks]
            + [ellipse(at(c, 0.08, side=s), 0.15, 0.15) for c, s in zip(_OUTER_CORNERS, sides, strict=True)]
        ),
        "AU9": hull(np.concatenate([points[list(_NOSE)], wings, points[[21, 22]]]), down=0.06),  # wings and bridge
        "AU12": both([ellipse(points[corner], 0.28, 0.22) for corner in _CORNERS] + folds),  # corners and folds
        "AU15": both([ellipse(at(corner, 0.0, 0.15), 0.22, 0.28) for corner in _CORNERS]),  # corners and below
        "AU26": hull(np.concatenate([points[list(_LOWER_LIP)], points[_JAW]])),  # lower lip, chin and jaw
    }


def union(masks: Mapping[str, Mask], units: Sequence[str]) -> Mask:
    """Where any of the units that have a mask moves the skin; at least one has."""
    return np.logical_or.reduce([masks[unit] for unit in units if unit in masks])
