"""Training throughput of folds side by side, in one program, compared with the same folds one after another.

    python -m benchmarks.loso_throughput [--folds=1,2,4,8] [--width=1] [--batch=16] [--precision=float32|bfloat16]
        [--[no]perceptual] [--rounds=3] [--steps=2] [--steps_per_call=1] [--config=loso|loso_pair|demo] [--json]

For each number of folds, the same states are updated alternately by the program for all folds and by the program for
one fold, called once per fold. Both alternate --rounds times in one process, so that other load of the machine affects
both. Each round is one call that is not timed, then --steps timed updates. A ratio above 1 means that side by side is
faster. On a CPU the program for all folds computes one fold after another (training/parallel.py), on a GPU all at once.

Hours are those of 68 folds of 100 epochs of 442 clips with 5 pairs each (MEGC2019): the number of groups of folds side
by side, times the number of updates, times the median measured here, without evaluation and checkpoints. Prints a
table, or one line of JSON with --json.
"""

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.command import Result, create_parser, markdown, run_benchmark, versions
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
from icegan_jax.training.state import Models, TrainState

# The run for which hours are estimated (docs/design.md, "Program").
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
    """Run the benchmark and return the exit code."""
    parser = create_parser("loso_throughput", __doc__)
    add_arguments(parser)
    add = parser.add_argument
    add("--folds", default="1,2,4,8", help="numbers of folds (default: 1,2,4,8)")
    add("--rounds", type=int, default=3, help="rounds of each of the two (default: 3)")
    add("--steps", type=int, default=2, help="updates timed per round (default: 2)")
    add("--steps_per_call", type=int, default=1, help="updates per call of the compiled program (default: 1)")
    return run_benchmark(parser, _measure, _table, argv)


def _measure(args: argparse.Namespace) -> Result:
    numbers = parse_counts("folds", args.folds)
    check_positive(args, "rounds", "steps", "steps_per_call")
    config, per_call = build_config(args), args.steps_per_call
    batch = config.training.batch_size
    calls = -(-args.steps // per_call)
    # The learning-rate schedule covers all updates of a state: the rounds of both programs, with an untimed call each.
    models = build_models(config, 2 * args.rounds * (calls + 1) * per_call)
    device = jax.local_devices()[0]

    def program(folds: int) -> Program:
        batches = update_batches(models, folds, per_call, batch)
        return compile_update(models, state_shapes(models, folds), batches, folds, per_call)

    single, each = program(1), state_gib(state_shapes(models, 1))
    rows = []
    for folds in numbers:
        together = program(folds) if folds > 1 else single
        rows.append(_compare(models, single, together, folds, batch, calls, per_call, args.rounds))
        rows[-1]["peak_memory_gib"] = peak_memory_gib(device)
        rows[-1]["hours"] = hours(rows[-1]["side_by_side_s"], folds, batch)
    return {
        "rows": rows,
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
    """Return the updates of each fold in the run for which hours are estimated, rounded up per epoch as in training."""
    return RUN_EPOCHS * math.ceil(RUN_PAIRS / batch)


def hours(step_s: float, folds: int, batch: int) -> float:
    """Return the hours of the whole run, with ``folds`` folds at a time and ``step_s`` seconds per update of these."""
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
    """Return one row: the times of both programs per update of all folds."""
    states = initial_states(models, folds)
    batches = update_batches(models, folds, per_call, batch)
    fold_batches = split_folds(batches, folds, keep=True)
    together_s: list[float] = []
    separate_s: list[float] = []

    def update_together(states: TrainState) -> tuple[TrainState, Any]:
        return together.call(states, batches)

    def update_separately(states: list[TrainState]) -> tuple[list[TrainState], Any]:
        updated = []
        for index in range(folds):
            state, metrics = single.call(states[index], fold_batches[index])
            updated.append(state)
        return updated, metrics

    for _ in range(rounds):
        states, metrics = _time_updates(update_together, states, calls, per_call, together_s)
        check_finite(metrics)
        fold_states = split_folds(states, folds)
        fold_states, metrics = _time_updates(update_separately, fold_states, calls, per_call, separate_s)
        check_finite(metrics)
        states = join_folds(fold_states)
    side_by_side, one_after_another = quartiles(together_s), quartiles(separate_s)
    return {
        "folds": folds,
        "side_by_side_s": side_by_side.median,
        "side_by_side_quartiles_s": [side_by_side.lower, side_by_side.upper],
        "one_after_another_s": one_after_another.median,
        "one_after_another_quartiles_s": [one_after_another.lower, one_after_another.upper],
        "ratio": one_after_another.median / side_by_side.median,
        "fold_steps_per_s": folds / side_by_side.median,
        "program_memory_gib": together.memory_gib,
        "compile_s": together.compile_s,
    }


def _time_updates(update: Callable[[Any], Any], states: Any, calls: int, per_call: int, seconds: list[float]) -> Any:
    """Make one call to warm up, then timed calls, whose seconds per update are appended to ``seconds``."""
    states, metrics = jax.block_until_ready(update(states))
    for _ in range(calls):
        wall, (states, metrics) = timed(update, states)
        seconds.append(wall / per_call)
    return states, metrics


def split_folds(tree: Any, folds: int, keep: bool = False) -> list[Any]:
    """Return a tree per fold of a stacked tree [f, ...], whose arrays are deleted one by one unless ``keep``."""
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
    """Stack trees along a leading axis of folds; the arrays of ``trees`` are deleted one by one."""
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
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
