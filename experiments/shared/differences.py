"""Is one kind of run better than another? The difference over the same clips, with its interval."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from icegan_jax.evaluation import metrics
from icegan_jax.evaluation.bootstrap import LEVEL, NUM_DRAWS
from icegan_jax.evaluation.predictions import read_predictions

_EQUAL = 0.005  # of UF1; a table's last digit, rounded up


def difference_note(name: str, better: Sequence[Path], worse: Sequence[Path]) -> str:
    """A sentence with the difference in UF1, the first less the second, and its 95% interval over people."""
    change, low, high = uf1_difference(better, worse)
    verdict = "equal" if abs(change) < _EQUAL else "better" if change > 0 else "WORSE"
    if verdict != "equal" and low <= 0 <= high:
        verdict += " on the mean, but within what other people would change"
    return f"{name}: UF1 {change:+.3f} [{low:+.3f}, {high:+.3f}], {verdict}."


def uf1_difference(better: Sequence[Path], worse: Sequence[Path]) -> tuple[float, float, float]:
    """UF1 of the counts pooled over the seeds, first less second; and its interval when people are resampled.

    Every draw takes the same people for both.
    """
    counts, people = zip(*(_counts(runs) for runs in (better, worse)), strict=True)
    everybody = sorted(set(people[0]) | set(people[1]))
    tables = [
        np.stack([table.get(person, np.zeros_like(next(iter(table.values())))) for person in everybody])
        for table in counts
    ]
    number = len(everybody)
    times = np.random.default_rng(0).multinomial(number, np.full(number, 1 / number), size=NUM_DRAWS)
    drawn = [np.nanmean(metrics.f1_per_class(np.einsum("ng,gtp->ntp", times, table)), axis=-1) for table in tables]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn[0] - drawn[1], [tail, 1 - tail])
    change = metrics.uf1(tables[0].sum(0)) - metrics.uf1(tables[1].sum(0))
    return change, float(low), float(high)


def _counts(runs: Sequence[Path]) -> tuple[dict[tuple[str, str], metrics.Counts], list[tuple[str, str]]]:
    """Confusion counts of each person, all runs together."""
    table: dict[tuple[str, str], metrics.Counts] = {}
    for run in runs:
        classes, rows = read_predictions(run / "predictions.csv")
        for row in rows:
            person = (row.dataset, row.subject)
            table.setdefault(person, np.zeros((len(classes), len(classes)), np.int64))
            table[person][row.label, row.prediction] += 1
    return table, list(table)
