"""Neutral faces: detected in pictures, and cropped as ``prepare`` crops an onset."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from icegan_jax.data import align
from icegan_jax.data.images import PICTURE_SUFFIXES, read_color, to_gray
from icegan_jax.data.landmarks import Box, Face, find_face, find_faces
from icegan_jax.errors import UserError

# What a close-up shows around the box, as a fraction of the box's longer side: hair and chin.
_SURROUNDINGS = 0.35

Gray = NDArray[np.uint8]
Color = NDArray[np.uint8]


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
    """Return the picture at a path, or the pictures of the folder there, sorted by name.

    Raises:
        UserError: The path does not exist, or the folder holds no picture.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(f"{path}: no such picture or folder; correct --input")
    pictures = [
        file
        for file in sorted(path.iterdir())
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
    box = face.box().within(gray.shape)
    onset = align.to_gray(align.crop_face(gray, box, align.IDENTITY, size))
    return NeutralFace(path.stem, picture, box, onset, note)


def _find_face(path: Path, gray: Gray, number: int | None) -> tuple[Face, str]:
    """Return the face, and a note for the user where the largest of several faces is taken."""
    no_face = UserError(f"{path}: no face found; give a picture of a frontal face")
    if number is None:
        face = find_face([gray])
        if face is None:
            raise no_face
        note = f"{path}: {face.count} faces, of which the largest is taken; --face=N takes another, from the left"
        return face, note if face.count > 1 else ""
    faces = find_faces(gray)
    if not faces:
        raise no_face
    if number > len(faces):
        count = "one face" if len(faces) == 1 else f"{len(faces)} faces"
        raise UserError(f"--face={number}: {path} shows {count}; count from the left, from 1")
    return faces[number - 1], ""


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
