"""How the folds are trained, and where what they leave lies."""

from pathlib import Path

from icegan_jax.data.folds import Fold

RESULT_FILE = "result.json"  # written last: its presence says that the fold is done


def fold_dir(run_dir: Path, fold: Fold) -> Path:
    """The folder of a fold in a run directory."""
    return run_dir / "folds" / fold.name


def events_dir(run_dir: Path, fold: Fold) -> Path:
    """The folder of a fold's events in a run directory, of which TensorBoard is given the parent."""
    return run_dir / "tensorboard" / fold.name


def is_finished(run_dir: Path, fold: Fold) -> bool:
    """Whether the fold's result is there."""
    return (fold_dir(run_dir, fold) / RESULT_FILE).is_file()


CONFIG_FILE = "config.json"

CHECKPOINTS_DIR = "checkpoints"  # in a fold's folder

METRICS_FILE = "metrics.jsonl"

NONFINITE_FILE = "nonfinite.json"  # in a fold's folder

PREDICTIONS_FILE = "predictions.csv"

SYNTHESIS_FILE = "synthesis.npz"

EVALUATIONS_FILE = "evaluations.jsonl"

PARTIAL_RESULTS_FILE = "results.partial.json"  # of an unfinished run

REPORT_DIR = "report"

REPORT_WITHOUT_FACES_DIR = "report_no_faces"  # a folder of its own: nothing in it has ever held a face

DAMAGED_RESULT = f"{RESULT_FILE}.damaged"
