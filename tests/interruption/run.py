"""Kill runs repeatedly, and compare their results with those of an uninterrupted run.

    python -m tests.interruption.run --kills=20 --seed=0
    python -m tests.interruption.run --kills=20 --seed=0 -- --config=configs/demo.py --config.training.steps=30
    python -m tests.interruption.run --kills=3 --demo_small

Each run directory is killed about four times (SIGKILL, with all subprocesses) and started again by the same command
until it ends. Then predictions.csv, every fold's predictions, faces, log and last checkpoint must be, byte for byte,
those of the uninterrupted run, and no temporary file may remain. Seven in ten kills wait for a kill point, recognized
in the file system; the others come at a random time. The exit code is 0 if all results were equal, otherwise 1.
"""

import argparse
import functools
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

from tqdm import tqdm

from tests.interruption.compare import contents, differences, leftovers
from tests.interruption.kill_and_resume import Failed, Timing, run_uninterrupted, run_with_kills
from tests.interruption.kill_points import ANY, TARGETS, KillPoint, draw, folds

_TARGETED = 0.7  # fraction of the kills that wait for a target
_PER_RUN = 4  # kills of one run directory
_PRIORITY = (1, 5, 0, 2, 4, 3)  # of the targets, if there are few kills: a checkpoint, then between folds


def small() -> list[str]:
    """Return the options of the smallest run: two folds of 12 steps side by side, a checkpoint every 4."""
    from tests.test_main import SMALL

    return [*SMALL, "--config.training.steps=12", "--config.training.checkpoint_every=4", "--config.loss.perceptual=0"]


def draw_kill_points(kills: int, rng: Random, folds: int, checkpoints: int) -> list[KillPoint]:
    """Return as many random kill points as kills."""
    kinds = [
        TARGETS[index] for index in _PRIORITY if checkpoints > 2 or index != 3
    ]  # nothing old to remove before that
    targeted = round(_TARGETED * kills)
    chosen = [kinds[index % len(kinds)] for index in range(targeted)] + [ANY] * (kills - targeted)
    rng.shuffle(chosen)
    return [draw(rng, kind, folds) for kind in chosen]


def in_order(kill_points: Sequence[KillPoint]) -> list[KillPoint]:
    """Return kill points in the order in which a run reaches them."""
    place = {kind: index for index, kind in enumerate(TARGETS)} | {ANY: 0.5}
    return sorted(kill_points, key=lambda point: (place[point.kind], point.after))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder of the runs and their output (default: a new one)")
    parser.add_argument("--demo_small", action="store_true", help="the smallest run instead of the demo")
    parser.add_argument("options", nargs="*", help="of icegan_jax.main, after -- (default: --config=configs/demo.py)")
    args = parser.parse_args(argv)
    options = args.options or (small() if args.demo_small else ["--config=configs/demo.py"])
    out = args.out or Path(tempfile.mkdtemp(prefix="interruption-"))
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        parser.error(f"{out}: is not empty; give a new --out")
    tqdm.write(f"runs in {out}", sys.stdout)
    try:
        timing = run_uninterrupted(
            out / "uninterrupted", options, out / "uninterrupted.log", functools.partial(print, flush=True)
        )
        good = kill_all(args.kills, args.seed, out, options, out / "uninterrupted", timing)
    except Failed as error:
        print(error)
        good = 0
    if good == args.kills and not args.out:
        shutil.rmtree(out)
    print(f"{good} of {args.kills}")
    return 0 if good == args.kills else 1


def kill_all(kills: int, seed: int, out: Path, options: Sequence[str], uninterrupted: Path, timing: Timing) -> int:
    """Make all the kills, and print a line for each; return the number of those in runs with equal results."""
    rng, start, expected = Random(seed), time.monotonic(), contents(uninterrupted)
    write = functools.partial(tqdm.write, file=sys.stdout)
    training = json.loads((uninterrupted / "config.json").read_text())["training"]
    number = len(folds(uninterrupted))
    remaining = draw_kill_points(kills, rng, number, -(-training["steps"] // training["checkpoint_every"]))
    write(f"uninterrupted: {timing.total_s:.0f} s, {number} folds, {len(expected)} digests; {len(remaining)} kills:")
    write("\n".join(f"  {point.kind}, {point.after:.0%}" for point in remaining))
    good = runs = 0
    with tqdm(total=kills, unit="kill", dynamic_ncols=True) as bar:
        while remaining and runs < 2 * kills:  # a limit: new kill points may not be reached either
            runs += 1
            name, some = f"run{runs}", in_order(remaining[:_PER_RUN])
            remaining = remaining[_PER_RUN:]
            before, log = bar.n, out / f"run{runs}.log"

            def report(line: str, name: str = name) -> None:
                bar.update(1)
                write(f"kill {bar.n} of {kills}, {name}, after {line}")

            try:
                missed = run_with_kills(out / name, options, log, some, timing, bar.set_description, report)
                problem = _problem(out / name, expected)
            except Failed as error:
                missed, problem = [], str(error)
            for point in missed:
                write(f"{name} ended before this kill point: {point.kind}; a random time instead")
                remaining.append(draw(rng, ANY, number))
            good += 0 if problem else bar.n - before
            write(f"{name}: " + (f"FAILED, {problem}" if problem else "equal to the uninterrupted run"))
            if not problem:
                shutil.rmtree(out / name)  # the demo's is hundreds of MB
    write(f"{bar.n} kills of {runs} runs in {(time.monotonic() - start) / 60:.1f} minutes")
    return good


def _problem(run_dir: Path, expected: dict[str, str]) -> str:
    """Return the differences of a run from the uninterrupted one; empty if there are none."""
    wrong = differences(contents(run_dir), expected)
    left = leftovers(run_dir)
    parts = [f"{len(wrong)} of {len(expected)} digests differ: {', '.join(wrong[:5])}"] if wrong else []
    return "; ".join(parts + ([f"left behind: {', '.join(left[:5])}"] if left else []))


if __name__ == "__main__":
    sys.exit(main())
