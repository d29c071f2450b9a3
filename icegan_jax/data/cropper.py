"""The crops of one clip's frames, and whether a frame shows the face of the onset."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.align import IDENTITY, crop_face, crop_frame, motion_extent, to_gray
from icegan_jax.data.face_embedding import look_alike, same_face_as
from icegan_jax.data.landmarks import Box
from icegan_jax.errors import UserError

# Pixels of crops that are cached while the apex is spotted, 256 of 128x128, so that most clips are decoded only once.
_CACHE_PIXELS = 256 * 128 * 128
# Frames of one scene differ by a smaller factor in the mean gray level of the face's box. Light drifts by some percent
# within a clip; a fade from or to black has frames beyond.
MAX_LIGHT_RATIO = 1.5

Gray = NDArray[np.uint8]
ReadFrames = Callable[[Iterable[int]], Iterator[tuple[int, Gray]]]  # frame numbers to (number, frame), ascending


class Cropper:
    """Crops the frames of one clip on demand, and caches the first crops.

    Attributes:
        onset: uint8[size, size], the crop of the onset.
        unregistered: numbers of the frames that could not be moved onto the onset.
        frames: number of frames that were decoded and cropped, the onset included.
    """

    def __init__(
        self, path: Path, onset: tuple[int, Gray], box: Box, read: ReadFrames, register: str, size: int
    ) -> None:
        """Crop the onset.

        Args:
            path: the folder or video, for messages.
            onset: number of the onset, and the onset uint8[h, w].
            box: the face in the onset.
            read: yields the frames with given numbers.
            register: "rigid" moves each frame onto the onset and matches the mean brightness; "none" does neither.
            size: pixels on a side of the crops.
        """
        self._path, self._box, self._read, self._register = path, box, read, register == "rigid"
        self._onset_number, self._image = onset
        self._neutral = crop_face(self._image, box, IDENTITY, size)
        self._lights = {self._onset_number: self._mean_level(self._image)}
        self._shows_face: dict[int, bool] = {}
        self._cache: dict[int, Gray] = {}
        self._cache_size = max(1, _CACHE_PIXELS // size**2)
        self.onset: Gray = to_gray(self._neutral)
        self.unregistered: set[int] = set()
        self.frames = 1
        self._shows_onset_face = same_face_as(self.onset)
        self._motion_extents = {self._onset_number: 0.0}

    def crop(self, numbers: Sequence[int]) -> Iterator[tuple[int, Gray]]:
        """Yield (number, crop uint8[size, size]) of the frames with these numbers, one at a time."""
        unread = self._read([n for n in numbers if n not in self._cache])
        for number in numbers:
            crop = self._cache.get(number)
            if crop is None:
                _, image = next(unread)
                crop = self._crop(number, check_size(self._path, number, image, self._image))
                if len(self._cache) < self._cache_size:
                    self._cache[number] = crop
            yield number, crop

    def shows_face(self, number: int) -> bool:
        """Return whether the frame shows the face of the onset."""
        if number not in self._shows_face:
            ((_, crop),) = self.crop([number])
            self._shows_face[number] = self._shows_onset_face(crop)
        return self._shows_face[number]

    def motion_extent(self, last: int) -> float:
        """Return the largest motion of the head in pixels, from the onset to any registered frame up to ``last``."""
        return max(extent for number, extent in self._motion_extents.items() if number <= last)

    def light(self, number: int) -> float:
        """Return the mean gray level of the face's box, as a multiple of the onset's."""
        if number not in self._lights:
            list(self.crop([number]))
        return self._lights[number] / max(self._lights[self._onset_number], 1.0)

    def first_of_another_scene(self, numbers: Sequence[int]) -> int | None:
        """Return the first of the frames that has other light than the onset, or does not show its face."""
        return next((n for n, crop in self._mask_other_scenes(numbers) if crop is None), None)

    def crop_scene(self, numbers: Sequence[int]) -> Iterator[Gray]:
        """Yield the crop uint8[size, size] of each of the frames that has the onset's light and shows its face."""
        return (crop for _, crop in self._mask_other_scenes(numbers) if crop is not None)

    def _mask_other_scenes(self, numbers: Sequence[int]) -> Iterator[tuple[int, Gray | None]]:
        """Yield (number, crop) of the frames; None in place of a crop with other light, or without the onset's face."""
        before = self.onset
        for number, crop in self.crop(numbers):
            is_bright = 1 / MAX_LIGHT_RATIO <= self.light(number) <= MAX_LIGHT_RATIO
            # A frame like the one before it needs no embedding, which takes as long as 10 registrations.
            if is_bright and (look_alike(before, crop) or self.shows_face(number)):
                before = crop
                yield number, crop
            else:
                yield number, None

    def _mean_level(self, image: Gray) -> float:
        left, top, right, bottom = self._box.pixel_bounds(image.shape)
        return float(image[top:bottom, left:right].mean())

    def _crop(self, number: int, image: Gray) -> Gray:
        self.frames += 1
        self._lights[number] = self._mean_level(image)
        crop, motion = crop_frame(image, self._image, self._neutral, self._box, register=self._register)
        if motion is None:
            self.unregistered.add(number)
        else:
            self._motion_extents[number] = motion_extent(motion, self._box)
        return crop


def check_size(path: Path, number: int, image: Gray, onset: Gray) -> Gray:
    """Return the image of a frame.

    Raises:
        UserError: the image is not as large as the onset.
    """
    if image.shape != onset.shape:
        raise UserError(
            f"{path}: frame {number} is {image.shape[1]}x{image.shape[0]}, the onset "
            f"{onset.shape[1]}x{onset.shape[0]}; give frames of one size"
        )
    return image
