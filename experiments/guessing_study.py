"""Scores that random guessing reaches when the best test epoch is selected, by several selection rules.

    python -m experiments.guessing_study FILE

A guesser predicts a random class for every test clip, again at every epoch, so that all epochs are equally good. What a
selection rule gives the guesser above the score of the last epoch is therefore an effect of the rule alone.
"""

import argparse
import sys
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from icegan_jax.cli import ArgumentParser, run_command
from icegan_jax.data.clips import EXPRESSIONS, label_of
from icegan_jax.errors import UserError
from icegan_jax.evaluation import bootstrap, metrics
from icegan_jax.evaluation.bootstrap import percentile_interval
from icegan_jax.io import write_text
from icegan_jax.run_dir import PREDICTIONS_FILE

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MAX_GUESSES = 10_000_000  # clips times epochs of one draw; counting takes about half a gigabyte

# The selection rules in the order of the table, each with its definition.
RULES = {
    "last epoch": "no selection: counts of the last epoch, pooled over the folds",
    "best common epoch": "one epoch for all folds, that with the highest pooled score; each score has its own",
    "best test epoch per fold, by accuracy": "in each fold the epoch of its highest accuracy; counts pooled",
    "best test epoch per fold, by UF1": "likewise by the fold's UF1",
    "best test epoch per fold, each score by itself": "UF1 at the epochs of best UF1, UAR at those of best UAR",
    "mean over folds, last epoch": "each fold scored by itself, the scores averaged: not MEGC2019's score",
    "mean over folds of each fold's best": "each fold's highest score, averaged: what the mean of a log shows",
}

SCORES = ("uf1", "uar", "accuracy")
COLUMNS = ("guesser", "rule", *(f"{score}{end}" for score in SCORES for end in ("", "_low", "_high")))

EPILOG = """\
FILE is a run directory or a CSV with the columns dataset, subject and label, such as clips.csv or
predictions.csv, and perhaps prediction. Where every label is an emotion of MEGC2019, the classes are
negative, positive and surprise. No image is read and nothing is trained: the study depends only on
the number of clips of each class in each fold.

simulation: a guesser predicts a random class for every test clip, again at every epoch, so that all
epochs are equally good. Each rule then selects a score. This is repeated --draws times.
  prior random     predictions are as frequent as the classes of FILE
  uniform          all classes are equally probable

interpretation: "0.512 [0.480, 0.545]" is the mean over the draws and the range that contains 95% of
them. Look up the rule by which a published score was computed: a score within the guessers' range
of that rule is no evidence of recognition, and the same rule may raise a published score by as much
as it raises "last epoch" here. Successive epochs of a network are similar: --correlation=0.9 carries
90% of the predictions over from one epoch to the next, which leaves fewer independent choices.

examples:
  python -m experiments.guessing_study data/demo/clips.csv
  python -m experiments.guessing_study runs/loso --epochs=100 --correlation=0.9 --out=runs/guessing_study
"""


@dataclass(frozen=True)
class GuessRange:
    """The mean of a score over the draws, and the range that contains 95% of the draws."""

    mean: float
    low: float
    high: float


def simulate_guessing(
    labels: npt.NDArray[np.int64],
    groups: Iterable[Hashable],
    probabilities: Floats,
    *,
    epochs: int,
    draws: int,
    correlation: float = 0.0,
    seed: int = 0,
) -> dict[str, dict[str, GuessRange]]:
    """Simulate guessers that are tested at every epoch, and score each guesser by all rules.

    Args:
      labels: int64[n], the true classes.
      groups: the fold of each of the n clips, such as (dataset, subject).
      probabilities: float64[k], the probability of each predicted class.
      epochs: number of test evaluations to select from.
      draws: number of guessers; memory does not grow with the number.
      correlation: share of the clips whose prediction is carried over from the previous epoch.
      seed: seed of the guesses.

    Returns:
      {rule: {"uf1": GuessRange, "uar": GuessRange, "accuracy": GuessRange}}, with the rules of RULES.

    Raises:
      UserError: a number is out of range, or clips times epochs exceed MAX_GUESSES.
    """
    if epochs < 1 or draws < 1:
        raise UserError(f"--epochs={epochs} --draws={draws}: give at least one of each")
    if not 0 <= correlation <= 1:
        raise UserError(f"--correlation={correlation}: it is a share, give a number from 0 to 1")
    if epochs * len(labels) > MAX_GUESSES:
        raise UserError(f"--epochs={epochs}: {len(labels)} clips allow {MAX_GUESSES // len(labels)}: give fewer")
    fold = metrics.group_ids(groups)
    random = np.random.default_rng(seed)
    scored: dict[str, list[tuple[float, ...]]] = {rule: [] for rule in RULES}
    for _ in range(draws):
        guesses = draw_guesses(random, len(labels), probabilities, epochs, correlation)
        for rule, scores in apply_rules(count_guesses(labels, fold, guesses, len(probabilities))):
            scored[rule].append(scores)
    return {rule: _ranges(np.array(scores)) for rule, scores in scored.items()}


