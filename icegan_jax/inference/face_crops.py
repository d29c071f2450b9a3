"""A clip's face, found once on the onset and followed from there: crops for the networks, and flags."""

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
from icegan_jax.inference.quality_flags import Flag

Grey = NDArray[np.uint8]

FIRST, QUIETEST = "first", "quietest"


@dataclass(frozen=True)
class FaceCrops:
    """What is to be seen of one clip.

    Attributes:
        onset, apex, offset: frame numbers.
        onset_face, apex_face: uint8[n, n], cropped and registered as ``prepare`` does.
        box: of the crop, in pixels of the onset.
        flags: what to be wary of.
    """

    onset: int
    apex: int
    offset: int
    onset_face: Grey
    apex_face: Grey
    box: Box
    flags: tuple[Flag, ...]


def crop_source(footage: FrameSource, onset: str, options: CropOptions) -> FaceCrops:
    """Looks at one clip.

    Args:
        footage: its frames. Where it has an annotation, that holds, and the apex is spotted where it is open.
        onset: a frame number, ``first``, or ``quietest``: the middle of the stretch in which least moves; the apex
            may then lie before it.
        options: size of the crops, registration, how the apex is spotted.

    Raises:
        UserError: there is no such frame, no face, or a frame cannot be read.
    """
    if footage.clip is not None:
        clip = footage.clip
        return _face_crops(inspect_clip(clip, options, footage.numbers, footage.read), clip, footage.rate)
    numbers = footage.numbers
    if len(numbers) < 2:
        raise UserError(f"{footage.path}: holds one frame, which shows no change; give the frames from onset to offset")
    if onset == QUIETEST:
        return _from_quietest(footage, options)
    first = numbers[0] if onset == FIRST else int(onset)
    if first not in numbers or first == numbers[-1]:
        raise UserError(
            f"--onset={onset}: {footage.path} has frames {numbers[0]} to {numbers[-1]}; name one before the last"
        )
    clip = Clip("", "", footage.name, -1, footage.path, onset=first, apex=None, offset=numbers[-1])
    return _face_crops(inspect_clip(clip, options, numbers, footage.read), clip, footage.rate)


def crop_event(footage: FrameSource, frames: dict[int, Grey], options: CropOptions) -> FaceCrops:
    """Looks at an event of a recording, whose frames, onset to offset, are at hand."""

    def read(wanted: Iterable[int]) -> Iterator[tuple[int, Grey]]:
        return ((number, frames[number]) for number in wanted)

    return crop_source(replace(footage, numbers=sorted(frames), read=read), FIRST, options)


def _face_crops(sighting: FaceDetection, clip: Clip, rate: float | None) -> FaceCrops:
    cropped = sighting.crops
    found = quality_flags.flag_face(sighting) + quality_flags.flag_change(cropped)
    found += quality_flags.flag_duration(clip.onset, cropped.apex, clip.offset, rate)
    apex = cropped.faces[cropped.shifts.index(0)]
    return FaceCrops(clip.onset, cropped.apex, clip.offset, cropped.onset, apex, sighting.box, tuple(found))


def _from_quietest(footage: FrameSource, options: CropOptions) -> FaceCrops:
    """Numbers the frames anew, the quietest first: what moves may lie before it as well as after it."""
    numbers = footage.numbers
    if footage.rate is None:
        raise UserError(f"{footage.path}: --onset={QUIETEST} needs the frame rate; name it with --fps")
    onset = quietest_interval(Trace.from_rows(trace_video(footage.read(numbers), footage.rate), footage.rate))
    order = [onset, *(number for number in numbers if number != onset)]

    def read(wanted: Iterable[int]) -> Iterator[tuple[int, Grey]]:
        places = sorted(set(wanted))
        if places[:1] == [0]:
            yield 0, next(iter(footage.read([onset])))[1]
            places = places[1:]
        frames = footage.read([order[place] for place in places])
        yield from ((place, image) for place, (_, image) in zip(places, frames, strict=True))

    clip = Clip("", "", footage.name, -1, footage.path, onset=0, apex=None, offset=len(order) - 1)
    sight = _face_crops(inspect_clip(clip, options, range(len(order)), read), clip, None)
    return replace(sight, onset=onset, apex=order[sight.apex], offset=max(numbers))
