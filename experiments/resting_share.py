"""Effect of resting pairs in training: LOSO runs without them (the paper) and with a share of the batch.

python -m experiments.resting_share --preset=demo                 drawn faces
python -m experiments.resting_share --preset=demo --data=DATA     small networks on any prepared faces, minutes

Beside the scores the table has how long the longest class capsule is on the resting pairs of the held-out subjects and
on their clips with an expression: the 5%, 50% and 95% quantiles, and the share of clips whose longest capsule is below
the 95% quantile of the resting pairs, so that they are missed by a threshold with 5% false alarms.
"""

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments.shared.faces import LOSO_FACES, prepared_faces
from experiments.shared.options import parse_options, run_command
from experiments.shared.runs import train_seeds
from experiments.shared.scores import difference_note, score_runs
from experiments.shared.tables import write_tables
from icegan_jax.evaluation.predictions import read_predictions
from icegan_jax.evaluation.resting import read_resting_predictions
from icegan_jax.run_dir import PREDICTIONS_FILE, RESTING_FILE

SHARES = (0.0, 0.25)
COLUMNS = ("resting_share", "uf1", "uar", "resting", "expression", "missed", "separation", "people", "predictions")
QUANTILES = (0.05, 0.5, 0.95)


def capsule_scores(runs: Sequence[Path]) -> dict[str, object]:
    """Return the quantiles of the longest capsule and the share of missed clips, means over the runs.

    ``separation`` is the probability that the longest capsule of a clip is longer than that of a resting pair.
    """
    scores: dict[str, list[object]] = {"resting": [], "expression": [], "missed": [], "separation": []}
    for run in runs:
        resting, clips = (
            np.array([max(row.scores) for row in rows])
            for rows in (
                read_resting_predictions(run / RESTING_FILE)[1],
                read_predictions(run / PREDICTIONS_FILE)[1],
            )
        )
        scores["resting"].append(np.quantile(resting, QUANTILES))
        scores["expression"].append(np.quantile(clips, QUANTILES))
        scores["missed"].append(np.mean(clips <= np.quantile(resting, 0.95)))
        scores["separation"].append(np.mean(clips[:, None] > resting))
    lengths = {
        name: ", ".join(f"{value:.2f}" for value in np.mean(scores.pop(name), axis=0))
        for name in ("resting", "expression")
    }
    return lengths | {name: statistics.mean(map(float, values)) for name, values in scores.items()}


def main(argv: Sequence[str] | None = None) -> None:
    """Train the runs and write the table."""
    options, _ = parse_options(__doc__, argv)
    data = prepared_faces(options, LOSO_FACES)
    runs = {share: train_seeds(options, {"training.resting_share": share}, data) for share in SHARES}
    rows = [{"resting_share": share, **score_runs(seeds), **capsule_scores(seeds)} for share, seeds in runs.items()]
    notes = (
        f"{options.seeds} runs with different seeds; mean [95% interval over people] ± deviation over seeds.",
        difference_note("with resting pairs against without", runs[SHARES[1]], runs[SHARES[0]]),
    )
    write_tables(options.out / "resting_share", "Resting pairs in training", COLUMNS, rows, notes)


if __name__ == "__main__":
    sys.exit(run_command(main))
