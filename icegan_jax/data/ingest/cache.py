"""The cache of finished clips, with which a second run prepares only the clips that changed.

The name of an entry is a digest of everything that its content depends on, so that no entry is ever out of date. The
first line of an entry is the sha256 of its name and content, so that a damaged or renamed entry is never used.
"""

import functools
import hashlib
import json
import os
import sys
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np

from icegan_jax.data import align, apex, crop, images, landmarks, video
from icegan_jax.data.clips import Clip
from icegan_jax.data.crop import ClipCrops, CropOptions, CropRepair
from icegan_jax.data.ingest.summary import package_versions
from icegan_jax.data.video import index_frames
from icegan_jax.errors import UserError

# Modules whose source decides the pixels of a crop.
_MODULES = (align, apex, crop, images, landmarks, video)


def cache_key(clip: Clip, options: CropOptions) -> str:
    """Return the name of a clip's entry: 64 hexadecimal digits.

    The name depends on the frame numbers, the options, the path, names, sizes and times of the frames from onset to
    offset, and the program itself; not on the clip's name or label, which change no pixel.

    Raises:
        UserError: the frames do not exist.
    """
    method = options.apex if clip.apex is None else ""
    parts: list[object] = [_package_digest(), str(clip.frames.resolve()), clip.onset, clip.apex, clip.offset]
    parts += [options.register, options.size, method]
    try:
        if clip.frames.is_dir():
            files = [file for n, file in index_frames(clip.frames).items() if clip.onset <= n <= clip.offset]
        else:
            clip.frames.stat()
            files = [clip.frames]
    except OSError as error:
        raise UserError(f"{clip.frames}: cannot be read ({error.strerror}); restore the frames") from None
    for file in files:
        try:
            status = file.stat()
        except OSError:  # a broken link: crop_clip raises an error where the frame is needed
            parts.append((file.name, "unreadable"))
            continue
        # Unlike st_mtime, st_ctime cannot be set back.
        parts.append((file.name, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest()


@functools.cache
def _package_digest() -> str:
    digest = hashlib.sha256(repr((package_versions(), sys.byteorder)).encode())
    for module in _MODULES:
        assert module.__file__ is not None
        digest.update(Path(module.__file__).read_bytes())
    return digest.hexdigest()


def store_in_cache(folder: Path, key: str, cropped: ClipCrops) -> None:
    """Store a clip. The whole entry is on the disk when the function returns.

    Raises:
        OSError: the entry cannot be written; there is then no entry.
    """
    content = asdict(cropped)
    faces = np.stack([content.pop("onset"), *content.pop("faces")])
    body = json.dumps({**content, "shape": faces.shape}).encode() + b"\n" + faces.tobytes()
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{key}.{os.getpid()}.half"
    try:
        with partial.open("wb") as file:
            file.write(_digest(key, body) + b"\n" + body)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(folder / key)
    except BaseException:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def _digest(key: str, body: bytes) -> bytes:
    return hashlib.sha256(key.encode() + b"\n" + body).hexdigest().encode()


def load_cached(folder: Path, key: str) -> ClipCrops | None:
    """Return the clip that was stored under this key; None where there is no entry or a damaged one."""
    try:
        digest, _, body = (folder / key).read_bytes().partition(b"\n")
    except OSError:
        return None
    if _digest(key, body) != digest:
        return None
    head, _, pixels = body.partition(b"\n")
    content = json.loads(head)
    faces = np.frombuffer(pixels, np.uint8).reshape(content["shape"])
    return ClipCrops(
        apex=content["apex"],
        shifts=tuple(content["shifts"]),
        onset=faces[0],
        faces=faces[1:],
        changes=tuple(CropRepair(**change) for change in content["changes"]),
        frames=content["frames"],
    )


def reuse_cached(folder: Path, earlier: Path, key: str) -> ClipCrops | None:
    """Return a stored clip from ``folder``, or from ``earlier``, whose entry is then linked into ``folder`` too."""
    cropped = load_cached(folder, key)
    if cropped is None:
        cropped = load_cached(earlier, key)
        if cropped is not None:
            _link(earlier / key, folder / key, cropped)
    return cropped


def _link(old: Path, new: Path, cropped: ClipCrops) -> None:
    new.parent.mkdir(parents=True, exist_ok=True)
    try:
        new.unlink(missing_ok=True)
        new.hardlink_to(old)
    except OSError:  # a file system without hard links
        store_in_cache(new.parent, new.name, cropped)


def prune_cache(folder: Path, keys: Collection[str]) -> None:
    """Remove all entries but these, and the half-written files of killed processes."""
    if folder.is_dir():
        for path in folder.iterdir():
            if path.name not in keys:
                path.unlink()
