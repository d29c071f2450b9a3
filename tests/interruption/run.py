"""Kills runs again and again, and compares what they end with to a run that nobody interrupted.

    python -m tests.interruption.run --kills=20 --seed=0
    python -m tests.interruption.run --kills=20 --seed=0 -- --config=configs/demo.py --config.training.steps=30
    python -m tests.interruption.run --kills=3 --demo_small

Each run directory is killed about four times (SIGKILL, with all that it started) and started again by the same command
until it ends. Then predictions.csv, every fold's predictions, faces, log and last checkpoint must be, byte for byte,
those of the uninterrupted run, and nothing half written may be left. Seven in ten kills wait for a moment, seen in the
file system; the others come at any time of what a run still needs. Exit code 0 if all were good, otherwise 1.
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
from tests.interruption.kill_and_resume import Failed, Timing, interrupted, uninterrupted
from tests.interruption.kill_points import ANY, TARGETS, Moment, draw, folds

_TARGETED = 0.7  # share of the kills that wait for a moment
_PER_RUN = 4  # kills of one run directory
_FIRST = (1, 5, 0, 2, 4, 3)  # which targets come first where there are few kills: a checkpoint, then between folds


def small() -> list[str]:
    """The smallest run: two folds of 12 steps side by side, a checkpoint every 4."""
    from tests.test_main import SMALL

    return [*SMALL, "--config.training.steps=12", "--config.training.checkpoint_every=4", "--config.loss.perceptual=0"]


def moments(kills: int, rng: Random, folds: int, checkpoints: int) -> list[Moment]:
    """As many moments as kills, in the order of the draw."""
    kinds = [TARGETS[index] for index in _FIRST if checkpoints > 2 or index != 3]  # nothing old to remove before that
    targeted = round(_TARGETED * kills)
    chosen = [kinds[index % len(kinds)] for index in range(targeted)] + [ANY] * (kills - targeted)
    rng.shuffle(chosen)
    return [draw(rng, kind, folds) for kind in chosen]


def in_order(some: Sequence[Moment]) -> list[Moment]:
    """Moments of one run directory: in the order in which a run comes to them."""
    place = {kind: index for index, kind in enumerate(TARGETS)} | {ANY: 0.5}
    return sorted(some, key=lambda moment: (place[moment.kind], moment.after))


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
        timing = uninterrupted(out / "whole", options, out / "whole.log", functools.partial(print, flush=True))
        good = kill_all(args.kills, args.seed, out, options, out / "whole", timing)
    except Failed as error:
        print(error)
        good = 0
    if good == args.kills and not args.out:
        shutil.rmtree(out)
    print(f"{good} of {args.kills}")
    return 0 if good == args.kills else 1


def kill_all(kills: int, seed: int, out: Path, options: Sequence[str], whole: Path, timing: Timing) -> int:
    """Makes all the kills, with a line for each; returns how many were good: in a run that ended like ``whole``."""
    rng, start, wanted = Random(seed), time.monotonic(), contents(whole)
    say = functools.partial(tqdm.write, file=sys.stdout)
    training = json.loads((whole / "config.json").read_text())["training"]
    number = len(folds(whole))
    waiting = moments(kills, rng, number, -(-training["steps"] // training["checkpoint_every"]))
    say(
        f"uninterrupted: {timing.total_s:.0f} s, {number} folds, {len(wanted)} things to compare; {len(waiting)} kills:"
    )
    say("\n".join(f"  {moment.kind}, {moment.after:.0%}" for moment in waiting))
    good = runs = 0
    with tqdm(total=kills, unit="kill", dynamic_ncols=True) as bar:
        while waiting and runs < 2 * kills:  # each run directory ends, and has no end of moments that do not come
            runs += 1
            name, some = f"run{runs}", in_order(waiting[:_PER_RUN])
            waiting = waiting[_PER_RUN:]
            before, log = bar.n, out / f"run{runs}.log"

            def tell(line: str, name: str = name) -> None:
                bar.update(1)
                say(f"kill {bar.n} of {kills}, {name}, after {line}")

            try:
                missed = interrupted(out / name, options, log, some, timing, bar.set_description, tell)
                verdict = _verdict(out / name, wanted)
            except Failed as error:
                missed, verdict = [], str(error)
            for moment in missed:
                say(f"{name} ended before this came: {moment.kind}; any time instead")
                waiting.append(draw(rng, ANY, number))
            good += 0 if verdict else bar.n - before
            say(f"{name}: " + (f"FAILED, {verdict}" if verdict else "equal to the uninterrupted run"))
            if not verdict:
                shutil.rmtree(out / name)  # the demo's is hundreds of MB
    say(f"{bar.n} kills of {runs} runs in {(time.monotonic() - start) / 60:.1f} minutes")
    return good


def _verdict(run_dir: Path, wanted: dict[str, str]) -> str:
    """What is wrong with a run that has ended; empty where nothing is."""
    wrong = differences(contents(run_dir), wanted)
    left = leftovers(run_dir)
    said = [f"{len(wrong)} of {len(wanted)} things differ: {', '.join(wrong[:5])}"] if wrong else []
    return "; ".join(said + ([f"left behind: {', '.join(left[:5])}"] if left else []))


if __name__ == "__main__":
    sys.exit(main())
