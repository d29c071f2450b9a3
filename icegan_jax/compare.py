"""Compare the predictions of two recognizers on the same clips.

python -m icegan_jax.compare OURS THEIRS
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from icegan_jax.cli import ArgumentParser, run_command
from icegan_jax.evaluation.compare import compare_predictions

EPILOG = """\
OURS and THEIRS are each a run directory or a CSV with the columns dataset, subject, clip, label and
prediction, such as predictions.csv; classes are words. Clips are matched by dataset, subject and clip.

how to read the output:
  [low, high]   95% interval when subjects are resampled
  difference    OURS less THEIRS, the same subjects drawn for both. An interval that holds 0 does
                not show that the two differ. The interval does not cover the training seed, and
                says nothing where one of them chose its epoch by its test clips
                (python -m experiments.guessing_study).
  McNemar       tests whether the clips that only one of the two classifies correctly are split
                evenly between them; p is exact, mid-p is less conservative. The test takes clips
                as independent, which those of one subject are not: where the test and the
                interval disagree, trust the interval.

example:
  python -m icegan_jax.compare runs/loso_pair runs/loso --out=runs/comparison
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code."""
    parser = ArgumentParser(
        prog="python -m icegan_jax.compare",
        description="Compare two recognizers on the same clips.",
        epilog=EPILOG,
    )
    parser.add_argument("ours", metavar="OURS", type=Path, help="run directory or CSV")
    parser.add_argument("theirs", metavar="THEIRS", type=Path, help="likewise")
    parser.add_argument("--common", action="store_true", help="leave out clips that only one of them has")
    parser.add_argument("--out", type=Path, help="folder for comparison.csv and differing_clips.csv")
    args = parser.parse_args(argv)
    return run_command(
        lambda: print(compare_predictions(args.ours, args.theirs, common_only=args.common, out=args.out), end="")
    )


if __name__ == "__main__":
    sys.exit(main())
