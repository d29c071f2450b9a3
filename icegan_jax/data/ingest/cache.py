"""The cache of finished clips, with which a second run prepares only the clips that changed.

The name of an entry is a digest of everything that its content depends on, so that no entry is ever out of date.
"""

import functools
import hashlib
import json
import sys
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path

import numpy as np

from icegan_jax.data import (
    align,
    apex,
    clip_frames,
    crop,
    cropper,
    face_embedding,
    frame_numbers,
    images,
    landmarks,
    resting,
    video,
)
from icegan_jax.data.clips import Clip
from icegan_jax.data.crop import ClipCrops, CropOptions, CropRepair
from icegan_jax.data.frame_numbers import index_frames
from icegan_jax.data.ingest.summary import package_versions
from icegan_jax.errors import UserError
from icegan_jax.io import NPZ_ERRORS, write_arrays

# Modules whose source decides the pixels of a crop.
_MODULES = (align, apex, clip_frames, crop, cropper, face_embedding, frame_numbers, images, landmarks, resting, video)


def cache_key(clip: Clip, options: CropOptions) -> str:
    """Return the name of a clip's entry: 64 hexadecimal digits.

    The name depends on the frame numbers, the options, the path, names, sizes and times of the frames up to the
    offset that can be cropped, and the program itself; not on the clip's name or label, which change no pixel.

    Raises:
        UserError: the frames do not exist.
    """
    method = options.apex if clip.apex is None else ""
    parts: list[object] = [_package_digest(), str(clip.frames.resolve()), clip.onset, clip.apex, clip.offset]
    parts += [options.register, options.size, method, options.clip_frames]
    try:
        if clip.frames.is_dir():
            files = [
                file
                for n, file in index_frames(clip.frames).items()
                if 2 * clip.onset - clip.offset <= n <= clip.offset
            ]
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
    faces = np.stack([content.pop("onset"), *content.pop("faces"), *content.pop("rest")])
    frames = np.array(content.pop("clip_frames"), np.uint8)
    write_arrays(folder / key, faces=faces, clip_frames=frames, content=np.array(json.dumps(content)))


def reuse_cached(folder: Path, earlier: Path, key: str) -> ClipCrops | None:
    """Return a stored clip from ``folder``, or from ``earlier``, whose entry is then stored in ``folder`` too.

    A clip without an entry, or with a damaged one (its checksum is wrong), is None.
    """
    cropped = _load(folder / key)
    if cropped is None and (cropped := _load(earlier / key)) is not None:
        store_in_cache(folder, key, cropped)
    return cropped


def _load(entry: Path) -> ClipCrops | None:
    try:
        with entry.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            faces, content = arrays["faces"], json.loads(str(arrays["content"]))
            content["clip_frames"] = tuple(arrays["clip_frames"])
    except NPZ_ERRORS:
        return None
    content["shifts"], content["digests"] = tuple(content["shifts"]), tuple(content["digests"])
    content["changes"] = tuple(CropRepair(**change) for change in content["changes"])
    end = 1 + len(content["shifts"])
    return ClipCrops(**content, onset=faces[0], faces=faces[1:end], rest=tuple(faces[end:]))


def prune_cache(folder: Path, keys: Collection[str]) -> None:
    """Remove all entries but these, and the half-written files of killed processes."""
    if folder.is_dir():
        for path in folder.iterdir():
            if path.name not in keys:
                path.unlink()
