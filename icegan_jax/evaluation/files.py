"""Text, JSON and array files: written whole or not at all, and read with messages that name the file."""

import contextlib
import errno
import glob
import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from icegan_jax.errors import UserError

# What numpy raises for a .npz file that is cut, foreign, or lacks an array.
ARRAY_DAMAGE = (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error)

SEAL = "seal"  # the key of a sealed object that holds the checksum of all others
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)  # of a file system that cannot be told to write now


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON as ``write_text`` does, indented, keys in the given order.

    Raises:
      ValueError: a number is NaN or infinite, which JSON does not have.
      OSError: it cannot be written, with the path; the old file is as it was.
    """
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
      UserError: the file is missing, or is not a JSON object; the message names the line.
    """
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: not JSON ({error.msg}): write it again") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets in brackets
        raise UserError(f"{path}: not JSON that anyone wrote ({type(error).__name__}): write it again") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def seal_of(content: Mapping[str, Any]) -> str:
    """The checksum of a JSON object without its ``seal``: sha256 of its canonical form, in hexadecimal.

    Equal content has an equal seal, whatever the order of keys and the white space of its file.

    Raises:
      ValueError: a number is NaN or infinite.
    """
    as_read = json.loads(json.dumps(_rest(content), allow_nan=False))  # numbers as keys become text, and sort as such
    canonical = json.dumps(as_read, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON as ``write_json`` does, with one more key, ``seal``, that tells any later change."""
    write_json(path, {**content, SEAL: seal_of(content)})


def read_sealed(path: Path) -> dict[str, Any]:
    """Read what ``write_sealed`` wrote, without the seal.

    Raises:
      UserError: the file is missing, not JSON, without a seal, or not what was sealed.
    """
    content = read_json(path)
    if SEAL not in content:
        raise UserError(f"{path}: without a seal: damaged, or of an older version")
    return unsealed(path, content)


def unsealed(path: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object without its seal, which is checked.

    Raises:
      UserError: the seal is missing or another; the message names ``path``.
    """
    if not sealed(content):
        raise UserError(f"{path}: its seal does not fit: damaged, or changed by hand")
    return _rest(content)


def sealed(content: Mapping[str, Any]) -> bool:
    """Whether a JSON object holds the seal of what else it holds."""
    try:
        return bool(content.get(SEAL) == seal_of(content))
    except (ValueError, RecursionError):  # NaN
        return False


def _rest(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name != SEAL}


def sha256_of(path: Path) -> str:
    """The checksum of a file's bytes, in hexadecimal.

    Raises:
      OSError: it is missing or cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write a compressed .npz as ``write_text`` does; equal arrays give equal bytes (numpy writes no time of day).

    Raises:
      OSError: it cannot be written, with the path; the old file is as it was.
    """
    with _replacing(path) as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # names are of arrays, none is allow_pickle


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file as ``write_bytes`` does.

    Raises:
      OSError: it cannot be written, with the path; the old file is as it was and the temporary one is gone.
    """
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part.

    The bytes go to a temporary file beside it, which then takes its place (os.replace). Both are on the disk when
    this returns (fsync): neither a killed process nor a full disk nor a power cut leaves half a file.

    Raises:
      OSError: it cannot be written, with the path; the old file is as it was and the temporary one is gone.
    """
    with _replacing(path) as file:
        file.write(content)


def sync(descriptor: int) -> None:
    """Puts an open file's bytes on the disk, where the file system can be told to.

    Raises:
      OSError: it cannot; a full disk may show only here.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def leftovers(path: Path) -> list[Path]:
    """The temporary files that killed writers of ``path`` left beside it."""
    return sorted(path.parent.glob(f".{glob.escape(path.name)}.*.tmp"))


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write, which takes the place of ``path`` when the block ends without an error."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise OSError(errno.ENOTDIR, "is not a folder", str(path.parent)) from error
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            sync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):  # a read-only folder, which says so already
            temporary.unlink(missing_ok=True)
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # writing tells no name, replacing two
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Puts a file's new name on the disk, where the file system lets a folder be opened."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_text(path: Path) -> str:
    """Read a UTF-8 file, its line breaks as they are.

    Raises:
      UserError: the file is missing, cannot be read or is not UTF-8.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file: is this a finished run directory?") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error.reason}): write it again") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
