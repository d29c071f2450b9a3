"""Errors that the user can correct, each in one line: what is wrong, in which file or field, and the remedy."""

import difflib
import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

# Remedies for the reasons why a file cannot be written.
REMEDIES = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space of your quota",
    errno.EFBIG: "allow larger files (ulimit -f)",
    errno.EROFS: "make it writable",
    errno.EACCES: "make it writable",
    errno.EPERM: "make it writable",
    errno.EIO: "check the disk",
    errno.ESTALE: "mount it again",
}

# Reasons why a file cannot be read although its content may be intact.
UNREADABLE = (errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT)

_NAME_CONFLICTS = (errno.ENOTDIR, errno.EISDIR, errno.EEXIST)


class UserError(Exception):
    """An error in the input, with a message for the user.

    The message is one line that names the file or field and the remedy; further lines may list details. Names from
    data may hold line breaks and control characters, which are escaped as Python writes them. Commands print the
    message as ``error: <message>`` on stderr and exit with code 2.
    """

    def __init__(self, message: str, *lines: str) -> None:
        super().__init__("\n".join(map(escape_unprintable, (message, *lines))))


def describe_os_error(error: OSError, default_name: str) -> str:
    """Return one line: the file (``default_name`` where the error names none), the reason and the remedy."""
    usual = "move it away" if error.errno in _NAME_CONFLICTS else "check that it can be read and written"
    remedy = REMEDIES.get(error.errno or 0, usual)
    return f"{error.filename or default_name}: {error.strerror or error}; {remedy}"


def not_writable_error(run_dir: Path, error: OSError) -> UserError:
    """Return the UserError for a run directory in which the file system refuses to write."""
    remedy = f"{REMEDIES[error.errno]}, or " if error.errno in REMEDIES else ""
    return UserError(f"{run_dir}: cannot be written ({error.strerror or error}); {remedy}choose another --workdir")


def error_number(error: BaseException, numbers: Iterable[int]) -> int | None:
    """Return the first of the ``numbers`` that an error in the chain has as errno or in its text; or None."""
    for cause in error_chain(error):
        for number in numbers:
            if isinstance(cause, OSError) and cause.errno == number:
                return number
            if os.strerror(number) in str(cause):  # tensorstore raises ValueError with the text of the system's error
                return number
    return None


def error_chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, its causes and contexts, and the members of exception groups, each once."""
    queue, seen = [error], set[int]()
    while queue:
        cause = queue.pop(0)
        if id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            queue += [other for other in (cause.__cause__, cause.__context__) if other is not None]
            queue += cause.exceptions if isinstance(cause, BaseExceptionGroup) else ()


def raise_if_unreadable(path: Path, error: BaseException) -> None:
    """Raise a UserError if ``error`` means that a file cannot be read at present, but may be intact."""
    number = error_number(error, UNREADABLE)
    if number is not None:
        raise UserError(
            f"{path}: cannot be read ({os.strerror(number)}); correct the cause, then run the same command"
        ) from error


def did_you_mean(word: str, names: Iterable[str] | Mapping[str, str]) -> str:
    """Return " (did you mean NAME?)" with the name most similar to a wrong word; "" where none is similar.

    Args:
        word: the word, in any case.
        names: the names, or {spelling: name}, of which the name of the most similar spelling is returned.
    """
    spellings = names if isinstance(names, Mapping) else {name: name for name in names}
    name_of = {spelling.casefold(): name for spelling, name in spellings.items()}
    folded = word.strip().casefold()
    near = difflib.get_close_matches(folded, name_of, n=1)
    near = near or [name for name in name_of if folded and folded in name]  # p01 of procedural_p01
    return f" (did you mean {name_of[near[0]]}?)" if len(near) == 1 else ""


def describe_exception(error: BaseException) -> str:
    """Return the type and the message of an error on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def escape_unprintable(line: str) -> str:
    """Return a text on one line: line breaks and control characters as Python writes them."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)
