"""Scores of one kind of run over its seeds, with intervals."""

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
    """UF1, UAR and accuracy of the same kind of run with several seeds.

    Each is the mean of the seeds' scores; ``sd`` their standard deviation (of one seed: None). The 95% interval is
    that of the mean when people are resampled; of a single person there is none. It does not cover the training seed.

    Args:
      runs: finished run directories.
      keep: which predictions count, such as those of one database.

    Raises:
      UserError: nothing is left to score.
    """
    tables = count_people(runs, keep)
    found = scores_with_intervals(tables)
    counts = [np.sum(list(table.values()), axis=0) for table in tables]
    found["accuracy"] = statistics.mean(metrics.accuracy(table) for table in counts)
    found["predictions"] = int(np.sum(counts))
    found["people"] = len(list_people(*tables))
    found["seeds"] = len(runs)
    found["selection"] = ", ".join(
        sorted({str(read_scored_results(run / "results.json")["selection"]) for run in runs})
    )
    return found


def scores_with_intervals(tables: Sequence[dict[Person, metrics.Counts]]) -> dict[str, object]:
    """``uf1`` and ``uar`` with ``_sd``, ``_low`` and ``_high``, see ``scores``; ``tables``: of each seed."""
    everybody = list_people(*tables)
    found: dict[str, object] = {}
    for name in RATIOS:
        values = seed_scores(tables, name)
        found[name] = float(values.mean())
        found[f"{name}_sd"] = float(values.std(ddof=1)) if len(values) > 1 else None
        low_high = percentile_interval(draw_scores(tables, name, everybody)) if len(everybody) > 1 else (None, None)
        found[f"{name}_low"], found[f"{name}_high"] = low_high
    return found


def published_scores(table: str, row: str) -> dict[str, object]:
    """What the paper has in this row: ``paper`` in words, ``paper_<metric>``, ``paper_selection``.

    ``paper`` is ``not at hand``, alone, where paper.csv has no such row.

    Raises:
      UserError: paper.csv is damaged.
    """
    found: dict[str, object] = {}
    with PAPER.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            if line.get("source") is None:
                raise UserError(
                    f"{PAPER}: a line lacks one of table,row,metric,value,selection,source; restore the file"
                )
            if (line["table"], line["row"]) == (table, row):
                found[f"paper_{line['metric']}"] = float(line["value"])
                found["paper_selection"] = line["selection"]
    numbers = ", ".join(f"{name.upper()} {found[f'paper_{name}']:.3f}" for name in RATIOS if f"paper_{name}" in found)
    return {"paper": f"{numbers} ({found['paper_selection']})" if found else UNKNOWN, **found}


def baseline_scores(runs: Sequence[Path], database: str | None = None) -> dict[str, object]:
    """UF1 of the floors and of the linear reader.

    ``floor_uf1``: always negative (of other classes: always the one with most clips); ``random_uf1``: answers drawn
    from the class frequencies.

    Args:
      runs: finished run directories of one kind; the linear classifier is scored on all clips only.
      database: whose floor; None: that of all clips.
    """
    found: dict[str, list[float]] = {"floor_uf1": [], "random_uf1": [], "linear_uf1": []}
    for run in runs:
        results = read_scored_results(run / "results.json")
        floors = results["floors"] if database is None else results["dataset_floors"][database]
        found["floor_uf1"] += [block["uf1"] for name, block in floors.items() if name.startswith("always_")]
        found["random_uf1"] += [floors["prior_random"]["uf1"]]
        if database is None:
            found["linear_uf1"] += [results["references"]["linear_on_apex_pixels"]["uf1"]]
    return {name: statistics.mean(values) for name, values in found.items() if values}
