"""Scores of one kind of run over several seeds, with intervals over subjects, and differences of two kinds of run."""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from icegan_jax.errors import UserError
from icegan_jax.evaluation import metrics
from icegan_jax.evaluation.bootstrap import draw_groups, percentile_interval
from icegan_jax.evaluation.predictions import Prediction, read_predictions
from icegan_jax.evaluation.results import read_scored_results

Person = tuple[str, str]
Values = NDArray[np.float64]
RATIOS = {"uf1": metrics.f1_per_class, "uar": metrics.recall_per_class}
_EQUAL = 0.005  # of UF1; a table's last digit, rounded up


def score_runs(runs: Sequence[Path], keep: Callable[[Prediction], bool] = lambda _: True) -> dict[str, object]:
    """Return UF1, UAR and accuracy of the same kind of run with several seeds.

    Each score is the mean over the seeds, and ``sd`` the standard deviation over the seeds (None for one seed). The 95%
    interval is that of the mean when subjects are resampled (None for one subject), and does not include the variation
    between seeds.

    Args:
      runs: finished run directories.
      keep: selects predictions, such as those of one database.

    Raises:
      UserError: no prediction is selected.
    """
    tables = count_people(runs, keep)
    scores = scores_with_intervals(tables)
    counts = [np.sum(list(table.values()), axis=0) for table in tables]
    scores["accuracy"] = statistics.mean(metrics.accuracy(table) for table in counts)
    scores["predictions"] = int(np.sum(counts))
    scores["people"] = len(list_people(*tables))
    scores["seeds"] = len(runs)
    scores["selection"] = ", ".join(
        sorted({str(read_scored_results(run / "results.json")["selection"]) for run in runs})
    )
    return scores


def scores_with_intervals(tables: Sequence[dict[Person, metrics.Counts]]) -> dict[str, object]:
    """Return ``uf1`` and ``uar`` with ``_sd``, ``_low`` and ``_high``, of the counts of each seed."""
    everybody = list_people(*tables)
    scores: dict[str, object] = {}
    for name in RATIOS:
        values = seed_scores(tables, name)
        scores[name] = float(values.mean())
        scores[f"{name}_sd"] = float(values.std(ddof=1)) if len(values) > 1 else None
        low_high = percentile_interval(draw_scores(tables, name, everybody)) if len(everybody) > 1 else (None, None)
        scores[f"{name}_low"], scores[f"{name}_high"] = low_high
    return scores


def baseline_scores(runs: Sequence[Path], database: str | None = None) -> dict[str, object]:
    """Return the UF1 of the floors and of the linear classifier.

    ``floor_uf1`` is the UF1 of predicting the most frequent class always; ``random_uf1`` that of predictions drawn from
    the class frequencies.

    Args:
      runs: finished run directories of one kind; the linear classifier is scored on all clips only.
      database: the database of the floors; None for all clips.
    """
    scores: dict[str, list[float]] = {"floor_uf1": [], "random_uf1": [], "linear_uf1": []}
    for run in runs:
        results = read_scored_results(run / "results.json")
        floors = results["floors"] if database is None else results["dataset_floors"][database]
        scores["floor_uf1"] += [block["uf1"] for name, block in floors.items() if name.startswith("always_")]
        scores["random_uf1"] += [floors["prior_random"]["uf1"]]
        if database is None:
            scores["linear_uf1"] += [results["references"]["linear_on_apex_pixels"]["uf1"]]
    return {name: statistics.mean(values) for name, values in scores.items() if values}


class Difference(NamedTuple):
    """UF1 of the first kind of run minus UF1 of the second.

    Attributes:
      mean: mean over the seeds.
      low, high: 95% interval of the mean when subjects are resampled, the same subjects for both.
      seeds: the difference of each seed.
    """

    mean: float
    low: float
    high: float
    seeds: list[float]

    @property
    def holds(self) -> bool:
        """Whether the interval excludes 0 and every seed has the same sign.

        The interval over subjects alone is too narrow, as the subjects of a split share one network.
        """
        one_sign = all(seed > 0 for seed in self.seeds) or all(seed < 0 for seed in self.seeds)
        return one_sign and not self.low <= 0 <= self.high


