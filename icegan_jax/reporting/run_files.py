"""Read and check the files of a finished run: results, config, predictions, faces and logs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icegan_jax.errors import UserError
from icegan_jax.evaluation import metrics
from icegan_jax.evaluation.calibration import Calibration, read_calibration
from icegan_jax.evaluation.predictions import Prediction, read_predictions
from icegan_jax.evaluation.results import RERUN_HINT, read_results
from icegan_jax.evaluation.synthesis.faces import SynthesizedFaces, read_any_faces
from icegan_jax.io import read_json_with_checksum, sha256_of
from icegan_jax.reporting.curves import Curve, read_metrics
from icegan_jax.run_dir import (
    CALIBRATION_FILE,
    CONFIG_FILE,
    FOLDS_DIR,
    METRICS_FILE,
    PREDICTIONS_FILE,
    RESULT_FILE,
    RESULTS_FILE,
    SYNTHESIS_FILE,
)


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
      name: of its folder.
      results: results.json.
      config: config.json, without the checksum.
      classes: names of the classes, in label order.
      predictions: one per held-out clip; empty where the run has no score.
      counts: int64[k, k], confusion matrix of the predictions, rows truth.
      faces: of all folds; None where the run has none, or where faces are not to be read.
      logs: the curves of each fold that has any.
      calibration: of the capsule lengths; None where the run has none.
    """

    name: str
    results: Mapping[str, Any]
    config: Mapping[str, Any]
    classes: tuple[str, ...]
    predictions: list[Prediction]
    counts: metrics.Counts
    faces: SynthesizedFaces | None
    logs: list[dict[str, Curve]]
    calibration: Calibration | None = None

    @property
    def scored(self) -> bool:
        """Whether subjects were held out, so that the run has a score."""
        return bool(self.results.get("scored", True))


def read_run(run_dir: Path, *, faces: bool = True) -> Run:
    """Read a run directory, with ``faces=False`` without reading any face.

    Raises:
      UserError: the run is missing, unfinished or damaged, or its files do not belong together.
    """
    _require_finished(run_dir)
    results = read_results(run_dir / RESULTS_FILE)
    config = _read_config(run_dir / CONFIG_FILE)
    classes, predictions = tuple(results["classes"]), list[Prediction]()
    if results.get("scored", True):
        classes, predictions = _read_run_predictions(run_dir / PREDICTIONS_FILE, results)
    counts = metrics.confusion(
        [row.label for row in predictions], [row.prediction for row in predictions], len(classes)
    )
    if predictions and (list(classes) != results["classes"] or counts.tolist() != results["overall"]["confusion"]):
        raise UserError(
            f"{run_dir}: predictions.csv ({counts.sum()} clips) and results.json "
            f"({results['num_clips']} clips) do not agree: {RERUN_HINT}"
        )
    files = [fold / METRICS_FILE for fold in _fold_dirs(run_dir)]
    logs = [read_metrics(file) for file in files if file.exists()]
    return Run(
        name=run_dir.resolve().name,
        results=results,
        config=config,
        classes=classes,
        predictions=predictions,
        counts=counts,
        faces=_read_run_faces(run_dir, len(classes)) if faces else None,
        logs=[log for log in logs if log],
        calibration=read_calibration(run_dir / CALIBRATION_FILE),
    )


def _require_finished(run_dir: Path) -> None:
    if not run_dir.is_dir():
        raise UserError(f"{run_dir}: no such run directory: give the one that training wrote")
    if (run_dir / RESULTS_FILE).exists():
        return
    folds = _fold_dirs(run_dir)
    if not folds and not (run_dir / CONFIG_FILE).exists():
        raise UserError(f"{run_dir}: not a run directory: it has neither config.json nor folds/")
    done = sum((fold / RESULT_FILE).exists() for fold in folds)
    raise UserError(
        f"{run_dir}: this run is not finished ({done} of {len(folds)} started folds are done, no "
        "results.json): start the same training command again, it continues"
    )


def _read_config(path: Path) -> dict[str, Any]:
    """Read the config, which no command can write again."""
    try:
        return read_json_with_checksum(path)
    except UserError as error:
        raise UserError(f"{error}; put the file back from a copy, or train in another folder") from error


def _read_run_predictions(path: Path, results: Mapping[str, Any]) -> tuple[tuple[str, ...], list[Prediction]]:
    """Read the run's predictions; raise UserError unless the results were computed from this file."""
    try:
        classes, predictions = read_predictions(path)
    except UserError as error:
        raise UserError(f"{error}; {RERUN_HINT}") from error
    checksum = results.get("files", {}).get(path.name)
    if checksum is not None and sha256_of(path) != checksum:
        raise UserError(f"{path}: not what the results were computed from; {RERUN_HINT}")
    return classes, predictions


def _read_run_faces(run_dir: Path, num_classes: int) -> SynthesizedFaces | None:
    """Read the faces of all folds; return None for a run without a generator, whose folds write none."""
    if not any((fold / SYNTHESIS_FILE).exists() for fold in _fold_dirs(run_dir)):
        return None
    faces = read_any_faces(run_dir)
    if faces.synthetic.shape[1] != num_classes:
        raise UserError(
            f"{run_dir}: folds/*/synthesis.npz hold faces of {faces.synthetic.shape[1]} classes, the run has "
            f"{num_classes}: train it again in an empty directory"
        )
    return faces


def _fold_dirs(run_dir: Path) -> list[Path]:
    return sorted(path for path in (run_dir / FOLDS_DIR).glob("*") if path.is_dir())
