"""Scores of one kind of run over several seeds, with intervals."""

import csv
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from experiments.shared.seeds import RATIOS, Person, count_people, draw_scores, list_people, seed_scores
from icegan_jax.errors import UserError
from icegan_jax.evaluation import metrics
from icegan_jax.evaluation.bootstrap import percentile_interval
from icegan_jax.evaluation.predictions import Prediction
from icegan_jax.evaluation.results import read_scored_results

PAPER = Path(__file__).parents[1] / "paper.csv"
UNKNOWN = "not at hand"


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


def published_scores(table: str, row: str) -> dict[str, object]:
    """Return the paper's scores in a row of a table: ``paper`` as text, ``paper_<metric>`` and ``paper_selection``.

    Where paper.csv has no such row, only ``paper`` is returned, as ``not at hand``.

    Raises:
      UserError: paper.csv is damaged.
    """
    published: dict[str, object] = {}
    with PAPER.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            if line.get("source") is None:
                raise UserError(
                    f"{PAPER}: a line lacks one of table,row,metric,value,selection,source; restore the file"
                )
            if (line["table"], line["row"]) == (table, row):
                published[f"paper_{line['metric']}"] = float(line["value"])
                published["paper_selection"] = line["selection"]
    numbers = ", ".join(
        f"{name.upper()} {published[f'paper_{name}']:.3f}" for name in RATIOS if f"paper_{name}" in published
    )
    return {"paper": f"{numbers} ({published['paper_selection']})" if published else UNKNOWN, **published}


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
