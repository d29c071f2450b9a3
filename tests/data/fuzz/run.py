"""Damages the small tree in many ways and shows that prepare refuses in one line or prepares what it can.

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

from tests.data.fuzz.case import Maker, explained
from tests.data.fuzz.damage import KINDS
from tests.data.fuzz.judge import breaches, outcome
from tests.data.fuzz.running import LIMIT


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
        maker = Maker(Path(args.keep or folder, "work"), args.seed)
        numbers = range(args.cases) if args.case is None else [args.case]
        outcomes: dict[str, Counter[str]] = defaultdict(Counter)
        sound = 0
        for number in numbers:
            # Where C code hangs, no signal is handled: then all ends, with a traceback that shows where.
            faulthandler.dump_traceback_later(4 * LIMIT, exit=True, file=stderr)
            case = maker.run(number)
            faulthandler.cancel_dump_traceback_later()
            broken = breaches(case)
            sound += not broken
            outcomes[case.kinds[0]][outcome(case)] += 1
            if args.case is not None:
                print(explained(case))
            for line in broken:
                print(f"case {number} ({', '.join(case.kinds)}): {line}", flush=True)
    width = max(map(len, KINDS))
    print(f"{'kind of damage':{width}}  cases  prepared  of these told  refused")
    for kind in [kind for kind in KINDS if kind in outcomes]:
        n = outcomes[kind]
        told = n["prepared, told"]
        print(f"{kind:{width}}  {n.total():5}  {n['prepared'] + told:8}  {told:13}  {n['refused']:7}")
    total = sum(outcomes.values(), Counter[str]())
    print(f"{total['prepared'] + total['prepared, told']} prepared, {total['refused']} refused; ", end="")
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{time.perf_counter() - start:.0f} s, {gigabytes:.1f} GB at most; cases without a breach:")
    print(f"{sound} of {len(numbers)}")
    return 0 if sound == len(numbers) else 1


if __name__ == "__main__":
    sys.exit(main())
