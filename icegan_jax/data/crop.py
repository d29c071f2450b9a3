"""Cropping of one clip: face detection, registration, apex spotting where no apex is annotated, and the crops."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.apex import change_from_onset, largest_change, middle_frame, points_in_crop, spot_apex
from icegan_jax.data.clip_frames import crop_clip_frames
from icegan_jax.data.clips import Clip, frames_after_onset
from icegan_jax.data.cropper import MAX_LIGHT_RATIO, Cropper, ReadFrames, check_size
from icegan_jax.data.images import Levels, picture_digest
from icegan_jax.data.landmarks import SURE_SCORE, Box, Face, find_face
from icegan_jax.data.resting import resting_frames
from icegan_jax.data.video import list_frames, read_frames
from icegan_jax.errors import UserError

REGISTRATIONS = ("rigid", "none")
SIZE = 128  # pixels on a side; the paper's input

# The apex and its four neighbors are trained on (docs/design.md, "Crop and registration").
_SHIFTS = (-2, -1, 0, 1, 2)
# Frames after the onset in which a face is searched for where none is detected in the onset.
_SEARCH_FRAMES = 25
_LATER_TRIES = 2  # preparations that are tried on them: the image as given, and upsampled
_FULL_LIGHT = 0.9  # of the light of a frame after the fade: the fade is over
ANOTHER_FACE = "another face"  # the field of the change where onset and apex do not show one person

_METHODS = {
    "difference": "spotted: the largest |frame - onset| over the crop",
    "ratio": "spotted: the largest ratio of ten regions' change from the onset to that from the frame before",
    "ratio_offset": "spotted: the largest ratio of ten regions' change from onset and offset to that from the frame "
    "before",
    "middle": "spotted: the middle frame",
}

Gray = NDArray[np.uint8]


@dataclass(frozen=True)
class CropOptions:
    """The options of cropping.

    Attributes:
        register: "rigid" moves each frame onto the onset and matches the mean brightness; "none" does neither.
        size: pixels on a side of a prepared face.
        apex: method of spotting the apex where none is annotated, one of ``apex.METHODS``.
        skip_damaged: whether clips whose frames are damaged or show no face are left out and named, instead of ending
            the preparation.
        clip_frames: number of frames that are interpolated between onset and offset (``data.clip_frames``); 0: none.
    """

    register: str = "rigid"
    size: int = SIZE
    apex: str = "difference"
    skip_damaged: bool = False
    clip_frames: int = 0


@dataclass(frozen=True)
class CropRepair:
    """One row of repairs.csv without the clip's name: the field that was changed, both values, and the reason."""

    field: str
    old: int | str | None
    new: int | str
    reason: str


@dataclass(frozen=True)
class ClipCrops:
    """The prepared faces of a clip.

    Attributes:
        apex: frame number of the annotated or spotted apex.
        shifts: for each face, the position of its frame minus that of the apex, ascending.
        onset: uint8[size, size], the neutral face.
        faces: uint8[len(shifts), size, size], the apex and its neighbors.
        changes: the spotted apex, the preparation that the face detector needed, frames that were not registered.
        frames: number of frames that were decoded and cropped.
        digests: of the frames of ``frames_to_read``, see ``images.picture_digest``.
        rest: uint8[len(shifts), size, size], faces without an expression; none where they were not asked for.
        clip_frames: uint8[clip_frames, size, size], the clip from onset to offset; none where not asked for.
    """

    apex: int
    shifts: tuple[int, ...]
    onset: Gray
    faces: Gray
    changes: tuple[CropRepair, ...]
    frames: int
    digests: tuple[str, ...] = ()
    rest: tuple[Gray, ...] = ()
    clip_frames: tuple[Gray, ...] = ()


@dataclass(frozen=True)
class FaceDetection:
    """The crops of a clip, and the detected face.

    Attributes:
        crops: the prepared faces.
        face: the face as detected.
        box: the crop of the face, in pixels of the frame, before ``face.turn``, in which the face was detected.
        motion_extent: largest motion of the head in pixels, from the onset to any registered frame of the clip.
        clip: the clip, with the onset and the offset that were used.
        change: {frame number: change from the onset} of all later frames, see ``apex.change_from_onset``; None where
            the apex was not spotted by it.
    """

    crops: ClipCrops
    face: Face
    box: Box
    motion_extent: float
    clip: Clip
    change: dict[int, float] | None = None


