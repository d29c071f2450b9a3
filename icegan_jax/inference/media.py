"""The mark that a made picture carries in its file: that it is synthetic, and what made it.

The digital source type is the IPTC's (Photo Metadata Standard 2022.1, NewsCodes ``digitalsourcetype``), in XMP
(ISO 16684-1), where the XMP specification, part 3, puts it in each kind of file.

Pictures as the bytes of a marked file: PNG and JPEG stills; GIF, WebP and MP4 sequences.
"""

import io
import itertools
import json
import struct
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, PngImagePlugin

from icegan_jax import __version__
from icegan_jax.data.video import count_video_frames
from icegan_jax.errors import UserError

SOFTWARE = f"icegan_jax {__version__}"

SYNTHETIC_NOTE = "trainedAlgorithmicMedia"  # drawn by a network

ALTERED_NOTE = "compositeWithTrainedAlgorithmicMedia"  # a photograph, a part of which is

_SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"

_RECORD = "urn:icegan-jax:synthesis"  # the namespace of our own field

_GIF_APPLICATION = b"\x21\xff\x0bXMP DataXMP"

# 258 bytes by which a reader that takes the packet for blocks of data finds its way out (XMP specification, part 3).
_GIF_END = b"\x01" + bytes(range(255, -1, -1)) + b"\x00"

_MP4_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  # the uuid of a box with XMP, same place


@dataclass(frozen=True)
class ProvenanceMetadata:
    """What is written into a file.

    Attributes:
        source_type: ``MADE`` or ``CHANGED``.
        description: a sentence.
        record: the same for programs, as JSON has it.
    """

    source_type: str
    description: str
    record: Mapping[str, Any]

    def packet(self) -> bytes:
        """The XMP packet, UTF-8."""
        record = escape(json.dumps(self.record, allow_nan=False))
        description = escape("".join(c if c.isprintable() else "?" for c in self.description))
        return f"""\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
    xmlns:icegan="{_RECORD}">
   <xmp:CreatorTool>{SOFTWARE}</xmp:CreatorTool>
   <dc:description><rdf:Alt><rdf:li xml:lang="x-default">{description}</rdf:li></rdf:Alt></dc:description>
   <Iptc4xmpExt:DigitalSourceType>{_SOURCE_TYPES}{self.source_type}</Iptc4xmpExt:DigitalSourceType>
   <icegan:record>{record}</icegan:record>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>""".encode()

    def exif(self) -> bytes:
        """Software and description, of a JPEG or WebP."""
        exif = Image.Exif()
        exif[ExifTags.Base.Software] = SOFTWARE
        exif[ExifTags.Base.ImageDescription] = self.description
        return exif.tobytes()

    def png_text(self) -> PngImagePlugin.PngInfo:
        """Software, description and packet."""
        text = PngImagePlugin.PngInfo()
        text.add_text("Software", SOFTWARE)
        text.add_text("Description", self.description)
        text.add_itxt("XML:com.adobe.xmp", self.packet().decode())
        return text

    def in_gif(self, data: bytes) -> bytes:
        """A GIF with the packet behind its header."""
        flags = data[10]
        start = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)  # header, screen, global colours
        return data[:start] + _GIF_APPLICATION + self.packet() + _GIF_END + data[start:]

    def in_mp4(self, data: bytes) -> bytes:
        """An MP4 with the packet in a box at its end."""
        packet = self.packet()
        return data + struct.pack(">I4s", 24 + len(packet), b"uuid") + _MP4_XMP + packet


Colour = NDArray[np.uint8]

# Pixels on a side that a file can hold (PNG: what the other tools still open).
MOST_PIXELS = {".png": 65500, ".jpg": 65500, ".jpeg": 65500, ".gif": 65500, ".webp": 16383, ".mp4": 8190}

_JPEG_QUALITY = 95

_WEBP_QUALITY = 92

_PALETTE = 256  # colours of a GIF

_PALETTE_SIDE = 256  # pixels on a side of each picture that the palette is chosen for

_DITHER = 6.0  # of ordered dithering (Bayer 1973), in grey levels: more shows its pattern, less shows bands


def encode_still(picture: Colour, suffix: str, mark: ProvenanceMetadata, profile: bytes | None) -> bytes:
    """One picture uint8[h, w, 3] as a .png or .jpg file, with the ICC profile of its colours."""
    file, image = io.BytesIO(), Image.fromarray(picture)
    if suffix == ".png":
        image.save(file, "PNG", pnginfo=mark.png_text(), icc_profile=profile)
    else:
        image.save(
            file,
            "JPEG",
            quality=_JPEG_QUALITY,
            subsampling=0,
            exif=mark.exif(),
            xmp=mark.packet(),
            comment=mark.description.encode(),
            icc_profile=profile,
        )
    return file.getvalue()


