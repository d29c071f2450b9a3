"""The neutral faces that expressions are put on: found in pictures, cropped as ``prepare`` crops an onset."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from icegan_jax.data.align import IDENTITY, crop_face
from icegan_jax.data.align import to_grey as rounded
from icegan_jax.data.images import PICTURE_SUFFIXES, read_color, to_grey
from icegan_jax.data.landmarks import Box, Face, find_face, find_faces
from icegan_jax.errors import UserError

Grey = NDArray[np.uint8]
Colour = NDArray[np.uint8]

# What is shown around the box of a face's landmarks, as a fraction of its longer side: hair and chin.
_AROUND = 0.35


@dataclass(frozen=True)
class NeutralFace:
    """A face in a picture.

    Attributes:
        name: of the picture, without suffix.
        picture: uint8[h, w, 3], RGB.
        box: of the crop, in the picture's pixels.
        onset: uint8[n, n], the crop, grey.
        note: what its user ought to know; empty where there is nothing.
    """

    name: str
    picture: Colour
    box: Box
    onset: Grey
    note: str = ""

    def framed(self, side: int) -> "NeutralFace":
        """The same face with its surroundings alone, uint8[side, side, 3]; what lies beyond the picture is white."""
        box = self.box
        reach = (0.5 + _AROUND) * max(box.width, box.height)
        left, top = (box.left + box.right) / 2 - reach, (box.top + box.bottom) / 2 - reach
        scale = side / (2 * reach)
        return replace(
            self,
            picture=_resampled(self.picture, left, top, scale, side),
            box=Box(
                *((at - start) * scale - 0.5 for at, start in zip(_sides(box), (left, top, left, top), strict=True))
            ),
        )


def list_pictures(path: Path) -> list[Path]:
    """The picture at a path, or the pictures in the folder there, sorted by name.

    Raises:
        UserError: there is nothing, or no picture.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(f"{path}: no such picture or folder; correct --input")
    found = [file for file in sorted(path.iterdir()) if file.suffix.lower() in PICTURE_SUFFIXES and file.is_file()]
    found = [file for file in found if not file.name.startswith(".")]
    if not found:
        kinds = ", ".join(suffix.removeprefix(".") for suffix in PICTURE_SUFFIXES)
        raise UserError(f"{path}: no picture in this folder; put {kinds} files there")
    return found


def find_neutral_faces(paths: Sequence[Path], size: int, number: int | None = None) -> list[NeutralFace]:
    """The face of each picture: the largest one, or the one of that number.

    Args:
        paths: the pictures.
        size: pixels on a side of a crop.
        number: of the face, from 1, left to right.

    Raises:
        UserError: a picture cannot be read, or shows no face, or not so many.
    """
    bar = tqdm(paths, desc="finding faces", unit="picture", disable=None if len(paths) > 1 else True)
    return [_neutral_face(path, size, number) for path in bar]


def _neutral_face(path: Path, size: int, number: int | None) -> NeutralFace:
    picture = read_color(path)
    grey = to_grey(picture)
    face, note = _chosen(path, grey, number)
    box = face.box().within(grey.shape)
    return NeutralFace(path.stem, picture, box, rounded(crop_face(grey, box, IDENTITY, size)), note)


def _chosen(path: Path, grey: Grey, number: int | None) -> tuple[Face, str]:
    """The face, and what to tell its user."""
    nothing = UserError(f"{path}: no face found; give a picture of a frontal face")
    if number is None:
        face = find_face([grey])
        if face is None:
            raise nothing
        several = f"{path}: {face.count} faces, of which the largest is taken; --face=N takes another, from the left"
        return face, several if face.count > 1 else ""
    faces = find_faces(grey)
    if not faces:
        raise nothing
    if number > len(faces):
        only = "one face is" if len(faces) == 1 else f"{len(faces)} faces are"
        raise UserError(f"--face={number}: {only} to be seen in {path}; count from the left, from 1")
    return faces[number - 1], ""


def _sides(box: Box) -> tuple[float, float, float, float]:
    return box.left, box.top, box.right, box.bottom


def _resampled(picture: Colour, left: float, top: float, scale: float, side: int) -> Colour:
    """The square at (left, top), in ``side`` pixels of which ``scale`` make up one of the picture."""
    times = max(1, math.ceil(1 / scale))  # as crop_face: samples no coarser than the picture, then averaged
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
