"""What is said to the user: the input is wrong, or the file system refuses, and how to put it right."""

import errno

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


def what_the_system_said(error: OSError, place: str) -> str:
    """One line: the file (``place`` where the error names none), the reason, and what to do about it."""
    usual = "move it away" if error.errno in _IN_THE_WAY else "see that it can be read and written"
    remedy = REMEDIES.get(error.errno or 0, usual)
    return f"{error.filename or place}: {error.strerror or error}; {remedy}"


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)
