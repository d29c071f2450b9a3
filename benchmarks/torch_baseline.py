"""Time of one update of the same networks in plain PyTorch on this CPU, compared with our update.

    python -m benchmarks.torch_baseline [--width=1] [--folds=1] [--batch=16] [--[no]perceptual] [--steps=10]
        [--config=loso|loso_pair|demo] [--threads=N] [--[no]channels_last] [--compile] [--noagainst_jax] [--json]

PyTorch is an extra of this project: `uv sync --extra torch` first, or only its smaller build for CPUs. The networks are
those of this project in PyTorch's layers (torch_networks.py), with our initial weights. The update computes the same
(torch_step.py) in the fastest way for PyTorch on a CPU: channels last, fused Adam, one pass of the generator and one of
the discriminator over the synthetic faces. --compile uses torch.compile, which needs a C++ compiler. --steps is the
number of updates of every fold. PyTorch updates the folds one after another; our program, unless --noagainst_jax,
updates the folds side by side, alternating with PyTorch every few steps, so that other load of the machine affects
both. ratio: PyTorch's median divided by ours. idle_cores: number of cores that each library keeps busy while waiting.
Float32. Prints a table, or one line of JSON with --json.
"""

import argparse
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.command import Result, create_parser, markdown, run_benchmark, versions
from benchmarks.machine import describe_device, matrix_rate, quartiles, timed
from benchmarks.workload import (
    PACKAGES,
    add_arguments,
    build_config,
    check_finite,
    check_positive,
    compile_update,
    describe_workload,
    initial_states,
    update_batches,
)
from icegan_jax.config import build_models
from icegan_jax.errors import UserError
from icegan_jax.training.state import Models, TrainState

_WARM_UP = 3  # untimed updates: PyTorch's memory grows until the third
_ROUNDS = 5  # largest number of alternations
_IDLE_S = 0.3  # seconds over which busy cores are measured

Update = Callable[[], Any]  # one update of every fold; returns the loss terms


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    parser = create_parser("torch_baseline", __doc__)
    add_arguments(parser)
    add = parser.add_argument
    add("--folds", type=int, default=1, help="folds trained (default: 1)")
    add("--steps", type=int, default=10, help="updates timed (default: 10)")
    add("--threads", type=int, help="cores that both may use (default: all)")
    add("--channels_last", action="store_true", default=True, help="PyTorch's memory format (default)")
    add("--nochannels_last", "--no-channels_last", action="store_false", dest="channels_last", help="NCHW instead")
    add("--compile", action="store_true", help="torch.compile (default: eager)")
    add("--against_jax", action="store_true", default=True, help="also times our own update (default)")
    add("--noagainst_jax", "--no-against_jax", action="store_false", dest="against_jax", help="PyTorch alone")
    return run_benchmark(parser, _measure, _table, argv)


def _measure(args: argparse.Namespace) -> Result:
    check_positive(args, "folds", "steps")
    if importlib.util.find_spec("torch") is None:
        raise UserError(
            "PyTorch is not installed: uv sync --extra torch (or only its build for CPUs, which is smaller)"
        )
    config = build_config(args)
    if config.model.dtype != "float32":
        raise UserError(f"--precision is {config.model.dtype}: the PyTorch version is float32 only")
    threads = _limit_cores(args.threads)
    if (platform := jax.default_backend()) != "cpu":
        raise UserError(f"JAX would run on the {platform}, PyTorch on the CPU: set JAX_PLATFORMS=cpu")
    models = build_models(config, args.steps + _WARM_UP)
    states = initial_states(models, args.folds)
    batches = update_batches(models, args.folds, 1, config.training.batch_size)
    updates = {"torch": _torch_update(args, config.optimizer, models, states, batches, threads)}
    if args.against_jax:
        updates["jax"] = _jax_update(models, states, batches, args.folds)
    del states  # held by the JAX update, which donates them, or no longer needed
    idle = {name: _warm_up(update) for name, update in updates.items()}
    rates = [matrix_rate("float32")]
    seconds, terms = _time_alternately(updates, args.steps)
    rates.append(matrix_rate("float32"))
    for values in terms.values():
        check_finite({name: jnp.asarray(np.asarray(value)) for name, value in values.items()})
    steps = {name: quartiles(values) for name, values in seconds.items()}
    return {
        **_named("", steps["torch"], seconds["torch"]),
        **(_named("jax_", steps["jax"], seconds["jax"]) if args.against_jax else {}),
        **({"ratio": steps["torch"].median / steps["jax"].median} if args.against_jax else {}),
        "folds": args.folds,
        "steps": args.steps,
        **describe_workload(config),
        "channels_last": args.channels_last,
        "compiled": args.compile,
        "threads": threads,
        "idle_cores": idle,
        "matrix_rate_gflops": sum(rates) / 2,
        "machine": describe_device(jax.local_devices()[0]),
        "versions": versions("torch", *PACKAGES),
    }


