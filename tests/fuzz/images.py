"""Unusual, damaged and hostile image files: refused in one line, or read as the right gray image."""

import io
import random
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from icegan_jax.data.video import count_video_frames, list_frames, read_frame, read_frames
from icegan_jax.errors import UserError
from tests.fuzz.harness import CaseResult, damage_bytes

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
MODES = ("L", "L", "RGB", "RGBA", "LA", "P", "1", "CMYK", "I;16", "F", "I")
_LARGEST = 4096  # pixels on a side of what is read in a case without a huge header


def case(rng: random.Random, folder: Path, result: CaseResult) -> None:
    if rng.random() < 0.1:
        return _video(rng, folder, result)
    if rng.random() < 0.1:
        return _huge(rng, folder, result)
    h, w = rng.choice(((1, 1), (1, 9), (16, 16), (40, 30)))
    gray = np.random.default_rng(rng.randrange(2**32)).integers(0, 256, (h, w), np.uint8)
    kind, mode = rng.choice(FORMATS), rng.choice(MODES)
    orientation = rng.choice((1, 1, 1, 6, 8, 3, 99))
    try:
        data = _saved(gray, kind, mode, orientation)
    except (OSError, ValueError, KeyError):  # that format has no such mode
        kind, mode = "PNG", "L"
        data = _saved(gray, kind, mode, orientation)
    result.kind = "sound"
    if rng.random() < 0.7:
        result.kind, data = damage_bytes(rng, data)
    path = folder / rng.choice(("img001.jpg", "img001.png", "img001.bmp", "img 1.JPG", "img\n1.png"))
    path.write_bytes(data)
    try:
        actual = read_frame(path)
    except UserError as error:
        plain = kind in ("PNG", "JPEG", "BMP") and mode in ("L", "RGB", "I;16", "RGBA", "CMYK")
        result.require(result.kind != "sound" or not plain, f"a sound {kind} {mode} is refused: {error}")
        return result.record_refusal(error, repr(path.name)[1:-1])
    result.require(actual.dtype == np.uint8 and actual.ndim == 2 and actual.size, f"{actual.dtype}{actual.shape}")
    result.require(max(actual.shape) <= _LARGEST or result.kind != "sound", f"{actual.shape}")
    if result.kind == "sound" and kind in ("PNG", "BMP") and mode in ("L", "RGB", "RGBA", "LA", "I;16", "P"):
        right = {6: np.rot90(gray, -1), 8: np.rot90(gray), 3: np.rot90(gray, 2)} if kind != "BMP" else {}
        same = np.array_equal(actual, right.get(orientation, gray))
        result.require(same, f"other gray levels: {kind} {mode} {orientation}")
    (folder / "clip").mkdir()
    path.rename(folder / "clip" / path.name)
    try:
        numbers = list_frames(folder / "clip")
        result.require(list(numbers) == [1], f"frames {list(numbers)}")
        ((_, again),) = read_frames(folder / "clip", numbers)
        result.require(np.array_equal(again, actual), "another image the second time")
    except UserError as error:
        result.require(False, f"refused in its folder: {error}")
    return None


def _saved(gray: np.ndarray, kind: str, mode: str, orientation: int) -> bytes:
    if mode == "I;16":
        image = Image.fromarray(gray.astype(np.uint16) * 257)
    elif mode in ("F", "I"):
        image = Image.fromarray(gray.astype({"F": np.float32, "I": np.int32}[mode]))
    else:
        image = Image.fromarray(gray).convert(mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    image.save(file, kind, **({} if kind in ("BMP", "GIF", "PPM") else {"exif": exif}))
    return file.getvalue()


def _huge(rng: random.Random, folder: Path, result: CaseResult) -> None:
    """Check a header with a much larger size than the image data."""
    result.kind = "huge header"
    side = rng.choice((5_000, 20_000, 60_000, 2**31 - 1))

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 8, rng.choice((0, 2, 6)), 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )
    bmp = (
        b"BM"
        + struct.pack("<IHHI", 54, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
    )
    path = folder / "img1.png"
    path.write_bytes(rng.choice((png, bmp)))
    try:
        read_frame(path)
        result.require(False, f"a header of {side} x {side} pixels is read as an image")
    except UserError as error:
        result.record_refusal(error, "img1.png")


def _video(rng: random.Random, folder: Path, result: CaseResult) -> None:
    """Check a damaged video: the counted number of frames, or a refusal in one line."""
    frames = [Image.fromarray(np.full((16, 16), 40 * k, np.uint8)) for k in range(4)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=40)
    result.kind, data = damage_bytes(rng, file.getvalue())
    result.kind = f"video {result.kind}"
    path = folder / rng.choice(("a.gif", "a.avi", "a.mp4"))
    path.write_bytes(data)
    try:
        count = count_video_frames(path)
        read = list(read_frames(path, range(count)))
        result.require([number for number, _ in read] == list(range(count)), "other frames than were counted")
    except UserError as error:
        result.record_refusal(error, path.name)
