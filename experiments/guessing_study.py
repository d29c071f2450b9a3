"""What recognizers that only guess reach when somebody chooses their best test epoch.

A guesser answers every test clip anew at every epoch and never looks at a face, so that every
epoch is worth the same. What a rule gives it above the last epoch is the rule's own gift.

What does choosing the best test epoch give to somebody who only guesses?

python -m experiments.guessing_study FILE
"""

import argparse
import csv
import io
import sys
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from icegan_jax.data.names import check_classes
from icegan_jax.errors import UserError, describe_os_error
from icegan_jax.evaluation import bootstrap, metrics
from icegan_jax.evaluation.bootstrap import percentile_interval
from icegan_jax.evaluation.published_predictions import class_indices, infer_classes, read_published_predictions
from icegan_jax.io import write_text

MOST_ANSWERS = 10_000_000  # of one draw: clips times epochs; about half a gigabyte while they are counted

# The rules in the order of the table, each with what it does.
RULES = {
    "last epoch": "the honest one: counts of the last epoch, pooled over the folds",
    "best common epoch": "one epoch for all folds, that with the highest pooled score; each score has its own",
    "best test epoch per fold, by accuracy": "in each fold the epoch of its highest accuracy; counts pooled",
    "best test epoch per fold, by UF1": "likewise by the fold's UF1",
    "best test epoch per fold, each score by itself": "UF1 at the epochs of best UF1, UAR at those of best UAR",
    "mean over folds, last epoch": "each fold scored by itself, the scores averaged: not MEGC2019's score",
    "mean over folds of each fold's best": "each fold's highest score, averaged: what the mean of a log shows",
}

SCORES = ("uf1", "uar", "accuracy")

Counts = npt.NDArray[np.int64]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GuessRange:
    """A score over the draws: its mean, and what holds 95% of them."""

    mean: float
    low: float
    high: float


def simulate(
    labels: npt.NDArray[np.int64],
    groups: Iterable[Hashable],
    chances: Floats,
    *,
    epochs: int,
    draws: int,
    correlation: float = 0.0,
    seed: int = 0,
) -> dict[str, dict[str, GuessRange]]:
    """Let guessers be tested at every epoch, and choose among their epochs.

    Args:
      labels: int64[n], the true classes.
      groups: n keys, the fold of each clip: (dataset, subject).
      chances: float64[k], how probable each answer is.
      epochs: how many test evaluations there are to choose from.
      draws: how many guessers; memory does not grow with them.
      correlation: share of the clips whose answer is carried over from the epoch before.
      seed: of the guesses.

    Returns:
      {rule: {"uf1": Range, "uar": Range, "accuracy": Range}}, rules as in RULES.

    Raises:
      UserError: a number is out of range, or clips times epochs exceed MOST_ANSWERS.
    """
    if epochs < 1 or draws < 1:
        raise UserError(f"--epochs={epochs} --draws={draws}: give at least one of each")
    if not 0 <= correlation <= 1:
        raise UserError(f"--correlation={correlation}: it is a share, give a number from 0 to 1")
    if epochs * len(labels) > MOST_ANSWERS:
        raise UserError(f"--epochs={epochs}: {len(labels)} clips allow {MOST_ANSWERS // len(labels)}: give fewer")
    fold = metrics.group_ids(groups)
    random = np.random.default_rng(seed)
    scored: dict[str, list[tuple[float, ...]]] = {rule: [] for rule in RULES}
    for _ in range(draws):
        guesses = draw_guesses(random, len(labels), chances, epochs, correlation)
        for rule, scores in apply_rules(count(labels, fold, guesses, len(chances))):
            scored[rule].append(scores)
    return {rule: _ranges(np.array(scores)) for rule, scores in scored.items()}


def draw_guesses(
    random: np.random.Generator, clips: int, chances: Floats, epochs: int, correlation: float
) -> npt.NDArray[np.int64]:
    """Answers int64[epochs, clips]; each is the epoch before's with the probability `correlation`."""
    bounds = np.cumsum(chances / chances.sum())[:-1]
    guesses = np.searchsorted(bounds, random.random((epochs, clips)), side="right")
    if correlation:
        fresh = random.random((epochs, clips)) >= correlation
        fresh[0] = True
        source = np.maximum.accumulate(np.where(fresh, np.arange(epochs)[:, None], 0), axis=0)
        guesses = np.take_along_axis(guesses, source, axis=0)
    return guesses


def count(labels: npt.NDArray[np.int64], fold: Counts, guesses: Counts, num_classes: int) -> Counts:
    """Count answers per epoch and fold: int64[epochs, folds, k, k], rows the truth."""
    epochs, folds = len(guesses), int(fold.max()) + 1
    place = (fold * num_classes + labels) * num_classes  # of a clip within its epoch
    size = folds * num_classes**2
    cells = np.arange(epochs)[:, None] * size + place + guesses
    return np.bincount(cells.ravel(), minlength=epochs * size).reshape(epochs, folds, num_classes, num_classes)


