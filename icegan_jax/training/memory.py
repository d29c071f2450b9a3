"""How much memory is free, of an accelerator by its own account, of a CPU by Linux's; and what to do when none is.

How many folds train side by side on a device: as many as its free memory holds, decided before the first step.

XLA plans the memory of a program when it compiles it. The training program is therefore compiled for one fold, whose
bytes tell how many folds there is room for, and then for that number, whose bytes must fit too. What a program of
folds at once holds grows with their number: 225, 456 and 908 MB beside arguments and results for 1, 2 and 4 folds
(width 1/8, batch 16, 128x128, XLA's plan for a CPU); of folds in turn, more slowly. Recognition and synthesis hold
less than training does (29 and 56 MB).
"""

import contextlib
import errno
import functools
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from icegan_jax.errors import UserError
from icegan_jax.training.parallel import FoldLayout, ParallelPrograms, build_programs
from icegan_jax.training.state import Models, TrainConfig

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
    return min([available, *_cgroup_free_bytes(root)])


def _cgroup_free_bytes(root: Path) -> Iterator[int]:
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
def out_of_memory_hints(train_config: TrainConfig, side_by_side: int = 0) -> Iterator[None]:
    """Turns an error that says that memory ran out into one line, see ``explain``."""
    try:
        yield
    except Exception as error:
        reason = explain(error, train_config, side_by_side)
        if reason is None:
            raise
        raise reason from error


def explain(error: BaseException, train_config: TrainConfig, side_by_side: int = 0) -> UserError | None:
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
    folds = side_by_side or train_config.folds_per_device
    smaller = (
        f"in a new --workdir, lower --config.training.batch_size ({train_config.batch_size}), then --config.model.width"
    )
    if folds != 1:
        smaller = (
            f"lower --config.training.folds_per_device ({folds or 'as chosen'}) with --force_resume, which goes on "
            f"from the newest checkpoint; where that is not enough, {smaller}"
        )
    return UserError(f"out of memory{_requested_bytes(text)}: {smaller}")


def _requested_bytes(message: str) -> str:
    """What was asked for in vain, in words, where the message tells."""
    found = _ASKED.search(message)
    if not found:
        return ""
    unit = "" if found[2] == "bytes" else found[2].rstrip("iB")
    return f" ({float(found[1]) * _UNITS[unit] / _GIB:.3g} GiB more were wanted)"


USED = 0.8  # of the free memory; the rest is for fragments, other programs and what nobody thought of

MOST_ON_CPU = 1  # folds on a device of a CPU: it computes them in turn (see ``turns``), more of them only take memory

_SUPPLIES = 2  # of batches on the device beside those of the call under way (see ``feed``)

_COPIES = 2  # of one fold's state, while its checkpoint is written


class FoldCapacity(NamedTuple):
    """How the folds are laid out.

    Attributes:
      programs: for the layout's devices; its training program is compiled where memory decided.
      layout: which fold lies where.
      reason: a line that tells what was chosen and why; empty where the plan says how many folds.
      compile_s: seconds spent compiling.
    """

    programs: ParallelPrograms
    layout: FoldLayout
    reason: str
    compile_s: float


