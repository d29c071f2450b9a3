"""The mark that a made picture carries in its file: that it is synthetic, and what made it.

The digital source type is the IPTC's (Photo Metadata Standard 2022.1, NewsCodes ``digitalsourcetype``), in XMP
(ISO 16684-1), where the XMP specification, part 3, puts it in each kind of file.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from PIL import ExifTags, Image, PngImagePlugin

from icegan_jax import __version__

SOFTWARE = f"icegan_jax {__version__}"
MADE = "trainedAlgorithmicMedia"  # drawn by a network
CHANGED = "compositeWithTrainedAlgorithmicMedia"  # a photograph, a part of which is
_SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_RECORD = "urn:icegan-jax:synthesis"  # the namespace of our own field

_GIF_APPLICATION = b"\x21\xff\x0bXMP DataXMP"
# 258 bytes by which a reader that takes the packet for blocks of data finds its way out (XMP specification, part 3).
_GIF_END = b"\x01" + bytes(range(255, -1, -1)) + b"\x00"
_MP4_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  # the uuid of a box with XMP, same place


@dataclass(frozen=True)
class Mark:
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
