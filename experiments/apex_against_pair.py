"""Does the neutral face help recognition? The same LOSO runs with the apex alone (the paper) and with the pair.

python -m experiments.apex_against_pair --preset=demo --data=DATA     small networks on any prepared faces, minutes
python -m experiments.apex_against_pair --preset=demo                 drawn faces
python -m experiments.apex_against_pair --preset=full --data=DATA     the licensed databases
"""

import sys
from collections.abc import Sequence

from experiments.shared.differences import difference_note
from experiments.shared.faces import TO_LEAVE_OUT, faces
from experiments.shared.options import command, parse
from experiments.shared.runs import train_seeds
from experiments.shared.scores import references, scores
from experiments.shared.tables import write_tables

INPUTS = ("apex", "pair")
COLUMNS = ("input", "uf1", "uar", "selection", "floor_uf1", "random_uf1", "linear_uf1", "people", "predictions")


def main(argv: Sequence[str] | None = None) -> None:
    """Trains the runs and writes the table."""
    options, _ = parse(__doc__, argv)
    data = faces(options, TO_LEAVE_OUT)
    runs = {kind: train_seeds(options, {"model.recognition_input": kind}, data) for kind in INPUTS}
    rows = [{"input": kind, **scores(found), **references(found)} for kind, found in runs.items()]
    notes = (
        f"{options.seeds} runs with different seeds; mean [95% interval over people] ± deviation over seeds.",
        difference_note("pair against apex", runs["pair"], runs["apex"]),
    )
    write_tables(options.out / "apex_against_pair", "The apex alone against the pair", COLUMNS, rows, notes)


if __name__ == "__main__":
    sys.exit(command(main))
