"""The scan of a database's folders: which hold frames, which are empty, and which archives are still packed."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from icegan_jax.data.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from icegan_jax.errors import UserError

# Deepest layout known: SMIC-E_raw image/HS_long/SMIC-HS-E/HS/s01/s1_ne_01 (docs/databases.md, "SMIC"),
# and the archives unpack one level deep.
_DEPTH = 8
_ARCHIVES = (".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".001")
# Folders that macOS, a NAS and Windows add; names with a dot in front are hidden files.
_IGNORED = {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information"}


@dataclass(frozen=True)
class ClipFolder:
    """A folder that holds frames, or a video.

    Attributes:
        path: the folder or the video file.
        parts: names from the scanned root, inclusive, to the clip's own; a video's own name has no suffix.
    """

    path: Path
    parts: tuple[str, ...]

    @property
    def name(self) -> str:
        """The clip's own name."""
        return self.parts[-1]

    @property
    def parent(self) -> str:
        """The name of the folder that holds the clip."""
        return self.parts[-2]


@dataclass(frozen=True)
class FolderTree:
    """The folders, videos and archives below a folder.

    Attributes:
        root: the folder, as given.
        clips: folders that directly hold an image with a number in its name, and videos; sorted.
        empty: folders without such images and without folders, sorted.
        archives: packed files, sorted.
    """

    root: Path
    clips: tuple[ClipFolder, ...]
    empty: tuple[ClipFolder, ...]
    archives: tuple[Path, ...]


def scan_folders(root: str | Path) -> FolderTree:
    """List the folders below ``root``, each once, up to 8 deep.

    Links to folders are followed, except a link to a folder that contains the link.

    Raises:
        UserError: there is no such folder, or a folder cannot be read.
    """
    root = Path(root)
    if not root.is_dir():
        unpack = "unpack it and give the folder" if root.is_file() else "give the folder of the unpacked database"
        raise UserError(f"{root}: {'a file' if root.is_file() else 'no such folder'}; {unpack}")
    clips: list[ClipFolder] = []
    empty: list[ClipFolder] = []
    archives: list[Path] = []
    try:
        for kind, path, parts in _visit(root, (root.resolve().name,), frozenset()):
            if kind == "archive":
                archives.append(path)
            else:
                (empty if kind == "empty" else clips).append(ClipFolder(path, parts))
    except OSError as error:
        raise UserError(
            f"{error.filename or root}: cannot be read ({error.strerror}); correct its permissions"
        ) from None
    return FolderTree(
        root,
        tuple(sorted(clips, key=lambda clip: clip.path)),
        tuple(sorted(empty, key=lambda folder: folder.path)),
        tuple(sorted(archives)),
    )


def subject_number(text: str) -> int | None:
    """Return the last integer in a subject's name, None without one: 1 of "sub01", 12 of "spNO.12"."""
    numbers = re.findall(r"[0-9]+", text)
    return int(numbers[-1]) if numbers else None


def _visit(
    folder: Path, parts: tuple[str, ...], above: frozenset[tuple[int, int]]
) -> Iterator[tuple[str, Path, tuple[str, ...]]]:
    """Yield (kind, path, parts) below a folder; kind is "clip", "empty" or "archive"."""
    status = os.stat(folder)
    identity = (status.st_dev, status.st_ino)
    if identity in above:  # a link that leads back would be followed for ever
        return
    images = folders = False
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name.startswith(".") or name in _IGNORED:
                continue
            if entry.is_dir():
                folders = True
                if len(parts) <= _DEPTH:
                    yield from _visit(folder / name, (*parts, name), above | {identity})
                continue
            stem, suffix = os.path.splitext(name)
            suffix = suffix.lower()
            if suffix in IMAGE_SUFFIXES:
                images = images or any("0" <= c <= "9" for c in stem)
            elif suffix in VIDEO_SUFFIXES:
                yield "clip", folder / name, (*parts, stem)
            elif suffix in _ARCHIVES:
                yield "archive", folder / name, parts
    if len(parts) == 1:  # the root is no clip: a picture beside the folders is not a frame
        return
    if images:
        yield "clip", folder, parts
    elif not folders:
        yield "empty", folder, parts