def plan_capacity(
    models: Models, train_config: TrainConfig, devices: Sequence[jax.Device], folds: int, todo: int, sharers: int = 1
) -> FoldCapacity:
    """Lays out folds: as many on each device as the plan says or, where it says 0, as many as fit.

    Groups are as equal as can be: nine folds where there is room for eight are five and four. Devices that would
    have no fold are left out.

    Args:
      folds: of the run; they decide, so that an interrupted run goes on with the same program.
      todo: those not finished; they decide where they would not fill half of the places.
      sharers: processes that share a CPU's memory.

    Raises:
      UserError: not even one fold fits.
    """
    build = functools.partial(_build, models, train_config, devices)
    if train_config.folds_per_device:
        return FoldCapacity(*build(todo, train_config.folds_per_device), "", 0.0)
    free = free_bytes(devices[0])
    if free is None:
        return FoldCapacity(*build(todo, 1), f"1 fold on each of {_names(devices)}: its free memory is not known", 0.0)
    on_cpu = devices[0].platform == "cpu"
    free = free // (len(devices) * sharers) if on_cpu else free
    usable = int(USED * free)
    holders = 1 if train_config.parallel == "batch" else len(devices)  # devices with folds of their own
    most = MOST_ON_CPU if on_cpu else folds

    programs, layout = build(folds, 1)
    one = _needed(programs, train_config, models.image_size, layout, on_cpu)
    if one > usable:
        raise UserError(
            f"one fold needs {one / _GIB:.2f} GiB, but {usable / _GIB:.2f} GiB may be used of {free / _GIB:.2f} GiB "
            f"free for each of {_names(devices)}: lower config.training.batch_size ({train_config.batch_size}) or "
            "config.model.width"
        )
    single = programs, layout
    number = balanced_folds(folds, holders, min(usable // one, most))
    if 2 * todo <= number * holders:
        folds, number = todo, balanced_folds(todo, holders, number)
    compile_s = sum(programs.compile_s)
    while number > 1:
        programs, layout = build(folds, number)
        needed = _needed(programs, train_config, models.image_size, layout, on_cpu)
        compile_s += sum(programs.compile_s)
        if needed <= usable:
            break
        number = balanced_folds(folds, holders, max(1, min(number - 1, number * usable // needed)))
    else:
        programs, layout = single
    reason = (
        f"{_count(layout.folds, 'fold')} at a time on {_names(layout.devices)}, "
        f"{_count(math.ceil(todo / layout.folds), 'group')}: a fold needs {one / _GIB:.2f} GiB, "
        f"{usable / _GIB:.2f} GiB of {free / _GIB:.2f} free on each may be used"
    )
    return FoldCapacity(
        programs, layout, reason + (f"; more than {most} gain nothing on a CPU" if on_cpu else ""), compile_s
    )


def balanced_folds(folds: int, holders: int, room: int) -> int:
    """Folds on each of ``holders`` devices, ``room`` at most, that make the fewest groups, as equal as can be."""
    groups = math.ceil(folds / (holders * room))
    return math.ceil(folds / (holders * groups))


def _build(
    models: Models, train_config: TrainConfig, devices: Sequence[jax.Device], folds: int, number: int
) -> tuple[ParallelPrograms, FoldLayout]:
    """The programs and the layout of ``number`` folds on a device, without devices that would have none."""
    used = devices if train_config.parallel == "batch" else devices[: math.ceil(folds / number)]
    return build_programs(models, used, train_config.parallel), FoldLayout(tuple(used), number, train_config.parallel)


def _needed(programs: ParallelPrograms, train_config: TrainConfig, size: int, layout: FoldLayout, on_cpu: bool) -> int:
    """Compiles the training program; bytes on each device that training takes, everything included."""
    state = programs.state_shapes()
    states = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((*layout.leading_shape, *leaf.shape), leaf.dtype), state)
    batches = _batch_shapes(train_config, size, layout)
    programs.train_steps.compile(states, batches)
    fold = _bytes(state)
    supplies = _SUPPLIES * _bytes(batches) // len(layout.devices)
    held = programs.train_steps.memory_bytes()
    if on_cpu:  # states that come from checkpoints are there twice, before the program runs for the first time
        held = max(held, 2 * fold * layout.folds_per_device)
    return held + supplies + _COPIES * fold


def _batch_shapes(train_config: TrainConfig, size: int, layout: FoldLayout) -> dict[str, jax.ShapeDtypeStruct]:
    """What ``Layout.lay_batches`` makes of the batches of a call."""
    share = train_config.batch_size // len(layout.devices) if layout.parallel == "batch" else train_config.batch_size
    shape = (*layout.leading_shape, train_config.steps_per_call, share)
    face = jax.ShapeDtypeStruct((*shape, size, size, 1), jnp.uint8)
    return {"onset": face, "apex": face, "label": jax.ShapeDtypeStruct(shape, jnp.int32)}


def _bytes(tree: Any) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _names(devices: Sequence[jax.Device]) -> str:
    return f"{len(devices)} x {devices[0].device_kind}"