def draw_guesses(
    random: np.random.Generator, clips: int, probabilities: Floats, epochs: int, correlation: float
) -> npt.NDArray[np.int64]:
    """Draw predictions int64[epochs, clips], carried over from the previous epoch with probability ``correlation``."""
    bounds = np.cumsum(probabilities / probabilities.sum())[:-1]
    guesses = np.searchsorted(bounds, random.random((epochs, clips)), side="right")
    if correlation:
        fresh = random.random((epochs, clips)) >= correlation
        fresh[0] = True
        source = np.maximum.accumulate(np.where(fresh, np.arange(epochs)[:, None], 0), axis=0)
        guesses = np.take_along_axis(guesses, source, axis=0)
    return guesses


def count_guesses(labels: npt.NDArray[np.int64], fold: Counts, guesses: Counts, num_classes: int) -> Counts:
    """Return the confusion counts of each epoch and fold, int64[epochs, folds, k, k], with true classes in the rows."""
    epochs, folds = len(guesses), int(fold.max()) + 1
    offset = (fold * num_classes + labels) * num_classes  # of a clip's counts within an epoch
    size = folds * num_classes**2
    cells = np.arange(epochs)[:, None] * size + offset + guesses
    return np.bincount(cells.ravel(), minlength=epochs * size).reshape(epochs, folds, num_classes, num_classes)


def apply_rules(counts: Counts) -> Iterator[tuple[str, tuple[float, float, float]]]:
    """Yield (rule, (UF1, UAR, accuracy)) of the counts int64[epochs, folds, k, k] for every rule.

    Of several equally good epochs the first is selected, as in a training that keeps the best epoch so far.
    """
    per_fold = metrics.score_all(counts)  # [epochs, folds, 3]
    pooled = metrics.score_all(counts.sum(axis=1))  # [epochs, 3]
    best = per_fold.argmax(axis=0)  # [folds, 3]
    selected = metrics.score_all(np.stack([counts[best[:, by], np.arange(len(best))].sum(axis=0) for by in range(3)]))
    values = (
        pooled[-1],
        pooled.max(axis=0),
        selected[SCORES.index("accuracy")],
        selected[SCORES.index("uf1")],
        np.diagonal(selected),
        per_fold[-1].mean(axis=0),
        per_fold.max(axis=0).mean(axis=0),
    )
    for rule, scores in zip(RULES, values, strict=True):
        yield rule, (float(scores[0]), float(scores[1]), float(scores[2]))


