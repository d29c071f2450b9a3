"""Faces per second of the trained program: recognition by the discriminator, synthesis by the generator.

    python -m benchmarks.inference [--batches=1,16,256] [--width=1] [--precision=float32|bfloat16] [--steps=10]
        [--config=loso|loso_pair|demo] [--json]

D: onset and apex to the lengths of the class capsules, as in evaluation. G: an onset, noise and one class to one face.
Both work on uint8 faces on the first device, with the untrained networks of one fold. For each, the program is
compiled, called once to warm up, and timed for --steps calls. Prints a table, or one line of JSON with --json.
"""

import argparse
import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any

import jax

from benchmarks.command import Result, create_parser, markdown, run_benchmark, versions
from benchmarks.machine import describe_device, gflop, peak_memory_gib, quartiles, timed
from benchmarks.workload import (
    PACKAGES,
    add_arguments,
    build_config,
    check_positive,
    describe_workload,
    initial_states,
    parse_counts,
    random_batches,
)
from icegan_jax.config import build_models
from icegan_jax.models.generator import to_float, to_uint8
from icegan_jax.training.inference import predict
from icegan_jax.training.state import Models, TrainState

COLUMNS = (
    ("network", "network"),
    ("batch", "batch"),
    ("ms per batch", "median_ms"),
    ("faces/s", "faces_per_s"),
    ("GFLOP", "gflop"),
    ("GFLOP/s", "gflops"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    parser = create_parser("inference", __doc__)
    add_arguments(parser, training=False)
    parser.add_argument("--batches", default="1,16,256", help="faces at a time (default: 1,16,256)")
    parser.add_argument("--steps", type=int, default=10, help="batches timed (default: 10)")
    return run_benchmark(parser, _measure, _table, argv)


def _measure(args: argparse.Namespace) -> Result:
    check_positive(args, "steps")
    config, sizes = build_config(args), parse_counts("batches", args.batches)
    models = build_models(config, steps=1)
    device = jax.local_devices()[0]
    state = initial_states(models, 1)
    rows = []
    for name, function in (("D", _recognize), ("G", _synthesize)):
        for size in sizes:
            faces = random_batches(models, (), size)
            lowered = jax.jit(functools.partial(function, models)).lower(state, faces)
            program = lowered.compile()
            jax.block_until_ready(program(state, faces))
            times = quartiles([timed(program, state, faces)[0] for _ in range(args.steps)])
            work = gflop(lowered, program)
            rows.append(
                {
                    "network": name,
                    "batch": size,
                    "median_ms": 1e3 * times.median,
                    "quartiles_ms": [1e3 * times.lower, 1e3 * times.upper],
                    "faces_per_s": size / times.median,
                    "gflop": work,
                    "gflops": work / times.median,
                }
            )
    return {
        "rows": rows,
        "steps": args.steps,
        "peak_memory_gib": peak_memory_gib(device),
        **describe_workload(config, training=False),
        "machine": describe_device(device),
        "versions": versions(*PACKAGES),
    }


Faces = dict[str, jax.Array]


def _recognize(models: Models, state: TrainState, faces: Faces) -> jax.Array:
    return predict(models, state, faces["onset"], faces["apex"])


def _synthesize(models: Models, state: TrainState, faces: Faces) -> jax.Array:
    """Synthesize a face uint8[b, n, n, 1] of each onset, with the class of the label."""
    onset, label = to_float(faces["onset"]), faces["label"]
    noise = jax.random.normal(state.key, (label.shape[0], models.noise))
    variables = {"params": state.g_params, **state.g_stats}
    expression = jax.nn.one_hot(label, models.classes)
    apply: Callable[..., Any] = models.generator.apply
    return to_uint8(apply(variables, onset, noise, expression, train=False))


def _table(result: Result) -> str:
    r = result
    return "\n".join(
        [
            f"width {r['width']:g}, {r['precision']}; median of {r['steps']} batches; "
            f"peak memory {r['peak_memory_gib']:.1f} GiB",
            "",
            markdown([title for title, _ in COLUMNS], [[row[field] for _, field in COLUMNS] for row in r["rows"]]),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
