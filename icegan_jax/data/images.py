"""Image files read as gray levels, for the networks, or as RGB colors, for display."""

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

# The formats that are accepted, whatever the file's name. Pillow supports more formats, of which EPS would run another
# program and TIFF prints to stderr from C.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "PPM")
MIN_SIDE = 20  # pixels, the smallest face that ``landmarks.find_face`` detects
_RGB_PROFILE = b"RGB "  # the color space at byte 16 of an ICC profile (ICC.1:2022, 7.2.8)

Gray = NDArray[np.uint8]
Color = NDArray[np.uint8]
Decoded = TypeVar("Decoded")


def read_gray(path: Path, remedy: str) -> Gray:
    """Read an image file as upright gray levels.

    Pillow is used, as Pillow rejects truncated files, which OpenCV fills with gray. On gray JPEGs the gray levels of
    Pillow and OpenCV are equal.

    Args:
        path: the file.
        remedy: the end of the error message, such as "restore the file".

    Returns:
        uint8[h, w], 0 to 255.

    Raises:
        UserError: the file is missing, truncated or not an image.
    """
    return _decode(path, _gray_of, remedy)


def read_color(path: Path) -> Color:
    """Read an image of a face, or the first frame of an animation, as upright RGB colors.

    16 bits are scaled to 8, gray and CMYK become RGB, and transparent pixels become white.

    Returns:
        uint8[h, w, 3].

    Raises:
        UserError: the file is missing, truncated, not an image, or too small to show a face.
    """
    picture = _decode(path, _rgb_of, "restore the file or give another picture")
    h, w = picture.shape[:2]
    if min(h, w) < MIN_SIDE:
        raise UserError(f"{path}: is {w}x{h} pixels, too small to show a face; give a larger picture")
    return picture


def color_profile(path: Path) -> bytes | None:
    """Return the ICC profile of an image file; None where the file has none, or has one that is not for RGB values.

    Raises:
        UserError: the file is missing, truncated or not an image.
    """

    def profile_of(image: Image.Image) -> bytes | None:
        profile = image.info.get("icc_profile")
        return profile if isinstance(profile, bytes) and profile[16:20] == _RGB_PROFILE else None

    return _decode(path, profile_of, "restore the file or give another picture")


def to_gray(picture: Color) -> Gray:
    """Convert RGB uint8[h, w, 3] to the gray levels uint8[h, w] of ``read_gray`` (ITU-R BT.601)."""
    return np.asarray(Image.fromarray(picture).convert("L"), np.uint8)


def _decode(path: Path, convert: Callable[[Image.Image], Decoded], remedy: str) -> Decoded:
    """Open an image file and return the result of ``convert``.

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
            warnings.simplefilter("ignore")  # warnings are about metadata; an undecodable image raises an error
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                return convert(image)
    except Exception as error:  # Pillow raises many types of exception for a damaged file
        reason = (
            "no jpg, png or bmp" if isinstance(error, UnidentifiedImageError) else " ".join(str(error).split())[:100]
        )
        raise UserError(f"{path}: not a readable image ({reason}); {remedy}") from None


def _gray_of(image: Image.Image) -> Gray:
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):  # 16 bits per pixel
        return np.asarray(np.asarray(upright) >> 8, np.uint8)
    return np.asarray(upright.convert("L"), np.uint8)


def _rgb_of(image: Image.Image) -> Color:
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):
        return np.repeat(_gray_of(upright)[..., None], 3, axis=2)
    if upright.has_transparency_data:
        white = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(white, upright.convert("RGBA"))
    return np.array(upright.convert("RGB"), np.uint8)
