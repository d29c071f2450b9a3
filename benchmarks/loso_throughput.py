"""Folds trained side by side, as one program, against the same folds one after another.

    python -m benchmarks.loso_throughput [--folds=1,2,4,8] [--width=1] [--batch=16] [--precision=float32|bfloat16]
        [--[no]perceptual] [--rounds=3] [--steps=2] [--steps_per_call=1] [--config=loso|loso_pair|demo] [--json]

Of each number of folds, the same states are advanced in turn by the program for all of them and by the program for
one, called once a fold; the turns alternate --rounds times in one process, so that what else the machine does meets
both. A turn is one call that is not timed, then --steps timed updates. Ratio above 1: side by side is faster. On a
CPU the program for all folds itself takes them one after another (training/turns.py), on a GPU all at once.

Hours are those of 68 folds of 100 epochs of 442 clips with 5 pairs each (MEGC2019): groups of the folds side by
side, times updates, times the median measured here; without evaluation and checkpoints. A number of folds that does
not fit the free memory is left out and named. Prints a table, or one line of JSON with --json.
"""

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.command import Parser, Result, markdown, run_benchmark, versions
from benchmarks.machine import describe_device, peak_memory_gib, quartiles, timed
from benchmarks.workload import (
    PACKAGES,
    Program,
    add_arguments,
    build_config,
    check_finite,
    check_positive,
    compile_update,
    describe_workload,
    initial_states,
    parse_counts,
    state_gib,
    state_shapes,
    update_batches,
)
from icegan_jax.config import build_models
from icegan_jax.training.memory import free_bytes
from icegan_jax.training.state import Models, TrainState

