"""Damage to the bytes of single files."""

from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image

from tests.data.fuzz.workspace import IMAGES, TABLES, VIDEOS, Workspace

Damage = Callable[[Workspace], None]


def flip(suffixes: tuple[str, ...], below: str = "sources") -> Damage:
    """Change 1 to 20 bytes: a single bit of each, so that text stays text, or all of it."""

    def damage(workspace: Workspace) -> None:
        path = workspace.pick(suffixes, below)
        data = bytearray(path.read_bytes())
        single = workspace.rng.random() < 0.6
        for _ in range(workspace.rng.choice((1, 1, 3, 20))):
            if data:
                mask = 1 << workspace.rng.randrange(6) if single else workspace.rng.randrange(1, 256)
                data[workspace.rng.randrange(len(data))] ^= mask
        workspace.replace(path, bytes(data))
        workspace.record_damage("bytes flipped", path)

    return damage


def truncate(suffixes: tuple[str, ...], below: str = "sources") -> Damage:
    """Cut the end off."""

    def damage(workspace: Workspace) -> None:
        path = workspace.pick(suffixes, below)
        data = path.read_bytes()
        workspace.replace(path, data[: workspace.rng.randrange(len(data) + 1)])
        workspace.record_damage("truncated", path)

    return damage


def zero(suffixes: tuple[str, ...], below: str = "sources") -> Damage:
    """Leave no byte, or as many zeros as there were bytes, as a crash of the system does."""

    def damage(workspace: Workspace) -> None:
        path = workspace.pick(suffixes, below)
        size = workspace.rng.choice((0, 0, path.stat().st_size))
        workspace.replace(path, bytes(size))
        workspace.record_damage(f"{size} zeros", path)

    return damage


def noise(workspace: Workspace) -> None:
    """Random bytes in place of a file, or after its end."""
    path = workspace.pick((*TABLES, *IMAGES, *VIDEOS))
    kept = path.read_bytes() if workspace.rng.random() < 0.4 else b""
    workspace.replace(path, kept + workspace.rng.randbytes(workspace.rng.randrange(1, 3000)))
    workspace.record_damage("noise after the content" if kept else "noise instead of the content", path)


def other_image(workspace: Workspace) -> None:
    """Another image in place of a frame: of another size, mode, format, without a face, or with an absurd header."""
    path = workspace.pick(IMAGES)
    gray = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert gray is not None
    h, w = gray.shape
    kind = workspace.rng.choice(
        ("smaller", "one pixel", "black", "sideways", "16 bits", "colour", "palette", "transparent", "huge header")
    )
    image = np.asarray(gray, np.uint8)
    if kind == "huge header":
        workspace.replace(path, _huge(workspace.rng.choice((12_000, 60_000, 2**31 - 1))))
        workspace.record_damage(kind, path)
        return
    if kind == "smaller":
        image = np.asarray(cv2.resize(image, (w // 2, h // 2)), np.uint8)
    elif kind == "one pixel":
        image = image[:1, :1]
    elif kind == "black":
        image = np.zeros_like(image)
    elif kind == "sideways":
        image = image.T
    picture = Image.fromarray(image)
    if kind == "16 bits":
        picture = Image.fromarray(image.astype(np.uint16) * 257)
    elif kind != "smaller":
        picture = picture.convert({"colour": "CMYK", "palette": "P", "transparent": "LA"}.get(kind, "L"))
    path.unlink()
    picture.save(path, "TIFF" if kind == "colour" else "PNG")
    workspace.record_damage(f"another image: {kind}", path)


def _huge(side: int) -> bytes:
    """A PNG whose header claims side x side pixels."""
    import struct
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )
