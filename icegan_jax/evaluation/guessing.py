"""What recognisers that only guess reach when somebody chooses their best test epoch.

A guesser answers every test clip anew at every epoch and never looks at a face, so that every
epoch is worth the same. What a rule gives it above the last epoch is the rule's own gift.
"""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from icegan_jax.errors import UserError
from icegan_jax.evaluation import metrics
from icegan_jax.evaluation.bootstrap import interval

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
class Range:
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
) -> dict[str, dict[str, Range]]:
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


def _ranges(scores: Floats) -> dict[str, Range]:
    return {name: Range(float(of.mean()), *interval(of)) for name, of in zip(SCORES, scores.T, strict=True)}
