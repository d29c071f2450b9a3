"""Atomic files and folders: a reader finds the old content or the new, never a part, whatever interrupts the writer.

JSON files may hold a checksum of their own content, so that damage and changes by hand are found.
"""

import errno
import fcntl
import glob
import hashlib
import json
import os
import shutil
import socket
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from icegan_jax.errors import UserError

# Exceptions that numpy raises for an .npz file that is truncated, of another format, or lacks an array.
NPZ_ERRORS = (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error)

CHECKSUM = "checksum"  # key of a JSON object: the checksum of all other keys
_CHECKSUM_KEYS = (CHECKSUM, "seal")  # the second is the name of the key in files of earlier versions

CACHE_DIR = "cache"  # the part of ``atomic_dir``'s temporary folder that outlives an interrupted run

_NO_FSYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)  # errors of file systems that have no fsync
_MORE_SPACE = "free some space or choose --out on another disk, then start the same command again"
_DIR_REMEDIES = {
    errno.ENOSPC: _MORE_SPACE,
    errno.EDQUOT: _MORE_SPACE,
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), then start the same command again",
}


# ---- Files ----


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically and durably; missing parent folders are made.

    The bytes go to a temporary file in the same folder, which then replaces the old file (os.replace). Both steps
    are flushed to the disk (fsync) before the function returns, so that neither a killed process nor a full disk nor
    a power failure leaves a part of a file.

    Raises:
      OSError: The file cannot be written. The error names ``path``, the old file is unchanged and the temporary file
        is removed.
    """
    with _atomic_file(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file as ``write_bytes`` does, with the same errors."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write indented JSON as ``write_bytes`` does, with the keys in the given order.

    Raises:
      ValueError: A number is NaN or infinite, which JSON does not have.
      OSError: As for ``write_bytes``.
    """
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write a compressed .npz file as ``write_bytes`` does; equal arrays give equal bytes (numpy writes no time)."""
    with _atomic_file(path) as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # the names are of arrays, none is allow_pickle


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file, without changing line breaks.

    Raises:
      UserError: The file is missing, cannot be read or is not UTF-8.
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


def read_json(path: Path) -> dict[str, Any]:
    """Return the content of a file that holds a JSON object.

    Raises:
      UserError: The file is missing, or does not hold a JSON object; the message names the line.
    """
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: not JSON ({error.msg}): write it again") from error
    except (ValueError, RecursionError) as error:  # a number with thousands of digits, very deep nesting
        raise UserError(f"{path}: not JSON ({type(error).__name__}): write it again") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


def temporary_files(path: Path) -> list[Path]:
    """Return the temporary files next to ``path`` that killed writers of ``path`` left."""
    return sorted(path.parent.glob(f".{glob.escape(path.name)}.*.tmp"))


@contextmanager
def _atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a temporary file that replaces ``path`` when the block ends without an exception."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise OSError(errno.ENOTDIR, "is not a folder", str(path.parent)) from error
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):  # in a read-only folder, where the first error is the one to report
            temporary.unlink(missing_ok=True)
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # write names no file, os.replace two
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    with suppress(OSError):  # not every file system lets a folder be opened
        _fsync_path(path.parent)


# ---- Checksums ----


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal; raise OSError if the file cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksum_of(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a JSON object in its canonical form, in hexadecimal, without the key ``checksum``.

    The order of the keys and the white space of the file make no difference.

    Raises:
      ValueError: A number is NaN or infinite.
    """
    # Numbers as keys become text first, since the canonical order is that of text.
    parsed = json.loads(json.dumps(_without_checksum_key(content), allow_nan=False))
    canonical = json.dumps(parsed, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def has_checksum(content: Mapping[str, Any]) -> bool:
    """Return whether a JSON object has a checksum, valid or not."""
    return any(key in content for key in _CHECKSUM_KEYS)


def has_valid_checksum(content: Mapping[str, Any]) -> bool:
    """Return whether a JSON object has the checksum of its content."""
    stored = next((content[key] for key in _CHECKSUM_KEYS if key in content), None)
    try:
        return bool(stored == checksum_of(content))
    except (ValueError, RecursionError):  # NaN, very deep nesting
        return False


def write_json_with_checksum(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON as ``write_json`` does, with the key ``checksum`` added."""
    write_json(path, {**_without_checksum_key(content), CHECKSUM: checksum_of(content)})


def read_json_with_checksum(path: Path) -> dict[str, Any]:
    """Return the content of a file of ``write_json_with_checksum``, without the checksum.

    Raises:
      UserError: The file is missing, not JSON, has no checksum, or the checksum does not match.
    """
    content = read_json(path)
    if not has_checksum(content):
        raise UserError(f"{path}: has no checksum: damaged, or of an older version")
    return without_checksum(path, content)


def without_checksum(path: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """Check the checksum of a JSON object, and return the object without the checksum.

    Raises:
      UserError: The checksum is missing or does not match; the message names ``path``.
    """
    if not has_valid_checksum(content):
        raise UserError(f"{path}: the checksum does not match: damaged, or changed by hand")
    return _without_checksum_key(content)


def _without_checksum_key(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in _CHECKSUM_KEYS}


# ---- Folders ----


@contextmanager
def atomic_dir(out: str | Path, marker: str, command: str) -> Iterator[Path]:
    """Yield an empty temporary folder, which replaces the folder ``out`` when the block ends without an exception.

    The temporary folder is ``.NAME.partial`` next to ``out``; both have the same parent, so that relative paths
    written inside keep their meaning. After an exception, Ctrl-C included, ``out`` is unchanged and the temporary
    folder is removed, except its subfolder ``CACHE_DIR``, which the next call yields again. The next call uses or
    removes the files of a killed process. Only one process at a time may write ``out``.

    Args:
      out: The folder to write.
      marker: A file name; an existing folder is replaced only if it holds this file.
      command: The name of the command that writes the folder, for messages.

    Raises:
      UserError: ``out`` cannot be written, is a file, is a folder with other content than that of ``command``, or is
        being written by another process.
    """
    target = _resolve(out)
    staging = target.with_name(f".{target.name}.partial")
    with _os_errors_as_user_errors(out):
        check_output_dir(out, marker, command)
        target.parent.mkdir(parents=True, exist_ok=True)
        with _dir_lock(target):
            _recover(target)
            _clear(staging)
            staging.mkdir(exist_ok=True)
            try:
                yield staging
                _flush(staging)
                _swap(staging, target)
            finally:
                _clear(staging)


def check_output_dir(out: str | Path, marker: str, command: str) -> None:
    """Check that ``atomic_dir`` with the same arguments would not replace anything else than output of ``command``.

    Raises:
      UserError: ``out`` is a file, or a folder that holds files but not ``marker``.
    """
    target = _resolve(out)
    with _os_errors_as_user_errors(out):
        if target.exists() and not target.is_dir():
            raise UserError(f"{out}: is a file; choose a folder for --out")
        if target.is_dir() and any(target.iterdir()) and not (target / marker).is_file():
            raise UserError(
                f"{out}: is a folder with other files in it, which {command} will not replace; choose "
                "another --out or empty it"
            )


def make_dir(path: Path) -> None:
    """Make a folder and its parents, unless the folder exists.

    Raises:
      UserError: A file has the name of the folder or of a parent.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(f"{path}: is not a folder; move it away") from error


def remove(path: Path) -> None:
    """Remove a folder, file or link if it exists, and ignore what cannot be removed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def fsync(descriptor: int) -> None:
    """Flush an open file to the disk, where the file system has fsync.

    Raises:
      OSError: The flush failed; a full disk may show only here.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FSYNC:
            raise


def fsync_tree(folder: Path, *, recursive: bool = True) -> None:
    """Flush a folder's list of names to the disk and, if ``recursive``, all files and folders in the folder."""
    for path in (*(folder.rglob("*") if recursive else ()), folder):
        _fsync_path(path)


def _fsync_path(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fsync(descriptor)
    finally:
        os.close(descriptor)


def _resolve(out: str | Path) -> Path:
    try:
        return Path(out).resolve()
    except (OSError, RuntimeError, ValueError):  # a cycle of links, a zero byte
        raise UserError(f"{str(out)!r}: cannot be a folder; choose another --out") from None


@contextmanager
def _os_errors_as_user_errors(out: str | Path) -> Iterator[None]:
    """Turn an OSError into one line that names ``out``, the reason and the remedy."""
    try:
        yield
    except OSError as error:
        remedy = _DIR_REMEDIES.get(error.errno or 0, "choose another --out")
        file = f" at {error.filename}" if error.filename else ""
        raise UserError(f"{out}: cannot be written ({error.strerror or error}{file}); {remedy}") from None


@contextmanager
def _dir_lock(target: Path) -> Iterator[None]:
    """Lock the file ``.NAME.lock``; the kernel unlocks the file when the process ends, however the process ends."""
    path = target.with_name(f".{target.name}.lock")
    file = _open_locked(path, target)
    try:
        os.ftruncate(file, 0)
        os.write(file, f"process {os.getpid()} on {socket.gethostname()}".encode())
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(file)


def _open_locked(path: Path, target: Path) -> int:
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, 200).decode("utf-8", "replace") or "another process"
            os.close(file)
            raise UserError(
                f"{target}: is being written by {holder}; wait for it to end or choose another --out"
            ) from None
        except OSError:  # a file system without locks
            return file
        if _is_open(path, file):
            return file
        os.close(file)  # the last holder removed the file between our open and our flock: try again


def _is_open(path: Path, file: int) -> bool:
    """Return whether the open file is the one at ``path``."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _replaced(target: Path) -> Path:
    return target.with_name(f".{target.name}.replaced")


def _recover(target: Path) -> None:
    """Undo or finish the swap of a process that was killed in ``_swap``."""
    old = _replaced(target)
    if old.exists() and not target.exists():
        old.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _clear(staging: Path) -> None:
    """Remove everything in the temporary folder but a non-empty ``CACHE_DIR``, and the folder if it is then empty."""
    if not staging.is_dir():
        return
    for path in staging.iterdir():
        if path.name == CACHE_DIR:
            with suppress(OSError):  # not empty
                path.rmdir()
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
    with suppress(OSError):  # the cache is there
        staging.rmdir()


def _flush(staging: Path) -> None:
    """Flush every file to the disk before the swap, so that a power failure afterwards loses nothing."""
    for folder, _, names in os.walk(staging):
        if Path(folder).name == CACHE_DIR:  # its files were flushed when they were written
            continue
        for path in (Path(folder), *(Path(folder, name) for name in names)):
            _fsync_path(path)


def _swap(staging: Path, target: Path) -> None:
    """Replace the folder ``target`` by two renames; ``_recover`` undoes the first one if the second one is missing."""
    old = _replaced(target)
    if target.exists():
        target.rename(old)
    try:
        staging.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
