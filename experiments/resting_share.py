"""Effect of resting pairs in training: LOSO runs without them (the paper) and with a share of the batch.

python -m experiments.resting_share --preset=demo                 drawn faces
python -m experiments.resting_share --preset=demo --data=DATA     small networks on any prepared faces, minutes

Beside the scores the table has how long the longest class capsule is on the resting pairs of the held-out subjects and
on their clips with an expression: the 5%, 50% and 95% quantiles, and the share of clips whose longest capsule is below
the 95% quantile of the resting pairs, so that they are missed by a threshold with 5% false alarms. A second table,
movement/table.md, has the scores of the held-out clips whose movement is made smaller: it shows which class the
recognizer answers where little moves.
"""

import dataclasses
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.shared.faces import LOSO_FACES, prepared_faces, run_data_dir
from experiments.shared.options import parse_options, run_command
from experiments.shared.runs import train_seeds
from experiments.shared.scores import difference_note, score_runs
from experiments.shared.tables import write_tables
from icegan_jax.data.dataset import load_pairs
from icegan_jax.evaluation import metrics
from icegan_jax.evaluation.predictions import read_predictions
from icegan_jax.evaluation.resting import read_resting_predictions
from icegan_jax.inference.ensemble import load_ensemble
from icegan_jax.io import read_json
from icegan_jax.run_dir import CONFIG_FILE, PREDICTIONS_FILE, RESTING_FILE

SHARES = (0.0, 0.25)
MOVEMENTS = (1.0, 0.5, 0.25, 0.0)  # shares of the change from onset to apex
COLUMNS = ("resting_share", "uf1", "uar", "resting", "expression", "missed", "separation", "people", "predictions")
MOVEMENT_COLUMNS = ("resting_share", "movement", "uf1", "recall", "answers")
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


def confusion_by_movement(run: Path) -> metrics.Counts:
    """Count truth and answer int64[m, k, k] of a run's held-out clips with each of ``MOVEMENTS``.

    The apex is replaced by onset + movement * (apex - onset). Each clip is given to the network that held it out.
    """
    pairs = load_pairs(run_data_dir(run, read_json(run / CONFIG_FILE), "train the run again"))
    ensemble = load_ensemble(run, generator=False)
    counts = np.zeros((len(MOVEMENTS), len(pairs.classes), len(pairs.classes)), np.int64)
    for fold in ensemble.folds:
        held_out = [person in fold.held_out for person in zip(pairs.dataset, pairs.subject, strict=True)]
        index = np.flatnonzero(np.array(held_out) & (pairs.shift == 0))
        onset, change = pairs.onset[index], pairs.apex[index].astype(np.float64) - pairs.onset[index]
        network = dataclasses.replace(ensemble, folds=(fold,))
        for count, movement in zip(counts, MOVEMENTS, strict=True):
            answer = network.predict(onset, np.rint(onset + movement * change).astype(np.uint8)).argmax(axis=1)
            count += metrics.confusion(pairs.label[index], answer, len(pairs.classes))
    return counts


def movement_rows(share: float, runs: Sequence[Path]) -> list[dict[str, object]]:
    """Return for each of ``MOVEMENTS`` the runs' mean UF1, and by class the recall and the share of the answers."""
    counts = np.stack([confusion_by_movement(run) for run in runs], axis=1)  # [m, run, k, k]
    return [
        {
            "resting_share": share,
            "movement": movement,
            "uf1": statistics.mean(metrics.uf1(count) for count in of_movement),
            "recall": _by_class(metrics.recall_per_class(of_movement.sum(axis=0))),
            "answers": _by_class(of_movement.sum(axis=(0, 1)) / of_movement.sum()),
        }
        for movement, of_movement in zip(MOVEMENTS, counts, strict=True)
    ]


def _by_class(values: NDArray[np.float64]) -> str:
    return ", ".join(f"{value:.3f}" for value in values)


def main(argv: Sequence[str] | None = None) -> None:
    """Train the runs and write the tables."""
    options, _ = parse_options(__doc__, argv)
    data = prepared_faces(options, LOSO_FACES)
    runs = {share: train_seeds(options, {"training.resting_share": share}, data) for share in SHARES}
    rows = [{"resting_share": share, **score_runs(seeds), **capsule_scores(seeds)} for share, seeds in runs.items()]
    notes = (
        f"{options.seeds} runs with different seeds; mean [95% interval over people] ± deviation over seeds.",
        difference_note("with resting pairs against without", runs[SHARES[1]], runs[SHARES[0]]),
    )
    write_tables(options.out / "resting_share", "Resting pairs in training", COLUMNS, rows, notes)
    by_movement = [row for share, seeds in runs.items() for row in movement_rows(share, seeds)]
    note = "Recall and share of the answers by class; movement: factor on the change from onset to apex."
    write_tables(options.out / "resting_share" / "movement", "Smaller movements", MOVEMENT_COLUMNS, by_movement, [note])


if __name__ == "__main__":
    sys.exit(run_command(main))
