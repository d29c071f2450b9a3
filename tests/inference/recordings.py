"""Recordings of a moving face as the inputs of the commands: folders of frames, videos and pairs."""

import functools
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

from tests.data.conftest import STRENGTHS, moved, smiling
from tests.videos import write_test_video

Gray = NDArray[np.uint8]


@functools.cache
def astronaut() -> Gray:
    """Return uint8[260, 240], a face of about 100 pixels."""
    gray = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2GRAY)
    return np.ascontiguousarray(gray[0:260, 110:350])


def frames(strengths: Sequence[float] = STRENGTHS) -> list[Gray]:
    """Return the face with an expression of each strength, while head and light drift."""
    pictures = []
    for i, strength in enumerate(strengths):
        frame = moved(smiling(astronaut(), strength), 0.1 * i, (0.3 * i, -0.2 * i))
        pictures.append(np.clip(frame * (1 - 0.005 * i) + i, 0, 255).astype(np.uint8))
    return pictures


def write_folder(folder: Path, first: int = 10, strengths: Sequence[float] = STRENGTHS) -> Path:
    """Write frames img10.png and so on; the apex is img14.png."""
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames(strengths), start=first):
        cv2.imwrite(str(folder / f"img{number}.png"), frame)
    return folder


def write_video(path: Path, strengths: Sequence[float] = STRENGTHS, fps: int = 60) -> Path:
    """Write the same frames as a video; the apex is at position 4."""
    return write_test_video(path, frames(strengths), fps)


def write_pair(folder: Path) -> tuple[Path, Path]:
    """Write onset.png and apex.png."""
    folder.mkdir(parents=True, exist_ok=True)
    onset, apex = folder / "onset.png", folder / "apex.png"
    cv2.imwrite(str(onset), astronaut())
    cv2.imwrite(str(apex), smiling(astronaut(), 1.0))
    return onset, apex
