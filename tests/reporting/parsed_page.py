"""The elements and the text of a page, whose tags must nest."""

import base64
import hashlib
import io
from html.parser import HTMLParser

import numpy as np
from numpy.typing import NDArray
from PIL import Image

VOID = {"meta", "img", "input", "br"}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;"


class ParsedPage(HTMLParser):
    """A page; ``elements`` are (tag, attributes), ``scripts`` the text of scripts, ``text`` all other text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.scripts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            (self.scripts if self.open[-1:] == ["script"] else self.text).append(data)

    def every(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of every element of a tag."""
        return [attributes for name, attributes in self.elements if name == tag]

    def words(self) -> str:
        """Return the visible text in one line."""
        return " ".join(" ".join(self.text).split())

    def pictures(self) -> list[NDArray[np.uint8]]:
        """Return the embedded pictures, uint8[h, w, 3] each."""
        contents = (str(image["src"]).partition(";base64,")[2] for image in self.every("img"))
        return [np.asarray(Image.open(io.BytesIO(base64.b64decode(c))).convert("RGB")) for c in contents]

    def check_self_contained(self) -> None:
        """Check that the page needs no other file, and that its policy allows its own script and no other one."""
        for tag, attributes in self.elements:
            for name in ("src", "href", "action"):
                assert (tag, name) == ("a", "href") or (attributes.get(name) or "data:").startswith("data:")
            assert not any(name.startswith("on") for name in attributes)
        (policy,) = (m["content"] for m in self.every("meta") if m.get("http-equiv") == "Content-Security-Policy")
        (script,) = self.scripts
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert str(policy).startswith("default-src 'none'; ") and f"script-src 'sha256-{digest}'" in str(policy)
        assert "url(" not in self.html and "@import" not in self.html and "prefers-color-scheme: dark" in self.html
        assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in self.every("meta")
