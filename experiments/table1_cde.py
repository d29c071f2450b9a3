"""Table I, cross-database evaluation (CDE): LOSO over the pooled databases, all together and database by database.

    python experiments/table1_cde.py --preset=demo                    drawn faces in two databases, minutes
    python experiments/table1_cde.py --preset=demo --data=DATA        small networks on any prepared faces
    python experiments/table1_cde.py --preset=full --data=DATA        the paper, on the 442 clips of MEGC2019

UF1 and UAR are computed from the counts pooled over all folds; those of a database are the same predictions, restricted
to it. Beside them stand the paper's figures, the floors, and a linear classifier on raw apex pixels.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

if not __package__:  # run as a file: the packages beside this folder are found, and files in it are no modules
    sys.path[0] = str(Path(__file__).parents[1])

from experiments.shared.faces import TO_LEAVE_OUT, faces
from experiments.shared.options import command, parse
from experiments.shared.runs import train_seeds
from experiments.shared.scores import published, references, scores
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
    """Trains the runs and writes the table."""
    options, _ = parse(__doc__, argv)
    data = faces(options, TO_LEAVE_OUT)
    runs = train_seeds(options, {}, data)
    rows = [{"part": "all", **published("I", "all"), **scores(runs), **references(runs)}]
    for database in read_scored_results(runs[0] / "results.json")["datasets"]:
        ours = scores(runs, lambda row, name=database: row.dataset == name)
        rows.append({"part": database, **published("I", database), **ours, **references(runs, database)})
    rows += [{"part": f"published: {name}", **published(f"I {name}", "all")} for name in OTHERS]
    notes = (
        f"{options.seeds} runs with different seeds; mean [95% interval over people] ± deviation over seeds.",
        "Published figures are of the 442 clips of MEGC2019; only runs with --preset=full on them compare.",
    )
    write_tables(options.out / "table1_cde", "Table I: cross-database evaluation, LOSO", COLUMNS, rows, notes)


if __name__ == "__main__":
    sys.exit(command(main))