def crop_clip(clip: Clip, options: CropOptions) -> ClipCrops:
    """Crop a clip whose frame numbers are resolved, see ``inspect_clip``, and its resting faces.

    Raises:
        UserError: see ``inspect_clip``; or onset and apex do not show the face of one person.
    """
    # The frames of a video are not counted again: ``resolve_frames`` counted the frames, by decoding the whole video.
    numbers = list_frames(clip.frames) if clip.frames.is_dir() else range(clip.offset + 1)
    compared = set(frames_to_read(clip, frames_after_onset(clip, numbers), options.apex))  # as ``--check`` does
    digests: dict[int, str] = {}

    def add_digest(number: int, levels: Levels) -> None:
        if number in compared:
            digests[number] = picture_digest(levels)

    read = partial(read_frames, clip.frames, on_levels=add_digest)
    crops = inspect_clip(clip, options, numbers, read, with_rest=True).crops
    if any(change.field == ANOTHER_FACE for change in crops.changes):
        raise UserError(
            f"{clip.frames}: apex {crops.apex} does not show the face of onset {clip.onset}: another person, a cut, or "
            "no face; correct onset and apex"
        )
    return replace(crops, digests=tuple(digests.values()))


def apply_changes(clip: Clip, crops: ClipCrops) -> Clip:
    """Return the clip with the onset, apex and offset of its crops."""
    changed: dict[str, Any] = {c.field: c.new for c in crops.changes if c.field in ("onset", "offset")}
    return replace(clip, apex=crops.apex, **changed)


def inspect_clip(
    clip: Clip, options: CropOptions, numbers: Sequence[int], read: ReadFrames, with_rest: bool = False
) -> FaceDetection:
    """Find the face and crop the onset, the apex and the apex's neighbors of a clip whose frame numbers are resolved.

    Frames are read one at a time and only a bounded number of crops is cached, so that memory does not grow with the
    clip's length. The box comes from the onset, or from the first of the 25 frames after the onset in which a face is
    detected, and serves for all frames; so does the turn of a recording that lies on its side. The ratio methods of
    apex spotting use the landmarks of that frame, in registered crops and in others.

    An onset without a face, or as dark as in a fade, moves to the first frame with the face. A clip whose apex is
    spotted ends before the first frame that does not show the face of the onset, such as after a cut. An apex that does
    not show that face is recorded as ``ANOTHER_FACE``; neighbors of the apex that do not show it are left out.

    Args:
        clip: onset, offset, and the apex where one is annotated; ``clip.frames`` is named in messages.
        options: the options of cropping.
        numbers: numbers of the frames that exist, ascending.
        read: yields the frames with given numbers.
        with_rest: whether to crop a resting face for each pair, too.

    Raises:
        UserError: a frame is missing, unreadable or of another size, or fewer than two frames show a face.
    """
    later = frames_after_onset(clip, numbers)
    _check_frame_numbers(clip, numbers, later)
    onset, face = _find_face(clip, later[:_SEARCH_FRAMES], read)
    changes = _face_changes(face, [clip.onset, *later], onset.shape)
    box = face.box().within(onset.shape)
    cropper = Cropper(
        clip.frames, (clip.onset, onset), box, partial(_read_turned, read, face.turn), options.register, options.size
    )
    if face.position and cropper.first_of_another_scene([later[face.position - 1]]) is not None:
        return _start_later(clip, later[face.position - 1], options, numbers, read, with_rest)
    apex = middle_frame(later) if clip.apex is None and options.apex == "middle" else clip.apex
    other = cropper.first_of_another_scene(later if apex is None else [apex])
    if other is not None:
        searched = [n for n in later[:_SEARCH_FRAMES] if n < (apex or other + 1)]
        start = _end_of_fade(cropper, other, searched)
        if start is not None:
            return _start_later(clip, start, options, numbers, read, with_rest)
    if apex is None and other is not None:
        clip, later, repair = _end_before(clip, other, later)
        changes.append(repair)
    change = None
    if apex is None and options.apex == "difference":
        change = change_from_onset(cropper.onset, cropper.crop(later))
        apex = largest_change(change)
    elif apex is None:
        apex = _spot_apex(cropper, later, face, box, options)
    if clip.apex is None:
        registered = " after registration" if options.register == "rigid" and options.apex != "middle" else ""
        changes.append(CropRepair("apex", None, apex, _METHODS[options.apex] + registered))
    if not cropper.shows_face(apex):
        changes.append(CropRepair(ANOTHER_FACE, clip.onset, apex, "the apex does not show the face of the onset"))
    selected = _apex_and_neighbors(apex, later)
    crop_of = dict(cropper.crop(selected))  # read together, as each reading of a video decodes it from its start
    without_face = [n for n in selected if n != apex and not cropper.shows_face(n)]
    selected = [n for n in selected if n not in without_face]
    faces = np.stack([crop_of[n] for n in selected])
    changes += [CropRepair("neighbor", n, "left out", "it does not show the face of the onset") for n in without_face]
    changes += [
        CropRepair("registration", "rigid", "none", f"frame {n} could not be moved onto the onset")
        for n in selected
        if n in cropper.unregistered
    ]
    shifts = tuple(n - apex for n in selected)
    rest: tuple[Gray, ...] = ()
    if with_rest:
        rest = _crop_rest(cropper, resting_frames(clip.onset, apex, numbers, len(selected)), clip.onset, changes)
    frames = crop_clip_frames(cropper, clip, later, options.clip_frames) if options.clip_frames else ()
    crops = ClipCrops(apex, shifts, cropper.onset, faces, tuple(changes), cropper.frames, rest=rest, clip_frames=frames)
    return FaceDetection(
        crops, face, box.turned_back(face.turn, onset.shape), cropper.motion_extent(clip.offset), clip, change
    )


