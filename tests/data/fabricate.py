"""Fabricated databases, the common part: clips, frames as hard links to a few images, workbooks with saved values."""

import os
import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

ClipKey = tuple[str, str, str]
LENGTH = 5  # frames from onset to offset of every fabricated clip
# A cell of a workbook; a text that starts with "=" is a formula.
Cell = str | int | None


@dataclass(frozen=True)
class FabricatedClip:
    """A clip of a fabricated database; ``label`` None: not in MEGC2019. Numbers are the annotation's, odd ones too."""

    dataset: str
    subject: str
    clip: str
    emotion: str
    label: int | None
    onset: int
    apex: int | str | None
    offset: int

    @property
    def key(self) -> ClipKey:
        return (self.dataset, self.subject, self.clip)


class FrameWriter:
    """Write frames: all are hard links to one tiny image, or to the given ones from onset to offset.

    As files are shared, never write into a frame: use ``replace_file``.
    """

    def __init__(self, images: Sequence[Path] = ()) -> None:
        self._images = list(images)
        self._written: dict[tuple[int, str], Path] = {}

    def write(self, folder: Path, names: Mapping[int, str], onset: int) -> None:
        """Write {frame number: file name}; frames before the onset show the first image, late ones the last."""
        folder.mkdir(parents=True, exist_ok=True)
        for number, name in names.items():
            k = min(max(number - onset, 0), max(len(self._images) - 1, 0))
            place = (k, Path(name).suffix)
            target = folder / name
            if place in self._written:
                os.link(self._written[place], target)
                continue
            if self._images:
                shutil.copyfile(self._images[k], target)
            else:
                cv2.imwrite(str(target), np.full((8, 8), 128, np.uint8))
            self._written[place] = target


def replace_file(path: Path, data: bytes) -> None:
    """Give one frame other content; the others, which are links to the same file, stay."""
    path.unlink()
    path.write_bytes(data)


def distribute(words: Mapping[str, int], people: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield (person, word), each word as often as its count, with different persons one after another."""
    for i, word in enumerate(word for word, count in words.items() for _ in range(count)):
        yield people[i % len(people)], word


def write_formula_values(path: Path, values: Mapping[str, Mapping[str, int]]) -> None:
    """Write the values of formulas into an xlsx, {sheet's file: {cell: value}}, as a spreadsheet program does."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            cells = values.get(Path(name).name, {})

            def valued(actual: re.Match[str], cells: Mapping[str, int] = cells) -> str:
                return f'<c r="{actual[1]}"{actual[2]}>{actual[3]}<v>{cells[actual[1]]}</v></c>'

            if cells:
                text, count = re.subn(
                    r'<c r="([A-Z]+[0-9]+)"([^>]*)>(<f>[^<]*</f>)<v\s*(?:/>|></v>)</c>', valued, data.decode()
                )
                assert count == len(cells)
                data = text.encode()
            archive.writestr(name, data)
