"""The frame numbers of a folder of images, which are in the names of its files."""

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

from icegan_jax.errors import UserError

MAX_DIGITS = 9  # of a number; SMIC's longest frame numbers have 8 (docs/databases.md, "Identifiers")
FRAME_SUFFIXES = (".jpg", ".jpeg", ".bmp", ".png")

_RENAME = "rename the frames so that one number in their names counts them, as img1.png, img2.png"


def natural_order(path: Path) -> list[str | int]:
    """Return the key by which files are sorted as people count: img2.png before img10.png."""
    texts = re.split("([0-9]+)", path.name)
    return [int(text) if index % 2 else text.casefold() for index, text in enumerate(texts)]


def index_frames(folder: str | Path) -> dict[int, Path]:
    """Return {frame number: image file} of a folder, in numeric order.

    The frame number is the number that differs between the file names; of a single file it is the last one
    (docs/databases.md, "Rules for reading", rule 2). Padding does not matter. Files are ignored that are hidden, are
    not jpg, jpeg, bmp or png, or have no number in their names.

    Raises:
        UserError: there is no such folder, the folder has no frame, or the frame numbers are ambiguous: two files have
            the same number, a file is not named like the others, several numbers differ, or the number is the fraction
            of a decimal or has more than 9 digits.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of frames, and no such video; correct the column frames")
    images = [
        file
        for file in folder.iterdir()
        if file.suffix.lower() in FRAME_SUFFIXES and not file.name.startswith(".") and re.search("[0-9]", file.stem)
    ]
    if not images:
        raise UserError(f"{folder}: no frames; put jpg, png or bmp images there with the frame number in their names")
    files = sorted(images, key=natural_order)
    _check_same_text(folder, files)
    numbers = [tuple(map(int, re.findall("[0-9]+", file.stem))) for file in files]
    for (a, file), (b, other) in pairwise(zip(numbers, files, strict=True)):
        if a == b:
            raise UserError(
                f"{folder}: {file.name} and {other.name} have the same number; rename one of them, or move it away"
            )
    differing = [part for part, values in enumerate(zip(*numbers, strict=True)) if len(set(values)) > 1]
    if len(differing) > 1:
        names = f"{files[0].name} to {files[-1].name}"
        raise UserError(f"{folder}: several numbers differ in the names {names}; {_RENAME}")
    part = differing[0] if differing else -1
    # The text before the number: t_0.010 is a time, whose fraction is no frame number.
    if differing and part > 0 and re.split("[0-9]+", files[0].stem)[part] == ".":
        raise UserError(f"{folder}: {files[-1].name} has a decimal in its name, which is no frame number; {_RENAME}")
    if numbers[-1][part] >= 10**MAX_DIGITS:
        raise UserError(f"{folder}: {files[-1].name} has a frame number of more than {MAX_DIGITS} digits; {_RENAME}")
    return {number[part]: file for number, file in zip(numbers, files, strict=True)}


def _check_same_text(folder: Path, files: list[Path]) -> None:
    """Check that the names are equal but for their numbers: "img58 (1).png" is a copy and not frame 1."""
    texts = [re.sub("[0-9]+", "0", file.stem.casefold()) for file in files]
    usual, _ = Counter(texts).most_common(1)[0]
    for text, file in zip(texts, files, strict=True):
        if text != usual:
            like = files[texts.index(usual)].name
            raise UserError(
                f"{folder}: {file.name} is not named like the other frames, as {like}; rename it, or move it away"
            )
