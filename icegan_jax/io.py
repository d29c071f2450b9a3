"""Text, JSON and array files: written whole or not at all, and read with messages that name the file.

Writing a folder so that it is there whole or not at all, and so that a second run finds what a first one kept.
"""

import contextlib
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

# What numpy raises for a .npz file that is cut, foreign, or lacks an array.
NPZ_ERRORS = (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error)

CHECKSUM = "seal"  # the key of a sealed object that holds the checksum of all others

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


def checksum_of(content: Mapping[str, Any]) -> str:
    """The checksum of a JSON object without its ``seal``: sha256 of its canonical form, in hexadecimal.

    Equal content has an equal seal, whatever the order of keys and the white space of its file.

    Raises:
      ValueError: a number is NaN or infinite.
    """
    as_read = json.loads(json.dumps(_rest(content), allow_nan=False))  # numbers as keys become text, and sort as such
    canonical = json.dumps(as_read, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def write_json_with_checksum(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON as ``write_json`` does, with one more key, ``seal``, that tells any later change."""
    write_json(path, {**content, CHECKSUM: checksum_of(content)})


def read_json_with_checksum(path: Path) -> dict[str, Any]:
    """Read what ``write_sealed`` wrote, without the seal.

    Raises:
      UserError: the file is missing, not JSON, without a seal, or not what was sealed.
    """
    content = read_json(path)
    if CHECKSUM not in content:
        raise UserError(f"{path}: without a seal: damaged, or of an older version")
    return without_checksum(path, content)


def without_checksum(path: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object without its seal, which is checked.

    Raises:
      UserError: the seal is missing or another; the message names ``path``.
    """
    if not has_valid_checksum(content):
        raise UserError(f"{path}: its seal does not fit: damaged, or changed by hand")
    return _rest(content)


def has_valid_checksum(content: Mapping[str, Any]) -> bool:
    """Whether a JSON object holds the seal of what else it holds."""
    try:
        return bool(content.get(CHECKSUM) == checksum_of(content))
    except (ValueError, RecursionError):  # NaN
        return False


def _rest(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name != CHECKSUM}


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


def fsync(descriptor: int) -> None:
    """Puts an open file's bytes on the disk, where the file system can be told to.

    Raises:
      OSError: it cannot; a full disk may show only here.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def temporary_files(path: Path) -> list[Path]:
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
            fsync(file.fileno())
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


# The part of the folder beside ``out`` that outlives a run that did not finish.
CACHE_DIR = "cache"

_DIR_REMEDIES = {
    errno.ENOSPC: "free some space or choose --out on another disk, then start the same command again",
    errno.EDQUOT: "free some space or choose --out on another disk, then start the same command again",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), then start the same command again",
}


@contextmanager
def atomic_dir(out: str | Path, marker: str = "prepared.json", maker: str = "prepare") -> Iterator[Path]:
    """Yields an empty folder beside ``out``, and puts it in the place of ``out`` on success.

    The folder is ``.NAME.partial``, empty but for ``KEPT``, where a run that did not finish left
    that. On an exception, Ctrl-C included, ``out`` stays as it was and all but ``KEPT`` is removed;
    what a killed process leaves, the next one uses or removes. One process at a time may write
    ``out``. Relative paths written inside keep their meaning, as both folders have the same parent.

    Args:
        out: the folder.
        marker: the file by which a folder of this maker is known, which may be replaced.
        maker: the command that makes it.

    Raises:
        UserError: ``out`` cannot be written, is a file, is a folder that holds anything but what the
            maker made, or is being written by another process.
    """
    target = _resolved(out)
    staging = target.with_name(f".{target.name}.partial")
    with _os_errors_as_user_errors(out):
        check_output_dir(out, marker, maker)
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


def check_output_dir(out: str | Path, marker: str = "prepared.json", maker: str = "prepare") -> None:
    """Refuses to replace what the maker did not make, see ``replaced_folder``.

    Raises:
        UserError: ``out`` is a file, or a folder with anything in it but what the maker made.
    """
    target = _resolved(out)
    with _os_errors_as_user_errors(out):
        if target.exists() and not target.is_dir():
            raise UserError(f"{out}: is a file; choose a folder for --out")
        if target.is_dir() and any(target.iterdir()) and not (target / marker).is_file():
            raise UserError(
                f"{out}: is a folder with other files in it, which {maker} will not replace; choose "
                "another --out or empty it"
            )


def _resolved(out: str | Path) -> Path:
    try:
        return Path(out).resolve()
    except (OSError, RuntimeError, ValueError):  # links that point at each other, a zero byte
        raise UserError(f"{str(out)!r}: cannot be a folder; choose another --out") from None


@contextmanager
def _os_errors_as_user_errors(out: str | Path) -> Iterator[None]:
    """Turns an error of the file system into one line that names ``out``, the reason and the remedy."""
    try:
        yield
    except OSError as error:
        remedy = _DIR_REMEDIES.get(error.errno or 0, "choose another --out")
        kept = f" at {error.filename}" if error.filename else ""
        raise UserError(f"{out}: cannot be written ({error.strerror or error}{kept}); {remedy}") from None


@contextmanager
def _dir_lock(target: Path) -> Iterator[None]:
    """Holds ``.NAME.lock``, which the system lets go of when the process ends, however it ends."""
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
        os.close(file)  # its last holder removed it meanwhile


def _is_open(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _replaced(target: Path) -> Path:
    return target.with_name(f".{target.name}.replaced")


def _recover(target: Path) -> None:
    """Puts right what a process left that was killed while it swapped the folders."""
    old = _replaced(target)
    if old.exists() and not target.exists():
        old.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _clear(staging: Path) -> None:
    """Removes all of the folder but ``KEPT``, and the folder where that is absent or empty."""
    if not staging.is_dir():
        return
    for path in staging.iterdir():
        if path.name == CACHE_DIR:
            with suppress(OSError):
                path.rmdir()  # where it is empty
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
    with suppress(OSError):
        staging.rmdir()


def _flush(staging: Path) -> None:
    """Has the disk hold every file before the folder takes its place: power may fail after that."""
    for folder, _, names in os.walk(staging):
        if Path(folder).name == CACHE_DIR:  # each was flushed when it was stored
            continue
        for path in (Path(folder), *(Path(folder, name) for name in names)):
            file = os.open(path, os.O_RDONLY)
            try:
                os.fsync(file)
            finally:
                os.close(file)


def _swap(staging: Path, target: Path) -> None:
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


def make_dir(path: Path) -> None:
    """Makes a folder and those above it, unless it is there.

    Raises:
      UserError: something else has its name, or the name of a folder above it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(f"{path}: is not a folder; move it away") from error


def remove(path: Path) -> None:
    """Removes a folder, file or link if it is there, as far as possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def fsync_tree(folder: Path, *, within: bool = True) -> None:
    """Waits until a folder's names, and unless asked not to all files and folders within it, are on the disk."""
    for path in (*(folder.rglob("*") if within else ()), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            fsync(descriptor)
        finally:
            os.close(descriptor)
