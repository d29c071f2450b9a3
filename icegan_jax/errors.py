"""What is said to the user: the input is wrong, or the file system refuses, and how to put it right."""

import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

# Why a file cannot be written, and what to do about it.
REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space of your quota",
    errno.EFBIG: "allow larger files (ulimit -f)",
    errno.EROFS: "make it writable",
    errno.EACCES: "make it writable",
    errno.EPERM: "make it writable",
    errno.EIO: "see to the disk",
    errno.ESTALE: "mount it again",
}

_IN_THE_WAY = (errno.ENOTDIR, errno.EISDIR, errno.EEXIST)


class UserError(Exception):
    """Bad input. The message is one line that names the file or field and the remedy; a list may follow in lines.

    Names from data may hold line breaks and control characters: they are shown as Python writes them.
    Commands print it as ``error: <message>`` on stderr and exit with code 2.
    """

    def __init__(self, message: str, *lines: str) -> None:
        super().__init__("\n".join(map(_printable, (message, *lines))))


def describe_os_error(error: OSError, place: str) -> str:
    """One line: the file (``place`` where the error names none), the reason, and what to do about it."""
    usual = "move it away" if error.errno in _IN_THE_WAY else "see that it can be read and written"
    remedy = REMEDIES.get(error.errno or 0, usual)
    return f"{error.filename or place}: {error.strerror or error}; {remedy}"


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)


# Why a file cannot be read although it may be whole: nothing is known about its content.
UNREADABLE = (errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT)


def error_number(error: BaseException, among: Iterable[int]) -> int | None:
    """The first of the error numbers ``among`` that an error, or one that led to it, has or spells out; or None."""
    for each in error_chain(error):
        for number in among:
            if isinstance(each, OSError) and each.errno == number:
                return number
            if os.strerror(number) in str(each):  # tensorstore raises ValueError with the system's words
                return number
    return None


def raise_if_unreadable(place: Path, error: BaseException) -> None:
    """Raises UserError where a file cannot be read for now, so that nothing is known about its content."""
    number = error_number(error, UNREADABLE)
    if number is not None:
        remedy = "put that right, then run the same command"
        raise UserError(f"{place}: cannot be read ({os.strerror(number)}); {remedy}") from error


def error_chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those that led to it."""
    waiting, seen = [error], set[int]()
    while waiting:
        each = waiting.pop(0)
        if id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [other for other in (each.__cause__, each.__context__) if other is not None]
            waiting += each.exceptions if isinstance(each, BaseExceptionGroup) else ()
