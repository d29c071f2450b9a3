"""The regions of a prepared face that the action units of each class move, and the share of a change in them.

For drawn faces the regions are exact. For other faces the regions are drawn around the 68 landmarks: the Facial Action
Coding System (Ekman and Friesen 1978) defines which muscle moves which part of the face; shapes and sizes, in units of
the distance between the centers of the eyes, are ours.
"""

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.align import IDENTITY, crop_face, to_gray
from icegan_jax.data.clips import EXPRESSIONS, Clip, frames_after_onset, read_clips
from icegan_jax.data.landmarks import Box, Gray, Points, find_face
from icegan_jax.data.synthetic import read_true_regions
from icegan_jax.data.synthetic.write import REGIONS_FILE
from icegan_jax.data.video import list_frames, read_frames
from icegan_jax.errors import UserError

Mask = NDArray[np.bool_]
Key = tuple[str, str, str]  # dataset, subject, clip

# The action units of each class, in label order, as in data/synthetic/action_units.py, after FACS (Ekman and Friesen
# 1978).
CLASS_UNITS = (("AU4", "AU9", "AU15"), ("AU6", "AU12"), ("AU1", "AU2", "AU5", "AU26"))

EXACT, LANDMARKS = "exact", "landmarks"  # sources of regions

_SEARCH_FRAMES = 25  # frames after the onset in which prepare searches for a face (icegan_jax/data/crop.py)
_BORDER = 0.3  # of the image, around a crop that is too tight for the face detector

# Landmarks in dlib's order of 68, from 0; "left" is left in the image.
_BROWS = (slice(17, 22), slice(22, 27))  # left, right
_EYES = (slice(36, 42), slice(42, 48))
_UPPER_LIDS = ((36, 37, 38, 39), (42, 43, 44, 45))
_LOWER_LIDS = ((40, 41), (46, 47))
_OUTER_EYE_CORNERS = (36, 45)
_NOSE = (27, 31, 33, 35)
_NOSE_WINGS = (31, 35)
_MOUTH_CORNERS = (48, 54)
_LOWER_LIP = (48, 54, 55, 56, 57, 58, 59)
_JAW = slice(4, 13)


@dataclass(frozen=True)
class MuscleRegions:
    """The regions that each action unit moves, for the clips of a run.

    Attributes:
        source: ``EXACT`` or ``LANDMARKS``.
        masks: bool[h, w] on the prepared onset by clip (dataset, subject, clip) and action unit. Exact masks are unions
            over all clips of the subject; a unit that the subject never moves has no mask.
        borrowed: clips without detected landmarks, for which the mean landmarks of the others are used.
    """

    source: str
    masks: Mapping[Key, Mapping[str, Mask]]
    borrowed: tuple[Key, ...] = ()

    def of_class(self, key: Key, label: int) -> Mask:
        """Return bool[h, w], the union of the class's units on this face; False everywhere where no unit has a mask."""
        masks = self.masks[key]
        units = [unit for unit in CLASS_UNITS[label] if unit in masks]
        return union_of_masks(masks, units) if units else np.zeros_like(next(iter(masks.values())))


def muscle_regions(data_dir: str | Path, onsets: Mapping[Key, Gray]) -> MuscleRegions:
    """Return the regions of clips: exact regions where ``data_dir``/raw has them, otherwise regions from landmarks.

    Args:
        data_dir: the prepared folder of the clips.
        onsets: uint8[h, w] by clip (dataset, subject, clip), the prepared neutral faces.

    Raises:
        UserError: see ``exact_regions`` and ``landmark_regions``.
    """
    if (Path(data_dir) / "raw" / REGIONS_FILE).is_file():
        return exact_regions(data_dir, onsets)
    return landmark_regions(data_dir, onsets)


