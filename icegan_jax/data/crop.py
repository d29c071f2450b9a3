"""One clip's work: find the face, register, spot the apex where it is open, and crop."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.align import IDENTITY, crop_face, crop_frame, motion_extent, to_grey
from icegan_jax.data.apex import middle_frame, points_in_crop, spot_apex
from icegan_jax.data.clips import Clip, movement
from icegan_jax.data.landmarks import Box, Face, find_face
from icegan_jax.data.video import list_frames, read_frames
from icegan_jax.errors import UserError

REGISTRATIONS = ("rigid", "none")
SIZE = 128  # pixels on a side; the paper's input

# The apex and its four neighbours are trained on (docs/design.md, "Crop and registration").
_SHIFTS = (-2, -1, 0, 1, 2)
# Frames after the onset in which the face is looked for where the onset shows none.
_MORE_FRAMES = 25
# Pixels of crops that are kept while the apex is looked for, 256 of 128x128, so that most clips are decoded once only.
_HELD_PIXELS = 256 * SIZE * SIZE

_METHODS = {
    "difference": "spotted: the largest |frame - onset| over the crop",
    "ratio": "spotted: the largest ratio of ten regions' change from the onset to that from the frame before",
    "ratio_offset": "spotted: the largest ratio of ten regions' change from onset and offset to that from the frame "
    "before",
    "middle": "spotted: the middle frame",
}

Grey = NDArray[np.uint8]
ReadFrames = Callable[[Iterable[int]], Iterator[tuple[int, Grey]]]  # (number, frame) of the numbers given, ascending


@dataclass(frozen=True)
class CropOptions:
    """How clips are prepared.

    Attributes:
        register: "rigid" moves each frame onto the onset and matches its mean brightness; "none"
            does neither.
        size: pixels on a side of a prepared face.
        apex: how the apex is spotted where none is annotated, one of ``apex.METHODS``.
        skip_damaged: leave out, and name, the clips whose frames are damaged or show no face,
            instead of stopping at them.
    """

    register: str = "rigid"
    size: int = SIZE
    apex: str = "difference"
    skip_damaged: bool = False


@dataclass(frozen=True)
class CropRepair:
    """One row of repairs.csv without the clip's name: what was changed, from what to what, and why."""

    field: str
    old: int | str | None
    new: int | str
    reason: str


@dataclass(frozen=True)
class ClipCrops:
    """What a clip's frames give, whatever its label.

    Attributes:
        apex: frame number of the apex, as annotated or as spotted.
        shifts: for each face, its frame's position minus the apex's, ascending.
        onset: uint8[size, size].
        faces: uint8[len(shifts), size, size].
        changes: spotted apex, help that the face detector needed, frames that resisted registration.
        frames: how many frames were decoded and cropped for it.
    """

    apex: int
    shifts: tuple[int, ...]
    onset: Grey
    faces: Grey
    changes: tuple[CropRepair, ...]
    frames: int


@dataclass(frozen=True)
class FaceDetection:
    """What was seen of a clip.

    Attributes:
        cropped: what is kept of it.
        face: the face as it was found.
        box: its crop, in the pixels of the frame it was found in.
        travel: pixels by which the head moved at most, onset to any frame that was registered.
    """

    cropped: ClipCrops
    face: Face
    box: Box
    travel: float


def crop_clip(clip: Clip, options: CropOptions) -> ClipCrops:
    """Crops a settled clip's apex, its neighbours and its onset, see ``look_at_clip``."""
    # A video's frames are counted when the clip is settled: that decodes it once.
    numbers = list_frames(clip.frames) if clip.frames.is_dir() else range(clip.offset + 1)
    return inspect_clip(clip, options, numbers, partial(read_frames, clip.frames)).cropped


def inspect_clip(clip: Clip, options: CropOptions, numbers: Sequence[int], read: ReadFrames) -> FaceDetection:
    """Crops a settled clip's apex, its neighbours and its onset.

    Frames are read one at a time and only a bounded number of crops is held, so that memory does
    not grow with the clip's length. The box comes from the onset, or from the first of the 25
    frames after it that shows a face, and serves for all frames. The ratio methods of spotting use
    the landmarks of that frame, in registered crops and in others.

    Args:
        clip: onset, offset, and the apex where it is known; ``frames`` is named in messages.
        options: how.
        numbers: of the frames that exist, ascending.
        read: gives the frames.

    Raises:
        UserError: a frame is missing, unreadable or of another size, or no frame shows a face.
    """
    moving = movement(clip, numbers)
    _check_settled(clip, numbers, moving)
    onset, face = _find_face(clip, moving[:_MORE_FRAMES], read)
    changes = _face_changes(face, [clip.onset, *moving], onset.shape)
    box = face.box().within(onset.shape)
    crops = _Crops(clip, onset, box, options, read)
    apex = clip.apex
    if apex is None:
        apex = _spot(crops, moving, face, box, options)
        registered = " after registration" if options.register == "rigid" and options.apex != "middle" else ""
        changes.append(CropRepair("apex", None, apex, _METHODS[options.apex] + registered))
    chosen = _around(apex, moving)
    faces = np.stack([crop for _, crop in crops.of(chosen)])
    changes += [
        CropRepair("registration", "rigid", "none", f"frame {n} could not be moved onto the onset")
        for n in chosen
        if n in crops.unregistered
    ]
    shifts = tuple(n - apex for n in chosen)
    cropped = ClipCrops(apex, shifts, crops.onset, faces, tuple(changes), crops.frames)
    return FaceDetection(cropped, face, box, crops.travel)


