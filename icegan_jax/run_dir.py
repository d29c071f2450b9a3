"""Names of all files and folders in a run directory."""

from pathlib import Path

from icegan_jax.data.folds import Fold

# The run.
CONFIG_FILE = "config.json"  # all settings, data fingerprint, package versions and the run's id, see provenance.py
DATA_DIR = "data"  # the procedural faces, where config.data.dir is empty
FOLDS_DIR = "folds"  # a folder for each fold, named DATASET_SUBJECT
TENSORBOARD_DIR = "tensorboard"  # a folder of event files for each fold

# The results of a run whose folds are all finished, see finalize.py.
PREDICTIONS_FILE = "predictions.csv"  # of all test clips; each fold's folder has one of the fold's own
RESTING_FILE = "resting.csv"  # of the test subjects' pairs without an expression; each fold's folder has its own
RESULTS_FILE = "results.json"
CALIBRATION_FILE = "calibration.json"  # thresholds and reliability of the capsule lengths; of people held out
REPORT_DIR = "report"
REPORT_WITHOUT_FACES_DIR = "report_no_faces"  # a separate folder, into which no face is ever written
OLD_SUFFIX = ".old"  # of results that are older than the state of the folds
PARTIAL_RESULTS_FILE = "results.partial.json"  # of an unfinished run: scores of the finished folds alone

# A fold's folder.
CHECKPOINTS_DIR = "checkpoints"  # a folder for each checkpoint, named after its step
DAMAGED_CHECKPOINTS_DIR = "damaged_checkpoints"  # moved here from CHECKPOINTS_DIR; the user may delete them
METRICS_FILE = "metrics.jsonl"  # losses and accuracies during training, a line per logged step
EVALUATIONS_FILE = "evaluations.jsonl"  # predictions during training, a line per evaluation
NONFINITE_FILE = "nonfinite.json"  # where and why the training stopped at a number that is not finite
SYNTHESIS_FILE = "synthesis.npz"  # synthetic faces of the test clips
RESULT_FILE = "result.json"  # written last: a fold is finished if and only if this file exists
DAMAGED_RESULT = f"{RESULT_FILE}.damaged"

LOCKS_DIR = "locks"  # lock files of the run and of each fold, see locks.py


def fold_dir(run_dir: Path, fold: Fold) -> Path:
    """Return the folder of a fold in a run directory."""
    return run_dir / FOLDS_DIR / fold.name


def run_lock(run_dir: Path) -> Path:
    """Return the file that is locked while the run is active."""
    return run_dir / LOCKS_DIR / "run.lock"


def fold_lock(run_dir: Path, fold: Fold) -> Path:
    """Return the file that is locked while the fold is trained; no fold is named ``run``."""
    return run_dir / LOCKS_DIR / f"{fold.name}.lock"


def events_dir(run_dir: Path, fold: Fold) -> Path:
    """Return the folder of a fold's TensorBoard events; ``tensorboard --logdir`` takes the parent folder."""
    return run_dir / TENSORBOARD_DIR / fold.name


def is_finished(run_dir: Path, fold: Fold) -> bool:
    """Return whether the fold has its result file, which is written after all other files of the fold."""
    return (fold_dir(run_dir, fold) / RESULT_FILE).is_file()
