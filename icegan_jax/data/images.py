"""Pictures read from files: grey levels for the networks, colours for what people look at."""

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from icegan_jax.errors import UserError

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")

# What a file may hold, whatever its name. Pillow knows more formats, by content: of them EPS would run another program,
# and TIFF prints to stderr from C.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "PPM")
_LEAST = 20  # pixels on a side: the smallest face that dlib is made to see, see faces.py
_RGB_PROFILE = b"RGB "  # the colour space at byte 16 of an ICC profile (ICC.1:2022, 7.2.8)

Grey = NDArray[np.uint8]
Colour = NDArray[np.uint8]
Decoded = TypeVar("Decoded")


def read_grey(path: Path, remedy: str) -> Grey:
    """Reads an image file as uint8[h, w] grey levels, 0 to 255, upright.

    Pillow reads it, as it refuses truncated files, which OpenCV fills with grey. Its grey levels equal OpenCV's on
    grey JPEGs (348 of 348 files of faces/ are the same to the bit).

    Args:
        path: the file.
        remedy: ends the message, as "restore the file".

    Raises:
        UserError: the file is missing, truncated or no image.
    """
    return _decode(path, _grey_of, remedy)


def read_colour(path: Path) -> Colour:
    """Reads a picture of a face as uint8[h, w, 3] RGB, upright; of an animation the first frame.

    16 bits are scaled to 8, grey and CMYK become RGB, and what is transparent shows white.

    Raises:
        UserError: the file is missing, truncated, no image, or too small to show a face.
    """
    picture = _decode(path, _rgb_of, "restore the file or give another picture")
    h, w = picture.shape[:2]
    if min(h, w) < _LEAST:
        raise UserError(f"{path}: is {w}x{h} pixels, too small to show a face; give a larger picture")
    return picture


def colour_profile(path: Path) -> bytes | None:
    """The ICC profile that says what a picture's RGB values mean; None where it has none, or one for other values.

    Raises:
        UserError: as ``read_colour``.
    """

    def profile_of(image: Image.Image) -> bytes | None:
        profile = image.info.get("icc_profile")
        return profile if isinstance(profile, bytes) and profile[16:20] == _RGB_PROFILE else None

    return _decode(path, profile_of, "restore the file or give another picture")


def to_grey(picture: Colour) -> Grey:
    """Grey levels uint8[h, w] of uint8[h, w, 3] RGB (ITU-R BT.601), as ``read_grey`` gives them."""
    return np.asarray(Image.fromarray(picture).convert("L"), np.uint8)


def _decode(path: Path, convert: Callable[[Image.Image], Decoded], remedy: str) -> Decoded:
    """Opens an image file and turns it into something else.

    Raises:
        UserError: the file is missing, truncated or no image.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); restore the file") from None
    if not data:
        raise UserError(f"{path}: is empty (0 bytes); {remedy}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd metadata; what cannot be decoded raises
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                return convert(image)
    except Exception as error:  # Pillow raises many kinds for a damaged file
        line = "no jpg, png or bmp" if isinstance(error, UnidentifiedImageError) else " ".join(str(error).split())[:100]
        raise UserError(f"{path}: not a readable image ({line}); {remedy}") from None


def _grey_of(image: Image.Image) -> Grey:
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):  # 16 bits a pixel
        return np.asarray(np.asarray(upright) >> 8, np.uint8)
    return np.asarray(upright.convert("L"), np.uint8)


def _rgb_of(image: Image.Image) -> Colour:
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):
        return np.repeat(_grey_of(upright)[..., None], 3, axis=2)
    if upright.has_transparency_data:
        white = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(white, upright.convert("RGBA"))
    return np.array(upright.convert("RGB"), np.uint8)