def _named(prefix: str, step: Any, seconds: list[float]) -> Result:
    return {
        f"{prefix}median_step_s": step.median,
        f"{prefix}lower_quartile_step_s": step.lower,
        f"{prefix}upper_quartile_step_s": step.upper,
        f"{prefix}step_s": seconds,
    }


def _limit_cores(threads: int | None) -> int:
    """Limit this process to ``threads`` cores, for threads started later, and return the number of cores."""
    if not hasattr(os, "sched_setaffinity"):
        if threads is None:
            return os.cpu_count() or 1
        raise UserError("--threads: this system cannot limit a program's cores; leave the option out")
    cores = sorted(os.sched_getaffinity(0))
    if threads is None:
        return len(cores)
    if not 1 <= threads <= len(cores):
        raise UserError(f"--threads is {threads}: this machine has {len(cores)} cores to give; give 1 to {len(cores)}")
    os.sched_setaffinity(0, cores[:threads])
    return threads


def _torch_update(
    args: argparse.Namespace, optimizer: Any, models: Models, states: TrainState, batches: Any, threads: int
) -> Update:
    import torch

    from benchmarks.torch_step import Adam, create_fold, create_setup, to_batch, train_step

    torch.set_num_threads(threads)
    setup = create_setup(models, args.channels_last, args.compile)
    adam = Adam(optimizer.learning_rate, optimizer.b1, optimizer.b2, args.steps + _WARM_UP)
    folds = [(states, batches)]
    if args.folds > 1:
        folds = [jax.tree.map(lambda leaf, f=index: leaf[f], (states, batches)) for index in range(args.folds)]
    runs = [(create_fold(setup, state, adam, args.compile), to_batch(batch)) for state, batch in folds]

    def update_all() -> Any:
        terms = {}
        for fold, batch in runs:
            terms = train_step(setup, fold, batch)
        return terms

    return update_all


def _jax_update(models: Models, states: TrainState, batches: Any, folds: int) -> Update:
    program = compile_update(models, states, batches, folds, 1)
    held = [states]

    def update_all() -> Any:
        state, terms = program.call(held.pop(), batches)
        held.append(state)
        return terms

    return update_all


def _warm_up(update: Update) -> float:
    """Run untimed updates, and return the number of cores that stay busy after the last."""
    for _ in range(_WARM_UP):
        jax.block_until_ready(update())
    before = time.process_time()
    time.sleep(_IDLE_S)
    return (time.process_time() - before) / _IDLE_S


def _time_alternately(updates: dict[str, Update], steps: int) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Time ``steps`` updates of each library, alternating, and return the seconds of each and the last metrics."""
    seconds: dict[str, list[float]] = {name: [] for name in updates}
    terms: dict[str, Any] = {}
    for share in np.array_split(np.arange(steps), min(_ROUNDS, steps)):
        for name, update in updates.items():
            for _ in share:
                wall, terms[name] = timed(update)
                seconds[name].append(wall)
    return seconds, terms


def _table(result: Result) -> str:
    r = result
    heads = {"PyTorch": ""} | ({"ours": "jax_"} if "ratio" in r else {})
    rows = [
        (
            name,
            r[f"{prefix}median_step_s"],
            f"{r[f'{prefix}lower_quartile_step_s']:.4g} to {r[f'{prefix}upper_quartile_step_s']:.4g}",
            r["folds"] * r["batch"] / r[f"{prefix}median_step_s"],
            f"{r['idle_cores']['jax' if prefix else 'torch']:.2f}",
        )
        for name, prefix in heads.items()
    ]
    how = "torch.compile" if r["compiled"] else "eager"
    layout = "channels last" if r["channels_last"] else "NCHW"
    lines = [
        f"width {r['width']:g}, {r['folds']} folds, batch {r['batch']}, "
        f"{'with' if r['perceptual'] else 'without'} the perceptual term; PyTorch {how}, {layout}; "
        f"{r['threads']} cores; matrix product {r['matrix_rate_gflops']:,.0f} GFLOP/s",
        "",
        markdown(("update of every fold", "median s", "quartiles", "faces/s", "idle cores"), rows),
    ]
    if "ratio" in r:
        lines += ["", f"ours is {r['ratio']:.2f} times as fast as PyTorch"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
