"""How many folds train side by side on a device: as many as its free memory holds, decided before the first step.

XLA plans the memory of a program when it compiles it. The training program is therefore compiled for one fold, whose
bytes tell how many folds there is room for, and then for that number, whose bytes must fit too. What a program of
folds at once holds grows with their number: 225, 456 and 908 MB beside arguments and results for 1, 2 and 4 folds
(width 1/8, batch 16, 128x128, XLA's plan for a CPU); of folds in turn, more slowly. Recognition and synthesis hold
less than training does (29 and 56 MB).
"""

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from icegan_jax.errors import UserError
from icegan_jax.training.engine import Engine, build_engine
from icegan_jax.training.layout import Layout
from icegan_jax.training.memory import free_bytes
from icegan_jax.training.plan import Plan
from icegan_jax.training.state import Networks

USED = 0.8  # of the free memory; the rest is for fragments, other programs and what nobody thought of
MOST_ON_CPU = 1  # folds on a device of a CPU: it computes them in turn (see ``turns``), more of them only take memory
_SUPPLIES = 2  # of batches on the device beside those of the call under way (see ``feed``)
_COPIES = 2  # of one fold's state, while its checkpoint is written
_GIB = 2**30


class Fit(NamedTuple):
    """How the folds are laid out.

    Attributes:
      engine: for the layout's devices; its training program is compiled where memory decided.
      layout: which fold lies where.
      reason: a line that tells what was chosen and why; empty where the plan says how many folds.
      compile_s: seconds spent compiling.
    """

    engine: Engine
    layout: Layout
    reason: str
    compile_s: float


def fit_folds(
    networks: Networks, plan: Plan, devices: Sequence[jax.Device], folds: int, todo: int, sharers: int = 1
) -> Fit:
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
    build = functools.partial(_build, networks, plan, devices)
    if plan.folds_per_device:
        return Fit(*build(todo, plan.folds_per_device), "", 0.0)
    free = free_bytes(devices[0])
    if free is None:
        return Fit(*build(todo, 1), f"1 fold on each of {_names(devices)}: its free memory is not known", 0.0)
    on_cpu = devices[0].platform == "cpu"
    free = free // (len(devices) * sharers) if on_cpu else free
    usable = int(USED * free)
    holders = 1 if plan.parallel == "batch" else len(devices)  # devices with folds of their own
    most = MOST_ON_CPU if on_cpu else folds

    engine, layout = build(folds, 1)
    one = _needed(engine, plan, networks.image_size, layout, on_cpu)
    if one > usable:
        raise UserError(
            f"one fold needs {one / _GIB:.2f} GiB, but {usable / _GIB:.2f} GiB may be used of {free / _GIB:.2f} GiB "
            f"free for each of {_names(devices)}: lower config.training.batch_size ({plan.batch_size}) or "
            "config.model.width"
        )
    single = engine, layout
    number = balanced(folds, holders, min(usable // one, most))
    if 2 * todo <= number * holders:
        folds, number = todo, balanced(todo, holders, number)
    compile_s = sum(engine.compile_s)
    while number > 1:
        engine, layout = build(folds, number)
        needed = _needed(engine, plan, networks.image_size, layout, on_cpu)
        compile_s += sum(engine.compile_s)
        if needed <= usable:
            break
        number = balanced(folds, holders, max(1, min(number - 1, number * usable // needed)))
    else:
        engine, layout = single
    reason = (
        f"{_count(layout.folds, 'fold')} at a time on {_names(layout.devices)}, "
        f"{_count(math.ceil(todo / layout.folds), 'group')}: a fold needs {one / _GIB:.2f} GiB, "
        f"{usable / _GIB:.2f} GiB of {free / _GIB:.2f} free on each may be used"
    )
    return Fit(engine, layout, reason + (f"; more than {most} gain nothing on a CPU" if on_cpu else ""), compile_s)


def balanced(folds: int, holders: int, room: int) -> int:
    """Folds on each of ``holders`` devices, ``room`` at most, that make the fewest groups, as equal as can be."""
    groups = math.ceil(folds / (holders * room))
    return math.ceil(folds / (holders * groups))


def _build(
    networks: Networks, plan: Plan, devices: Sequence[jax.Device], folds: int, number: int
) -> tuple[Engine, Layout]:
    """The engine and the layout of ``number`` folds on a device, without devices that would have none."""
    used = devices if plan.parallel == "batch" else devices[: math.ceil(folds / number)]
    return build_engine(networks, used, plan.parallel), Layout(tuple(used), number, plan.parallel)


def _needed(engine: Engine, plan: Plan, size: int, layout: Layout, on_cpu: bool) -> int:
    """Compiles the training program; bytes on each device that training takes, everything included."""
    state = engine.shapes()
    states = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((*layout.leading, *leaf.shape), leaf.dtype), state)
    batches = _batch_shapes(plan, size, layout)
    engine.advance.compile(states, batches)
    fold = _bytes(state)
    supplies = _SUPPLIES * _bytes(batches) // len(layout.devices)
    held = engine.advance.memory()
    if on_cpu:  # states that come from checkpoints are there twice, before the program runs for the first time
        held = max(held, 2 * fold * layout.folds_per_device)
    return held + supplies + _COPIES * fold


def _batch_shapes(plan: Plan, size: int, layout: Layout) -> dict[str, jax.ShapeDtypeStruct]:
    """What ``Layout.lay_batches`` makes of the batches of a call."""
    share = plan.batch_size // len(layout.devices) if layout.parallel == "batch" else plan.batch_size
    shape = (*layout.leading, plan.steps_per_call, share)
    face = jax.ShapeDtypeStruct((*shape, size, size, 1), jnp.uint8)
    return {"onset": face, "apex": face, "label": jax.ShapeDtypeStruct(shape, jnp.int32)}


def _bytes(tree: Any) -> int:
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _names(devices: Sequence[jax.Device]) -> str:
    return f"{len(devices)} x {devices[0].device_kind}"
