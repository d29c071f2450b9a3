"""How much memory is free, of an accelerator by its own account, of a CPU by Linux's; and what to do when none is."""

import contextlib
import errno
import re
from collections.abc import Iterator
from pathlib import Path

import jax

from icegan_jax.errors import UserError
from icegan_jax.training.plan import Plan

_ROOT = Path("/")
_GIB = 2**30
# What says that memory ran out: XLA's status, CUDA's, and that of its matrix library where it finds no room.
_EXHAUSTED = ("resource_exhausted", "out of memory", "cuda_error_out_of_memory", "cublas_status_alloc_failed")
# The amount: "allocating 4096 bytes", "allocate request for 2.99GiB", "allocate 3.20G", "capacity by 4.5G".
_ASKED = re.compile(r"(?:allocat\w*|request for|capacity by)\s+(\d+(?:\.\d+)?)\s*(bytes|[KMGTPE]?i?B?)\b")
_UNITS = {unit: 2 ** (10 * power) for power, unit in enumerate(("", "K", "M", "G", "T", "P", "E"))}


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


@contextlib.contextmanager
def explained(plan: Plan, side_by_side: int = 0) -> Iterator[None]:
    """Turns an error that says that memory ran out into one line, see ``explain``."""
    try:
        yield
    except Exception as error:
        reason = explain(error, plan, side_by_side)
        if reason is None:
            raise
        raise reason from error


def explain(error: BaseException, plan: Plan, side_by_side: int = 0) -> UserError | None:
    """What to do about an error, if it says that memory ran out: of a device, or of the host; otherwise None.

    Linux may end a process instead, with no error: what was asked for had been granted, and was not there when it was
    used. Then too the same command goes on.

    Args:
      side_by_side: folds on each device; 0: as the plan says.
    """
    text = str(error)
    on_device = isinstance(error, jax.errors.JaxRuntimeError) and any(sign in text.lower() for sign in _EXHAUSTED)
    on_host = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    if not (on_device or on_host):
        return None
    folds = side_by_side or plan.folds_per_device
    smaller = f"in a new --workdir, lower --config.training.batch_size ({plan.batch_size}), then --config.model.width"
    if folds != 1:
        smaller = (
            f"lower --config.training.folds_per_device ({folds or 'as chosen'}) with --force_resume, which goes on "
            f"from the newest checkpoint; where that is not enough, {smaller}"
        )
    return UserError(f"out of memory{_asked(text)}: {smaller}")


def _asked(message: str) -> str:
    """What was asked for in vain, in words, where the message tells."""
    found = _ASKED.search(message)
    if not found:
        return ""
    unit = "" if found[2] == "bytes" else found[2].rstrip("iB")
    return f" ({float(found[1]) * _UNITS[unit] / _GIB:.3g} GiB more were wanted)"
