"""The regions of a prepared face that the action units of each class move, and how much of a change lies in them.

Of procedural faces the regions are exact; of others they are drawn around the landmarks (``muscle_shapes``).
"""

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.clips import EXPRESSIONS, Clip, read_clips
from icegan_jax.data.faces import Box, Grey, find_face
from icegan_jax.data.frames import list_frames, read_frames
from icegan_jax.data.muscle_shapes import Mask, find_landmarks, union, unit_masks
from icegan_jax.data.procedural import read_regions
from icegan_jax.data.procedural.write import REGIONS
from icegan_jax.data.registration import IDENTITY, crop_face, to_grey
from icegan_jax.data.selection.repairs import movement
from icegan_jax.errors import UserError

# The action units of each class, in label order: procedural/action_units.py, after FACS (Ekman and Friesen 1978).
CLASS_UNITS = (("AU4", "AU9", "AU15"), ("AU6", "AU12"), ("AU1", "AU2", "AU5", "AU26"))
EXACT, LANDMARKS = "exact", "landmarks"
_MORE_FRAMES = 25  # frames after the onset in which prepare looks for a face (preparing/cropping.py)

Key = tuple[str, str, str]  # dataset, subject, clip


@dataclass(frozen=True)
class MuscleRegions:
    """Where each action unit moves the faces of a run's clips.

    Attributes:
        source: ``EXACT`` or ``LANDMARKS``.
        masks: per clip (dataset, subject, clip) and action unit bool[h, w], on the prepared onset. Exact ones hold
            what the person moves in all clips: a unit that the person never moves is not there.
        borrowed: clips whose onset showed no landmarks; they have the mean landmarks of the others.
    """

    source: str
    masks: Mapping[Key, Mapping[str, Mask]]
    borrowed: tuple[Key, ...] = ()

    def of_class(self, key: Key, label: int) -> Mask:
        """bool[h, w]: where any unit of the class moves this face; False everywhere where none is known."""
        masks = self.masks[key]
        units = [unit for unit in CLASS_UNITS[label] if unit in masks]
        return union(masks, units) if units else np.zeros_like(next(iter(masks.values())))


def muscle_regions(data_dir: str | Path, onsets: Mapping[Key, Grey]) -> MuscleRegions:
    """The regions of these clips: exact where ``data_dir``/raw has them, otherwise from landmarks.

    Args:
        data_dir: the prepared folder that the clips come from.
        onsets: uint8[h, w] per clip (dataset, subject, clip), the prepared neutral faces.

    Raises:
        UserError: as ``exact_regions`` and ``landmark_regions``.
    """
    if (Path(data_dir) / "raw" / REGIONS).is_file():
        return exact_regions(data_dir, onsets)
    return landmark_regions(data_dir, onsets)


def exact_regions(data_dir: str | Path, onsets: Mapping[Key, Grey]) -> MuscleRegions:
    """The true regions of procedural faces, cropped as their onset was.

    A unit's region is the union over all clips of the person: of the units of a class a clip shows only some
    (negative is AU4 with AU15 or with AU9), and nobody can know which from the neutral face.

    Args:
        data_dir: the prepared folder with raw/clips.csv and raw/regions.npz.
        onsets: uint8[size, size] per clip; the clips may be some of the folder's.

    Raises:
        UserError: there are no regions, or damaged ones, a clip is not among them, or an onset is not the folder's: it
            was prepared again, or belongs to another run.
    """
    raw = Path(data_dir) / "raw"
    try:
        regions = read_regions(raw / REGIONS)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:  # what numpy raises for a cut file
        raise UserError(f"{raw / REGIONS}: damaged; prepare the faces again") from error
    people = {key[:2] for key in onsets}
    masks: dict[tuple[str, str], dict[str, Mask]] = {person: {} for person in people}
    known = set()
    for clip in read_clips(raw / "clips.csv"):
        person = (clip.dataset, clip.subject)
        if person not in people:
            continue
        key = (*person, clip.clip)
        known.add(key)
        image, box = onset_box(clip)
        size = len(next(iter(onsets.values())))
        if key in onsets and not np.array_equal(to_grey(crop_face(image, box, IDENTITY, size)), onsets[key]):
            raise UserError(
                f"{raw}: the onset of {clip.name} is not the run's; give the folder that the run was trained on"
            )
        prefix = f"{clip.subject}/{clip.clip}/"
        for name in (name for name in regions if name.startswith(prefix)):
            mask, unit = crop_mask(regions[name], box, size), name.removeprefix(prefix)
            masks[person][unit] = mask | masks[person].get(unit, np.False_)
    for key in onsets:
        if key not in known or not masks[key[:2]]:
            raise UserError(f"{raw}: no regions of {'/'.join(key)}; give the folder that the run was trained on")
    return MuscleRegions(EXACT, {key: masks[key[:2]] for key in onsets})