def apply_rules(counts: Counts) -> Iterator[tuple[str, tuple[float, float, float]]]:
    """Score counts int64[epochs, folds, k, k] under every rule: (rule, (UF1, UAR, accuracy)).

    Of several best epochs the first counts, as for somebody who keeps the best so far.
    """
    own = metrics.score_all(counts)  # [epochs, folds, 3]
    pooled = metrics.score_all(counts.sum(axis=1))  # [epochs, 3]
    best = own.argmax(axis=0)  # [folds, 3]
    chosen = metrics.score_all(np.stack([counts[best[:, by], np.arange(len(best))].sum(axis=0) for by in range(3)]))
    values = (
        pooled[-1],
        pooled.max(axis=0),
        chosen[SCORES.index("accuracy")],
        chosen[SCORES.index("uf1")],
        np.diagonal(chosen),
        own[-1].mean(axis=0),
        own.max(axis=0).mean(axis=0),
    )
    for rule, scores in zip(RULES, values, strict=True):
        yield rule, (float(scores[0]), float(scores[1]), float(scores[2]))


def _ranges(scores: Floats) -> dict[str, GuessRange]:
    return {
        name: GuessRange(float(of.mean()), *percentile_interval(of)) for name, of in zip(SCORES, scores.T, strict=True)
    }


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
  python -m experiments.guessing_study data/demo/clips.csv
  python -m experiments.guessing_study runs/loso --epochs=100 --correlation=0.9 --out=runs/inflation
"""

COLUMNS = ("guesser", "rule", *(f"{score}{end}" for score in SCORES for end in ("", "_low", "_high")))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.guessing_study",
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
        print(f"error: {describe_os_error(error, '--out')}, or give another --out", file=sys.stderr)
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
    answers = read_published_predictions(options.file)
    names = check_classes(options.classes.split(",")) if options.classes else None
    classes = infer_classes([answers], names)
    labels = class_indices(answers.path, answers.label, classes)
    clips = np.bincount(labels, minlength=len(classes))
    rows: list[tuple[str, str, dict[str, GuessRange]]] = []
    for guesser, chances in (
        ("prior random", clips / clips.sum()),
        ("uniform", np.full(len(classes), 1 / len(classes))),
    ):
        table = simulate(
            labels,
            answers.subject_keys,
            chances,
            epochs=options.epochs,
            draws=options.draws,
            correlation=options.correlation,
            seed=options.seed,
        )
        rows += [(guesser, rule, ranges) for rule, ranges in table.items()]
    if answers.prediction is not None:
        guesses = class_indices(answers.path, answers.prediction, classes)
        counts = count(labels, metrics.group_ids(answers.subject_keys), guesses[None], len(classes))
        own = dict(apply_rules(counts))
        for rule, name in (("last epoch", "pooled over the folds"), ("mean over folds, last epoch", "mean over folds")):
            scores = (GuessRange(value, value, value) for value in own[rule])
            rows.append(("the predictions of FILE", name, dict(zip(SCORES, scores, strict=True))))
    counted = ", ".join(f"{count} {name}" for name, count in zip(classes, clips, strict=True))
    about = [
        f"{len(labels)} clips in {len(set(answers.subject_keys))} folds ({counted}).",
        f"{options.draws} guessers of each kind, {options.epochs} test epochs, "
        f"{options.correlation:.0%} of the answers carried over from the epoch before, seed {options.seed}.",
        f"Mean over the guessers, and the range that holds {bootstrap.LEVEL:.0%} of them.",
    ]
    if options.out is not None:
        write_text(options.out / "inflation.csv", _csv(rows))
        write_text(options.out / "inflation.md", _markdown(about, rows))
    return _text(about, rows)


def _cell(range_: GuessRange) -> str:
    if range_.low == range_.mean == range_.high:
        return f"{range_.mean:.3f}"
    return f"{range_.mean:.3f} [{range_.low:.3f}, {range_.high:.3f}]"


def _text(about: Sequence[str], rows: Sequence[tuple[str, str, dict[str, GuessRange]]]) -> str:
    width = max(len(rule) for _, rule, _ in rows) + 2
    lines = [*about]
    last = ""
    for guesser, rule, ranges in rows:
        if guesser != last:
            lines += ["", f"{guesser:{width}}  {'UF1':22}{'UAR':22}accuracy"]
            last = guesser
        cells = "".join(f"{_cell(ranges[name]):22}" for name in SCORES)
        lines.append(f"  {rule:{width - 2}}  {cells}".rstrip())
    return "\n".join([*lines, "", "the rules:", *(f"  {rule}: {what}" for rule, what in RULES.items())]) + "\n"


def _markdown(about: Sequence[str], rows: Sequence[tuple[str, str, dict[str, GuessRange]]]) -> str:
    lines = ["# What choosing the best test epoch gives to a guess", "", " ".join(about), ""]
    lines += ["| who | rule | UF1 | UAR | accuracy |", "|---|---|---|---|---|"]
    for guesser, rule, ranges in rows:
        lines.append(f"| {guesser} | {rule} | {' | '.join(_cell(ranges[name]) for name in SCORES)} |")
    return "\n".join([*lines, "", *(f"- {rule}: {what}." for rule, what in RULES.items())]) + "\n"


def _csv(rows: Sequence[tuple[str, str, dict[str, GuessRange]]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for guesser, rule, ranges in rows:
        numbers = (value for name in SCORES for value in (ranges[name].mean, ranges[name].low, ranges[name].high))
        writer.writerow((guesser, rule, *(f"{number:.6f}" for number in numbers)))
    return text.getvalue()


if __name__ == "__main__":
    sys.exit(main())
