"""Faces cropped as ``prepare`` does: onset and apex of a clip with quality flags, and neutral faces in pictures."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from icegan_jax.data import align
from icegan_jax.data.clips import Clip
from icegan_jax.data.crop import CropOptions, FaceDetection, inspect_clip
from icegan_jax.data.frame_numbers import natural_order
from icegan_jax.data.images import PICTURE_SUFFIXES, read_color, to_gray
from icegan_jax.data.landmarks import SURE_SCORE, Box, Face, find_face, find_faces
from icegan_jax.data.spotting import Trace, estimate_interval, quietest_interval, trace_video
from icegan_jax.errors import UserError
from icegan_jax.inference import quality_flags
from icegan_jax.inference.inputs import FrameSource
from icegan_jax.inference.quality_flags import QualityFlag

FIRST, QUIETEST = "first", "quietest"  # the onset of a clip without annotation
FACE_OPTION_HINT = "; --face=N takes another, from the left"  # in the note of a neutral face, for the command

Gray = NDArray[np.uint8]

# What a close-up shows around the box, as a fraction of the box's longer side: hair and chin.
_SURROUNDINGS = 0.35

Color = NDArray[np.uint8]


@dataclass(frozen=True)
class FaceCrops:
    """The crops of one clip.

    Attributes:
        onset, apex, offset: frame numbers.
        onset_face: uint8[n, n], the cropped onset.
        apex_face: uint8[n, n], the cropped apex, registered to the onset.
        box: the crop, in pixels of the onset.
        flags: the quality flags of the clip.
    """

    onset: int
    apex: int
    offset: int
    onset_face: Gray
    apex_face: Gray
    box: Box
    flags: tuple[QualityFlag, ...]


def crop_source(source: FrameSource, onset: str, options: CropOptions) -> FaceCrops:
    """Detect the face in the onset, spot the apex, and crop both frames.

    Args:
        source: the frames. An annotation overrides ``onset``; the apex is spotted only where the annotation has none.
        onset: a frame number, ``FIRST``, or ``QUIETEST``: the middle of the interval with the least motion; the apex
            may then lie before the onset.
        options: the size of the crops, the registration, and the method of apex spotting.

    Raises:
        UserError: The onset does not exist, no face is detected, or a frame cannot be read.
    """
    if source.clip is not None:
        return _crop(source.clip, source, options)
    numbers = source.frame_numbers
    if len(numbers) < 2:
        raise UserError(f"{source.path}: holds one frame, which shows no change; give the frames from onset to offset")
    if onset == QUIETEST:
        return _crop_from_quietest(source, options)
    first = numbers[0] if onset == FIRST else int(onset)
    if first not in numbers or first == numbers[-1]:
        raise UserError(
            f"--onset={onset}: {source.path} has frames {numbers[0]} to {numbers[-1]}; give one before the last"
        )
    clip = Clip("", "", source.name, -1, source.path, onset=first, apex=None, offset=numbers[-1])
    return _crop(clip, source, options)


def crop_event(source: FrameSource, frames: dict[int, Gray], options: CropOptions) -> FaceCrops:
    """Crop an event of a recording.

    Args:
        source: the recording.
        frames: {frame number: uint8[h, w]} of the event, onset to offset.
        options: see ``crop_source``.

    Raises:
        UserError: No face is detected.
    """

    def read(numbers: Iterable[int]) -> Iterator[tuple[int, Gray]]:
        return ((number, frames[number]) for number in numbers)

    clip = Clip("", "", source.name, -1, source.path, onset=min(frames), apex=None, offset=max(frames))
    return _crop(clip, replace(source, clip=clip, frame_numbers=sorted(frames), read=read), options)


def _crop(clip: Clip, source: FrameSource, options: CropOptions) -> FaceCrops:
    detection = inspect_clip(clip, options, source.frame_numbers, source.read)
    return _face_crops(detection, source, range(clip.offset + 1))


def _face_crops(detection: FaceDetection, source: FrameSource, number_at: Sequence[int]) -> FaceCrops:
    """Return the crops of a clip with their flags.

    The offset of a clip without annotation is estimated; that of an event was estimated when it was spotted.

    Args:
        detection: the crops, and the change of each frame.
        source: the frames.
        number_at: the frame number in the source of each frame number of the detection.
    """
    cropped = detection.crops
    used = number_at[detection.clip.onset : detection.clip.offset + 1]
    apex, onset, last_used = number_at[cropped.apex], used[0], max(used)
    start, end = onset, last_used
    if detection.change and source.clip is None:
        start, end = estimate_interval({number_at[n]: change for n, change in detection.change.items()})
    first, last = source.seconds(start), source.seconds(end)
    apex_face = cropped.faces[cropped.shifts.index(0)]
    noise_flags = quality_flags.flag_change(cropped.onset, apex_face)
    duration = None if first is None or last is None or noise_flags else last - first
    flags = quality_flags.flag_face(detection) + noise_flags
    flags += quality_flags.flag_duration(onset, apex, last_used, duration)
    return FaceCrops(onset, apex, end, cropped.onset, apex_face, detection.box, tuple(flags))


def _crop_from_quietest(source: FrameSource, options: CropOptions) -> FaceCrops:
    """Crop with the quietest frame as the onset and the apex in any other frame.

    ``inspect_clip`` spots the apex after the onset only. The frames are therefore numbered anew: the quietest is 0,
    all others follow.
    """
    numbers = source.frame_numbers
    if source.fps is None:
        raise UserError(f"{source.path}: --onset={QUIETEST} needs the frame rate; give it with --fps")
    rows = trace_video(source.read_evenly(source.read(numbers)), source.fps)
    trace = Trace.from_rows(rows, source.fps)
    onset = quietest_interval(trace)
    number_at = [onset, *(number for number in trace.frames_of_same_face(onset) if number != onset)]

    def read(positions: Iterable[int]) -> Iterator[tuple[int, Gray]]:
        rest = sorted(set(positions))
        if rest[:1] == [0]:
            yield 0, next(iter(source.read([onset])))[1]
            rest = rest[1:]
        frames = source.read([number_at[position] for position in rest])
        yield from ((position, image) for position, (_, image) in zip(rest, frames, strict=True))

    clip = Clip("", "", source.name, -1, source.path, onset=0, apex=None, offset=len(number_at) - 1)
    return _face_crops(inspect_clip(clip, options, range(len(number_at)), read), source, number_at)


@dataclass(frozen=True)
class NeutralFace:
    """A neutral face in a picture.

    Attributes:
        name: the file name of the picture, without suffix.
        picture: uint8[h, w, 3], RGB.
        box: the crop, in the picture's pixels.
        onset: uint8[n, n], the gray crop, an input of the generator.
        note: a note for the user; empty without one.
    """

    name: str
    picture: Color
    box: Box
    onset: Gray
    note: str = ""

    def close_up(self, side: int) -> "NeutralFace":
        """Return the face in a picture uint8[side, side, 3] of the face and its surroundings, padded with white."""
        box = self.box
        reach = (0.5 + _SURROUNDINGS) * max(box.width, box.height)
        left, top = (box.left + box.right) / 2 - reach, (box.top + box.bottom) / 2 - reach
        scale = side / (2 * reach)
        picture = _resample(self.picture, left, top, scale, side)
        x0, x1 = ((x - left) * scale - 0.5 for x in (box.left, box.right))
        y0, y1 = ((y - top) * scale - 0.5 for y in (box.top, box.bottom))
        return replace(self, picture=picture, box=Box(x0, y0, x1, y1))


def list_pictures(path: Path) -> list[Path]:
    """Return the picture at a path, or the pictures of the folder there, in natural order.

    Raises:
        UserError: The path does not exist, or the folder holds no picture.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(f"{path}: no such picture or folder; correct --input")
    pictures = [
        file
        for file in sorted(path.iterdir(), key=natural_order)
        if file.suffix.lower() in PICTURE_SUFFIXES and file.is_file() and not file.name.startswith(".")
    ]
    if not pictures:
        kinds = ", ".join(suffix.removeprefix(".") for suffix in PICTURE_SUFFIXES)
        raise UserError(f"{path}: no picture in this folder; put {kinds} files there")
    return pictures


