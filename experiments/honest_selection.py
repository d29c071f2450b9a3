"""Effect of the selection of the reported step on a score: last step, inner validation, best test step, and guessing.

    python -m experiments.honest_selection --preset=demo              drawn faces, minutes
    python -m experiments.honest_selection --preset=full --data=DATA  the licensed databases

One LOSO run per seed is tested repeatedly during training and scored by three rules; nothing else differs. Each fold
holds out a fifth of its training subjects for inner validation. The scores of random guessing by the same rules, with
the same fold sizes and number of test evaluations, stand beside them (experiments.guessing_study).
"""

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from experiments import guessing_study
from experiments.shared.faces import LOSO_FACES, prepared_faces
from experiments.shared.options import Options, parse_options, run_command
from experiments.shared.runs import train_seeds
from experiments.shared.scores import baseline_scores, count_rows, scores_with_intervals
from experiments.shared.tables import Row, write_tables
from icegan_jax.evaluation.predictions import read_predictions
from icegan_jax.evaluation.results import read_scored_results
from icegan_jax.evaluation.score_table import ORACLE_NAME

SCORES = ("uf1", "uar")
COLUMNS = ("rule", "valid", *SCORES, "guess_uf1", "guess_uar", "floor_uf1", "random_uf1", "linear_uf1")
# The rule of the guessing study that corresponds to each selection. Inner validation uses no test clip: for a guesser
# all epochs are equally good.
GUESSERS = {
    "last": "last epoch",
    "inner": "last epoch",
    ORACLE_NAME: "best test epoch per fold, each score by itself",
}
_INNER_SHARE = 0.2
_DRAWS = 200  # simulated guessers


def main(argv: Sequence[str] | None = None) -> None:
    """Train the runs and write the table."""
    options, _ = parse_options(__doc__, argv)
    data = prepared_faces(options, LOSO_FACES)
    runs = train_seeds(options, _fields(options), data)
    results = [read_scored_results(run / "results.json")["by_selection"] for run in runs]
    evaluations = _count_evaluations(runs[0])
    guesses = _guessing_scores(runs[0], evaluations)
    floors = baseline_scores(runs)
    rows: list[Row] = []
    for rule, guesser in GUESSERS.items():
        row: dict[str, object] = {"rule": rule, "valid": "no" if rule == ORACLE_NAME else "yes"}
        if rule == ORACLE_NAME:
            row |= {name: statistics.mean(by_selection[rule][name] for by_selection in results) for name in SCORES}
        else:
            row |= scores_with_intervals([count_rows(_files(run, rule)) for run in runs])
        rows.append(row | {f"guess_{name}": guesses[guesser][name].mean for name in SCORES} | floors)
    mean_of_bests = guesses["mean over folds of each fold's best"]
    notes = (
        f"{options.seeds} runs, each scored by all three rules, {evaluations} test evaluations; mean [95% interval over"
        " people] ± deviation over seeds; of the score that is not valid the mean alone.",
        f"guess: {_DRAWS} guessers that draw every prediction from the class frequencies, same folds, same rule.",
        f"As the mean over folds of each fold's best they show UF1 {mean_of_bests['uf1'].mean:.3f} and UAR "
        f"{mean_of_bests['uar'].mean:.3f}: the form in which the paper's log has 0.884 and 0.898.",
        "Inner validation takes a fifth of the training people away; the other rows use the same weaker training.",
    )
    write_tables(options.out / "honest_selection", "The same runs by three rules", COLUMNS, rows, notes)


def _fields(options: Options) -> dict[str, object]:
    every = 5 if options.preset == "demo" else 140  # 140 of the paper's 13,800 steps: about one epoch
    return {
        "evaluation.inner_share": _INNER_SHARE,
        "training.evaluate_every": every,
        "evaluation.selection": "inner",
        "evaluation.oracle": True,
    }


def _files(run: Path, rule: str) -> list[Path]:
    """Return the files with the predictions of the last step, or of the step selected by inner validation."""
    return sorted((run / "folds").glob("*/predictions.csv")) if rule == "last" else [run / "predictions.csv"]


def _count_evaluations(run: Path) -> int:
    """Return the number of test evaluations of each fold of the run."""
    return len(next((run / "folds").glob("*/evaluations.jsonl")).read_text().splitlines())


def _guessing_scores(run: Path, evaluations: int) -> dict[str, dict[str, guessing_study.GuessRange]]:
    classes, rows = read_predictions(run / "predictions.csv")
    labels = np.array([row.label for row in rows], np.int64)
    probabilities = np.bincount(labels, minlength=len(classes)) / len(labels)
    people = [(row.dataset, row.subject) for row in rows]
    return guessing_study.simulate_guessing(labels, people, probabilities, epochs=evaluations, draws=_DRAWS)


if __name__ == "__main__":
    sys.exit(run_command(main))
