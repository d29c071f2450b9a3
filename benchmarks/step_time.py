"""Time of one update of both networks, and the share of the machine's matrix rate that the update reaches.

    python -m benchmarks.step_time [--width=1] [--folds=1] [--precision=float32|bfloat16] [--[no]perceptual]
        [--steps=10] [--batch=16] [--steps_per_call=1] [--config=loso|loso_pair|demo] [--trace=DIR] [--json]

The update is that of the training (training/train_step.py), of all folds side by side on the first device, on random
faces that are on the device already. gflop is the computation by XLA's cost analysis; gflop_direct is the computation
with direct convolutions, of which Winograd convolutions save a part (models/convolution.py). The machine's rate is that
of a square matrix product in the same process and number format, before and after the timed steps. share = gflop /
median_step_s / rate; share_direct is the same for gflop_direct, the share of the machine's rate that direct
convolutions would have to reach to be as fast. Peak memory includes the creation of the initial states. --trace=DIR
also writes a trace of one call by jax.profiler, which TensorBoard (with the plugin xprof) and ui.perfetto.dev show.
Prints a table, or one line of JSON with --json.
"""

import argparse
import sys
from collections.abc import Sequence

import jax

from benchmarks.command import Result, create_parser, markdown, run_benchmark, versions
from benchmarks.machine import describe_device, matmul_precision, matrix_rate, peak_memory_gib, quartiles, timed
from benchmarks.workload import (
    PACKAGES,
    add_arguments,
    build_config,
    check_finite,
    check_positive,
    compile_update,
    describe_workload,
    gflop_direct,
    initial_states,
    update_batches,
)
from icegan_jax.config import build_models

_WARM_UP = 2  # untimed calls: the first call allocates memory


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    parser = create_parser("step_time", __doc__)
    add_arguments(parser)
    add = parser.add_argument
    add("--folds", type=int, default=1, help="folds side by side (default: 1)")
    add("--steps", type=int, default=10, help="updates timed (default: 10)")
    add("--steps_per_call", type=int, default=1, help="updates per call of the compiled program (default: 1)")
    add("--trace", metavar="DIR", help="folder for a trace of one call")
    return run_benchmark(parser, _measure, _table, argv)


def _measure(args: argparse.Namespace) -> Result:
    check_positive(args, "folds", "steps", "steps_per_call")
    config, per_call = build_config(args), args.steps_per_call
    calls = -(-args.steps // per_call)
    batch, precision = config.training.batch_size, config.model.dtype
    device = jax.local_devices()[0]
    models = build_models(config, (calls + _WARM_UP + 1) * per_call)

    states = initial_states(models, args.folds)
    batches = update_batches(models, args.folds, per_call, batch)
    program = compile_update(models, states, batches, args.folds, per_call)
    for _ in range(_WARM_UP):
        states, metrics = jax.block_until_ready(program.call(states, batches))
    rates = [matrix_rate(precision)]
    seconds = []
    for _ in range(calls):
        wall, (states, metrics) = timed(program.call, states, batches)
        seconds.append(wall / per_call)
    rates.append(matrix_rate(precision))
    check_finite(metrics)

    step, rate = quartiles(seconds), sum(rates) / 2
    direct = gflop_direct(models, states, batches, args.folds, per_call)
    result = {
        "median_step_s": step.median,
        "lower_quartile_step_s": step.lower,
        "upper_quartile_step_s": step.upper,
        "step_s": seconds,
        "faces_per_s": args.folds * batch / step.median,
        "gflop": program.gflop,
        "gflop_direct": direct,
        "gflops": program.gflop / step.median,
        "matrix_rate_gflops": rate,
        "matrix_rate_gflops_before": rates[0],
        "matrix_rate_gflops_after": rates[1],
        "matmul_precision": matmul_precision(),
        "share": program.gflop / step.median / rate,
        "share_direct": direct / step.median / rate,
        "peak_memory_gib": peak_memory_gib(device),
        "program_memory_gib": program.memory_gib,
        "compile_s": program.compile_s,
        "folds": args.folds,
        "steps": calls * per_call,
        "steps_per_call": per_call,
        **describe_workload(config),
        "machine": describe_device(device),
        "versions": versions(*PACKAGES),
    }
    if args.trace:
        with jax.profiler.trace(args.trace):
            jax.block_until_ready(program.call(states, batches))
    return result


def _table(result: Result) -> str:
    r = result
    rows = [
        ("width, folds, batch", f"{r['width']:g}, {r['folds']}, {r['batch']}"),
        ("precision, perceptual term", f"{r['precision']}, {'with' if r['perceptual'] else 'without'}"),
        ("seconds per step, median of " + str(len(r["step_s"])), r["median_step_s"]),
        ("quartiles", f"{r['lower_quartile_step_s']:.4g} to {r['upper_quartile_step_s']:.4g}"),
        ("faces per second", r["faces_per_s"]),
        ("GFLOP per step", r["gflop"]),
        ("GFLOP/s", r["gflops"]),
        (
            "machine's matrix product, GFLOP/s, before and after",
            f"{r['matrix_rate_gflops_before']:,.0f}, {r['matrix_rate_gflops_after']:,.0f}",
        ),
        ("share of it", f"{r['share']:.1%}"),
        ("GFLOP of direct convolutions, and their share", f"{r['gflop_direct']:.4g}, {r['share_direct']:.1%}"),
        ("peak memory, GiB", r["peak_memory_gib"]),
        ("of which the update, GiB", r["program_memory_gib"]),
        ("seconds to compile", r["compile_s"]),
    ]
    return markdown(("step", ""), rows)


if __name__ == "__main__":
    sys.exit(main())
