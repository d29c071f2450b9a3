"""The lock on a run directory, and the status files by which the processes of a run detect that another one ended.

The lock is flock(2) on the file RUN/processes/lock, held by process 0 from before its first change until its end. The
kernel unlocks the file however the process ends, SIGKILL included. The file describes its holder, and is never
removed: otherwise two processes could lock two files of that name.

Status files do not require that the clocks of machines agree: a process counts as lost when its status file has not
changed for some time by the clock of the observing process. Only a process on the same machine is known to have ended
at once, from /proc.
"""

import contextlib
import errno
import fcntl
import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from icegan_jax.errors import REMEDIES, UserError

RUNNING, FINISHED, STOPPED, LOST = "running", "finished", "stopped", "lost"

POLL_S = 0.5  # between two reads of a status file

_PROC = Path("/proc")
_ENDED_STATES = "ZX"  # in /proc/PID/stat, of a process that has ended but whose parent has not waited for it

_LOCKED = (errno.EAGAIN, errno.EACCES)  # errors of flock where another process has the lock; CIFS gives the second
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)  # of file systems without flock, as Lustre often is mounted
_LOCK_WAIT_S = 5.0  # for a new holder to write its description, or for the kernel to unlock after a kill
_LOCK_POLL_S = 0.02
_MAX_LOCK_BYTES = 65536  # read of the lock file

_held_locks: set[int] = set()  # file descriptors of the locks that this process holds


class ProcessMonitor:
    """Monitor of the status file of one process.

    Only the time between two close calls of ``poll`` counts: where the observer itself was suspended, the observed
    process may have been suspended, too.

    Attributes:
      path: The status file.
      state: ``RUNNING``, ``FINISHED``, ``STOPPED`` or ``LOST``, of the last call of ``poll``.
      reason: The note in the status file, which gives the reason of a stop.
      changed: Whether the file has changed since the monitor was made.
    """

    def __init__(self, path: Path, lost_s: float) -> None:
        """Start to observe ``path``; after ``lost_s`` seconds without a change the process counts as lost."""
        self.path, self._lost_s = path, lost_s
        self._content, self._polled, self._unchanged_s = read_status(path), time.monotonic(), 0.0
        self.state, self.reason, self.changed = RUNNING, "", False

    def poll(self) -> str:
        """Read the status file, and return the state; ``LOST`` is a process known to be dead, or long unchanged."""
        changed, now = self._read(), time.monotonic()
        self._unchanged_s = 0.0 if changed else self._unchanged_s + min(now - self._polled, 2 * POLL_S)
        self._polled = now
        if self.state == RUNNING:
            # The second read: the process may have written its final state between the first read and its end.
            dead = has_ended(self._content) and not self._read()
            if dead or self._unchanged_s > self._lost_s:
                self.state = LOST
        return self.state

    def _read(self) -> bool:
        """Read the status file, and return whether the content has changed."""
        content = read_status(self.path)
        changed = bool(content) and content != self._content
        if changed:
            self._content, self.changed = content, True
        state = self._content.get("state")
        self.state = state if state in (FINISHED, STOPPED) else RUNNING
        self.reason = str(self._content.get("note", ""))
        return changed


