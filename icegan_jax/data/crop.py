"""Cropping of one clip: face detection, registration, apex spotting where no apex is annotated, and the crops."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.align import IDENTITY, crop_face, crop_frame, motion_extent, to_gray
from icegan_jax.data.apex import change_from_onset, largest_change, middle_frame, points_in_crop, spot_apex
from icegan_jax.data.clips import Clip, frames_after_onset
from icegan_jax.data.images import picture_digest
from icegan_jax.data.landmarks import Box, Face, find_face
from icegan_jax.data.resting import resting_frames
from icegan_jax.data.video import list_frames, read_frames
from icegan_jax.errors import UserError

REGISTRATIONS = ("rigid", "none")
SIZE = 128  # pixels on a side; the paper's input

# The apex and its four neighbors are trained on (docs/design.md, "Crop and registration").
_SHIFTS = (-2, -1, 0, 1, 2)
# Frames after the onset in which a face is searched for where none is detected in the onset.
_SEARCH_FRAMES = 25
# Pixels of crops that are cached while the apex is spotted, 256 of 128x128, so that most clips are decoded only once.
_CACHE_PIXELS = 256 * SIZE * SIZE

_METHODS = {
    "difference": "spotted: the largest |frame - onset| over the crop",
    "ratio": "spotted: the largest ratio of ten regions' change from the onset to that from the frame before",
    "ratio_offset": "spotted: the largest ratio of ten regions' change from onset and offset to that from the frame "
    "before",
    "middle": "spotted: the middle frame",
}

Gray = NDArray[np.uint8]
ReadFrames = Callable[[Iterable[int]], Iterator[tuple[int, Gray]]]  # frame numbers to (number, frame), ascending


@dataclass(frozen=True)
class CropOptions:
    """The options of cropping.

    Attributes:
        register: "rigid" moves each frame onto the onset and matches the mean brightness; "none" does neither.
        size: pixels on a side of a prepared face.
        apex: method of spotting the apex where none is annotated, one of ``apex.METHODS``.
        skip_damaged: whether clips whose frames are damaged or show no face are left out and named, instead of ending
            the preparation.
    """

    register: str = "rigid"
    size: int = SIZE
    apex: str = "difference"
    skip_damaged: bool = False


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
    """

    apex: int
    shifts: tuple[int, ...]
    onset: Gray
    faces: Gray
    changes: tuple[CropRepair, ...]
    frames: int
    digests: tuple[str, ...] = ()
    rest: tuple[Gray, ...] = ()


@dataclass(frozen=True)
class FaceDetection:
    """The crops of a clip, and the detected face.

    Attributes:
        crops: the prepared faces.
        face: the face as detected.
        box: the crop of the face, in pixels of the frame in which the face was detected.
        motion_extent: largest motion of the head in pixels, from the onset to any frame that was registered.
        change: {frame number: change from the onset} of all later frames, see ``apex.change_from_onset``; None where
            the apex was not spotted by it.
    """

    crops: ClipCrops
    face: Face
    box: Box
    motion_extent: float
    change: dict[int, float] | None = None


def crop_clip(clip: Clip, options: CropOptions) -> ClipCrops:
    """Crop a clip whose frame numbers are resolved, see ``inspect_clip``, and its resting faces."""
    # The frames of a video are not counted again: ``resolve_frames`` counted the frames, by decoding the whole video.
    numbers = list_frames(clip.frames) if clip.frames.is_dir() else range(clip.offset + 1)
    compared = set(frames_to_read(clip, frames_after_onset(clip, numbers), options.apex))  # as ``--check`` does
    digests: dict[int, str] = {}

    def read(requested: Iterable[int]) -> Iterator[tuple[int, Gray]]:
        for number, image in read_frames(clip.frames, requested):
            if number in compared:
                digests[number] = picture_digest(image)
            yield number, image

    crops = inspect_clip(clip, options, numbers, read, with_rest=True).crops
    return replace(crops, digests=tuple(digests.values()))


def inspect_clip(
    clip: Clip, options: CropOptions, numbers: Sequence[int], read: ReadFrames, with_rest: bool = False
) -> FaceDetection:
    """Crop the onset, the apex and the apex's neighbors of a clip whose frame numbers are resolved.

    Frames are read one at a time and only a bounded number of crops is cached, so that memory does not grow with the
    clip's length. The box comes from the onset, or from the first of the 25 frames after the onset in which a face is
    detected, and serves for all frames. The ratio methods of apex spotting use the landmarks of that frame, in
    registered crops and in others.

    Args:
        clip: onset, offset, and the apex where one is annotated; ``clip.frames`` is named in messages.
        options: the options of cropping.
        numbers: numbers of the frames that exist, ascending.
        read: yields the frames with given numbers.
        with_rest: whether to crop a resting face for each pair, too.

    Raises:
        UserError: a frame is missing, unreadable or of another size, or no face is detected.
    """
    later = frames_after_onset(clip, numbers)
    _check_frame_numbers(clip, numbers, later)
    onset, face = _find_face(clip, later[:_SEARCH_FRAMES], read)
    changes = _face_changes(face, [clip.onset, *later], onset.shape)
    box = face.box().within(onset.shape)
    cropper = _Cropper(clip, onset, box, options, read)
    apex, change = clip.apex, None
    if apex is None and options.apex == "difference":
        change = change_from_onset(cropper.onset, cropper.crop(later))
        apex = largest_change(change)
    elif apex is None:
        apex = _spot_apex(cropper, later, face, box, options)
    if clip.apex is None:
        registered = " after registration" if options.register == "rigid" and options.apex != "middle" else ""
        changes.append(CropRepair("apex", None, apex, _METHODS[options.apex] + registered))
    selected = _apex_and_neighbors(apex, later)
    faces = np.stack([crop for _, crop in cropper.crop(selected)])
    changes += [
        CropRepair("registration", "rigid", "none", f"frame {n} could not be moved onto the onset")
        for n in selected
        if n in cropper.unregistered
    ]
    shifts = tuple(n - apex for n in selected)
    rest: tuple[Gray, ...] = ()
    if with_rest:
        rest = _crop_rest(cropper, resting_frames(clip.onset, apex, numbers, len(selected)), clip.onset, changes)
    crops = ClipCrops(apex, shifts, cropper.onset, faces, tuple(changes), cropper.frames, rest=rest)
    return FaceDetection(crops, face, box, cropper.motion_extent, change)


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
    """Return the image of the onset, and the face in the onset or in the first later frame that shows a face."""
    frames = read([clip.onset, *later])
    _, onset = next(frames)
    face = find_face(chain([onset], (_check_size(clip, n, image, onset) for n, image in frames)))
    if face is None:
        raise UserError(
            f"{clip.frames}: no face in onset {clip.onset} nor in the {len(later)} frames after it; give frames "
            "with a frontal face"
        )
    return onset, face


