"""The systems of Tables I and II: trained alike on the same folds, beside their published figures, and compared."""

import argparse
import itertools
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from experiments.shared.options import Options
from experiments.shared.published import published_parameters, published_text
from experiments.shared.runs import train_seeds
from experiments.shared.scores import baseline_scores, score_runs, uf1_difference
from experiments.shared.tables import write_tables
from experiments.table4_discriminator import parameters
from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.errors import UserError
from icegan_jax.evaluation.compare import McNemar, mcnemar
from icegan_jax.evaluation.predictions import Prediction, read_predictions
from icegan_jax.evaluation.results import read_scored_results
from icegan_jax.methods import METHODS

ICEGAN = {"icegan": ("ICE-GAN, apex (the paper)", "apex"), "icegan_pair": ("ICE-GAN, pair", "pair")}
_READINGS = {  # networks that are no methods of ``main`` yet
    "mer_gcn": "AU graph, after MER-GCN (our reading)",
    "au_gacn": "AU graph attention, after AU-GACN (our reading)",
}
TITLES = {
    **{name: method.title for name, method in METHODS.items()},
    **_READINGS,
    **{name: title for name, (title, _) in ICEGAN.items()},
}
# Those whose runs take minutes on two CPU cores with the demo's faces; the networks of 224 pixels are for a GPU.
DEFAULT_METHODS = ("icegan", "icegan_pair", "flow_svm", "ststnet", "sssnet", "rcn_a")
COLUMNS = (
    "system",
    "paper",
    "published",
    "run_by_others",
    "uf1",
    "uar",
    "selection",
    "best_test_epoch",
    "difference",
    "differs",
    "parameters",
    "minutes",
    "people",
    "predictions",
)
Runs = Mapping[str, Sequence[Path]]
Keep = Callable[[Prediction], bool]


def add_method_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--method``, which may be repeated."""
    parser.add_argument(
        "--method",
        action="append",
        choices=list(TITLES),
        help=f"a system to train or to take from its finished runs; repeatable (default: {', '.join(DEFAULT_METHODS)})",
    )


def train_systems(
    options: Options, names: Sequence[str], fields: Mapping[str, object], data: str
) -> tuple[dict[str, list[Path]], list[str]]:
    """Train the systems with all seeds, or take their finished runs.

    Args:
      options: the options of the experiment.
      names: keys of ``TITLES``.
      fields: fields of the configuration, for all systems.
      data: a prepared folder; empty for the folder of the configuration.

    Returns:
      The run directories by name, and a sentence for each compared system that cannot be trained, such as one that
      needs action units on data without them.

    Raises:
      UserError: ICE-GAN cannot be trained, or no system can.
    """
    runs, refused = {}, []
    for name in (name for name in TITLES if name in names):
        own = {**fields, **_fields(name)}
        try:
            runs[name] = train_seeds(options, own, data)
        except UserError as error:
            if name in ICEGAN or len(names) == 1:
                raise
            refused.append(f"{TITLES[name]} was not run: {error}")
    if not runs:
        raise UserError(refused[0])
    return runs, refused


def score_systems(
    table: str, options: Options, runs: Runs, dataset: str, keep: Keep = lambda _: True
) -> list[dict[str, object]]:
    """Return a row for every system, then the floors and the linear classifier.

    A system that was not run has its published figures alone.

    Args:
      table: ``I`` or ``II``, whose published figures are shown.
      options: the options of the experiment.
      runs: finished runs by system.
      dataset: ``all`` or the name of a database, of the published figures.
      keep: selects predictions, such as those of one database.
    """
    reference = reference_system(runs, keep)
    rows: list[dict[str, object]] = []
    for name, title in TITLES.items():
        row: dict[str, object] = {
            "system": title,
            "paper": published_text(table, name, dataset),
            "published": published_text(f"{table} own", name, dataset, selection=True),
            "run_by_others": published_text(f"{table} rerun", name, dataset, selection=True),
            "parameters": published_parameters(name),
        }
        if name in runs:
            row |= score_runs(runs[name], keep) | _costs(options, name, runs[name])
            if dataset == "all" or table == "II":
                row["best_test_epoch"] = _best_test_epoch(runs[name])
            if name != reference:
                found = uf1_difference(runs[name], runs[reference], keep)
                row |= {"difference": found.mean, "difference_low": found.low, "difference_high": found.high}
                row["differs"] = _result(found.mean) if found.holds else None
        rows.append(row)
    floors = baseline_scores(runs[reference], None if dataset == "all" or table == "II" else dataset)
    names = {
        "floor_uf1": "always the most frequent class",
        "random_uf1": "drawn from the class frequencies",
        "linear_uf1": "linear SVM on apex pixels",
    }
    return rows + [{"system": names[key], "uf1": value} for key, value in floors.items()]


def reference_system(runs: Runs, keep: Keep = lambda _: True) -> str:
    """Return the system with which the others are compared: ICE-GAN if it was run, else that with the highest UF1."""
    return "icegan" if "icegan" in runs else max(runs, key=lambda name: float(str(score_runs(runs[name], keep)["uf1"])))


def compare_systems(runs: Runs, part: str, keep: Keep = lambda _: True) -> list[dict[str, object]]:
    """Return a row for any two systems: the difference of UF1 over all seeds, and McNemar's test of the first seed.

    Args:
      runs: finished runs by system.
      part: name of the compared clips, for the rows.
      keep: selects predictions, such as those of one database.
    """
    rows: list[dict[str, object]] = []
    for first, second in itertools.combinations(runs, 2):
        found, test = uf1_difference(runs[first], runs[second], keep), _mcnemar(runs[first][0], runs[second][0], keep)
        rows.append(
            {
                "part": part,
                "first": TITLES[first],
                "second": TITLES[second],
                "difference": found.mean,
                "difference_low": found.low,
                "difference_high": found.high,
                "first_is": _result(found.mean) if found.holds else None,
                "only_first_right": test.only_first,
                "only_second_right": test.only_second,
                "mcnemar_p": test.p,
                "mcnemar_mid_p": test.mid_p,
            }
        )
    return rows


def write_differences(out: Path, title: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Write ``out/differences.csv``, ``.md`` and ``.html`` from the rows of ``compare_systems``."""
    columns = [key for key in (rows[0] if rows else ()) if key not in ("difference_low", "difference_high")]
    notes = (
        "difference: UF1 of the first less UF1 of the second, mean over seeds [95% interval, the same people drawn].",
        "first is: filled only where the interval excludes 0 and every seed has the same sign. Of many pairs without "
        "any difference one in twenty still has such an interval.",
        "McNemar: clips of the first seed that only one of the two has right; exact p and mid-p; takes clips as "
        "independent, which those of one person are not.",
    )
    write_tables(out, f"{title}: differences", columns, rows, notes, name="differences")


