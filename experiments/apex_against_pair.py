"""Effect of the neutral face on recognition: LOSO runs with the apex alone (the paper) and with onset and apex.

python -m experiments.apex_against_pair --preset=demo --data=DATA     small networks on any prepared faces, minutes
python -m experiments.apex_against_pair --preset=demo                 drawn faces
python -m experiments.apex_against_pair --preset=full --data=DATA     the licensed databases
"""

import sys
from collections.abc import Sequence

from experiments.shared.faces import LOSO_FACES, prepared_faces
from experiments.shared.options import parse_options, run_command
from experiments.shared.runs import train_seeds
from experiments.shared.scores import baseline_scores, difference_note, score_runs
from experiments.shared.tables import write_tables

INPUTS = ("apex", "pair")
COLUMNS = ("input", "uf1", "uar", "selection", "floor_uf1", "random_uf1", "linear_uf1", "people", "predictions")


def main(argv: Sequence[str] | None = None) -> None:
    """Train the runs and write the table."""
    options, _ = parse_options(__doc__, argv)
    data = prepared_faces(options, LOSO_FACES)
    runs = {kind: train_seeds(options, {"model.recognition_input": kind}, data) for kind in INPUTS}
    rows = [{"input": kind, **score_runs(seeds), **baseline_scores(seeds)} for kind, seeds in runs.items()]
    notes = (
        f"{options.seeds} runs with different seeds; mean [95% interval over people] ± deviation over seeds.",
        difference_note("pair against apex", runs["pair"], runs["apex"]),
    )
    write_tables(options.out / "apex_against_pair", "The apex alone against the pair", COLUMNS, rows, notes)


if __name__ == "__main__":
    sys.exit(run_command(main))
