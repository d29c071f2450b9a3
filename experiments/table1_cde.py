"""Table I, cross-database evaluation (CDE): LOSO over the pooled databases, every system, in total and by database.

    python -m experiments.table1_cde --preset=demo                    drawn faces in two databases, minutes
    python -m experiments.table1_cde --preset=demo --data=DATA        small networks on any prepared faces
    python -m experiments.table1_cde --preset=full --data=DATA        the paper, on the 442 clips of MEGC2019
    python -m experiments.table1_cde --method=icegan --method=emr     these systems alone

UF1 and UAR are computed from the counts pooled over all folds; the scores of a database use the same predictions,
restricted to that database. The preset changes ICE-GAN alone; a compared system is trained as its authors train it.
"""

import sys
from collections.abc import Sequence

from experiments.shared import systems
from experiments.shared.faces import LOSO_FACES, prepared_faces
from experiments.shared.options import parse_options, run_command
from experiments.shared.published import KNOWN_ERRORS
from experiments.shared.tables import write_tables
from icegan_jax.evaluation.results import read_scored_results

TITLE = "Table I: cross-database evaluation, LOSO"


def main(argv: Sequence[str] | None = None) -> None:
    """Train the runs and write the table and the differences of any two systems."""
    options, args = parse_options(__doc__, argv, systems.add_method_option)
    data = prepared_faces(options, LOSO_FACES)
    runs, refused = systems.train_systems(options, args.method or systems.DEFAULT_METHODS, {}, data)
    first = next(iter(runs.values()))[0]
    parts: dict[str, systems.Keep] = {"all": lambda _: True}
    for database in read_scored_results(first / "results.json")["datasets"]:
        parts[database] = lambda row, name=database: row.dataset == name
    rows, differences = [], []
    for part, keep in parts.items():
        rows += [{"part": part, **row} for row in systems.score_systems("I", options, runs, part, keep)]
        differences += systems.compare_systems(runs, part, keep)
    out = options.out / "table1_cde"
    notes = (*systems.notes_of(options, runs), *KNOWN_ERRORS["I"], *refused)
    write_tables(out, TITLE, ("part", *systems.COLUMNS), rows, notes)
    systems.write_differences(out, TITLE, differences)


if __name__ == "__main__":
    sys.exit(run_command(main))