def notes_of(options: Options, runs: Runs) -> tuple[str, ...]:
    """Return the sentences below a table that explain its columns."""
    return (
        f"uf1, uar: ours, {options.seeds} runs with different seeds, last step; mean [95% interval over people] ± "
        "deviation over seeds. Empty where a system was not run (--method).",
        f"difference: UF1 less that of {TITLES[reference_system(runs)]}, the same people drawn; differs: only where "
        "the interval excludes 0 and every seed has the same sign. Every pair is in differences.csv.",
        "best test epoch: UF1 by that rule, which is not a valid score; of runs with --config.evaluation.oracle=True "
        "and --config.training.evaluate_every.",
        "paper: as ICE-GAN's paper has it; published: by the system's own authors, and how it was selected; sources in "
        "experiments/published.csv. They are of MEGC2019; only runs on its 442 clips compare.",
    )


def _fields(name: str) -> dict[str, object]:
    return {"model.recognition_input": ICEGAN[name][1]} if name in ICEGAN else {"method": name}


def _costs(options: Options, name: str, runs: Sequence[Path]) -> dict[str, object]:
    """Return the minutes of a run, and of ICE-GAN the parameters of the discriminator, which recognizes."""
    results = [read_scored_results(run / "results.json") for run in runs]
    costs: dict[str, object] = {"minutes": statistics.mean(found["timing"]["wall_s"] for found in results) / 60}
    if name in ICEGAN:
        classes = len(results[0].get("classes", EXPRESSIONS))
        costs["parameters"] = parameters(options, _fields(name), classes)
    return costs


def _best_test_epoch(runs: Sequence[Path]) -> float | None:
    scores = [read_scored_results(run / "results.json").get("oracle") for run in runs]
    return statistics.mean(score["uf1"] for score in scores if score) if all(scores) else None


def _result(difference: float) -> str:
    return "better" if difference > 0 else "worse"


def _mcnemar(first: Path, second: Path, keep: Keep) -> McNemar:
    rows = [
        {
            (row.dataset, row.subject, row.clip): row
            for row in filter(keep, read_predictions(run / "predictions.csv")[1])
        }
        for run in (first, second)
    ]
    if rows[0].keys() != rows[1].keys():
        raise UserError(f"{second}: other clips than {first}; give another --out")
    labels = [row.label for row in rows[0].values()]
    return mcnemar(
        np.array(labels),
        np.array([row.prediction for row in rows[0].values()]),
        np.array([rows[1][clip].prediction for clip in rows[0]]),
    )
