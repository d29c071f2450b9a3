"""What the system says of a file, in whatever error carries it (tensorstore wraps its own), and folders for keeps."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from icegan_jax.errors import UserError
from icegan_jax.evaluation.files import sync

# Why a file cannot be read although it may be whole: nothing is known about its content.
UNREADABLE = (errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT)


def error_number(error: BaseException, among: Iterable[int]) -> int | None:
    """The first of the error numbers ``among`` that an error, or one that led to it, has or spells out; or None."""
    for each in chain(error):
        for number in among:
            if isinstance(each, OSError) and each.errno == number:
                return number
            if os.strerror(number) in str(each):  # tensorstore raises ValueError with the system's words
                return number
    return None


def raise_unreadable(place: Path, error: BaseException) -> None:
    """Raises UserError where a file cannot be read for now, so that nothing is known about its content."""
    number = error_number(error, UNREADABLE)
    if number is not None:
        remedy = "put that right, then run the same command"
        raise UserError(f"{place}: cannot be read ({os.strerror(number)}); {remedy}") from error


def chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those that led to it."""
    waiting, seen = [error], set[int]()
    while waiting:
        each = waiting.pop(0)
        if id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [other for other in (each.__cause__, each.__context__) if other is not None]
            waiting += each.exceptions if isinstance(each, BaseExceptionGroup) else ()


def make_folder(path: Path) -> None:
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


def flush(folder: Path, *, within: bool = True) -> None:
    """Waits until a folder's names, and unless asked not to all files and folders within it, are on the disk."""
    for path in (*(folder.rglob("*") if within else ()), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            sync(descriptor)
        finally:
            os.close(descriptor)
