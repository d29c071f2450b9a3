"""Table I, cross-database evaluation (CDE): LOSO over the pooled databases, scored in total and by database.

    python -m experiments.table1_cde --preset=demo                    drawn faces in two databases, minutes
    python -m experiments.table1_cde --preset=demo --data=DATA        small networks on any prepared faces
    python -m experiments.table1_cde --preset=full --data=DATA        the paper, on the 442 clips of MEGC2019

UF1 and UAR are computed from the counts pooled over all folds; the scores of a database use the same predictions,
restricted to that database. The table also has the paper's figures, the floors, and a linear classifier on apex pixels.
"""

import sys
from collections.abc import Sequence

from experiments.shared.faces import LOSO_FACES, prepared_faces
from experiments.shared.options import parse_options, run_command
from experiments.shared.runs import train_seeds
from experiments.shared.scores import baseline_scores, published_scores, score_runs
from experiments.shared.tables import write_tables
from icegan_jax.evaluation.results import read_scored_results

COLUMNS = (
    "part",
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
OTHERS = ("last epoch", "STSTNet", "CapsuleNet", "LBP-TOP")  # rows of paper.csv, beside the paper's own


def main(argv: Sequence[str] | None = None) -> None:
    """Train the runs and write the table."""
    options, _ = parse_options(__doc__, argv)
    data = prepared_faces(options, LOSO_FACES)
    runs = train_seeds(options, {}, data)
    rows = [{"part": "all", **published_scores("I", "all"), **score_runs(runs), **baseline_scores(runs)}]
    for database in read_scored_results(runs[0] / "results.json")["datasets"]:
        ours = score_runs(runs, lambda row, name=database: row.dataset == name)
        rows.append({"part": database, **published_scores("I", database), **ours, **baseline_scores(runs, database)})
    rows += [{"part": f"published: {name}", **published_scores(f"I {name}", "all")} for name in OTHERS]
    notes = (
        f"{options.seeds} runs with different seeds; mean [95% interval over people] ± deviation over seeds.",
        "Published figures are of the 442 clips of MEGC2019; only runs with --preset=full on them compare.",
    )
    write_tables(options.out / "table1_cde", "Table I: cross-database evaluation, LOSO", COLUMNS, rows, notes)


if __name__ == "__main__":
    sys.exit(run_command(main))