def landmark_regions(data_dir: str | Path, onsets: Mapping[Key, Grey]) -> MuscleRegions:
    """The regions around the landmarks that are found on each prepared onset.

    Args:
        data_dir: the prepared folder, for the message.
        onsets: uint8[h, w] per clip.

    Raises:
        UserError: not one onset shows landmarks.
    """
    keys, faces = list(onsets), list(onsets.values())
    points, missing = find_landmarks(faces)
    if not points:
        raise UserError(
            f"{data_dir}: no raw/{REGIONS} and no face in any of {len(faces)} onsets; give prepared faces that dlib "
            "finds, or procedural ones"
        )
    h, w = faces[0].shape
    masks = {key: unit_masks(found, (h, w)) for key, found in zip(keys, points, strict=True)}
    return MuscleRegions(LANDMARKS, masks, tuple(keys[place] for place in missing))


def onset_box(clip: Clip) -> tuple[Grey, Box]:
    """The clip's onset frame uint8[h, w], and the box that prepare crops it by.

    Raises:
        UserError: the frames are missing or show no face.
    """
    after = movement(clip, list_frames(clip.frames))[:_MORE_FRAMES]
    images = (image for _, image in read_frames(clip.frames, [clip.onset, *after]))
    onset = next(images)
    face = find_face(chain([onset], images))
    if face is None:
        raise UserError(f"{clip.frames}: no face in onset {clip.onset}; restore the frames that were prepared")
    return onset, face.box().within(onset.shape)


def crop_mask(mask: Mask, box: Box, size: int) -> Mask:
    """Cuts the box out of bool[h, w], as faces are cropped: bool[size, size], True where at least half is."""
    return crop_face(mask.astype(np.uint8), box, IDENTITY, size) >= 0.5


def energy_share(face: Grey, onset: Grey, mask: Mask) -> float:
    """Share of the squared difference between two faces that lies in the mask (paper, Figure 5: L2 of X_syn and X_on).

    Args:
        face: uint8[h, w], a synthetic or a real apex.
        onset: uint8[h, w], the neutral face.
        mask: bool[h, w].

    Returns:
        0 to 1; NaN where nothing changed.
    """
    energy = motion_energy(face, onset)
    total = float(energy.sum())
    return float(energy[mask].sum()) / total if total else float("nan")


def motion_energy(face: Grey, onset: Grey) -> NDArray[np.float64]:
    """(face - onset)^2 per pixel, in squared grey levels of 255; float64 of the inputs' shape."""
    return (face.astype(np.float64) - onset) ** 2


def area_share(mask: Mask) -> float:
    """Share of the pixels in the mask: what an even spread of the change would score."""
    return float(mask.mean())


def units_of(classes: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The action units of each class, in label order.

    Raises:
        UserError: the classes are not the three whose units are known.
    """
    if tuple(classes) != EXPRESSIONS:
        raise UserError(
            f"classes {', '.join(classes)}: their action units are not known; give faces of {', '.join(EXPRESSIONS)}"
        )
    return CLASS_UNITS
