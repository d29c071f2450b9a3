"""Table II, single-database evaluation (SDE): LOSO within one database at a time, every system, macro F1.

    python -m experiments.table2_sde --preset=demo                    drawn faces in two databases, minutes
    python -m experiments.table2_sde --preset=full --data=DATA        the paper: within CASME II and within SAMM
    python -m experiments.table2_sde --method=icegan --method=mer_gcn these systems alone

The macro F1 of a single database is its UF1: the mean of 2TP/(2TP+FP+FN) over the classes, counts pooled over folds.
"""

import argparse
import sys
from collections.abc import Sequence

from experiments.shared import systems
from experiments.shared.faces import LOSO_FACES, prepared_faces
from experiments.shared.options import PRESETS, parse_options, run_command
from experiments.shared.published import KNOWN_ERRORS
from experiments.shared.tables import write_tables
from icegan_jax.data.dataset import load_pairs

TITLE = "Table II: single-database evaluation, LOSO"
_PAPER_DATABASES = ("casme2", "samm")  # the databases of the paper's table


def main(argv: Sequence[str] | None = None) -> None:
    """Train the runs and write the table and the differences of any two systems."""
    options, args = parse_options(__doc__, argv, _add)
    data = prepared_faces(options, LOSO_FACES)
    if args.database:
        databases = args.database
    elif data and PRESETS[options.preset].drawn:
        databases = sorted(set(load_pairs(data).dataset.tolist()))
    else:
        databases = list(_PAPER_DATABASES)
    rows, differences, refused = [], [], []
    for database in databases:
        fields = {"data.database": database}
        runs, without = systems.train_systems(options, args.method or systems.DEFAULT_METHODS, fields, data)
        rows += [{"database": database, **row} for row in systems.score_systems("II", options, runs, database)]
        differences += systems.compare_systems(runs, database)
        refused += without
    out = options.out / "table2_sde"
    notes = (
        "Trained and tested on the one database alone.",
        *systems.notes_of(options, runs),
        *KNOWN_ERRORS["II"],
        *dict.fromkeys(refused),
    )
    write_tables(out, TITLE, ("database", *systems.COLUMNS), rows, notes)
    systems.write_differences(out, TITLE, differences)


def _add(parser: argparse.ArgumentParser) -> None:
    systems.add_method_option(parser)
    parser.add_argument(
        "--database",
        action="append",
        metavar="NAME",
        help="a database of the prepared faces; repeatable (default: casme2 and samm; of the demo: all)",
    )


if __name__ == "__main__":
    sys.exit(run_command(main))
