"""Image files read as gray levels, for the networks, or as RGB colors, for display."""

import hashlib
import io
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
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
_SAMPLED = 16  # pictures of 16 bits that decide the scale of a recording
_LEAST_OF_16_BITS = 64  # of the brightest color, the upper 8 bits; a camera of 14 bits or less has a lower value
_RGB_PROFILE = b"RGB "  # the color space at byte 16 of an ICC profile (ICC.1:2022, 7.2.8)

# First bytes of files of other kinds that are given as pictures or videos: at byte 0, or after the size of an MP4 box.
_OTHER_KINDS = (
    ((b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypmsf1"), "a HEIC picture, which is not read",
     "export it as JPEG from a viewer of photos (an iPhone writes JPEG after Settings, Camera, Formats, Compatible)"),
    ((b"ftypavif",), "an AVIF picture, which is not read", "export it as JPEG from a viewer of photos"),
    ((b"II*\0", b"MM\0*"), "a TIFF or raw picture, which is not read", "export it as PNG from a viewer of photos"),
)  # fmt: skip

_ZIP = b"PK\3\4"
# Members of an archive that is a document: of Office (ECMA-376, part 2) or OpenDocument (1.3, part 2).
_DOCUMENT_MEMBERS = {"[Content_Types].xml", "mimetype"}

Gray = NDArray[np.uint8]
Color = NDArray[np.uint8]
Levels = NDArray[np.uint8] | NDArray[np.uint16]  # gray levels before the scaling of 16 bits to 8
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
        UserError: the file is missing, truncated or not an image, or holds less than 8 bits of each color.
    """
    return next(read_gray_pictures([path], remedy, [path]))


def read_levels(path: Path, remedy: str) -> Levels:
    """Read an image file as upright gray levels, uint16[h, w] of 16 bits per pixel; otherwise as ``read_gray`` does."""
    return _decode(path, _levels_of, remedy)


def read_gray_pictures(
    paths: Iterable[Path],
    remedy: str,
    recording: Sequence[Path],
    on_levels: Callable[[Path, Levels], None] | None = None,
) -> Iterator[Gray]:
    """Yield pictures of one recording as upright gray levels, one at a time, as ``read_gray`` does.

    Gray pictures of 16 bits hold the 10, 12, 14 or 16 bits of a camera. One shift brings all pictures of the recording
    to 8 bits, so that a change between them keeps its size: the number of bits of the brightest level, rounded up to
    an even number, minus 8.

    Args:
        paths: the files to read.
        remedy: see ``read_gray``.
        recording: all files of the recording.
        on_levels: called with each file and its levels, see ``read_levels``.
    """
    shift: int | None = None
    for path in paths:
        levels = read_levels(path, remedy)
        if on_levels is not None:
            on_levels(path, levels)
        if levels.dtype == np.uint16 and shift is None:
            positions = np.linspace(0, len(recording) - 1, min(len(recording), _SAMPLED)).astype(int)
            samples = (read_levels(recording[position], remedy) for position in positions)
            shift = _shift_of(max(int(sample.max()) for sample in samples))
        yield _to_8_bits(levels, shift or 0)


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


def picture_digest(levels: Levels) -> str:
    """Return a digest of the pixels of a picture; "" of one level, such as black, which is no evidence.

    Levels [h, w] of 16 bits are scaled by the picture's own brightest level, so that the digest is that of a copy of 8
    bits, and does not depend on the other pictures of a recording.
    """
    brightest = int(levels.max())
    if levels.min() == brightest:
        return ""
    return hashlib.blake2b(_to_8_bits(levels, _shift_of(brightest)).tobytes(), digest_size=16).hexdigest()


def check_kind(path: Path) -> None:
    """Check that a file is of none of the kinds that are often given and not read.

    Raises:
        UserError: the file is a HEIC, AVIF or TIFF picture, a document, or a zip archive.
    """
    with path.open("rb") as file:
        head = file.read(12)
    for beginnings, kind, remedy in _OTHER_KINDS:
        if head.startswith(beginnings) or head[4:].startswith(beginnings):
            raise UserError(f"{path}: is {kind}; {remedy}")
    if head.startswith(_ZIP):
        try:
            with zipfile.ZipFile(path) as archive:
                is_document = not _DOCUMENT_MEMBERS.isdisjoint(archive.namelist())
        except (OSError, zipfile.BadZipFile):
            is_document = False
        if is_document:
            raise UserError(
                f"{path}: is a workbook or another document, no picture and no video; give a table as the only input"
            )
        raise UserError(f"{path}: is a zip archive; unpack it and give what is in it")


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
                has_16_bits = any(str(tile.args).endswith(";16B") for tile in image.tile)
                # Pillow keeps the upper 8 of the 16 bits of a color.
                if has_16_bits and image.mode != "I;16" and np.asarray(image.convert("RGB")).max() < _LEAST_OF_16_BITS:
                    raise UserError(f"{path}: uses few of its 16 bits per color; save it with 8 bits per color")
                return convert(image)
    except UserError:
        raise
    except Image.DecompressionBombError:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        remedy = "crop it to head and shoulders, or save it at half its width, in an image editor"
        raise UserError(f"{path}: has more than {limit} megapixels, the most that are read; {remedy}") from None
    except Exception as error:  # Pillow raises many types of exception for a damaged file
        check_kind(path)
        reason = (
            "no jpg, png or bmp" if isinstance(error, UnidentifiedImageError) else " ".join(str(error).split())[:100]
        )
        raise UserError(f"{path}: not a readable image ({reason}); {remedy}") from None


def _shift_of(brightest: int) -> int:
    """Return the shift of ``read_gray_pictures`` for the brightest level of a recording."""
    bits = brightest.bit_length()
    return max(0, bits + bits % 2 - 8)


def _to_8_bits(levels: Levels, shift: int) -> Gray:
    return np.asarray(levels if levels.dtype == np.uint8 else np.minimum(levels >> shift, 255), np.uint8)


def _levels_of(image: Image.Image) -> Levels:
    """Return the upright gray levels: uint16[h, w] of an image of 16 bits per pixel, else uint8[h, w]."""
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):
        return np.asarray(upright).astype(np.uint16)
    return np.asarray(_on_white(upright).convert("L"), np.uint8)


def _rgb_of(image: Image.Image) -> Color:
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):
        levels = _levels_of(upright)
        return np.repeat(_to_8_bits(levels, _shift_of(int(levels.max())))[..., None], 3, axis=2)
    return np.array(_on_white(upright).convert("RGB"), np.uint8)


def _on_white(image: Image.Image) -> Image.Image:
    """Return an image whose transparent pixels are white."""
    if not image.has_transparency_data:
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