# The run that hours are given for (docs/design.md, "Program").
RUN_FOLDS, RUN_EPOCHS, RUN_PAIRS = 68, 100, 442 * 5
COLUMNS = (
    ("folds", "folds"),
    ("s/step, side by side", "side_by_side_s"),
    ("one after another", "one_after_another_s"),
    ("ratio", "ratio"),
    ("steps of a fold per s", "fold_steps_per_s"),
    ("program, GiB", "program_memory_gib"),
    ("peak so far, GiB", "peak_memory_gib"),
    ("hours for the whole run", "hours"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and prints; returns 2 for bad input."""
    parser = Parser("loso_throughput", __doc__)
    add_arguments(parser)
    add = parser.add_argument
    add("--folds", default="1,2,4,8", help="numbers of folds (default: 1,2,4,8)")
    add("--rounds", type=int, default=3, help="turns of each of the two (default: 3)")
    add("--steps", type=int, default=2, help="updates timed per turn (default: 2)")
    add("--steps_per_call", type=int, default=1, help="updates per call of the compiled program (default: 1)")
    return run_benchmark(parser, _measure, _table, argv)


def _measure(args: argparse.Namespace) -> Result:
    numbers = parse_counts("folds", args.folds)
    check_positive(args, "rounds", "steps", "steps_per_call")
    config, per_call = build_config(args), args.steps_per_call
    batch = config.training.batch_size
    calls = -(-args.steps // per_call)
    # What every state goes through: the turns of both, with a call each that is not timed.
    models = build_models(config, 2 * args.rounds * (calls + 1) * per_call)
    device = jax.local_devices()[0]

    def program(folds: int) -> Program:
        batches = update_batches(models, folds, per_call, batch)
        return compile_update(models, state_shapes(models, folds), batches, folds, per_call)

    single, each = program(1), state_gib(state_shapes(models, 1))
    rows, skipped = [], []
    for folds in numbers:
        together = program(folds) if folds > 1 else single
        needed, free = together.memory_gib + each, free_bytes(device)  # a fold is there twice while turns change
        if free is not None and needed > free / 2**30:
            skipped.append({"folds": folds, "needed_gib": needed, "free_gib": free / 2**30})
            continue
        rows.append(_compare(models, single, together, folds, batch, calls, per_call, args.rounds))
        rows[-1]["peak_memory_gib"] = peak_memory_gib(device)
        rows[-1]["hours"] = hours(rows[-1]["side_by_side_s"], folds, batch)
    return {
        "rows": rows,
        "skipped": skipped,
        "gflop_per_fold": single.gflop,
        "state_gib_per_fold": each,
        "run": {"folds": RUN_FOLDS, "epochs": RUN_EPOCHS, "pairs": RUN_PAIRS, "steps": run_steps(batch)},
        "rounds": args.rounds,
        "steps": calls * per_call,
        "steps_per_call": per_call,
        **describe_workload(config),
        "machine": describe_device(device),
        "versions": versions(*PACKAGES),
    }


def run_steps(batch: int) -> int:
    """Updates of each fold in the run that hours are given for: an epoch's are rounded up, as settings.plan_of does."""
    return RUN_EPOCHS * math.ceil(RUN_PAIRS / batch)


def hours(step_s: float, folds: int, batch: int) -> float:
    """Hours of the whole run, ``folds`` at a time, a step of those taking ``step_s`` seconds."""
    return math.ceil(RUN_FOLDS / folds) * run_steps(batch) * step_s / 3600


def _compare(
    models: Models,
    single: Program,
    together: Program,
    folds: int,
    batch: int,
    calls: int,
    per_call: int,
    rounds: int,
) -> Result:
    """One row: the times of both ways, per update of all folds."""
    states = initial_states(models, folds)
    batches = update_batches(models, folds, per_call, batch)
    shares = split_folds(batches, folds, keep=True)
    side: list[float] = []
    turns: list[float] = []

    def all_at_once(states: TrainState) -> tuple[TrainState, Any]:
        return together.call(states, batches)

    def in_turn(states: list[TrainState]) -> tuple[list[TrainState], Any]:
        done = []
        for index in range(folds):
            state, metrics = single.call(states[index], shares[index])
            done.append(state)
        return done, metrics

    for _ in range(rounds):
        states, metrics = _turn(all_at_once, states, calls, per_call, side)
        check_finite(metrics)
        several = split_folds(states, folds)
        several, metrics = _turn(in_turn, several, calls, per_call, turns)
        check_finite(metrics)
        states = join_folds(several)
    one, other = quartiles(side), quartiles(turns)
    return {
        "folds": folds,
        "side_by_side_s": one.median,
        "side_by_side_quartiles_s": [one.lower, one.upper],
        "one_after_another_s": other.median,
        "one_after_another_quartiles_s": [other.lower, other.upper],
        "ratio": other.median / one.median,
        "fold_steps_per_s": folds / one.median,
        "program_memory_gib": together.memory_gib,
        "compile_s": together.compile_s,
    }


def _turn(advance: Callable[[Any], Any], states: Any, calls: int, per_call: int, seconds: list[float]) -> Any:
    """One call to warm up, then timed ones, whose seconds per update join ``seconds``."""
    states, metrics = jax.block_until_ready(advance(states))
    for _ in range(calls):
        wall, (states, metrics) = timed(advance, states)
        seconds.append(wall / per_call)
    return states, metrics


def split_folds(tree: Any, folds: int, keep: bool = False) -> list[Any]:
    """The folds [f] of a tree, apart; the tree's memory is given back array by array unless ``keep``."""
    if folds == 1:
        return [tree]
    leaves, structure = jax.tree.flatten(tree)
    columns = []
    for leaf in leaves:
        columns.append(jax.block_until_ready([leaf[index] for index in range(folds)]))
        if not keep:
            leaf.delete()
    return [jax.tree.unflatten(structure, [column[index] for column in columns]) for index in range(folds)]


def join_folds(trees: Sequence[Any]) -> Any:
    """The opposite of ``split``; the memory of ``trees`` is given back array by array."""
    if len(trees) == 1:
        return trees[0]
    flat = [jax.tree.leaves(tree) for tree in trees]
    leaves = []
    for column in zip(*flat, strict=True):
        leaves.append(jax.block_until_ready(jnp.stack(column)))
        for leaf in column:
            leaf.delete()
    return jax.tree.unflatten(jax.tree.structure(trees[0]), leaves)


def _table(result: Result) -> str:
    r = result
    lines = [
        f"width {r['width']:g}, batch {r['batch']}, {r['precision']}, {'with' if r['perceptual'] else 'without'} the "
        f"perceptual term; {r['rounds']} x {r['steps']} updates timed of each",
        "",
        markdown([title for title, _ in COLUMNS], [[row[field] for _, field in COLUMNS] for row in r["rows"]]),
        "",
        f"whole run: {r['run']['folds']} folds of {r['run']['steps']:,} updates ({r['run']['epochs']} epochs of "
        f"{r['run']['pairs']:,} pairs, batch {r['batch']}), extrapolated",
    ]
    lines += [
        f"{row['folds']} folds left out: they need {row['needed_gib']:.1f} GiB, {row['free_gib']:.1f} GiB are free"
        for row in r["skipped"]
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
