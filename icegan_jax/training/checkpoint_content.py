"""Whether a checkpoint holds what was written into it, and if not, which part is at fault."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from icegan_jax.evaluation.files import sha256_of


def digest(arrays: Any) -> str:
    """SHA-256 of every array's path, dtype, shape and bytes, one array after the other: no copy of all of them."""
    sha = hashlib.sha256()
    for path, array in named(arrays).items():
        sha.update(f"{path} {array.dtype} {array.shape}\n".encode())
        sha.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return sha.hexdigest()


def named(arrays: Any) -> dict[str, Any]:
    """The leaves of a tree by path, ``g_params/down0/kernel``, in the order of the paths; named tuples are as dicts."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(arrays)
    return dict(sorted((jax.tree_util.keystr(path, simple=True, separator="/"), leaf) for path, leaf in leaves))


def difference(found: Any, wanted: Any) -> str | None:
    """The first path at which two trees differ in shape or dtype, in words; None where they do not."""
    have, want = (
        {path: f"{leaf.dtype}{list(leaf.shape)}" for path, leaf in named(tree).items()} for tree in (found, wanted)
    )
    for path in sorted(have.keys() | want.keys()):
        one, other = have.get(path, "missing"), want.get(path, "none")
        if one != other:
            return f"{path} is {one}, expected {other}"
    return None


def files_in(folder: Path) -> dict[str, str]:
    """The checksum of every file within a folder, by its path there."""
    return {
        path.relative_to(folder).as_posix(): sha256_of(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }


def altered_file(folder: Path, files: Mapping[str, str]) -> str | None:
    """In a clause, the first of the files that is missing or has another checksum; None where all are whole."""
    for name, checksum in files.items():
        if not (folder / name).exists():
            return f"the file {name} is missing"
        if not (folder / name).is_file() or sha256_of(folder / name) != checksum:
            return f"the file {name} is damaged"
    return None
