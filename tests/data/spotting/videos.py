"""Seconds of video of one face, moved, lit and smiling as a test plants it."""

from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.synthetic.render import CameraSettings, Pose, draw_frame
from tests.data.conftest import moved, smiling
from tests.data.synthetic.people import draw_person

Gray = NDArray[np.uint8]

FPS = 30.0
NOISE = 1.5  # gray levels


def video(
    image: Gray,
    frames: int,
    *,
    smile: Callable[[int], float] = lambda i: 0.0,
    shift: Callable[[int], tuple[float, float]] = lambda i: (0.0, 0.0),
    light: Callable[[int], float] = lambda i: 1.0,
    first: int = 0,
    seed: int = 0,
) -> Iterator[tuple[int, Gray]]:
    """Yield (number, frame): the image with a smile (1 is 6 pixels), moved, lit, with fresh noise."""
    rng = np.random.default_rng(seed)
    for i in range(frames):
        strength = smile(i)
        face = smiling(image, strength) if strength else image
        x, y = shift(i)
        face = moved(face, 0.1 * x, (x, y)) if x or y else face
        lit = light(i) * face + NOISE * rng.standard_normal(face.shape)
        yield first + i, np.clip(np.rint(lit), 0, 255).astype(np.uint8)


def rise_and_fall(onset: int, offset: int, height: float) -> Callable[[int], float]:
    """A smile that is strongest halfway between onset and offset, and 0 at both."""

    def smile(i: int) -> float:
        share = (i - onset) / (offset - onset)
        return height * float(np.sin(np.pi * share) ** 2) if 0 < share < 1 else 0.0

    return smile


def nod(i: int) -> tuple[float, float]:
    """A head that wanders by 4 pixels, up to 0.6 in a frame."""
    return 4 * float(np.sin(i / 9)), 3 * float(np.sin(i / 7) - np.cos(i / 11) + 1)


def another_face(shape: tuple[int, ...]) -> Gray:
    """A drawn face in a picture of this size."""
    portrait, muscles, rest = draw_person(1)
    frame = draw_frame(portrait, muscles.motion(rest), Pose(), CameraSettings(), np.random.default_rng(0))
    return np.asarray(cv2.resize(frame, shape[::-1], interpolation=cv2.INTER_AREA), np.uint8)