def encode_sequence(
    frames: Iterable[Colour],
    suffix: str,
    rate: float,
    mark: ProvenanceMetadata,
    profile: bytes | None,
    samples: Sequence[Colour],
) -> bytes:
    """Frames uint8[h, w, 3], taken one at a time, as a .gif, .webp or .mp4 file that plays again and again.

    Args:
        frames: at least one.
        suffix: of the file.
        rate: frames per second, see ``Order.shown_rate``.
        mark: what is written into it.
        profile: the ICC profile of the colours; a .gif and an .mp4 hold none.
        samples: uint8[h, w, 3] each, pictures with the colours of the sequence, for the palette of a .gif; the first
            one is as large as a frame, and each counts alike.

    Raises:
        UserError: OpenCV cannot write an .mp4 of this size.
    """
    if suffix == ".mp4":
        return mark.in_mp4(_mp4(frames, rate))
    if suffix == ".gif":
        options: dict[str, Any] = {"duration": round(1000 / rate), "comment": mark.description.encode(), "disposal": 1}
        return mark.in_gif(_animation(_indexed(frames, samples), "GIF", options))
    options = {
        "duration": round(1000 / rate),
        "quality": _WEBP_QUALITY,
        "exif": mark.exif(),
        "xmp": mark.packet(),
        "icc_profile": profile or b"",
    }
    return _animation(map(Image.fromarray, frames), "WEBP", options)


def _animation(images: Iterable[Image.Image], kind: str, options: dict[str, Any]) -> bytes:
    images = iter(images)
    file = io.BytesIO()
    next(images).save(file, kind, save_all=True, append_images=images, loop=0, **options)
    return file.getvalue()


def _indexed(frames: Iterable[Colour], samples: Sequence[Colour]) -> Iterator[Image.Image]:
    """Frames with one palette, dithered alike where they are alike: what does not move does not flicker.

    Grey frames keep their grey levels as they are.
    """
    if all((sample == sample[..., :1]).all() for sample in samples):
        yield from (Image.fromarray(np.ascontiguousarray(frame[..., 0])) for frame in frames)
        return
    square = (_PALETTE_SIDE, _PALETTE_SIDE)
    seen = np.concatenate([cv2.resize(sample, square, interpolation=cv2.INTER_AREA) for sample in samples])
    palette = Image.fromarray(seen).quantize(_PALETTE, method=Image.Quantize.MEDIANCUT, kmeans=1)
    threshold = _DITHER * _bayer(samples[0].shape)
    for frame in frames:
        dithered = np.clip(np.rint(frame + threshold), 0, 255).astype(np.uint8)
        yield Image.fromarray(dithered).quantize(palette=palette, dither=Image.Dither.NONE)


def _bayer(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Thresholds float32[h, w, 1] between -1/2 and 1/2, Bayer's 8x8 again and again."""
    cell = np.zeros((1, 1))
    for _ in range(3):
        cell = np.block([[4 * cell, 4 * cell + 2], [4 * cell + 3, 4 * cell + 1]])
    h, w = shape[:2]
    tiled = np.tile((cell + 0.5) / 64 - 0.5, (-(-h // 8), -(-w // 8)))
    return np.asarray(tiled[:h, :w, None], np.float32)


def _mp4(frames: Iterable[Colour], rate: float) -> bytes:
    """MPEG-4 part 2, which OpenCV's FFmpeg writes everywhere; a row or column is repeated where their number is odd."""
    frames = iter(frames)
    first = next(frames)
    h, w = (side + side % 2 for side in first.shape[:2])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sequence.mp4"
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), rate, (w, h))
        count = 0
        for frame in itertools.chain([first], frames):
            even = cv2.copyMakeBorder(frame, 0, h - frame.shape[0], 0, w - frame.shape[1], cv2.BORDER_REPLICATE)
            writer.write(cv2.cvtColor(even, cv2.COLOR_RGB2BGR))
            count += 1
        writer.release()
        if not path.is_file() or count_video_frames(path) != count:
            raise UserError(
                f"OpenCV could not write an .mp4 of {w}x{h} pixels in {folder}; free space there, or take .webp or .gif"
            )
        return path.read_bytes()
