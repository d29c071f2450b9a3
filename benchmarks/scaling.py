"""Time and memory as functions of the data: seconds per epoch and peak memory by number of clips.

    python -m benchmarks.scaling [--clips=100,442,2000,10000] [--folds=1] [--width=0.0625] [--batch=16]
        [--steps=0] [--data=DIR] [--config=demo|loso|loso_pair] [--precision=float32|bfloat16] [--json]

A few drawn clips are prepared (or taken from the prepared folder --data), and their pairs are repeated under new names,
five per clip, up to the given number of clips, and written in the format of prepare. Each size is then read and trained
on in a new process, by the functions of the training (load_pairs, leave_one_subject_out, fold_batches, Prefetcher,
train_steps), without checkpoints and evaluation. The first call, which compiles, is not counted.

A whole epoch is measured, or --steps updates, from which the epoch is then extrapolated (column "updates timed").
"Beyond the data" is the process's peak memory less the bytes of the pairs.
Prints a table, or one line of JSON with --json.
"""

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp

from benchmarks.command import (
    Result,
    create_parser,
    markdown,
    peak_rss_gib,
    run_benchmark,
    run_in_new_process,
    versions,
)
from benchmarks.machine import describe_device, quartiles
from benchmarks.workload import (
    PACKAGES,
    add_arguments,
    build_config,
    check_finite,
    check_positive,
    describe_workload,
    parse_counts,
)
from icegan_jax.config import build_models, build_train_config
from icegan_jax.data.dataset import Pairs, Record, load_pairs, write_pairs
from icegan_jax.data.folds import leave_one_subject_out
from icegan_jax.data.ingest.build import prepare_procedural
from icegan_jax.data.pipeline import fold_batches
from icegan_jax.errors import UserError
from icegan_jax.training.parallel import FoldLayout, build_programs
from icegan_jax.training.prefetch import Prefetcher
from icegan_jax.training.state import fold_key

