"""The README and the pages in docs/: the commands and the links in them."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
# In running text: what a reader could type, not the name of a program alone.
_INLINE = re.compile(r"(?<!`)`((?:XLA_FLAGS=\S+ )?(?:uv|pip|python|tensorboard|ssh|git) [^`]+)`")


@dataclass(frozen=True)
class Command:
    """A command as a page has it.

    Attributes:
        place: page and line.
        words: as a shell splits it.
    """

    place: str
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        return shlex.join(self.words)


def commands() -> list[Command]:
    """Every command of the pages, in their order: fenced as sh, or in running text. Those joined by && are several."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        written = [(m.start(2) + start, line) for m in fenced(text, "sh") for start, line in _lines(m[2])]
        prose = _FENCE.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)
        written += [(m.start(), " ".join(m[1].split())) for m in _INLINE.finditer(prose)]
        for start, line in sorted(written):
            place = f"{page.name}:{text.count(chr(10), 0, start) + 1}"
            found += [Command(place, words) for words in _split(line)]
    return found


def fenced(text: str, language: str) -> list[re.Match[str]]:
    """The fenced blocks of a language; group 2 is what is in them."""
    return [match for match in _FENCE.finditer(text) if match[1] == language]


def links(page: Path) -> list[str]:
    """Where the links and pictures of a page lead."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return re.findall(r"\]\(([^)\s]+)\)", text)


def headings(page: Path) -> list[str]:
    """Return the headings of a page, of all levels."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return re.findall(r"^#+ (.+)$", text, re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return what a link into a page may name after its #: its headings, in GitHub's spelling of anchors."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(page)}


def _lines(block: str) -> list[tuple[int, str]]:
    """(position, line) of a block's commands; a line that ends in a backslash goes on."""
    whole = re.finditer(r"(?:[^\n]*\\\n)*[^\n]*", block)
    lines = [(match.start(), match[0].replace("\\\n", " ")) for match in whole]
    return [(start, line) for start, line in lines if shlex.split(line, comments=True)]


def _split(line: str) -> list[tuple[str, ...]]:
    parts: list[list[str]] = [[]]
    for word in shlex.split(line, comments=True):
        if word == "&&":
            parts.append([])
        else:
            parts[-1].append(word)
    return [tuple(part) for part in parts]