def _read_turned(read: ReadFrames, turn: int, numbers: Iterable[int]) -> Iterator[tuple[int, Gray]]:
    return ((number, np.rot90(image, turn)) for number, image in read(numbers))


def _start_later(
    clip: Clip, onset: int, options: CropOptions, numbers: Sequence[int], read: ReadFrames, with_rest: bool
) -> FaceDetection:
    """Inspect the clip from a later onset, and record the change."""
    if onset >= (clip.offset if clip.apex is None else clip.apex):
        raise UserError(f"{clip.frames}: no face in the frames from onset {clip.onset} to {onset - 1}; correct onset")
    detection = inspect_clip(replace(clip, onset=onset), options, numbers, read, with_rest)
    repair = CropRepair("onset", clip.onset, detection.clip.onset, "no face in the frames before, or a fade from black")
    changes = (repair, *(other for other in detection.crops.changes if other.field != "onset"))
    return replace(detection, crops=replace(detection.crops, changes=changes))


def _end_of_fade(cropper: Cropper, bright: int, searched: Sequence[int]) -> int | None:
    """Return the first frame that is as bright as the frame ``bright``; None where that one is no brighter onset."""
    if cropper.light(bright) <= MAX_LIGHT_RATIO or not cropper.shows_face(bright):
        return None
    return next((n for n in searched if cropper.light(n) >= _FULL_LIGHT * cropper.light(bright)), None)


def _end_before(clip: Clip, other: int, later: Sequence[int]) -> tuple[Clip, list[int], CropRepair]:
    """Return the clip that ends before the frame ``other``, its frames after the onset, and the change."""
    before = [n for n in later if n < other]
    if not before:
        raise UserError(f"{clip.frames}: only frame {clip.onset} shows the face; give a clip without a cut")
    reason = "the next frame does not show the face of the onset: a cut, another person, or a fade"
    return replace(clip, offset=before[-1]), before, CropRepair("offset", clip.offset, before[-1], reason)


def frames_to_read(clip: Clip, later: Sequence[int], method: str) -> list[int]:
    """Return the numbers of the frames that ``crop_clip`` reads where the onset shows a face, ascending.

    Args:
        clip: the clip, whose frame numbers are resolved.
        later: numbers of the frames that exist after the onset, up to the offset; at least one.
        method: method of spotting an apex that is not annotated; all methods but "middle" read all frames.
    """
    if clip.apex is None and method != "middle":
        return [clip.onset, *later]
    return [clip.onset, *_apex_and_neighbors(middle_frame(later) if clip.apex is None else clip.apex, later)]


