"""Damage the small tree in many ways, and show that prepare ends with one error line or prepares what it can.

python -m tests.data.fuzz.run --cases=200 --seed=0
python -m tests.data.fuzz.run --case=17
"""

import argparse
import faulthandler
import os
import resource
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from tests.data.fuzz.case import CaseRunner, describe
from tests.data.fuzz.command import TIME_LIMIT
from tests.data.fuzz.damage import KINDS
from tests.data.fuzz.invariants import outcome, violations


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.data.fuzz.run", description=__doc__)
    parser.add_argument("--cases", type=int, default=200, help="how many (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other damage (default: 0)")
    parser.add_argument("--case", type=int, help="run this one only, and show all that it prints")
    parser.add_argument("--keep", metavar="FOLDER", help="work there, and leave the last case; must not exist")
    args = parser.parse_args(argv)
    start = time.perf_counter()
    stderr = os.dup(2)  # as the cases put another in its place
    with tempfile.TemporaryDirectory(prefix="icegan-fuzz-") as folder:
        runner = CaseRunner(Path(args.keep or folder, "work"), args.seed)
        numbers = range(args.cases) if args.case is None else [args.case]
        outcomes: dict[str, Counter[str]] = defaultdict(Counter)
        valid = 0
        for number in numbers:
            # Where C code hangs, no signal is handled: then all ends, with a traceback that shows where.
            faulthandler.dump_traceback_later(4 * TIME_LIMIT, exit=True, file=stderr)
            case = runner.run(number)
            faulthandler.cancel_dump_traceback_later()
            lines = violations(case)
            valid += not lines
            outcomes[case.kinds[0]][outcome(case)] += 1
            if args.case is not None:
                print(describe(case))
            for line in lines:
                print(f"case {number} ({', '.join(case.kinds)}): {line}", flush=True)
    width = max(map(len, KINDS))
    print(f"{'kind of damage':{width}}  cases  prepared  of these reported  refused")
    for kind in [kind for kind in KINDS if kind in outcomes]:
        n = outcomes[kind]
        reported = n["prepared, reported"]
        print(f"{kind:{width}}  {n.total():5}  {n['prepared'] + reported:8}  {reported:17}  {n['refused']:7}")
    total = sum(outcomes.values(), Counter[str]())
    print(f"{total['prepared'] + total['prepared, reported']} prepared, {total['refused']} refused; ", end="")
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{time.perf_counter() - start:.0f} s, {gigabytes:.1f} GB at most; cases without a violation:")
    print(f"{valid} of {len(numbers)}")
    return 0 if valid == len(numbers) else 1


if __name__ == "__main__":
    sys.exit(main())
