"""The commands, links and headings of the documentation: README, CONTRIBUTING and the pages in docs/."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
# In running text: a command with options, not the name of a program alone.
_INLINE = re.compile(r"(?<!`)`((?:XLA_FLAGS=\S+ )?(?:uv|pip|python|tensorboard|ssh|git) [^`]+)`")


@dataclass(frozen=True)
class Command:
    """A command of a page.

    Attributes:
        position: page and line.
        words: the command as a shell splits it.
    """

    position: str
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        return shlex.join(self.words)


def commands() -> list[Command]:
    """Return every command of the pages in order: fenced as sh, or in running text, split at &&."""
    commands = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lines = [(m.start(2) + start, line) for m in fenced(text, "sh") for start, line in _lines(m[2])]
        prose = _FENCE.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)
        lines += [(m.start(), " ".join(m[1].split())) for m in _INLINE.finditer(prose)]
        for start, line in sorted(lines):
            position = f"{page.name}:{text.count(chr(10), 0, start) + 1}"
            commands += [Command(position, words) for words in _split(line)]
    return commands


def fenced(text: str, language: str) -> list[re.Match[str]]:
    """Return the matches of the fenced blocks of a language; group 2 is their content."""
    return [match for match in _FENCE.finditer(text) if match[1] == language]


def links(page: Path) -> list[str]:
    """Return the targets of the links and pictures of a page."""
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
    """Return (offset, line) of a block's commands; a line that ends in a backslash is joined to the next."""
    joined = re.finditer(r"(?:[^\n]*\\\n)*[^\n]*", block)
    lines = [(match.start(), match[0].replace("\\\n", " ")) for match in joined]
    return [(start, line) for start, line in lines if shlex.split(line, comments=True)]


def _split(line: str) -> list[tuple[str, ...]]:
    parts: list[list[str]] = [[]]
    for word in shlex.split(line, comments=True):
        if word == "&&":
            parts.append([])
        else:
            parts[-1].append(word)
    return [tuple(part) for part in parts]