def _apex_and_neighbors(apex: int, later: Sequence[int]) -> list[int]:
    return [n for n in later if n - apex in _SHIFTS]


def _check_frame_numbers(clip: Clip, numbers: Sequence[int], later: Sequence[int]) -> None:
    """Check that the resolved frames still exist: files can be removed in the meantime."""
    for field, number, existing in (("onset", clip.onset, numbers), ("apex", clip.apex, later)):
        if number is not None and number not in existing:
            raise UserError(f"{clip.frames}: {field} frame {number} is missing; restore it, or start again")
    if not later:
        raise UserError(f"{clip.frames}: no frame after onset {clip.onset}; restore the frames, or start again")


def _find_face(clip: Clip, later: Sequence[int], read: ReadFrames) -> tuple[Gray, Face]:
    """Return the turned onset, and the face in the onset or in the first later frame that shows a face."""
    frames = read([clip.onset, *later])
    _, onset = next(frames)
    face = find_face([onset])
    if face is None:  # an enhanced search of each frame would take a minute
        face = find_face((check_size(clip.frames, n, image, onset) for n, image in frames), tries=_LATER_TRIES)
        face = None if face is None else replace(face, position=face.position + 1)
    if face is None:
        raise UserError(
            f"{clip.frames}: no face in onset {clip.onset} nor in the {len(later)} frames after it; give frames "
            "with a frontal face"
        )
    return np.rot90(onset, face.turn), face


def _face_changes(face: Face, searched: Sequence[int], shape: tuple[int, ...]) -> list[CropRepair]:
    """Return a row of repairs.csv for each irregularity of the detection in an image (h, w)."""
    changes = []
    if face.count > 1:
        changes.append(CropRepair("face", face.count, 1, f"{face.count} faces: the largest one"))
    if face.position:
        reason = "no face found in the onset: the box is that of a later frame"
        changes.append(CropRepair("face", searched[0], searched[face.position], reason))
    if face.turn:
        reason = "the face is upright after this turn, counterclockwise, of all frames"
        changes.append(CropRepair("face", None, f"turned by {90 * face.turn} degrees", reason))
    if face.score < SURE_SCORE:
        reason = f"the detector's score is {face.score:.2f}; faces that look at the camera have {SURE_SCORE:g} or more"
        changes.append(CropRepair("face", None, "uncertain", reason))
    # Upsampling alone is not recorded: the detector then searches the same image for faces of 40 pixels instead of 80.
    if face.help not in ("", "upsampled"):
        changes.append(CropRepair("face", None, face.help, "the detector found no face without it"))
    if face.box(0).within(shape) != face.box(0):
        changes.append(
            CropRepair("face", None, "cut off", "the face reaches beyond the image, at whose edge it is cropped")
        )
    return changes


def _crop_rest(cropper: Cropper, numbers: Sequence[int], onset: int, changes: list[CropRepair]) -> tuple[Gray, ...]:
    """Return the crops of the frames at rest; the onset's in place of a frame that cannot be used, which is no error.

    These frames may lie outside the annotated clip, where nobody looked at them.
    """
    crops = {onset: cropper.onset}
    try:
        crops.update(cropper.crop(sorted({*numbers} - {onset})))
    except UserError as error:
        changes.append(CropRepair("rest", numbers[0], onset, f"{error}: the onset serves as the face at rest"))
    registered = [n for n in crops if n != onset and n not in cropper.unregistered]
    usable = [n for n in registered if cropper.first_of_another_scene([n]) is None]
    return tuple(crops[n] if n in usable else cropper.onset for n in numbers)


def _spot_apex(cropper: Cropper, later: Sequence[int], face: Face, box: Box, options: CropOptions) -> int:
    offset = None
    if options.apex == "ratio_offset":
        ((_, offset),) = cropper.crop(later[-1:])
    points = points_in_crop(face.points, box, options.size)
    return spot_apex(cropper.onset, cropper.crop(later), method=options.apex, offset=offset, points=points)
