"""Unusual, damaged and hostile inputs, a third each: clips.csv, images, checkpoints.

Each must be read correctly or refused in one line that names it: no traceback, no hang, no wrong label.

python -m tests.fuzz.run --cases=1000 --seed=0
python -m tests.fuzz.run --seed=0 --case=17
"""

import argparse
import faulthandler
import os
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz import checkpoints, clips, images
from tests.fuzz.harness import LIMIT_S, Case, CaseResult, run_case

KINDS: dict[str, Case] = {
    "clips.csv": clips.case,
    "image": images.case,
    "checkpoint": checkpoints.case,
}


def run(number: int, seed: int) -> CaseResult:
    """Run one case in a folder of its own."""
    kind, case = list(KINDS.items())[number % len(KINDS)]
    with tempfile.TemporaryDirectory(prefix="icegan-fuzz-") as folder:
        result = run_case(case, f"{seed}/{number}", Path(folder))
    result.kind = f"{kind}: {result.kind}"
    return result


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz.run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=1000, help="number of cases (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="of the inputs (default: 0)")
    parser.add_argument("--case", type=int, help="run only this case, and show the outcome")
    args = parser.parse_args(argv)
    start = time.perf_counter()
    stderr = os.dup(2)  # since each case replaces it
    outcomes: dict[str, Counter[str]] = defaultdict(Counter)
    sound = 0
    numbers = range(args.cases) if args.case is None else [args.case]
    for number in numbers:
        # Where C code hangs, no signal is handled: then the process ends with a traceback.
        faulthandler.dump_traceback_later(4 * LIMIT_S, exit=True, file=stderr)
        result = run(number, args.seed)
        faulthandler.cancel_dump_traceback_later()
        sound += not result.violations
        outcomes[result.kind.partition(":")[0]][result.outcome] += 1
        if args.case is not None:
            print(f"case {number}: {result.kind}: {result.outcome} {result.message}".rstrip())
        for violation in result.violations:
            print(f"--seed={args.seed} --case={number} ({result.kind}): {violation}", flush=True)
    os.close(stderr)
    print(f"{'input':10}  cases  accepted  refused  broken")
    for kind, n in outcomes.items():
        print(f"{kind:10}  {n.total():5}  {n['accepted']:8}  {n['refused']:7}  {n['broken']:6}")
    print(f"{time.perf_counter() - start:.0f} s; no traceback, no hang, no wrong label, one line each:")
    print(f"{sound} of {len(numbers)}")
    return 0 if sound == len(numbers) else 1


if __name__ == "__main__":
    sys.exit(main())
