"""The face crops of one clip, cropped and registered as ``prepare`` does, and the quality flags of the clip."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.clips import Clip
from icegan_jax.data.crop import CropOptions, FaceDetection, inspect_clip
from icegan_jax.data.landmarks import Box
from icegan_jax.data.spotting import Trace, quietest_interval, trace_video
from icegan_jax.errors import UserError
from icegan_jax.inference import quality_flags
from icegan_jax.inference.inputs import FrameSource
from icegan_jax.inference.quality_flags import QualityFlag

FIRST, QUIETEST = "first", "quietest"  # the onset of a clip without annotation

Gray = NDArray[np.uint8]


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

    return crop_source(replace(source, frame_numbers=sorted(frames), read=read), FIRST, options)


def _crop(clip: Clip, source: FrameSource, options: CropOptions) -> FaceCrops:
    start, end = source.seconds(clip.onset), source.seconds(clip.offset)
    duration = None if start is None or end is None else end - start
    return _face_crops(inspect_clip(clip, options, source.frame_numbers, source.read), clip, duration)


def _face_crops(detection: FaceDetection, clip: Clip, duration: float | None) -> FaceCrops:
    cropped = detection.crops
    flags = quality_flags.flag_face(detection) + quality_flags.flag_change(cropped)
    flags += quality_flags.flag_duration(clip.onset, cropped.apex, clip.offset, duration)
    apex_face = cropped.faces[cropped.shifts.index(0)]
    return FaceCrops(clip.onset, cropped.apex, clip.offset, cropped.onset, apex_face, detection.box, tuple(flags))


def _crop_from_quietest(source: FrameSource, options: CropOptions) -> FaceCrops:
    """Crop with the quietest frame as the onset and the apex in any other frame.

    ``inspect_clip`` spots the apex after the onset only. The frames are therefore numbered anew: the quietest is 0,
    all others follow.
    """
    numbers = source.frame_numbers
    if source.fps is None:
        raise UserError(f"{source.path}: --onset={QUIETEST} needs the frame rate; give it with --fps")
    onset = quietest_interval(Trace.from_rows(trace_video(source.read(numbers), source.fps), source.fps))
    number_at = [onset, *(number for number in numbers if number != onset)]

    def read(positions: Iterable[int]) -> Iterator[tuple[int, Gray]]:
        rest = sorted(set(positions))
        if rest[:1] == [0]:
            yield 0, next(iter(source.read([onset])))[1]
            rest = rest[1:]
        frames = source.read([number_at[position] for position in rest])
        yield from ((position, image) for position, (_, image) in zip(rest, frames, strict=True))

    clip = Clip("", "", source.name, -1, source.path, onset=0, apex=None, offset=len(number_at) - 1)
    crops = _face_crops(inspect_clip(clip, options, range(len(number_at)), read), clip, None)
    return replace(crops, onset=onset, apex=number_at[crops.apex], offset=max(numbers))