def read_status(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file; empty where the file is missing or cannot be read at this moment."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def process_identity() -> dict[str, Any]:
    """Return ``host`` and ``pid`` of this process and, where /proc is available, what ``has_ended`` needs besides.

    ``pid_space`` is the boot of the machine and the pid namespace (a container has its own) in which the pid is valid.
    ``start_ticks`` is the start time in clock ticks since the boot, since pids are used again.
    """
    identity: dict[str, Any] = {"host": socket.gethostname(), "pid": os.getpid()}
    pid_space, stat = _pid_space(), _stat(os.getpid())
    return identity | {"pid_space": pid_space, "start_ticks": stat.start_ticks} if pid_space and stat else identity


def has_ended(identity: dict[str, Any]) -> bool:
    """Return whether a process is known to have ended: it was on this machine, and does not exist any more.

    Args:
      identity: The ``process_identity`` of the process, with any other keys.
    """
    pid, pid_space = identity.get("pid"), identity.get("pid_space")
    if not pid_space or pid_space != _pid_space() or identity.get("host") != socket.gethostname():
        return False
    if not isinstance(pid, int) or pid < 1:  # os.kill takes 0 and less as groups of processes
        return False
    try:
        os.kill(pid, 0)  # sends nothing; works also where /proc hides the processes of other users
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # another user's
        pass
    stat = _stat(pid)
    return stat is not None and (stat.start_ticks != identity.get("start_ticks") or stat.state in _ENDED_STATES)


@contextlib.contextmanager
def run_lock(run_dir: Path, path: Path) -> Iterator[None]:
    """Hold the lock of a run directory; without effect on a file system that has no locks.

    Args:
      run_dir: The run directory, for messages.
      path: The lock file; made if missing.

    Raises:
      UserError: Another process holds the lock, or the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise not_writable_error(run_dir, error) from None
    _held_locks.add(descriptor)
    try:
        try:
            locked = _acquire(descriptor, run_dir)
            if locked:
                holder = {**process_identity(), "since": time.time(), "command": shlex.join(sys.argv)}
                _write(descriptor, json.dumps(holder))
        except OSError as error:
            raise not_writable_error(run_dir, error) from None
        try:
            yield
        finally:
            if locked and descriptor in _held_locks:  # false in a forked child, see ``_close_locks_in_child``
                with contextlib.suppress(OSError):
                    _write(descriptor, "")
    finally:
        if descriptor in _held_locks:
            _held_locks.remove(descriptor)
            os.close(descriptor)


def not_writable_error(run_dir: Path, error: OSError) -> UserError:
    """Return the UserError for a run directory in which the file system refuses to write."""
    remedy = f"{REMEDIES[error.errno]}, or " if error.errno in REMEDIES else ""
    return UserError(f"{run_dir}: cannot be written ({error.strerror or error}); {remedy}choose another --workdir")


def _close_locks_in_child() -> None:
    """Close the locks in a forked child: the lock belongs to the parent, and must end with the parent."""
    for descriptor in _held_locks:
        os.close(descriptor)
    _held_locks.clear()


os.register_at_fork(after_in_child=_close_locks_in_child)  # exec closes the files by itself (O_CLOEXEC)


def _acquire(descriptor: int, run_dir: Path) -> bool:
    """Lock the file; return False where the file system has no locks.

    Raises:
      UserError: Another process holds the lock.
      OSError: Locking failed for any other reason.
    """
    end = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return False
            if error.errno not in _LOCKED:
                raise
        holder = _read(descriptor)
        known = bool(holder) and not has_ended(holder)  # a dead holder is an earlier one, or was killed just now
        if known or time.monotonic() > end:
            name = _describe_holder(holder) if known else "its process is unknown"
            raise UserError(f"{run_dir}: a run is active there ({name}); let it end, or choose another --workdir")
        time.sleep(_LOCK_POLL_S)


def _describe_holder(holder: dict[str, Any]) -> str:
    """Return a text like ``process 0 on node7, pid 4711, since 09:30``, with the date if it is not today."""
    name = f"process 0 on {holder.get('host')}, pid {holder.get('pid')}"
    try:
        since = time.localtime(float(holder["since"]))
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return name
    today = since[:3] == time.localtime()[:3]
    return f"{name}, since {time.strftime('%H:%M' if today else '%Y-%m-%d %H:%M', since)}"


def _read(descriptor: int) -> dict[str, Any]:
    try:
        content = json.loads(os.pread(descriptor, _MAX_LOCK_BYTES, 0))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


class _Stat(NamedTuple):
    state: str
    start_ticks: int


def _stat(pid: int) -> _Stat | None:
    """Parse /proc/PID/stat; None where the file cannot be read."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return _Stat(fields[0], int(fields[19]))  # fields 3 and 22; field 2 is a name in parentheses
    except (OSError, ValueError, IndexError):
        return None


def _pid_space() -> str:
    """Return the ``pid_space`` of ``process_identity``; empty if /proc is missing or is of another pid namespace."""
    try:
        if os.readlink(_PROC / "self") != str(os.getpid()):
            return ""
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink(_PROC / 'self/ns/pid')}"
    except (OSError, ValueError):
        return ""
