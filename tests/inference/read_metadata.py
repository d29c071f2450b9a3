"""A reader of provenance metadata that shares no code with the writer."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from PIL import Image

_DESCRIPTION = "{http://purl.org/dc/elements/1.1/}description"
_SOURCE = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
_RECORD = "{urn:icegan-jax:synthesis}record"


def packet_in(path: Path) -> bytes:
    """Return the XMP packet of a file."""
    data = path.read_bytes()
    if path.suffix == ".mp4":
        (box,) = [content for kind, content in _boxes(data) if kind == b"uuid"]
        assert box[:16].hex() == "be7acfcb97a942e89c71999491e3afac"
        return box[16:]
    if path.suffix == ".gif":
        (block,) = [block for name, block in _gif_extensions(data) if name == b"XMP DataXMP"]
        return block
    with Image.open(path) as image:
        actual = image.info["xmp"]
    return actual if isinstance(actual, bytes) else actual.encode()


def metadata_in(path: Path) -> tuple[str, str, dict[str, Any]]:
    """Return digital source type, description and record of a file."""
    tree = ElementTree.fromstring(packet_in(path).decode().split("?>", 1)[1].rsplit("<?xpacket", 1)[0])
    (source,), (record,), (description,) = (list(tree.iter(name)) for name in (_SOURCE, _RECORD, _DESCRIPTION))
    (text,) = [part.text for part in description.iter() if part.text and part.text.strip()]
    assert source.text and record.text
    return source.text, text, json.loads(record.text)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the top-level boxes of an MP4 (ISO 14496-12), and check that they fill the file."""
    at = 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        assert size >= 8
        yield kind, data[at + 8 : at + size]
        at += size
    assert at == len(data)


def _gif_extensions(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the application extensions of a GIF before its first picture, block by block (GIF89a)."""
    at = 13 + (3 << (data[10] & 7) + 1)
    while data[at] == 0x21:
        name, start = data[at + 3 : at + 3 + data[at + 2]], at + 3 + data[at + 2]
        at = start
        while data[at]:
            at += data[at] + 1
        at += 1
        if name == b"XMP DataXMP":
            yield name, data[start : at - 258]  # without the magic trailer
    assert data[at] == 0x2C, "no picture follows"