def exact_regions(data_dir: str | Path, onsets: Mapping[Key, Gray]) -> MuscleRegions:
    """Return the true regions of drawn faces, cropped as the onsets.

    The region of a unit is the union over all clips of the subject: a clip has only some units of its class (negative
    is AU4 with AU15 or with AU9), and the neutral face does not determine which.

    Args:
        data_dir: the prepared folder with raw/clips.csv and raw/regions.npz.
        onsets: uint8[size, size] by clip; the clips may be a part of the folder's clips.

    Raises:
        UserError: regions are missing or damaged, a clip has no regions, or an onset differs from that in the folder,
            which was prepared again or belongs to another run.
    """
    raw = Path(data_dir) / "raw"
    try:
        regions = read_true_regions(raw / REGIONS_FILE)
    except (
        OSError,
        EOFError,
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:  # numpy's exceptions for a truncated file
        raise UserError(f"{raw / REGIONS_FILE}: damaged; prepare the faces again") from error
    people = {key[:2] for key in onsets}
    masks: dict[tuple[str, str], dict[str, Mask]] = {person: {} for person in people}
    existing = set()
    for clip in read_clips(raw / "clips.csv"):
        person = (clip.dataset, clip.subject)
        if person not in people:
            continue
        key = (*person, clip.clip)
        existing.add(key)
        image, box = onset_box(clip)
        size = len(next(iter(onsets.values())))
        if key in onsets and not np.array_equal(to_gray(crop_face(image, box, IDENTITY, size)), onsets[key]):
            raise UserError(
                f"{raw}: the onset of {clip.name} is not the run's; give the folder that the run was trained on"
            )
        prefix = f"{clip.subject}/{clip.clip}/"
        for name in (name for name in regions if name.startswith(prefix)):
            mask, unit = crop_mask(regions[name], box, size), name.removeprefix(prefix)
            masks[person][unit] = mask | masks[person].get(unit, np.False_)
    for key in onsets:
        if key not in existing or not masks[key[:2]]:
            raise UserError(f"{raw}: no regions of {'/'.join(key)}; give the folder that the run was trained on")
    return MuscleRegions(EXACT, {key: masks[key[:2]] for key in onsets})


def landmark_regions(data_dir: str | Path, onsets: Mapping[Key, Gray]) -> MuscleRegions:
    """Return the regions around the landmarks that are detected on each prepared onset.

    Args:
        data_dir: the prepared folder, for the error message.
        onsets: uint8[h, w] by clip.

    Raises:
        UserError: no onset has detected landmarks.
    """
    keys, faces = list(onsets), list(onsets.values())
    points, missing = find_landmarks(faces)
    if not points:
        raise UserError(
            f"{data_dir}: no raw/{REGIONS_FILE} and no face in any of {len(faces)} onsets; give prepared faces that "
            "dlib finds, or procedural ones"
        )
    h, w = faces[0].shape
    masks = {key: unit_masks(landmarks, (h, w)) for key, landmarks in zip(keys, points, strict=True)}
    return MuscleRegions(LANDMARKS, masks, tuple(keys[position] for position in missing))


def onset_box(clip: Clip) -> tuple[Gray, Box]:
    """Return the onset frame uint8[h, w] of a clip, and the box by which prepare crops the clip.

    Raises:
        UserError: the frames are missing or show no face.
    """
    after = frames_after_onset(clip, list_frames(clip.frames))[:_SEARCH_FRAMES]
    images = (image for _, image in read_frames(clip.frames, [clip.onset, *after]))
    onset = next(images)
    face = find_face(chain([onset], images))
    if face is None:
        raise UserError(f"{clip.frames}: no face in onset {clip.onset}; restore the frames that were prepared")
    return onset, face.box().within(onset.shape)


def crop_mask(mask: Mask, box: Box, size: int) -> Mask:
    """Crop a mask bool[h, w] as faces are cropped: bool[size, size], True where at least half of a pixel is."""
    return crop_face(mask.astype(np.uint8), box, IDENTITY, size) >= 0.5


def find_landmarks(faces: Sequence[Gray]) -> tuple[list[Points], list[int]]:
    """Detect the landmarks of prepared faces.

    Each face is searched as given, then twice as large with a border. A face without a detection gets the mean
    landmarks of the others, as prepared faces are cropped alike.

    Args:
        faces: uint8[h, w] each, of one shape.

    Returns:
        The landmarks float64[68, 2] (x, y) of each face, and the positions of the faces without a detection. Where no
        face is detected at all, the list of landmarks is empty.
    """
    detections = [_landmarks(face) for face in faces]
    known = [points for points in detections if points is not None]
    missing = [position for position, points in enumerate(detections) if points is None]
    if not known:
        return [], missing
    mean = np.mean(known, axis=0)
    return [mean if points is None else points for points in detections], missing


def _landmarks(face: Gray) -> Points | None:
    detection = find_face([face])
    if detection is not None:
        return detection.points
    border = round(_BORDER * max(face.shape))
    bordered = cv2.copyMakeBorder(face, border, border, border, border, cv2.BORDER_REPLICATE)
    enlarged = cv2.resize(bordered, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    detection = find_face([np.asarray(enlarged, np.uint8)])
    if detection is None:
        return None
    # Centers of pixels: x' + 0.5 = 2 (x + border + 0.5).
    return (detection.points + 0.5) / 2 - 0.5 - border


def unit_masks(points: Points, shape: tuple[int, int]) -> dict[str, Mask]:
    """Return masks of where each action unit of the three classes moves or creases the skin.

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
        """Return the convex hull of the corners, extended up and down by these numbers of eye distances."""
        extended = np.concatenate([corners - (0, up * u), corners + (0, down * u)])
        mask = np.zeros(shape, np.uint8)
        cv2.fillConvexPoly(mask, np.asarray(cv2.convexHull(np.rint(extended).astype(np.int32))), 1)
        return mask.astype(bool)

    def ellipse(center: Points, half_width: float, half_height: float) -> Mask:
        y, x = np.mgrid[: shape[0], : shape[1]]
        return ((x - center[0]) / (half_width * u)) ** 2 + ((y - center[1]) / (half_height * u)) ** 2 <= 1

    def union(masks: Sequence[Mask]) -> Mask:
        return np.logical_or.reduce(masks)

    outer_brows = (points[17:21], points[23:27])
    cheeks = [
        points[list(lid)].mean(0) + (side * 0.1 * u, 0.33 * u) for lid, side in zip(_LOWER_LIDS, sides, strict=True)
    ]
    wings = np.stack([at(wing, 0.08, side=side) for wing, side in zip(_NOSE_WINGS, sides, strict=True)])
    folds = [
        hull(
            np.stack(
                [at(wing, 0.06, side=side), at(wing, 0.26, side=side), at(corner, 0.26, side=side), points[corner]]
            )
        )
        for wing, corner, side in zip(_NOSE_WINGS, _MOUTH_CORNERS, sides, strict=True)
    ]
    return {
        "AU1": hull(points[20:24], up=0.5, down=0.08),  # inner brows, and the middle of the forehead that creases
        "AU2": union([hull(brow, up=0.5, down=0.08) for brow in outer_brows]),  # outer brows and the forehead above
        "AU4": hull(points[_BROWS[0].start : _BROWS[1].stop], up=0.08, down=0.14),  # brows and between
        "AU5": union([hull(points[list(lid)], up=0.14, down=0.03) for lid in _UPPER_LIDS]),  # upper lids
        "AU6": union(  # cheeks under the eyes, and the outer eye corners
            [ellipse(cheek, 0.36, 0.3) for cheek in cheeks]
            + [ellipse(at(c, 0.08, side=s), 0.15, 0.15) for c, s in zip(_OUTER_EYE_CORNERS, sides, strict=True)]
        ),
        "AU9": hull(np.concatenate([points[list(_NOSE)], wings, points[[21, 22]]]), down=0.06),  # wings and bridge
        "AU12": union([ellipse(points[corner], 0.28, 0.22) for corner in _MOUTH_CORNERS] + folds),  # corners and folds
        "AU15": union([ellipse(at(corner, 0.0, 0.15), 0.22, 0.28) for corner in _MOUTH_CORNERS]),  # corners and below
        "AU26": hull(np.concatenate([points[list(_LOWER_LIP)], points[_JAW]])),  # lower lip, chin and jaw
    }


def union_of_masks(masks: Mapping[str, Mask], units: Sequence[str]) -> Mask:
    """Return the union of the masks of those units that have one; at least one unit must have a mask."""
    return np.logical_or.reduce([masks[unit] for unit in units if unit in masks])


def energy_share(face: Gray, onset: Gray, mask: Mask) -> float:
    """Return the share of the squared change between two faces in the mask (paper, Figure 5: L2 of X_syn and X_on).

    Args:
        face: uint8[h, w], a synthetic or a real apex.
        onset: uint8[h, w], the neutral face.
        mask: bool[h, w].

    Returns:
        0 to 1; NaN for equal faces.
    """
    energy = motion_energy(face, onset)
    total = float(energy.sum())
    return float(energy[mask].sum()) / total if total else float("nan")


def motion_energy(face: Gray, onset: Gray) -> NDArray[np.float64]:
    """Return (face - onset)^2 per pixel in squared gray levels, float64 of the inputs' shape."""
    return (face.astype(np.float64) - onset) ** 2


def area_share(mask: Mask) -> float:
    """Return the share of the pixels in the mask, which is the energy share of an evenly spread change."""
    return float(mask.mean())


def units_of(classes: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Return the action units of each class, in label order.

    Raises:
        UserError: the classes are not the three whose units are known.
    """
    if tuple(classes) != EXPRESSIONS:
        raise UserError(
            f"classes {', '.join(classes)}: their action units are not known; give faces of {', '.join(EXPRESSIONS)}"
        )
    return CLASS_UNITS
