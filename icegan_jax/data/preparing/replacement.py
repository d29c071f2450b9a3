"""Writing a folder so that it is there whole or not at all, and so that a second run finds what a first one kept."""

import errno
import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from icegan_jax.data.dataset import SUMMARY_FILE
from icegan_jax.errors import UserError

# The part of the folder beside ``out`` that outlives a run that did not finish.
KEPT = "cache"

_REMEDIES = {
    errno.ENOSPC: "free some space or choose --out on another disk, then start the same command again",
    errno.EDQUOT: "free some space or choose --out on another disk, then start the same command again",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), then start the same command again",
}


@contextmanager
def replaced_folder(out: str | Path, marker: str = SUMMARY_FILE, maker: str = "prepare") -> Iterator[Path]:
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
    with _explained(out):
        check_replaceable(out, marker, maker)
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target):
            _recover(target)
            _clear(staging)
            staging.mkdir(exist_ok=True)
            try:
                yield staging
                _flush(staging)
                _swap(staging, target)
            finally:
                _clear(staging)


def check_replaceable(out: str | Path, marker: str = SUMMARY_FILE, maker: str = "prepare") -> None:
    """Refuses to replace what the maker did not make, see ``replaced_folder``.

    Raises:
        UserError: ``out`` is a file, or a folder with anything in it but what the maker made.
    """
    target = _resolved(out)
    with _explained(out):
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
def _explained(out: str | Path) -> Iterator[None]:
    """Turns an error of the file system into one line that names ``out``, the reason and the remedy."""
    try:
        yield
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, "choose another --out")
        kept = f" at {error.filename}" if error.filename else ""
        raise UserError(f"{out}: cannot be written ({error.strerror or error}{kept}); {remedy}") from None


@contextmanager
def _locked(target: Path) -> Iterator[None]:
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
        if path.name == KEPT:
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
        if Path(folder).name == KEPT:  # each was flushed when it was stored
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
