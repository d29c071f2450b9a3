"""Compare the predictions of two recognizers on the same clips.

python -m icegan_jax.compare OURS THEIRS
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from icegan_jax.cli import ArgumentParser, run_command
from icegan_jax.data.names import check_classes
from icegan_jax.evaluation.compare import compare_predictions

EPILOG = """\
OURS and THEIRS are each a run directory, a predictions.csv, another CSV with the columns subject,
label and prediction (dataset and clip where there are some; names such as database, filename, gt
and pred are known too), the log that MEGC2019 asked for ("casme2 sub01", then "EP02_01f 1 1" for
each clip), or a text log that has for each subject a line "Subject: NAME" and lists
"predicted ... [0, 2]" and "ground truth ... [0, 1]"; of several lists the last counts. Classes are
words, numbers from 0 that --classes names, or without --classes numbers from 1. Clips are matched by
dataset, subject and clip name; where a file names no clips, by their order within a subject's class.
Then McNemar's counts and the list of clips depend on that order; the scores and their intervals do
not.

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
    parser.add_argument("ours", metavar="OURS", type=Path, help="run directory, CSV or log")
    parser.add_argument("theirs", metavar="THEIRS", type=Path, help="likewise")
    parser.add_argument("--classes", help="names of the classes in label order: negative,positive,surprise")
    parser.add_argument("--common", action="store_true", help="leave out clips that only one of them has")
    parser.add_argument("--out", type=Path, help="folder for comparison.csv and differing_clips.csv")
    args = parser.parse_args(argv)

    def compare() -> None:
        classes = check_classes(args.classes.split(",")) if args.classes else None
        print(compare_predictions(args.ours, args.theirs, classes, common_only=args.common, out=args.out), end="")

    return run_command(compare)


if __name__ == "__main__":
    sys.exit(main())
