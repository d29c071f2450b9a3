"""Table II, single-database evaluation (SDE): LOSO within one database at a time, macro F1 of the three classes.

    python -m experiments.table2_sde --preset=demo                    drawn faces in two databases, minutes
    python -m experiments.table2_sde --preset=full --data=DATA        the paper: within CASME II and within SAMM

The macro F1 of a single database is its UF1: the mean of 2TP/(2TP+FP+FN) over the classes, counts pooled over folds.
"""

import argparse
import sys
from collections.abc import Sequence

from experiments.shared.faces import LOSO_FACES, prepared_faces
from experiments.shared.options import PRESETS, parse_options, run_command
from experiments.shared.runs import train_seeds
from experiments.shared.scores import baseline_scores, published_scores, score_runs
from experiments.shared.tables import write_tables
from icegan_jax.data.dataset import load_pairs

COLUMNS = (
    "database",
    "paper",
    "uf1",
    "uar",
    "selection",
    "floor_uf1",
    "random_uf1",
    "linear_uf1",
    "people",
    "predictions",
)
_PAPER_DATABASES = ("casme2", "samm")  # the databases of the paper's table


def main(argv: Sequence[str] | None = None) -> None:
    """Train the runs and write the table."""
    options, args = parse_options(__doc__, argv, _add)
    data = prepared_faces(options, LOSO_FACES)
    if args.database:
        databases = args.database
    elif data and PRESETS[options.preset].drawn:
        databases = sorted(set(load_pairs(data).dataset.tolist()))
    else:
        databases = list(_PAPER_DATABASES)
    rows = []
    for database in databases:
        fields = {"data.database": database}
        runs = train_seeds(options, fields, data)
        rows.append(
            {"database": database, **published_scores("II", database), **score_runs(runs), **baseline_scores(runs)}
        )
    notes = (
        f"{options.seeds} runs with different seeds; mean [95% interval over people] ± deviation over seeds.",
        "Trained and tested on the one database alone.",
    )
    write_tables(options.out / "table2_sde", "Table II: single-database evaluation, LOSO", COLUMNS, rows, notes)


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--database",
        action="append",
        metavar="NAME",
        help="a database of the prepared faces; repeatable (default: casme2 and samm; of the demo: all)",
    )


if __name__ == "__main__":
    sys.exit(run_command(main))