def find_neutral_faces(paths: Sequence[Path], size: int, number: int | None = None) -> list[NeutralFace]:
    """Detect and crop the face of each picture.

    Args:
        paths: the pictures.
        size: pixels on a side of the crops.
        number: the number of the face, from 1, left to right; None: the largest face.

    Raises:
        UserError: A picture cannot be read, shows no face, or has fewer faces than ``number``.
    """
    bar = tqdm(paths, desc="detecting faces", unit="picture", disable=None if len(paths) > 1 else True)
    return [crop_neutral_face(read_color(path), path, size, number) for path in bar]


def crop_neutral_face(picture: Color, path: Path, size: int, number: int | None = None) -> NeutralFace:
    """Detect and crop the face of a picture uint8[h, w, 3] that messages call ``path``, see ``find_neutral_faces``."""
    gray = to_gray(picture)
    face, note = _find_face(path, gray, number)
    picture, gray = np.rot90(picture, face.turn), np.rot90(gray, face.turn)
    box = face.box().within(gray.shape)
    onset = align.to_gray(align.crop_face(gray, box, align.IDENTITY, size))
    return NeutralFace(path.stem, picture, box, onset, note)


def _find_face(path: Path, gray: Gray, number: int | None) -> tuple[Face, str]:
    """Return the face, and a note for the user on what is unusual about it."""
    no_face = UserError(f"{path}: no face found; give a picture of a frontal face")
    if number is None:
        face = find_face([gray])
        if face is None:
            raise no_face
        notes = [f"{face.count} faces, of which the largest is taken{FACE_OPTION_HINT}"]
        return face, _note(path, [*notes * (face.count > 1), *_doubts(face)])
    faces = find_faces(gray)
    if not faces:
        raise no_face
    if number > len(faces):
        count = "one face" if len(faces) == 1 else f"{len(faces)} faces"
        raise UserError(f"--face={number}: {path} shows {count}; count from the left, from 1")
    face = faces[number - 1]
    return face, _note(path, _doubts(face))


def _doubts(face: Face) -> list[str]:
    turned = f"turned by {90 * face.turn} degrees counterclockwise, after which the face is upright"
    uncertain = f"the detector is not sure of the face (score {face.score:.1f}); check the box"
    return [turned] * bool(face.turn) + [uncertain] * (face.score < SURE_SCORE)


def _note(path: Path, notes: list[str]) -> str:
    return f"{path}: {'; '.join(notes)}" if notes else ""


def _resample(picture: Color, left: float, top: float, scale: float, side: int) -> Color:
    """Return the square at (left, top) in ``side`` pixels, ``scale`` of which make up one of the picture."""
    times = max(1, math.ceil(1 / scale))  # as in crop_face: samples no coarser than the picture, then averaged
    step = 1 / (scale * times)
    grid = np.array([[step, 0, left + step / 2], [0, step, top + step / 2]])
    fine = cv2.warpAffine(
        picture,
        grid,
        (side * times, side * times),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(255, 255, 255),
    )
    return np.asarray(cv2.resize(fine, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
