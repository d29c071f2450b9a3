"""A reader of provenance metadata that shares no code with the writer."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import av
from PIL import Image

_DESCRIPTION = "{http://purl.org/dc/elements/1.1/}description"
_SOURCE = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
_RECORD = "{urn:icegan-jax:synthesis}record"


def comment_in(path: Path) -> str:
    """Return the comment of a .gif, .jpg or .mp4."""
    if path.suffix == ".mp4":
        with av.open(str(path)) as container:
            return container.metadata["comment"]
    with Image.open(path) as image:
        return str(image.info["comment"].decode())


def metadata_in(path: Path) -> tuple[str, str, dict[str, Any]]:
    """Return digital source type, description and record in the XMP packet of a .png, .jpg or .webp."""
    with Image.open(path) as image:
        stored = image.info["xmp"]
    packet = stored.decode() if isinstance(stored, bytes) else stored
    tree = ElementTree.fromstring(packet.split("?>", 1)[1].rsplit("<?xpacket", 1)[0])
    (source,), (record,), (description,) = (list(tree.iter(name)) for name in (_SOURCE, _RECORD, _DESCRIPTION))
    (text,) = [part.text for part in description.iter() if part.text and part.text.strip()]
    assert source.text and record.text
    return source.text, text, json.loads(record.text)
