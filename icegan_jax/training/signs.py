"""Signs of life: what a process tells about itself in a file, and what others conclude from it.

Nothing here depends on clocks of different machines agreeing: a process is lost whose sign of life has not changed for
a while by the watcher's own clock. Only of one on the watcher's own machine it is certain at once.
"""

import json
import os
import socket
import time
from pathlib import Path
from typing import Any, NamedTuple

POLL_S = 0.5  # between two looks
RUNNING, FINISHED, STOPPED, LOST = "running", "finished", "stopped", "lost"
_PROC = Path("/proc")
_ENDED = "ZX"  # states in /proc/PID/stat of a process that only waits for its parent to notice (man proc_pid_stat)


class Watch:
    """Looks at one process's sign of life.

    Only time that it looked on counts: where the watcher itself stood still, the other may have, too.
    """

    def __init__(self, path: Path, lost_s: float) -> None:
        """``lost_s``: seconds without a change after which the process counts as lost."""
        self.path, self._lost_s = path, lost_s
        self._seen, self._looked, self._still_s = content_of(path), time.monotonic(), 0.0
        self.state, self.reason, self.moved = RUNNING, "", False

    def look(self) -> str:
        """``running``, ``finished``, ``stopped`` or ``lost``: dead for certain, or without a change for too long."""
        changed, now = self._read(), time.monotonic()
        self._still_s = 0.0 if changed else self._still_s + min(now - self._looked, 2 * POLL_S)
        self._looked = now
        if self.state == RUNNING:
            dead = is_dead(self._seen) and not self._read()  # in between it may have said how it ended
            if dead or self._still_s > self._lost_s:
                self.state = LOST
        return self.state

    def _read(self) -> bool:
        """Whether the sign has changed since the last time."""
        content = content_of(self.path)
        changed = bool(content) and content != self._seen
        if changed:
            self._seen, self.moved = content, True
        state = self._seen.get("state")
        self.state, self.reason = state if state in (FINISHED, STOPPED) else RUNNING, str(self._seen.get("note", ""))
        return changed


def content_of(path: Path) -> dict[str, Any]:
    """A JSON file's content; empty where there is none, or none that can be read at this moment."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def myself() -> dict[str, Any]:
    """Who this process is: ``host`` and ``pid`` and, where /proc tells, what ``is_dead`` needs besides.

    ``space`` names what the pid is a number of: this start of this machine, and the pid namespace (a container has its
    own). ``born`` is when the process began, in clock ticks since the machine did: pids are given out again.
    """
    mine: dict[str, Any] = {"host": socket.gethostname(), "pid": os.getpid()}
    space, stat = _space(), _stat(os.getpid())
    return mine | {"space": space, "born": stat.born} if space and stat else mine


def is_dead(content: dict[str, Any]) -> bool:
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
