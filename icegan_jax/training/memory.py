"""How much memory is free: of an accelerator by its own account, of a CPU by Linux's."""

from collections.abc import Iterator
from pathlib import Path

import jax

_ROOT = Path("/")


def free_bytes(device: jax.Device, root: Path = _ROOT) -> int | None:
    """Bytes that this process can still take on a device; None where nobody tells.

    Of an accelerator: jax's own limit less what is in use. Of a CPU: the memory that Linux calls available or, where
    that is less, what the process's control groups (containers, SLURM jobs) leave.

    Args:
      root: where ``proc`` and ``sys`` lie.
    """
    if device.platform != "cpu":
        stats = device.memory_stats() or {}
        return int(stats["bytes_limit"]) - int(stats.get("bytes_in_use", 0)) if "bytes_limit" in stats else None
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
    return min([available, *_left_by_groups(root)])


def _left_by_groups(root: Path) -> Iterator[int]:
    """Bytes that each control group (version 2) above this process leaves; none where there are no limits."""
    try:
        own = (root / "proc/self/cgroup").read_text().strip().rpartition("::/")[2]
    except OSError:
        return
    top = root / "sys/fs/cgroup"
    group = top / own
    for folder in (group, *(parent for parent in group.parents if parent.is_relative_to(top))):
        try:
            limit = int((folder / "memory.max").read_text())
            used = int((folder / "memory.current").read_text())
            counts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        except (OSError, ValueError):  # no such file, or the word "max"
            continue
        yield max(0, limit - used + int(counts.get("inactive_file", 0)))  # file pages are given back when needed