def uf1_difference(
    first: Sequence[Path], second: Sequence[Path], keep: Callable[[Prediction], bool] = lambda _: True
) -> Difference:
    """Return the difference of two kinds of run with the same held-out subjects and the same seeds, in one order.

    ``keep`` selects predictions, such as those of one database.
    """
    tables = [count_people(runs, keep) for runs in (first, second)]
    everybody = list_people(*tables[0], *tables[1])
    seeds = seed_scores(tables[0], "uf1") - seed_scores(tables[1], "uf1")
    drawn = [draw_scores(table, "uf1", everybody) for table in tables]
    changes = drawn[0] - drawn[1]
    return Difference(float(seeds.mean()), *percentile_interval(changes[~np.isnan(changes)]), seeds.tolist())


def difference_note(name: str, first: Sequence[Path], second: Sequence[Path]) -> str:
    """Return a sentence with the difference, and a result that is certain only where the difference holds."""
    difference = uf1_difference(first, second)
    result = "equal" if abs(difference.mean) < _EQUAL else "better" if difference.mean > 0 else "worse"
    if result != "equal" and not difference.holds:
        result += " on the mean, but other subjects or seeds could reverse the sign"
    seeds = ", ".join(f"{seed:+.3f}" for seed in difference.seeds)
    interval = f"[{difference.low:+.3f}, {difference.high:+.3f}]"
    return f"{name}: UF1 {difference.mean:+.3f} {interval}, by seed {seeds}: {result}."


def count_people(runs: Sequence[Path], keep: Callable[[Prediction], bool]) -> list[dict[Person, metrics.Counts]]:
    """Return for each run the confusion counts of each held-out subject over the selected predictions.

    Raises:
      UserError: a run has no selected prediction.
    """
    tables = []
    for run in runs:
        table = count_rows([run / "predictions.csv"], keep)
        if not table:
            raise UserError(f"{run}: no prediction to score; give data with clips of every requested database")
        tables.append(table)
    return tables


def count_rows(
    files: Sequence[Path], keep: Callable[[Prediction], bool] = lambda _: True
) -> dict[Person, metrics.Counts]:
    """Return the confusion counts of each subject, summed over several predictions.csv."""
    table: dict[Person, metrics.Counts] = {}
    for file in files:
        classes, rows = read_predictions(file)
        for row in filter(keep, rows):
            counts = table.setdefault((row.dataset, row.subject), np.zeros((len(classes),) * 2, np.int64))
            counts[row.label, row.prediction] += 1
    return table


def seed_scores(tables: Sequence[dict[Person, metrics.Counts]], name: str) -> Values:
    """Return ``uf1`` or ``uar`` of the pooled counts of each seed, float64[s]."""
    return np.array([float(nan_mean(RATIOS[name](np.sum(list(table.values()), axis=0)))) for table in tables])


def draw_scores(tables: Sequence[dict[Person, metrics.Counts]], name: str, subjects: Sequence[Person]) -> Values:
    """Return the mean over seeds of ``uf1`` or ``uar`` for each draw of resampled subjects, float64[draws].

    Equal lists of subjects give equal draws. A seed that held out no subject of a draw is left out of the mean.
    """
    zero = np.zeros_like(next(iter(tables[0].values())))
    counts = np.stack([[table.get(person, zero) for person in subjects] for table in tables])
    return nan_mean(nan_mean(RATIOS[name](np.einsum("ng,sgtp->nstp", draw_groups(len(subjects)), counts))))


def list_people(*tables: dict[Person, metrics.Counts]) -> list[Person]:
    """Return the subjects who are held out in any of the tables, sorted."""
    return sorted(set().union(*tables))


def nan_mean(values: Values) -> Values:
    """Return the mean over the last axis without NaN, or NaN where all values are NaN."""
    valid = ~np.isnan(values)
    count = valid.sum(axis=-1)
    return np.divide(np.where(valid, values, 0).sum(axis=-1), count, out=np.full(count.shape, np.nan), where=count > 0)
