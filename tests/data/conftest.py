"""Small inputs for the data path: a real face that moves, and random pairs."""

import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.data.dataset import Pairs, Record

Gray = NDArray[np.uint8]
HEADER = "dataset,subject,clip,label,frames,onset,apex,offset"


@pytest.fixture(scope="session")
def face_image() -> Gray:
    """uint8[260, 240]: a face of about 100 pixels, left part of scikit-image's astronaut."""
    gray = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2GRAY)
    return np.ascontiguousarray(gray[0:260, 110:350])


def head_motion(image: Gray, degrees: float, shift: tuple[float, float]) -> NDArray[np.float64]:
    """float64[2, 3]: a turn about the image's center, then a shift by (x, y) pixels."""
    h, w = image.shape
    motion = np.asarray(cv2.getRotationMatrix2D((w / 2, h / 2), degrees, 1.0), np.float64)
    motion[:, 2] += np.array(shift)
    return motion


def moved(image: Gray, degrees: float, shift: tuple[float, float]) -> Gray:
    """The image after ``head_motion``."""
    h, w = image.shape
    motion = head_motion(image, degrees, shift)
    border = cv2.BORDER_REPLICATE
    turned = cv2.warpAffine(image, motion, (w, h), flags=cv2.INTER_CUBIC, borderMode=border)
    return np.asarray(turned, np.uint8)


def smiling(image: Gray, strength: float) -> Gray:
    """Lower the pixels around the astronaut's mouth by up to 6 pixels, smoothly."""
    h, w = image.shape
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    bump = 6 * strength * np.exp(-(((x - 112) / 18) ** 2) - ((y - 150) / 12) ** 2)
    return np.asarray(cv2.remap(image, x, y - bump, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


# How far the expression of ``write_clip`` has gone in each of its frames: the apex is the fifth.
STRENGTHS = (0.0, 0.1, 0.3, 0.6, 1.0, 0.7, 0.3)


@pytest.fixture
def write_clip(face_image: Gray) -> Callable[..., None]:
    """A function that writes a clip's frames, img10.png onwards, as head and light drift."""

    def write(folder: Path, first: int = 10) -> None:
        folder.mkdir(parents=True)
        for i, strength in enumerate(STRENGTHS):
            frame = moved(smiling(face_image, strength), 0.2 * i, (0.5 * i, -0.3 * i))
            frame = np.clip(frame * (1 - 0.01 * i) + i, 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / f"img{first + i}.png"), frame)

    return write


def record(
    dataset: str, subject: str, clip: str, label: int, shift: int, seed: int | None = None, size: int = 16
) -> Record:
    """A record with random faces, without a seed those of its names and shift."""
    names = zlib.crc32(repr((dataset, subject, clip, shift)).encode())
    rng = np.random.default_rng(names if seed is None else seed)
    onset, apex, rest = rng.integers(0, 256, (3, size, size), np.uint8)
    return Record(dataset, subject, clip, label, shift, onset, apex, rest)


def pairs_of(records: list[Record]) -> Pairs:
    """The pairs in memory, without going through files."""
    return Pairs(
        onset=np.stack([r.onset for r in records]),
        apex=np.stack([r.apex for r in records]),
        rest=np.stack([r.rest for r in records]),
        label=np.array([r.label for r in records], np.int32),
        shift=np.array([r.shift for r in records], np.int32),
        dataset=np.array([r.dataset for r in records]),
        subject=np.array([r.subject for r in records]),
        clip=np.array([r.clip for r in records]),
        classes=EXPRESSIONS,
        fingerprint="",
    )