def _check_size(clip: Clip, number: int, image: Gray, onset: Gray) -> Gray:
    if image.shape != onset.shape:
        raise UserError(
            f"{clip.frames}: frame {number} is {image.shape[1]}x{image.shape[0]}, the onset "
            f"{onset.shape[1]}x{onset.shape[0]}; give frames of one size"
        )
    return image


def _face_changes(face: Face, searched: Sequence[int], shape: tuple[int, ...]) -> list[CropRepair]:
    """Return a row of repairs.csv for each irregularity of the detection in an image (h, w)."""
    changes = []
    if face.count > 1:
        changes.append(CropRepair("face", face.count, 1, f"{face.count} faces: the largest one"))
    if face.position:
        reason = "no face found in the onset: the box is that of a later frame"
        changes.append(CropRepair("face", searched[0], searched[face.position], reason))
    # Upsampling alone is not recorded: the detector then searches the same image for faces of 40 pixels instead of 80.
    if face.help not in ("", "upsampled"):
        changes.append(CropRepair("face", None, face.help, "the detector found no face without it"))
    if face.box(0).within(shape) != face.box(0):
        changes.append(
            CropRepair("face", None, "cut off", "the face reaches beyond the image, at whose edge it is cropped")
        )
    return changes


def _crop_rest(cropper: "_Cropper", numbers: Sequence[int], onset: int, changes: list[CropRepair]) -> tuple[Gray, ...]:
    """Return the crops of the frames at rest; the onset's in place of a frame that cannot be used, which is no error.

    These frames may lie outside the annotated clip, where nobody looked at them.
    """
    crops = {onset: cropper.onset}
    try:
        crops.update(cropper.crop(sorted({*numbers} - {onset})))
    except UserError as error:
        changes.append(CropRepair("rest", numbers[0], onset, f"{error}: the onset serves as the face at rest"))
    return tuple(crops[n] if n in crops and n not in cropper.unregistered else cropper.onset for n in numbers)


def _spot_apex(cropper: "_Cropper", later: Sequence[int], face: Face, box: Box, options: CropOptions) -> int:
    if options.apex == "middle":
        return middle_frame(later)
    offset = None
    if options.apex == "ratio_offset":
        ((_, offset),) = cropper.crop(later[-1:])
    points = points_in_crop(face.points, box, options.size)
    return spot_apex(cropper.onset, cropper.crop(later), method=options.apex, offset=offset, points=points)


class _Cropper:
    """Crops the frames of one clip on demand, and caches the first crops.

    Attributes:
        onset: uint8[size, size], the crop of the onset.
        unregistered: numbers of the frames that could not be moved onto the onset.
        frames: number of frames that were decoded and cropped, the onset included.
        motion_extent: largest motion of the head in pixels, from the onset to any frame that was registered.
    """

    def __init__(self, clip: Clip, onset: Gray, box: Box, options: CropOptions, read: ReadFrames) -> None:
        self._clip, self._image, self._box, self._options, self._read = clip, onset, box, options, read
        self._neutral = crop_face(onset, box, IDENTITY, options.size)
        self._cache: dict[int, Gray] = {}
        self._cache_size = max(1, _CACHE_PIXELS // options.size**2)
        self.onset: Gray = to_gray(self._neutral)
        self.unregistered: set[int] = set()
        self.frames = 1
        self.motion_extent = 0.0

    def crop(self, numbers: Sequence[int]) -> Iterator[tuple[int, Gray]]:
        """Yield (number, crop uint8[size, size]) of the frames with these numbers, one at a time."""
        unread = self._read([n for n in numbers if n not in self._cache])
        for number in numbers:
            crop = self._cache.get(number)
            if crop is None:
                _, image = next(unread)
                crop = self._crop(number, _check_size(self._clip, number, image, self._image))
                if len(self._cache) < self._cache_size:
                    self._cache[number] = crop
            yield number, crop

    def _crop(self, number: int, image: Gray) -> Gray:
        self.frames += 1
        register = self._options.register == "rigid"
        crop, motion = crop_frame(image, self._image, self._neutral, self._box, register=register)
        if motion is None:
            self.unregistered.add(number)
        else:
            self.motion_extent = max(self.motion_extent, motion_extent(motion, self._box))
        return crop
