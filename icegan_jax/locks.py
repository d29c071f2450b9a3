"""Locks on files (``filelock``), which the kernel releases however the process ends, SIGKILL included.

A lock file describes its holder, and is never removed: otherwise two processes could lock two files of that name.
"""

import contextlib
import errno
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import filelock

from icegan_jax.errors import UserError

# Errors of file systems that cannot lock, as Lustre is often mounted; filelock raises NotImplementedError for ENOSYS.
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)


class LockedError(UserError):
    """Another process holds a lock."""


@contextlib.contextmanager
def hold_lock(path: Path, what: str, remedy: str, timeout_s: float = 0.0) -> Iterator[bool]:
    """Hold the lock of a file.

    Args:
      path: The lock file; made if missing, with its folder.
      what: What is locked, for the message.
      remedy: What the user can do, for the message.
      timeout_s: Seconds to wait for another process that holds the lock.

    Yields:
      Whether the file is locked: False on a file system that has no locks.

    Raises:
      LockedError: Another process holds the lock.
      OSError: The file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path, timeout=timeout_s, fallback_to_soft=False)
    try:
        lock.acquire()
        path.write_text(f"{socket.gethostname()}, pid {os.getpid()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}")
    except filelock.Timeout:
        holder = path.read_text(encoding="utf-8", errors="replace") or "unknown"
        raise LockedError(f"{what}: in use by another process ({holder}); {remedy}") from None
    except (NotImplementedError, OSError) as error:
        lock.release()
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
            raise
    try:
        yield lock.is_locked
    finally:
        lock.release()
