"""Scores of one kind of run over its seeds, with intervals."""

import csv
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from icegan_jax.errors import UserError
from icegan_jax.evaluation.predictions import Prediction, read_predictions
from icegan_jax.evaluation.results import read_results
from icegan_jax.evaluation.scores import score

PAPER = Path(__file__).parents[1] / "paper.csv"
UNKNOWN = "not at hand"
METRICS = ("uf1", "uar")


def scores(runs: Sequence[Path], keep: Callable[[Prediction], bool] = lambda _: True) -> dict[str, object]:
    """UF1, UAR and accuracy of the same kind of run with several seeds.

    Each is the mean of the seeds' scores; ``sd`` their standard deviation (of one seed: None). The 95% interval is
    that of the counts pooled over the seeds when people are resampled, each with the predictions of all seeds.

    Args:
      runs: finished run directories.
      keep: which predictions count, such as those of one database.

    Raises:
      UserError: nothing is left to score.
    """
    per_seed = []
    together: list[Prediction] = []
    for run in runs:
        classes, rows = read_predictions(run / "predictions.csv")
        rows = [row for row in rows if keep(row)]
        if not rows:
            raise UserError(f"{run}: no prediction to score; give data with clips of every database asked for")
        per_seed.append(_score(rows, len(classes)))
        together += rows
    pooled = _score(together, len(classes))
    found: dict[str, object] = {}
    for name in METRICS:
        values = [seed[name] for seed in per_seed]
        found[name] = statistics.mean(values)
        found[f"{name}_sd"] = statistics.stdev(values) if len(values) > 1 else None
        interval = pooled[f"{name}_ci95"]
        found[f"{name}_low"], found[f"{name}_high"] = interval or (None, None)
    found["accuracy"] = statistics.mean(seed["accuracy"] for seed in per_seed)
    found["predictions"] = len(together)
    found["people"] = len({(row.dataset, row.subject) for row in together})
    found["seeds"] = len(runs)
    found["selection"] = ", ".join(sorted({str(read_results(run / "results.json")["selection"]) for run in runs}))
    return found


def published(table: str, row: str) -> dict[str, object]:
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
    numbers = ", ".join(f"{name.upper()} {found[f'paper_{name}']:.3f}" for name in METRICS if f"paper_{name}" in found)
    return {"paper": f"{numbers} ({found['paper_selection']})" if found else UNKNOWN, **found}


def _score(rows: Sequence[Prediction], classes: int) -> Any:
    people = [(row.dataset, row.subject) for row in rows]
    return score([row.label for row in rows], [row.prediction for row in rows], people, classes)


def references(runs: Sequence[Path], database: str | None = None) -> dict[str, object]:
    """UF1 of the floor "always negative" (of other classes: always the one with most clips) and of the linear reader.

    Args:
      runs: finished run directories of one kind; the linear classifier is scored on all clips only.
      database: whose floor; None: that of all clips.
    """
    found: dict[str, list[float]] = {"floor_uf1": [], "linear_uf1": []}
    for run in runs:
        results = read_results(run / "results.json")
        floors = results["floors"] if database is None else results["dataset_floors"][database]
        found["floor_uf1"] += [block["uf1"] for name, block in floors.items() if name.startswith("always_")]
        if database is None:
            found["linear_uf1"] += [results["references"]["linear_on_apex_pixels"]["uf1"]]
    return {name: statistics.mean(values) for name, values in found.items() if values}
