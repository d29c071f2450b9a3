"""Clips kept as they are finished, so that a second run does only what changed.

An entry's name says all that its content depends on, so an entry is never out of date: it is used
or it is not. Its first line is the sha256 of that name and the rest, so a damaged one, or one that
stands under another's name, is never used.
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

from icegan_jax.data import align, apex, crop, landmarks, video
from icegan_jax.data.clips import Clip
from icegan_jax.data.crop import ClipCrops, CropOptions, CropRepair
from icegan_jax.data.ingest import repairs
from icegan_jax.data.ingest.summary import package_versions
from icegan_jax.data.video import index_frames
from icegan_jax.errors import UserError

# The files whose text decides what a crop looks like.
_PROGRAM = (apex, crop, landmarks, video, apex, align, repairs)


def cache_key(clip: Clip, options: CropOptions) -> str:
    """Returns the name of a clip's entry: 64 hexadecimal digits.

    It covers the frame numbers, the options, the place, names, sizes and times of the frames from
    onset to offset, and the program itself; not the clip's name or label, which change no pixel.

    Raises:
        UserError: the frames are not there.
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
        except OSError:  # a link to nowhere: an error where the frame is needed
            parts.append((file.name, "unreadable"))
            continue
        # The time of the last change cannot be set back, as that of the last writing can.
        parts.append((file.name, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest()


@functools.cache
def _package_digest() -> str:
    digest = hashlib.sha256(repr((package_versions(), sys.byteorder)).encode())
    for module in _PROGRAM:
        assert module.__file__ is not None
        digest.update(Path(module.__file__).read_bytes())
    return digest.hexdigest()


def store_in_cache(folder: Path, key: str, cropped: ClipCrops) -> None:
    """Keeps a clip: when this returns, the disk holds the whole entry.

    Raises:
        OSError: it cannot be written; there is then no entry.
    """
    content = asdict(cropped)
    faces_ = np.stack([content.pop("onset"), *content.pop("faces")])
    body = json.dumps({**content, "shape": faces_.shape}).encode() + b"\n" + faces_.tobytes()
    folder.mkdir(parents=True, exist_ok=True)
    half = folder / f"{key}.{os.getpid()}.half"
    try:
        with half.open("wb") as file:
            file.write(_digest(key, body) + b"\n" + body)
            file.flush()
            os.fsync(file.fileno())
        half.replace(folder / key)
    except BaseException:
        with suppress(OSError):
            half.unlink(missing_ok=True)
        raise


def _digest(key: str, body: bytes) -> bytes:
    return hashlib.sha256(key.encode() + b"\n" + body).hexdigest().encode()


def load_cached(folder: Path, key: str) -> ClipCrops | None:
    """Returns the clip that was kept under this key; None where there is none or it is damaged."""
    try:
        digest, _, body = (folder / key).read_bytes().partition(b"\n")
    except OSError:
        return None
    if _digest(key, body) != digest:
        return None
    head, _, pixels = body.partition(b"\n")
    content = json.loads(head)
    faces_ = np.frombuffer(pixels, np.uint8).reshape(content["shape"])
    return ClipCrops(
        apex=content["apex"],
        shifts=tuple(content["shifts"]),
        onset=faces_[0],
        faces=faces_[1:],
        changes=tuple(CropRepair(**change) for change in content["changes"]),
        frames=content["frames"],
    )


def reuse_cached(folder: Path, earlier: Path, key: str) -> ClipCrops | None:
    """Returns a kept clip from ``folder``, or from ``earlier``, whose entry ``folder`` then has too."""
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
    except OSError:  # a file system without links
        store_in_cache(new.parent, new.name, cropped)


def prune_cache(folder: Path, keys: Collection[str]) -> None:
    """Removes all entries but these, and what killed processes left half-written."""
    if folder.is_dir():
        for path in folder.iterdir():
            if path.name not in keys:
                path.unlink()