def _ranges(scores: Floats) -> dict[str, GuessRange]:
    return {
        name: GuessRange(float(of.mean()), *percentile_interval(of)) for name, of in zip(SCORES, scores.T, strict=True)
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return the exit code."""
    parser = ArgumentParser(
        prog="python -m experiments.guessing_study",
        description="Scores that random guessing reaches when the best test epoch is selected.",
        epilog=EPILOG,
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="the clips: a CSV, or a run directory")
    parser.add_argument("--epochs", type=int, default=100, help="test evaluations to select from (100)")
    parser.add_argument("--draws", type=int, default=200, help="simulated guessers of each kind (200)")
    parser.add_argument("--correlation", type=float, default=0.0, help="share of predictions carried over (0)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the guesses (0)")
    parser.add_argument("--out", type=Path, help="folder for guessing_study.csv")
    args = parser.parse_args(argv)
    return run_command(lambda: print(run_study(args), end=""))


def read_clips(path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read the columns dataset, subject, label and, if there, prediction of a CSV, with classes as indices.

    Returns:
      The table, and the names of the classes: ``EXPRESSIONS`` where every word has one of them, otherwise all words.

    Raises:
      UserError: the file is missing, no CSV, or lacks a column.
    """
    path = path / PREDICTIONS_FILE if path.is_dir() else path
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file: give a CSV with the columns dataset, subject and label") from error
    except ValueError as error:  # pandas' errors of parsing are ValueErrors
        raise UserError(f"{path}: not a CSV ({error}): write it again") from error
    missing = [name for name in ("dataset", "subject", "label") if name not in table]
    if missing or table.empty:
        raise UserError(f"{path}: {f'no column {missing[0]}' if missing else 'no clip'}: give dataset, subject, label")
    columns = [name for name in ("label", "prediction") if name in table]
    words = sorted({word for name in columns for word in table[name]})
    try:
        classes, index = EXPRESSIONS, {word: label_of(word) for word in words}
    except UserError:
        classes, index = tuple(words), {word: number for number, word in enumerate(words)}
    return table.assign(**{name: table[name].map(index) for name in columns}), classes


def run_study(options: argparse.Namespace) -> str:
    """Run the simulation, and write the tables where ``options.out`` names a folder.

    Returns:
      The table as text for the terminal.

    Raises:
      UserError: the file or an option is invalid.
    """
    if options.seed < 0:
        raise UserError(f"--seed={options.seed}: give a number from 0")
    table, classes = read_clips(options.file)
    labels, subjects = table["label"].to_numpy(np.int64), list(zip(table["dataset"], table["subject"], strict=True))
    clips = np.bincount(labels, minlength=len(classes))
    rows: list[tuple[str, str, dict[str, GuessRange]]] = []
    for guesser, probabilities in (
        ("prior random", clips / clips.sum()),
        ("uniform", np.full(len(classes), 1 / len(classes))),
    ):
        scores_of = simulate_guessing(
            labels,
            subjects,
            probabilities,
            epochs=options.epochs,
            draws=options.draws,
            correlation=options.correlation,
            seed=options.seed,
        )
        rows += [(guesser, rule, ranges) for rule, ranges in scores_of.items()]
    if "prediction" in table:
        guesses = table["prediction"].to_numpy(np.int64)
        counts = count_guesses(labels, metrics.group_ids(subjects), guesses[None], len(classes))
        scored = dict(apply_rules(counts))
        for rule, name in (("last epoch", "pooled over the folds"), ("mean over folds, last epoch", "mean over folds")):
            scores = (GuessRange(value, value, value) for value in scored[rule])
            rows.append(("the predictions of FILE", name, dict(zip(SCORES, scores, strict=True))))
    counted = ", ".join(f"{count} {name}" for name, count in zip(classes, clips, strict=True))
    summary = [
        f"{len(labels)} clips in {len(set(subjects))} folds ({counted}).",
        f"{options.draws} guessers of each kind, {options.epochs} test epochs, "
        f"{options.correlation:.0%} of the predictions carried over from the previous epoch, seed {options.seed}.",
        f"Mean over the guessers, and the range that contains {bootstrap.LEVEL:.0%} of them.",
    ]
    if options.out is not None:
        write_text(options.out / "guessing_study.csv", _to_csv(rows))
    return _to_text(summary, rows)


def _cell(range_: GuessRange) -> str:
    if range_.low == range_.mean == range_.high:
        return f"{range_.mean:.3f}"
    return f"{range_.mean:.3f} [{range_.low:.3f}, {range_.high:.3f}]"


def _to_text(summary: Sequence[str], rows: Sequence[tuple[str, str, dict[str, GuessRange]]]) -> str:
    width = max(len(rule) for _, rule, _ in rows) + 2
    lines = [*summary]
    previous = ""
    for guesser, rule, ranges in rows:
        if guesser != previous:
            lines += ["", f"{guesser:{width}}  {'UF1':22}{'UAR':22}accuracy"]
            previous = guesser
        cells = "".join(f"{_cell(ranges[name]):22}" for name in SCORES)
        lines.append(f"  {rule:{width - 2}}  {cells}".rstrip())
    return "\n".join([*lines, "", "rules:", *(f"  {rule}: {definition}" for rule, definition in RULES.items())]) + "\n"


def _to_csv(rows: Sequence[tuple[str, str, dict[str, GuessRange]]]) -> str:
    lines = []
    for guesser, rule, ranges in rows:
        lines.append([guesser, rule, *(value for name in SCORES for value in astuple(ranges[name]))])
    return pd.DataFrame(lines, columns=COLUMNS).to_csv(index=False, float_format="%.6f")


if __name__ == "__main__":
    sys.exit(main())
