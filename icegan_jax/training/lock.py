"""The lock on a run directory: two runs started there at the same moment never both work.

The file WORKDIR/processes/lock is locked with flock(2) by process 0, from before it changes anything until it ends.
However the process ends, SIGKILL included, the kernel unlocks it. The file says who has the lock, for others to read,
and stays: were it removed, two processes could lock two files of that name.
"""

import contextlib
import errno
import fcntl
import json
import os
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from icegan_jax.errors import REMEDIES, UserError
from icegan_jax.training.signs import is_dead, myself

_HELD = (errno.EAGAIN, errno.EACCES)  # flock's answer where another has it; CIFS gives the second
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)  # of file systems without flock, as Lustre often is mounted
_GRACE_S = 5.0  # for a holder to write who it is, or for the kernel to clear away a killed one
_POLL_S = 0.02
_LONGEST = 65536  # bytes read of the file

_open: set[int] = set()  # descriptors of the locks that this process holds


def _let_go() -> None:
    """In a forked child: the lock is its parent's alone, and must end with it (``exec`` closes the file by itself)."""
    for descriptor in _open:
        os.close(descriptor)
    _open.clear()


os.register_at_fork(after_in_child=_let_go)


@contextlib.contextmanager
def locked(run_dir: Path, path: Path) -> Iterator[None]:
    """Holds the lock of a run directory; without effect on a file system that has no locks.

    Args:
      path: of the lock file, made if need be.

    Raises:
      UserError: another process holds it, or the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise unwritable(run_dir, error) from None
    _open.add(descriptor)
    try:
        try:
            held = _seize(descriptor, run_dir)
            if held:
                _write(descriptor, json.dumps({**myself(), "since": time.time(), "command": shlex.join(sys.argv)}))
        except OSError as error:
            raise unwritable(run_dir, error) from None
        try:
            yield
        finally:
            if held and descriptor in _open:  # not in a forked child
                with contextlib.suppress(OSError):
                    _write(descriptor, "")
    finally:
        if descriptor in _open:
            _open.remove(descriptor)
            os.close(descriptor)


def unwritable(run_dir: Path, error: OSError) -> UserError:
    """What to raise where the file system refuses to write into a run directory."""
    remedy = f"{REMEDIES[error.errno]}, or " if error.errno in REMEDIES else ""
    return UserError(f"{run_dir}: cannot be written ({error.strerror or error}); {remedy}choose another --workdir")


def _seize(descriptor: int, run_dir: Path) -> bool:
    """Locks the file; False where the file system has no locks.

    Raises:
      UserError: another process holds it.
      OSError: neither is the case.
    """
    stop = time.monotonic() + _GRACE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return False
            if error.errno not in _HELD:
                raise
        holder = _read(descriptor)
        known = bool(holder) and not is_dead(holder)  # a dead one's name: of the holder before, or of one just killed
        if known or time.monotonic() > stop:
            who = _who(holder) if known else "which process, it does not say"
            raise UserError(f"{run_dir}: a run is at work there ({who}); let it end, or choose another --workdir")
        time.sleep(_POLL_S)


def _who(holder: dict[str, Any]) -> str:
    """Such as ``process 0 on node7, pid 4711, since 09:30``; the date before the time where it is not today's."""
    who = f"process 0 on {holder.get('host')}, pid {holder.get('pid')}"
    try:
        since = time.localtime(float(holder["since"]))
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return who
    today = since[:3] == time.localtime()[:3]
    return f"{who}, since {time.strftime('%H:%M' if today else '%Y-%m-%d %H:%M', since)}"


def _read(descriptor: int) -> dict[str, Any]:
    try:
        content = json.loads(os.pread(descriptor, _LONGEST, 0))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)
