"""Signs of life: what a process tells about itself in a file, and what others conclude from it.

Nothing here depends on clocks of different machines agreeing: a process is lost whose sign of life has not changed for
a while by the watcher's own clock. Only of one on the watcher's own machine it is certain at once.

The lock on a run directory: two runs started there at the same moment never both work.

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
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from icegan_jax.errors import REMEDIES, UserError

POLL_S = 0.5  # between two looks

RUNNING, FINISHED, STOPPED, LOST = "running", "finished", "stopped", "lost"

_PROC = Path("/proc")

_ENDED = "ZX"  # states in /proc/PID/stat of a process that only waits for its parent to notice (man proc_pid_stat)


class ProcessMonitor:
    """Looks at one process's sign of life.

    Only time that it looked on counts: where the watcher itself stood still, the other may have, too.
    """

    def __init__(self, path: Path, lost_s: float) -> None:
        """``lost_s``: seconds without a change after which the process counts as lost."""
        self.path, self._lost_s = path, lost_s
        self._seen, self._looked, self._still_s = read_status(path), time.monotonic(), 0.0
        self.state, self.reason, self.moved = RUNNING, "", False

    def look(self) -> str:
        """``running``, ``finished``, ``stopped`` or ``lost``: dead for certain, or without a change for too long."""
        changed, now = self._read(), time.monotonic()
        self._still_s = 0.0 if changed else self._still_s + min(now - self._looked, 2 * POLL_S)
        self._looked = now
        if self.state == RUNNING:
            dead = has_ended(self._seen) and not self._read()  # in between it may have said how it ended
            if dead or self._still_s > self._lost_s:
                self.state = LOST
        return self.state

    def _read(self) -> bool:
        """Whether the sign has changed since the last time."""
        content = read_status(self.path)
        changed = bool(content) and content != self._seen
        if changed:
            self._seen, self.moved = content, True
        state = self._seen.get("state")
        self.state, self.reason = state if state in (FINISHED, STOPPED) else RUNNING, str(self._seen.get("note", ""))
        return changed


def read_status(path: Path) -> dict[str, Any]:
    """A JSON file's content; empty where there is none, or none that can be read at this moment."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def process_identity() -> dict[str, Any]:
    """Who this process is: ``host`` and ``pid`` and, where /proc tells, what ``is_dead`` needs besides.

    ``space`` names what the pid is a number of: this start of this machine, and the pid namespace (a container has its
    own). ``born`` is when the process began, in clock ticks since the machine did: pids are given out again.
    """
    mine: dict[str, Any] = {"host": socket.gethostname(), "pid": os.getpid()}
    space, stat = _space(), _stat(os.getpid())
    return mine | {"space": space, "born": stat.born} if space and stat else mine


def has_ended(content: dict[str, Any]) -> bool:
    """Whether the process that left a sign is dead for certain: it was on this machine, and is no more.

    Args:
      content: of the sign, with what ``myself`` gave that process.
    """
    pid, space = content.get("pid"), content.get("space")
    if not space or space != _space() or content.get("host") != socket.gethostname():
        return False
    if not isinstance(pid, int) or pid < 1:  # kill takes 0 and less for groups of processes
        return False
    try:
        os.kill(pid, 0)  # sends nothing; /proc may hide the processes of others, this does not
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # somebody else's
        pass
    stat = _stat(pid)
    return stat is not None and (stat.born != content.get("born") or stat.state in _ENDED)


class _Stat(NamedTuple):
    state: str
    born: int


def _stat(pid: int) -> _Stat | None:
    """Of /proc/PID/stat; None where it cannot be read."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return _Stat(fields[0], int(fields[19]))  # the 3rd and 22nd field; the 2nd is a name in brackets
    except (OSError, ValueError, IndexError):
        return None


def _space() -> str:
    """See ``myself``; empty where /proc does not tell, or tells of another namespace than this process is in."""
    try:
        if os.readlink(_PROC / "self") != str(os.getpid()):
            return ""
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink(_PROC / 'self/ns/pid')}"
    except (OSError, ValueError):
        return ""


_HELD = (errno.EAGAIN, errno.EACCES)  # flock's answer where another has it; CIFS gives the second

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)  # of file systems without flock, as Lustre often is mounted

_GRACE_S = 5.0  # for a holder to write who it is, or for the kernel to clear away a killed one

_POLL_S = 0.02

_LONGEST = 65536  # bytes read of the file

_open: set[int] = set()  # descriptors of the locks that this process holds


def _release() -> None:
    """In a forked child: the lock is its parent's alone, and must end with it (``exec`` closes the file by itself)."""
    for descriptor in _open:
        os.close(descriptor)
    _open.clear()


os.register_at_fork(after_in_child=_release)


@contextlib.contextmanager
def run_lock(run_dir: Path, path: Path) -> Iterator[None]:
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
        raise not_writable_error(run_dir, error) from None
    _open.add(descriptor)
    try:
        try:
            held = _acquire(descriptor, run_dir)
            if held:
                _write(
                    descriptor,
                    json.dumps({**process_identity(), "since": time.time(), "command": shlex.join(sys.argv)}),
                )
        except OSError as error:
            raise not_writable_error(run_dir, error) from None
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


def not_writable_error(run_dir: Path, error: OSError) -> UserError:
    """What to raise where the file system refuses to write into a run directory."""
    remedy = f"{REMEDIES[error.errno]}, or " if error.errno in REMEDIES else ""
    return UserError(f"{run_dir}: cannot be written ({error.strerror or error}); {remedy}choose another --workdir")


def _acquire(descriptor: int, run_dir: Path) -> bool:
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
        known = bool(holder) and not has_ended(holder)  # a dead one's name: of the holder before, or of one just killed
        if known or time.monotonic() > stop:
            who = _describe_holder(holder) if known else "which process, it does not say"
            raise UserError(f"{run_dir}: a run is at work there ({who}); let it end, or choose another --workdir")
        time.sleep(_POLL_S)


def _describe_holder(holder: dict[str, Any]) -> str:
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
