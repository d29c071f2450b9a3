"""Growth of memory, open files and threads of a training process in long runs.

    python -m benchmarks.soak --steps=5000 --folds=20 --samples=soak.csv

Trains one fold of tiny networks for many steps, with checkpoints, logs and evaluations, then many folds one after
another in the same process, as in a LOSO run. The exit code is 1 where the late memory exceeds the early memory by more
than 5%, or where the number of open files or threads has grown. Linux only.
"""

import argparse
import contextlib
import csv
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from benchmarks.command import Result, create_parser, markdown, run_benchmark, versions
from benchmarks.machine import describe_device
from benchmarks.sampling import Sample, Sampler
from benchmarks.workload import PACKAGES, check_positive
from configs import demo
from icegan_jax.config import build_models, validate
from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.data.dataset import Pairs
from icegan_jax.data.folds import leave_one_subject_out
from icegan_jax.errors import UserError
from icegan_jax.training.loop import train_folds
from icegan_jax.training.state import TrainConfig

MAX_GROWTH = 0.05  # of resident memory
_EVERY = 100  # largest number of steps between checkpoints and between evaluations; a shorter run has 20 of each
_PER_CALL = 5  # steps per call of the program and per log line
_FOLD_STEPS = 20  # of each of the many folds
_SCHEDULE = 10_000  # steps of the learning-rate schedule, equal in both parts, so that their programs are equal
_PEOPLE = 3  # subjects of the run with one fold; in the run with many folds each fold has one subject


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark and return the exit code."""
    parser = create_parser("soak", __doc__)
    parser.add_argument("--steps", type=int, default=5000, help="of the one fold (default: 5000)")
    parser.add_argument("--folds", type=int, default=20, help="one after another (default: 20)")
    parser.add_argument("--samples", type=Path, help="writes the samples there, as CSV")
    grown: list[str] = []

    def measure(args: argparse.Namespace) -> Result:
        result = _measure(args)
        grown.extend(result["grown"])
        return result

    code = run_benchmark(parser, measure, _table, argv)
    return 1 if grown else code


def _measure(args: argparse.Namespace) -> Result:
    check_positive(args, "steps", "folds")
    if args.steps < 10 * _PER_CALL or args.folds < 4:
        raise UserError(f"--steps={args.steps} --folds={args.folds}: give {10 * _PER_CALL} steps and 4 folds or more")
    if not Path("/proc/self/statm").exists():
        raise UserError("memory, files and threads are read from /proc, which this system does not have: use Linux")
    steps = -(-args.steps // _PER_CALL) * _PER_CALL
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        long = _train("steps", Path(folder, "steps"), _PEOPLE, 1, steps)
        logs = {
            path.name: path.stat().st_size * 1000 / steps / 1024
            for path in sorted(Path(folder, "steps").glob("folds/*/*.jsonl"))
        }
        many = _train("folds", Path(folder, "folds"), args.folds, args.folds, _FOLD_STEPS)
    if args.samples:
        _write(args.samples, long + many)
    rows = [
        _row(f"{steps // 10:,} steps", f"{steps:,} steps", *_tenths(long, steps)),
        _row("2 folds", f"{args.folds} folds", *_early_and_late(many, args.folds)),
    ]
    return {
        "rows": rows,
        "grown": [line for row in rows for line in row["grown"]],
        "log_kib_per_1000_steps": logs,
        "seconds": [part[-1].seconds for part in (long, many)],
        "machine": describe_device(jax.local_devices()[0]),
        "versions": versions(*PACKAGES, "orbax-checkpoint"),
    }


def _train(part: str, run_dir: Path, people: int, folds: int, steps: int) -> list[Sample]:
    """Train ``folds`` folds of random faces, one after another, and return the samples."""
    config, pairs = _config(), _pairs(people)
    models = build_models(config, _SCHEDULE)
    every = min(_EVERY, max(1, steps // 20 // _PER_CALL) * _PER_CALL)
    train_config = TrainConfig(
        steps=steps,
        steps_per_epoch=len(pairs.label),
        steps_per_call=_PER_CALL,
        checkpoint_every=every,
        folds_per_device=1,
        batch_size=config.training.batch_size,
        mirror=True,
        seed=0,
        evaluate_every=every,
    )
    # With --json only the result goes to stdout.
    with contextlib.redirect_stdout(sys.stderr), Sampler(part, run_dir, _PER_CALL) as sampler:
        train_folds(models, pairs, leave_one_subject_out(pairs)[:folds], train_config, run_dir, jax.local_devices()[:1])
    return sampler.samples


def _config() -> ConfigDict:
    """Return the demo's config with very small networks, of which a step takes some milliseconds."""
    config = demo.get_config()
    config.loss.perceptual = 0.0
    config.training.batch_size = 2
    config.model.update(image_size=32, width=1 / 32, noise=4)
    config.generator.embedding = 6
    capsules = {"primary_types": 2, "primary_dimension": 4, "adversarial_dimension": 6, "expression_dimension": 4}
    config.discriminator.update(capsules, reconstruction_width=1 / 64)
    validate(config)
    return config


