"""What does choosing the best test epoch give to somebody who only guesses?

python -m icegan_jax.evaluation.inflation FILE
"""

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from icegan_jax.data.names import check_classes
from icegan_jax.errors import UserError, what_the_system_said
from icegan_jax.evaluation import bootstrap, guessing, metrics
from icegan_jax.evaluation.answers import classes_of, read_answers, to_numbers
from icegan_jax.evaluation.files import write_text
from icegan_jax.evaluation.guessing import Range

EPILOG = """\
FILE is a run directory, a predictions.csv, a clips.csv or any CSV with the columns subject and
label (dataset, clip and prediction where there are some); labels are words or numbers from 0, or
from 1 where 0 never occurs. No picture is read and nothing is trained: only the number of clips of
each class in each fold counts.

what happens: a guesser answers every test clip at random, again at every epoch. All its epochs are
worth the same. Then its score is taken under each rule, and all of that --draws times.
  prior random     answers are as frequent as the classes of FILE
  uniform          all classes are equally probable

how to read the table: "0.512 [0.480, 0.545]" is the mean over the draws and the range that holds
95% of them. Take the rule under which a published score was computed: a score within the guessers'
range of that rule shows nothing, and what the rule adds to "last epoch" here it may add there.
A network's successive epochs resemble one another: --correlation=0.9 carries 90% of the answers
over from one epoch to the next, which leaves fewer real chances to choose from.

examples:
  python -m icegan_jax.evaluation.inflation data/demo/clips.csv
  python -m icegan_jax.evaluation.inflation runs/loso --epochs=100 --correlation=0.9 --out=runs/inflation
"""
COLUMNS = ("guesser", "rule", *(f"{score}{end}" for score in guessing.SCORES for end in ("", "_low", "_high")))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m icegan_jax.evaluation.inflation",
        description="What choosing the best test epoch gives to somebody who only guesses.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="the clips: a CSV, or a run directory")
    parser.add_argument("--epochs", type=int, default=100, help="test evaluations to choose from (100)")
    parser.add_argument("--draws", type=int, default=200, help="guessers of each kind (200)")
    parser.add_argument("--correlation", type=float, default=0.0, help="share of answers carried over (0)")
    parser.add_argument("--seed", type=int, default=0, help="of the guesses (0)")
    parser.add_argument("--classes", help="names of the classes in label order: negative,positive,surprise")
    parser.add_argument("--out", type=Path, help="folder for inflation.csv and inflation.md")
    try:
        print(run(parser.parse_args(argv)), end="")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {what_the_system_said(error, '--out')}, or give another --out", file=sys.stderr)
        return 2
    return 0


def run(options: argparse.Namespace) -> str:
    """Simulate and lay out; writes the files where `options.out` names a folder.

    Returns:
      The text for the terminal.

    Raises:
      UserError: the file or an option is wrong.
    """
    if options.seed < 0:
        raise UserError(f"--seed={options.seed}: give a number from 0")
    answers = read_answers(options.file)
    names = check_classes(options.classes.split(",")) if options.classes else None
    classes = classes_of([answers], names)
    labels = to_numbers(answers.path, answers.label, classes)
    clips = np.bincount(labels, minlength=len(classes))
    rows: list[tuple[str, str, dict[str, Range]]] = []
    for guesser, chances in (
        ("prior random", clips / clips.sum()),
        ("uniform", np.full(len(classes), 1 / len(classes))),
    ):
        table = guessing.simulate(
            labels,
            answers.people,
            chances,
            epochs=options.epochs,
            draws=options.draws,
            correlation=options.correlation,
            seed=options.seed,
        )
        rows += [(guesser, rule, ranges) for rule, ranges in table.items()]
    if answers.prediction is not None:
        guesses = to_numbers(answers.path, answers.prediction, classes)
        counts = guessing.count(labels, metrics.group_ids(answers.people), guesses[None], len(classes))
        own = dict(guessing.apply_rules(counts))
        for rule, name in (("last epoch", "pooled over the folds"), ("mean over folds, last epoch", "mean over folds")):
            scores = (Range(value, value, value) for value in own[rule])
            rows.append(("the predictions of FILE", name, dict(zip(guessing.SCORES, scores, strict=True))))
    counted = ", ".join(f"{count} {name}" for name, count in zip(classes, clips, strict=True))
    about = [
        f"{len(labels)} clips in {len(set(answers.people))} folds ({counted}).",
        f"{options.draws} guessers of each kind, {options.epochs} test epochs, "
        f"{options.correlation:.0%} of the answers carried over from the epoch before, seed {options.seed}.",
        f"Mean over the guessers, and the range that holds {bootstrap.LEVEL:.0%} of them.",
    ]
    if options.out is not None:
        write_text(options.out / "inflation.csv", _csv(rows))
        write_text(options.out / "inflation.md", _markdown(about, rows))
    return _text(about, rows)


def _cell(range_: Range) -> str:
    if range_.low == range_.mean == range_.high:
        return f"{range_.mean:.3f}"
    return f"{range_.mean:.3f} [{range_.low:.3f}, {range_.high:.3f}]"


def _text(about: Sequence[str], rows: Sequence[tuple[str, str, dict[str, Range]]]) -> str:
    width = max(len(rule) for _, rule, _ in rows) + 2
    lines = [*about]
    last = ""
    for guesser, rule, ranges in rows:
        if guesser != last:
            lines += ["", f"{guesser:{width}}  {'UF1':22}{'UAR':22}accuracy"]
            last = guesser
        cells = "".join(f"{_cell(ranges[name]):22}" for name in guessing.SCORES)
        lines.append(f"  {rule:{width - 2}}  {cells}".rstrip())
    return "\n".join([*lines, "", "the rules:", *(f"  {rule}: {what}" for rule, what in guessing.RULES.items())]) + "\n"


def _markdown(about: Sequence[str], rows: Sequence[tuple[str, str, dict[str, Range]]]) -> str:
    lines = ["# What choosing the best test epoch gives to a guess", "", " ".join(about), ""]
    lines += ["| who | rule | UF1 | UAR | accuracy |", "|---|---|---|---|---|"]
    for guesser, rule, ranges in rows:
        lines.append(f"| {guesser} | {rule} | {' | '.join(_cell(ranges[name]) for name in guessing.SCORES)} |")
    return "\n".join([*lines, "", *(f"- {rule}: {what}." for rule, what in guessing.RULES.items())]) + "\n"


def _csv(rows: Sequence[tuple[str, str, dict[str, Range]]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for guesser, rule, ranges in rows:
        numbers = (
            value for name in guessing.SCORES for value in (ranges[name].mean, ranges[name].low, ranges[name].high)
        )
        writer.writerow((guesser, rule, *(f"{number:.6f}" for number in numbers)))
    return text.getvalue()


if __name__ == "__main__":
    sys.exit(main())