SHIFTS = (-2, -1, 0, 1, 2)  # of the pairs of a clip: the apex and its four neighbors
_SUBJECTS = 68  # subjects over which the clips are distributed, as in MEGC2019; fewer for few clips
_PIPELINE_BATCHES = 64  # batches drawn without training, to time the input pipeline alone
COLUMNS = (
    ("clips", "clips"),
    ("pairs", "pairs"),
    ("s/epoch", "epoch_s"),
    ("updates timed", "steps"),
    ("of an epoch's", "steps_per_epoch"),
    ("ms/update", "median_step_ms"),
    ("ms to draw a batch", "draw_ms"),
    ("waiting for data", "waiting"),
    ("s to load", "load_s"),
    ("data, GiB", "data_gib"),
    ("peak, GiB", "peak_memory_gib"),
    ("beyond the data, GiB", "beyond_data_gib"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    parser = create_parser("scaling", __doc__)
    add_arguments(parser)
    parser.set_defaults(config="demo", width=0.0625, perceptual=False)
    add = parser.add_argument
    add("--clips", default="100,442,2000,10000", help="numbers of clips (default: 100,442,2000,10000)")
    add("--folds", type=int, default=1, help="folds side by side (default: 1)")
    add("--steps", type=int, default=0, help="updates timed at most (default: 0, a whole epoch)")
    add("--data", type=Path, help="prepared folder whose pairs are repeated (default: procedural ones)")
    return run_benchmark(parser, _measure, _table, argv)


def _measure(args: argparse.Namespace) -> Result:
    check_positive(args, "folds")
    config, sizes = build_config(args), parse_counts("clips", args.clips)
    if sizes[0] < 4:
        raise UserError(f"--clips is {sizes[0]}: give 4 or more, two each of two people")
    rows = []
    with tempfile.TemporaryDirectory() as name:
        source = args.data or Path(name) / "source"
        if not args.data:
            run_in_new_process(_draw, source)
        for clips in sizes:
            folder = Path(name) / str(clips)
            run_in_new_process(write_clips, source, folder, clips)
            rows.append(run_in_new_process(measure_size, folder, args))
    return {
        "rows": rows,
        "folds": args.folds,
        **describe_workload(config),
        "machine": describe_device(jax.local_devices()[0]),
        "versions": versions(*PACKAGES, "grain"),
    }


def _draw(folder: Path) -> None:
    prepare_procedural(folder, seed=0, subjects=4, clips_per_class=1, frames=9, progress=False)


def write_clips(source: Path, folder: Path, clips: int) -> None:
    """Write ``clips`` clips of five pairs by repeating the pairs of the prepared folder ``source``."""
    write_pairs(folder, _records(load_pairs(source), clips))


def _records(pairs: Pairs, clips: int) -> Iterator[Record]:
    people = max(2, min(_SUBJECTS, clips // 3))
    for clip in range(clips):
        for position, shift in enumerate(SHIFTS):
            index = (clip * len(SHIFTS) + position) % len(pairs.label)
            yield Record(
                dataset="repeated",
                subject=f"s{clip % people:02}",
                clip=f"clip{clip}",
                label=int(pairs.label[index]),
                shift=shift,
                onset=pairs.onset[index],
                apex=pairs.apex[index],
                rest=pairs.rest[index],
            )


def measure_size(folder: Path, args: argparse.Namespace) -> Result:
    """Load the pairs, train ``args.folds`` folds, and return one row."""
    start = time.perf_counter()
    pairs = load_pairs(folder)
    load_s = time.perf_counter() - start
    data_gib = (pairs.onset.nbytes + pairs.apex.nbytes + pairs.rest.nbytes) / 2**30
    load_peak = peak_rss_gib()

    config = build_config(args)
    config.model.image_size = pairs.onset.shape[1]
    folds = leave_one_subject_out(pairs)[: args.folds]
    train_config = build_train_config(config, len(pairs.label), len(folds), 1)
    per_call = min(train_config.steps_per_call, train_config.steps_per_epoch)
    calls = math.ceil(min(args.steps or train_config.steps_per_epoch, train_config.steps_per_epoch) / per_call)
    models = build_models(config, (calls + 1) * per_call, len(pairs.classes))
    layout = FoldLayout(tuple(jax.local_devices()[:1]), len(folds))
    programs = build_programs(models, layout.devices)
    iterators = [
        fold_batches(pairs, fold.train, batch_size=train_config.batch_size, seed=seed, mirror=train_config.mirror)
        for seed, fold in enumerate(folds)
    ]
    start = time.perf_counter()
    for _ in range(_PIPELINE_BATCHES):
        next(iterators[0])
    draw_s = (time.perf_counter() - start) / _PIPELINE_BATCHES

    states = programs.create_state(
        layout.device_put(layout.shard(jnp.stack([fold_key(0, fold.name) for fold in folds])))
    )
    seconds: list[float] = []
    waiting_s = 0.0
    with Prefetcher(iterators, [per_call] * (calls + 1), layout) as prefetcher:
        while True:
            start = time.perf_counter()
            prefetched = prefetcher.take()
            if prefetched is None:
                break
            waiting_s += time.perf_counter() - start if seconds else 0.0
            states, metrics = jax.block_until_ready(programs.train_steps(states, prefetched.batches))
            seconds.append(time.perf_counter() - start)
    del seconds[0]  # compiles
    check_finite(metrics)
    steps = calls * per_call
    return {
        "clips": int((pairs.shift == 0).sum()),
        "pairs": len(pairs.label),
        "epoch_s": sum(seconds) / steps * train_config.steps_per_epoch,
        "steps": steps,
        "steps_per_epoch": train_config.steps_per_epoch,
        "median_step_ms": 1e3 * quartiles(seconds).median / per_call,
        "draw_ms": 1e3 * draw_s,
        "waiting": waiting_s / sum(seconds),
        "load_s": load_s,
        "data_gib": data_gib,
        "load_peak_gib": load_peak,
        "peak_memory_gib": peak_rss_gib(),
        "beyond_data_gib": peak_rss_gib() - data_gib,
    }


def _table(result: Result) -> str:
    r = result
    return "\n".join(
        [
            f"width {r['width']:g}, {r['folds']} folds, batch {r['batch']}, {r['precision']}, "
            f"{'with' if r['perceptual'] else 'without'} the perceptual term",
            "",
            markdown([title for title, _ in COLUMNS], [[row[field] for _, field in COLUMNS] for row in r["rows"]]),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