def frames_read(clip: Clip, moving: Sequence[int], method: str) -> list[int]:
    """Returns the frames that ``crop_clip`` needs of a clip whose onset shows a face, ascending.

    Args:
        clip: the clip, settled.
        moving: the frames that exist after the onset, up to the offset, at least one.
        method: how the apex is spotted where it is open: all frames are looked at, but for "middle".
    """
    if clip.apex is None and method != "middle":
        return [clip.onset, *moving]
    return [clip.onset, *_around(middle_frame(moving) if clip.apex is None else clip.apex, moving)]


def _around(apex: int, moving: Sequence[int]) -> list[int]:
    return [n for n in moving if n - apex in _SHIFTS]


def _check_settled(clip: Clip, numbers: Sequence[int], moving: Sequence[int]) -> None:
    """Frames can vanish after the clips were settled."""
    for field, number, among in (("onset", clip.onset, numbers), ("apex", clip.apex, moving)):
        if number is not None and number not in among:
            raise UserError(f"{clip.frames}: {field} frame {number} is missing; restore it, or start again")
    if not moving:
        raise UserError(f"{clip.frames}: no frame after onset {clip.onset}; restore the frames, or start again")


def _find_face(clip: Clip, more: Sequence[int], read: ReadFrames) -> tuple[Grey, Face]:
    """Returns the onset's image, and the face in it or in the first of ``more`` that shows one."""
    frames = read([clip.onset, *more])
    _, onset = next(frames)
    face = find_face(chain([onset], (_sized(clip, n, image, onset) for n, image in frames)))
    if face is None:
        raise UserError(
            f"{clip.frames}: no face in onset {clip.onset} nor in the {len(more)} frames after it; give frames "
            "with a frontal face"
        )
    return onset, face


def _sized(clip: Clip, number: int, image: Grey, onset: Grey) -> Grey:
    if image.shape != onset.shape:
        raise UserError(
            f"{clip.frames}: frame {number} is {image.shape[1]}x{image.shape[0]}, the onset "
            f"{onset.shape[1]}x{onset.shape[0]}; give frames of one size"
        )
    return image


def _face_changes(face: Face, searched: Sequence[int], shape: tuple[int, ...]) -> list[CropRepair]:
    """Tells how the face was found in an image of this shape, where that is not as it should be."""
    changes = []
    if face.count > 1:
        changes.append(CropRepair("face", face.count, 1, f"{face.count} faces: the largest one"))
    if face.position:
        reason = "no face found in the onset: the box is that of a later frame"
        changes.append(CropRepair("face", searched[0], searched[face.position], reason))
    # "upsampled" alone is no departure: the detector looks for faces of 40 pixels instead of 80, in the same pixels.
    if face.help not in ("", "upsampled"):
        changes.append(CropRepair("face", None, face.help, "the detector found no face without it"))
    if face.box(0).within(shape) != face.box(0):
        changes.append(
            CropRepair("face", None, "cut off", "the face reaches beyond the image, at whose edge it is cropped")
        )
    return changes


def _spot(crops: "_Crops", moving: Sequence[int], face: Face, box: Box, options: CropOptions) -> int:
    if options.apex == "middle":
        return middle_frame(moving)
    offset = None
    if options.apex == "ratio_offset":
        ((_, offset),) = crops.of(moving[-1:])
    points = points_in_crop(face.points, box, options.size)
    return spot_apex(crops.onset, crops.of(moving), method=options.apex, offset=offset, points=points)


class _Crops:
    """The crops of one clip's frames, made when they are asked for; the first ones are held.

    Attributes:
        onset: uint8[size, size].
        unregistered: numbers of the frames that could not be moved onto the onset.
        frames: how many frames were decoded and cropped, the onset included.
        travel: pixels by which the head moved at most, onset to any of the frames that were registered.
    """

    def __init__(self, clip: Clip, onset: Grey, box: Box, options: CropOptions, read: ReadFrames) -> None:
        self._clip, self._image, self._box, self._options, self._read = clip, onset, box, options, read
        self._neutral = crop_face(onset, box, IDENTITY, options.size)
        self._held: dict[int, Grey] = {}
        self._most = max(1, _HELD_PIXELS // options.size**2)
        self.onset: Grey = to_grey(self._neutral)
        self.unregistered: set[int] = set()
        self.frames = 1
        self.travel = 0.0

    def of(self, numbers: Sequence[int]) -> Iterator[tuple[int, Grey]]:
        """Yields (number, uint8[size, size]) of the frames, one at a time."""
        unread = self._read([n for n in numbers if n not in self._held])
        for number in numbers:
            crop = self._held.get(number)
            if crop is None:
                _, image = next(unread)
                crop = self._make(number, _sized(self._clip, number, image, self._image))
                if len(self._held) < self._most:
                    self._held[number] = crop
            yield number, crop

    def _make(self, number: int, image: Grey) -> Grey:
        self.frames += 1
        register = self._options.register == "rigid"
        crop, motion = crop_frame(image, self._image, self._neutral, self._box, register=register)
        if motion is None:
            self.unregistered.add(number)
        else:
            self.travel = max(self.travel, motion_extent(motion, self._box))
        return crop
