"""Atomic files and folders: a reader finds the old content or the new, never a part, whatever interrupts the writer.

JSON files may hold a checksum of their own content, so that damage and changes by hand are found.
"""

import hashlib
import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from icegan_jax.errors import UserError, describe_os_error
from icegan_jax.locks import hold_lock

# Exceptions that numpy raises for an .npz file that is truncated, of another format, or lacks an array.
NPZ_ERRORS = (OSError, EOFError, ValueError, KeyError, TypeError, NotImplementedError, zipfile.BadZipFile, zlib.error)

CHECKSUM = "checksum"  # key of a JSON object: the checksum of all other keys

CACHE_DIR = "cache"  # the part of ``atomic_dir``'s temporary folder that outlives an interrupted run


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
        return path.read_bytes().decode("utf-8")
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


@contextmanager
def _atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a temporary file that replaces ``path`` when the block ends without an exception.

    The next call replaces the temporary file of a killed process.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):  # in a read-only folder, where the first error is the one to report
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from error  # write names no file, os.replace two
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
    parsed = json.loads(json.dumps(_without_checksum(content), allow_nan=False))
    canonical = json.dumps(parsed, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def has_valid_checksum(content: Mapping[str, Any]) -> bool:
    """Return whether a JSON object has the checksum of its content."""
    try:
        return bool(content.get(CHECKSUM) == checksum_of(content))
    except (ValueError, RecursionError):  # NaN, very deep nesting
        return False


def write_json_with_checksum(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON as ``write_json`` does, with the key ``checksum`` added."""
    write_json(path, {**_without_checksum(content), CHECKSUM: checksum_of(content)})


def read_json_with_checksum(path: Path) -> dict[str, Any]:
    """Return the content of a file of ``write_json_with_checksum``, without the checksum.

    Raises:
      UserError: The file is missing, not JSON, or the checksum is missing or does not match.
    """
    content = read_json(path)
    if not has_valid_checksum(content):
        raise UserError(f"{path}: the checksum does not match: damaged, or changed by hand")
    return _without_checksum(content)


def _without_checksum(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name != CHECKSUM}


# ---- Folders ----


@contextmanager
def atomic_dir(out: str | Path, marker: str, command: str) -> Iterator[Path]:
    """Yield an empty temporary folder, which replaces the folder ``out`` when the block ends without an exception.

    The temporary folder is ``.NAME.partial`` next to ``out``; both have the same parent, so that relative paths
    written inside keep their meaning. After an exception, Ctrl-C included, ``out`` is unchanged and the temporary
    folder is removed, except its subfolder ``CACHE_DIR``, which the next call yields again. The next call uses or
    removes the files of a killed process.

    Args:
      out: The folder to write.
      marker: A file name; an existing folder is replaced only if it holds this file.
      command: The name of the command that writes the folder, for messages.

    Raises:
      UserError: ``out`` cannot be written, is a file, is a folder with other content than that of ``command``, or is
        being written by another process.
    """
    check_output_dir(out, marker, command)
    target = Path(out).resolve()
    staging, replaced, lock = (
        target.with_name(f".{target.name}.{suffix}") for suffix in ("partial", "replaced", "lock")
    )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with hold_lock(lock, str(out), "wait for it to end or choose another --out"):
            try:
                if replaced.exists() and not target.exists():
                    replaced.rename(target)  # a process was killed between the two renames below
                _clear(staging)
                staging.mkdir(exist_ok=True)
                yield staging
                _fsync_tree(staging)
                if target.exists():
                    shutil.rmtree(replaced, ignore_errors=True)
                    target.rename(replaced)
                staging.rename(target)
            finally:
                if replaced.exists() and not target.exists():  # the second rename failed
                    replaced.rename(target)
                shutil.rmtree(replaced, ignore_errors=True)
                _clear(staging)
                lock.unlink(missing_ok=True)  # while it is locked: a process that waits for this file notices
    except OSError as error:
        raise UserError(f"{describe_os_error(error, str(out))}, or choose another --out") from error


def check_output_dir(out: str | Path, marker: str, command: str) -> None:
    """Check that ``atomic_dir`` with the same arguments would not replace anything else than output of ``command``.

    Raises:
      UserError: ``out`` is a file, or a folder that holds files but not ``marker``.
    """
    target = Path(out)
    if target.exists() and not target.is_dir():
        raise UserError(f"{out}: is a file; choose a folder for --out")
    if target.is_dir() and any(target.iterdir()) and not (target / marker).is_file():
        raise UserError(
            f"{out}: is a folder with other files in it, which {command} will not replace; choose "
            "another --out or empty it"
        )


def _clear(staging: Path) -> None:
    """Remove everything in the temporary folder but a non-empty ``CACHE_DIR``, and the folder if it is then empty."""
    for path in staging.glob("*"):
        if path.is_dir() and not path.is_symlink() and path.name != CACHE_DIR:
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != CACHE_DIR:
            path.unlink()
    for path in (staging / CACHE_DIR, staging):
        with suppress(OSError):  # not empty, or missing
            path.rmdir()


def _fsync_tree(folder: Path) -> None:
    """Flush every file of a folder to the disk but those of ``CACHE_DIR``, which were flushed before."""
    for path in (folder, *folder.rglob("*")):
        if CACHE_DIR not in path.relative_to(folder).parts:
            _fsync_path(path)


def _fsync_path(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
