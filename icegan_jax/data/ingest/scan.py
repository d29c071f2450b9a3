"""The scan of a database's folders: which hold frames, and which archives are still packed."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from icegan_jax.data.frame_numbers import FRAME_SUFFIXES
from icegan_jax.data.video import VIDEO_SUFFIXES
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
        archives: packed files, sorted.
    """

    root: Path
    clips: tuple[ClipFolder, ...]
    archives: tuple[Path, ...]


def scan_folders(root: str | Path) -> FolderTree:
    """List the folders below ``root``, up to 8 deep.

    Links to folders are followed, except a link to a folder that contains the link.

    Raises:
        UserError: there is no such folder, or a folder cannot be read.
    """
    root = Path(root)
    if not root.is_dir():
        unpack = "unpack it and give the folder" if root.is_file() else "give the folder of the unpacked database"
        raise UserError(f"{root}: {'a file' if root.is_file() else 'no such folder'}; {unpack}")
    clips: list[ClipFolder] = []
    archives: list[Path] = []
    for name, folders, files in os.walk(root, followlinks=True, onerror=_raise_unreadable):
        folder = Path(name)
        parts = (root.resolve().name, *folder.relative_to(root).parts)
        folders[:] = [inner for inner in folders if not _is_ignored(inner) and not _leads_back(folder / inner)]
        files = [file for file in files if not file.startswith(".")]
        suffixes = [(file, *os.path.splitext(file.lower())) for file in files]
        archives += [folder / file for file, _, suffix in suffixes if suffix in _ARCHIVES]
        videos = [Path(file) for file, _, suffix in suffixes if suffix in VIDEO_SUFFIXES]
        clips += [ClipFolder(folder / video, (*parts, video.stem)) for video in videos]
        has_frames = any(suffix in FRAME_SUFFIXES and re.search("[0-9]", stem) for _, stem, suffix in suffixes)
        if has_frames and folder != root:  # the root is no clip: a picture beside the folders is not a frame
            clips.append(ClipFolder(folder, parts))
        if len(parts) > _DEPTH:
            folders.clear()
    return FolderTree(root, tuple(sorted(clips, key=lambda clip: clip.path)), tuple(sorted(archives)))


def _raise_unreadable(error: OSError) -> None:
    raise UserError(f"{error.filename}: cannot be read ({error.strerror}); correct its permissions") from None


def _is_ignored(name: str) -> bool:
    return name.startswith(".") or name in _IGNORED


def _leads_back(folder: Path) -> bool:
    """Return whether a folder is a link to a folder that contains the link, which would be followed for ever."""
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())
