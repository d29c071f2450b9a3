"""The number of folds that train side by side on a device, decided before the first step, and messages about memory.

XLA plans the memory of a program when it compiles the program. So the training program is compiled for one fold, whose
bytes give the number of folds that fit, and then for that number, whose bytes must fit too. The memory of a program
with ``vmap`` over folds grows with their number: 225, 456 and 908 MB beside arguments and results for 1, 2 and 4 folds
(width 1/8, batch 16, 128x128, estimated by XLA for a CPU); with a loop over folds the memory grows more slowly.
Prediction and synthesis need less memory than training (29 and 56 MB).
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

# Parts of error messages that mean that memory ran out: of XLA, of CUDA, and of its matrix library.
_EXHAUSTED = ("resource_exhausted", "out of memory", "cuda_error_out_of_memory", "cublas_status_alloc_failed")

# The requested amount: "allocating 4096 bytes", "allocate request for 2.99GiB", "allocate 3.20G", "capacity by 4.5G".
_REQUESTED = re.compile(r"(?:allocat\w*|request for|capacity by)\s+(\d+(?:\.\d+)?)\s*(bytes|[KMGTPE]?i?B?)\b")

_UNITS = {unit: 2 ** (10 * power) for power, unit in enumerate(("", "K", "M", "G", "T", "P", "E"))}

USED = 0.8  # of the free memory; the rest is a reserve for fragments and other programs

# Folds on a CPU device: the program computes folds one after another (``loop_folds``), so that more folds save no time.
MOST_ON_CPU = 1

_PREFETCHED = 2  # batches on the device beside those of the present call (see ``prefetch``)

_COPIES = 2  # of the state of one fold, while its checkpoint is written


def free_bytes(device: jax.Device, root: Path = _ROOT) -> int | None:
    """Return the bytes that this process can still allocate on a device; None where the number is not known.

    On an accelerator the number is the limit of jax minus the bytes in use. On a CPU it is the memory that Linux calls
    available or, where that is less, the memory that the control groups of the process (containers, SLURM jobs) leave.

    Args:
      device: the device.
      root: the folder that holds ``proc`` and ``sys``.
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
    """Yield the bytes that each control group (version 2) of this process leaves; nothing where there is no limit."""
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
        except (OSError, ValueError):  # the file is missing, or holds the word "max"
            continue
        yield max(0, limit - used + int(counts.get("inactive_file", 0)))  # Linux frees file pages on demand


@contextlib.contextmanager
def out_of_memory_hints(train_config: TrainConfig, side_by_side: int = 0) -> Iterator[None]:
    """Turn an error which means that memory ran out into one line, see ``explain``."""
    try:
        yield
    except Exception as error:
        reason = explain(error, train_config, side_by_side)
        if reason is None:
            raise
        raise reason from error


def explain(error: BaseException, train_config: TrainConfig, side_by_side: int = 0) -> UserError | None:
    """Return the remedy for an error which means that the memory of a device or of the host ran out; otherwise None.

    Linux may kill a process without an error instead: Linux grants memory that is missing when the process uses it.
    The same command then continues the run, too.

    Args:
      error: the error.
      train_config: how every fold is trained.
      side_by_side: folds on each device; 0: as the config says.
    """
    text = str(error)
    on_device = isinstance(error, jax.errors.JaxRuntimeError) and any(words in text.lower() for words in _EXHAUSTED)
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
    """Return the amount that could not be allocated, in words; empty where the message does not hold it."""
    match = _REQUESTED.search(message)
    if not match:
        return ""
    unit = "" if match[2] == "bytes" else match[2].rstrip("iB")
    return f" ({float(match[1]) * _UNITS[unit] / _GIB:.3g} GiB more were wanted)"


class FoldCapacity(NamedTuple):
    """The number of folds that train side by side, with their programs.

    Attributes:
      programs: the programs for the devices of the layout; the training program is compiled if memory decided.
      layout: which fold is on which device.
      reason: a line for the user with the choice and its reason; empty where the config gives the number of folds.
      compile_s: seconds of compilation.
    """

    programs: ParallelPrograms
    layout: FoldLayout
    reason: str
    compile_s: float


def plan_capacity(
    models: Models, train_config: TrainConfig, devices: Sequence[jax.Device], folds: int, todo: int, sharers: int = 1
) -> FoldCapacity:
    """Choose the number of folds on each device: as the config says or, where the config says 0, as many as fit.

    Groups are as equal as possible: nine folds where eight fit become five and four. Devices without a fold are left
    out.

    Args:
      models: both networks, their optimizers and the loss weights.
      train_config: how every fold is trained.
      devices: the devices of this process.
      folds: the number of folds of the run. The choice depends on this number, so that an interrupted run continues
        with the same program.
      todo: the number of unfinished folds. The choice depends on this number instead if the unfinished folds would fill
        at most half a group.
      sharers: the number of processes that share the memory of a CPU.

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
    """Return the folds on each of ``holders`` devices, at most ``room``, for the fewest and most equal groups."""
    groups = math.ceil(folds / (holders * room))
    return math.ceil(folds / (holders * groups))


def _build(
    models: Models, train_config: TrainConfig, devices: Sequence[jax.Device], folds: int, number: int
) -> tuple[ParallelPrograms, FoldLayout]:
    """Build the programs and the layout for ``number`` folds on a device, without devices that have no fold."""
    used = devices if train_config.parallel == "batch" else devices[: math.ceil(folds / number)]
    return build_programs(models, used, train_config.parallel), FoldLayout(tuple(used), number, train_config.parallel)


def _needed(programs: ParallelPrograms, train_config: TrainConfig, size: int, layout: FoldLayout, on_cpu: bool) -> int:
    """Compile the training program, and return the bytes on each device that training needs in total."""
    state = programs.state_shapes()
    states = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((*layout.leading_shape, *leaf.shape), leaf.dtype), state)
    batches = _batch_shapes(train_config, size, layout)
    programs.train_steps.compile(states, batches)
    fold = _bytes(state)
    prefetched = _PREFETCHED * _bytes(batches) // len(layout.devices)
    held = programs.train_steps.memory_bytes()
    if on_cpu:  # before the first call, restored states are in memory twice
        held = max(held, 2 * fold * layout.folds_per_device)
    return held + prefetched + _COPIES * fold


def _batch_shapes(train_config: TrainConfig, size: int, layout: FoldLayout) -> dict[str, jax.ShapeDtypeStruct]:
    """Return the shapes of the batches of a call on the devices (``FoldLayout.shard_batches``)."""
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