def _pairs(people: int) -> Pairs:
    """Return random faces, one clip per subject and class."""
    rng, count = np.random.default_rng(0), people * len(EXPRESSIONS)
    faces = rng.integers(0, 256, (2, count, 32, 32), np.uint8)
    label = np.arange(count) % len(EXPRESSIONS)
    return Pairs(
        onset=faces[0],
        apex=faces[1],
        rest=faces[0],
        label=label.astype(np.int32),
        shift=np.zeros(count, np.int32),
        dataset=np.full(count, "made_up"),
        subject=np.array([f"p{index // len(EXPRESSIONS):02d}" for index in range(count)]),
        clip=np.array([f"c{index}" for index in label]),
        classes=EXPRESSIONS,
        fingerprint="made up",
    )


def _tenths(samples: Sequence[Sample], steps: int) -> tuple[list[Sample], list[Sample]]:
    """Return the samples of the second and of the last tenth of the steps."""
    early = [sample for sample in samples if 0.1 * steps <= sample.step < 0.2 * steps]
    late = [sample for sample in samples if 0.9 * steps <= sample.step and not sample.folds]
    return early, late


def _early_and_late(samples: Sequence[Sample], folds: int) -> tuple[list[Sample], list[Sample]]:
    """Return the samples during the third fold and during the last fold."""
    early = [sample for sample in samples if sample.folds == 2]
    return early, [sample for sample in samples if sample.folds == folds - 1]


def _row(start: str, end: str, early: Sequence[Sample], late: Sequence[Sample]) -> Result:
    """Return the medians of the early and the late samples, and a line for each resource that has grown.

    Raises:
      UserError: the part ended before samples were taken.
    """
    if not early or not late:
        raise UserError(f"no samples after {start} or {end}: it took too little time; give more steps or folds")
    row: Result = {"start": start, "end": end, "grown": []}
    for name in ("rss_mib", "files", "threads"):
        first, last = ([getattr(sample, name) for sample in some] for some in (early, late))
        before, after = float(statistics.median(first)), float(statistics.median(last))
        row |= {f"{name}_early": before, f"{name}_late": after}
        # The numbers of files and threads vary with every checkpoint: growth is a median above the early maximum.
        if after > ((1 + MAX_GROWTH) * before if name == "rss_mib" else max(first)):
            row["grown"].append(f"{name} from {before:g} after {start} to {after:g} after {end}")
    return row


def _write(path: Path, samples: Sequence[Sample]) -> None:
    try:
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(Sample._fields)
            writer.writerows(samples)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); give another --samples") from None


def _table(result: Result) -> str:
    rows = [
        [name, row["start"], f"{row[f'{field}_early']:.{digits}f}", row["end"], f"{row[f'{field}_late']:.{digits}f}"]
        for row in result["rows"]
        for name, field, digits in (
            ("resident memory, MiB", "rss_mib", 1),
            ("files", "files", 0),
            ("threads", "threads", 0),
        )
    ]
    logs = ", ".join(f"{name} {size:.1f} KiB" for name, size in result["log_kib_per_1000_steps"].items())
    lines = [
        markdown(["", "after", "", "after", ""], rows),
        "",
        f"logs per 1,000 steps of a fold, a line every {_PER_CALL}: {logs}",
        f"{result['seconds'][0]:.0f} s of steps, {result['seconds'][1]:.0f} s of folds",
    ]
    lines += [f"GROWN: {line}" for line in result["grown"]] or ["nothing has grown"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
