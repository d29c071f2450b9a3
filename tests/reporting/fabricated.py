"""A small finished run with invented numbers, for the tests of the report."""

import atexit
import functools
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data, transform

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.evaluation.predictions import Prediction, write_predictions
from icegan_jax.evaluation.results import Timing, build_results, build_unscored_results
from icegan_jax.evaluation.score_table import ORACLE_NAME
from icegan_jax.io import read_json, sha256_of, write_json, write_json_with_checksum
from icegan_jax.report import write_report

FOLDS = (("a", "1"), ("a", "2"), ("b", "1"))
CHART = Image.new("RGBA", (1, 1))
CONFIG = {
    "seed": 0,
    "data": {"dir": "secret/place", "mirror": True},
    "model": {"preset": "<paper>"},
    "resumed": [{"when": "2026", "changed": {"data.dir": ["older/place", "secret/place"], "loss.x": [1, 2]}}],
}
ABOUT = {
    "protocol": "leave one subject out",
    "selection": "last step",
    "seed": 0,
    "timing": Timing(12.5, 3.0, 8.0, 128.0),
    "versions": {"jax": "0.10.2"},
    "data_fingerprint": "abc123",
}


def predictions() -> list[Prediction]:
    """Three subjects of two databases; one prediction of nine is wrong."""
    return [
        Prediction(dataset, subject, f"clip{label}", label, guess, lengths(label, guess, 3))
        for dataset, subject in FOLDS
        for label, guess in ((0, 0), (1, 1), (2, 0 if subject == "2" else 2))
    ]


def predictions_of(classes: tuple[str, ...]) -> list[Prediction]:
    """A clip of every class but the last, which has none; each is predicted as the class before."""
    return [
        Prediction(
            dataset, subject, f"clip{label}", label, max(label - 1, 0), lengths(label, max(label - 1, 0), len(classes))
        )
        for dataset, subject in FOLDS
        for label in range(max(len(classes) - 1, 1))
    ]


def lengths(label: int, guess: int, classes: int) -> tuple[float, ...]:
    """Capsule lengths: the predicted class has the longest, then the true class."""
    return tuple(0.5 if place == guess else 0.3 if place == label else 0.2 for place in range(classes))


def write_synthesis(
    path: Path,
    labels: tuple[int, ...] = (0, 1, 2),
    size: int = 32,
    num_classes: int = 3,
    subject: tuple[str, str] = ("a", "1"),
) -> None:
    """Write synthesis.npz as training does, of a drawn change on a real face."""
    face = transform.resize(data.astronaut()[0:200, 130:330].mean(axis=-1) / 255, (size, size))
    onset = np.repeat((face * 200).astype(np.uint8)[None], len(labels), axis=0)
    synthetic = np.repeat(onset[:, None], num_classes, axis=1)
    for label in range(num_classes):
        synthetic[:, label, 8 + 3 * label : 12 + 3 * label, 8:24] += 30
    apex = synthetic[np.arange(len(labels)), list(labels)]
    np.savez(
        path,
        onset=onset,
        synthetic=synthetic,
        apex=apex,
        label=np.array(labels, np.int32),
        clip=np.array([f"clip{row}" for row in range(len(labels))]),
        dataset=np.array([subject[0]] * len(labels)),
        subject=np.array([subject[1]] * len(labels)),
    )


def write_metrics(path: Path, offset: float = 0.0, steps: int = 6, classes: tuple[str, ...] = EXPRESSIONS) -> None:
    lines = []
    for step in range(0, 10 * steps, 10):
        fall = 1.0 / (1 + step) + offset
        entry = {
            "step": step,
            "epoch": step / 10,
            "g_l1": fall,
            "d_margin": 2 * fall,
            "d_accuracy": 0.5,
            **{f"length_{word}": 0.4 + 0.1 * label for label, word in enumerate(classes)},
            "learning_rate": 1e-3,
        }
        lines.append(json.dumps(entry))
    path.write_text("\n".join(lines) + "\n")


def write_run(run: Path, classes: tuple[str, ...] = EXPRESSIONS) -> Path:
    rows = predictions() if classes == EXPRESSIONS else predictions_of(classes)
    labels = tuple(row.label for row in rows if (row.dataset, row.subject) == FOLDS[0])
    for number, person in enumerate(FOLDS):
        write_fold(run / "folds" / "_".join(person), labels, classes, person, offset=0.01 * number)
    write_predictions(run / "predictions.csv", rows, classes)
    write_json_with_checksum(run / "config.json", CONFIG)
    write_json_with_checksum(run / "results.json", build_results(rows, classes, **ABOUT))
    return run


def write_evaluated_run(run: Path) -> Path:
    """A run whose steps were selected by inner validation, with the scores of the other rules."""
    write_run(run)
    results = read_json(run / "results.json") | {"selection": "inner validation", "oracle": {"uf1": 0.97, "uar": 0.98}}
    last = results["overall"] | {"uf1": 0.123, "uf1_ci95": [0.1, 0.2]}
    results["by_selection"] = {"last": last, "inner": results["overall"], ORACLE_NAME: results["oracle"]}
    results["selected_steps"] = {"a_1": 20, "a_2": 100, "b_1": 30}
    write_json_with_checksum(run / "results.json", results)
    return run


def write_unscored_run(run: Path) -> Path:
    """A run that trained on everybody: one fold, no predictions.csv, no score."""
    write_fold(run / "folds" / "all", (0, 1, 2), EXPRESSIONS, FOLDS[0])
    write_json_with_checksum(run / "config.json", CONFIG | {"protocol": "all"})
    write_json_with_checksum(
        run / "results.json",
        build_unscored_results(predictions(), **ABOUT | {"protocol": "all: everybody is trained on"}),
    )
    return run


def write_fold(
    fold: Path, labels: tuple[int, ...], classes: tuple[str, ...], person: tuple[str, str], offset: float = 0.0
) -> None:
    fold.mkdir(parents=True)
    write_metrics(fold / "metrics.jsonl", offset=offset, classes=classes)
    write_synthesis(fold / "synthesis.npz", labels, num_classes=len(classes), subject=person)
    write_json(fold / "result.json", {})


@functools.cache
def reported_run() -> Path:
    """An evaluated run with checksums, called "my run", with both reports; created once a session and never changed."""
    folder = tempfile.mkdtemp(prefix="icegan-jax-reported-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    run = write_checksums(write_evaluated_run(Path(folder) / "my run"))
    write_report(run)
    write_report(run, no_faces=True)
    return run


def write_checksums(run: Path) -> Path:
    """Add checksums as training does: results.json holds that of predictions.csv and its own."""
    checksum = sha256_of(run / "predictions.csv")
    results = read_json(run / "results.json") | {"files": {"predictions.csv": checksum}}
    write_json_with_checksum(run / "results.json", results)
    write_json_with_checksum(run / "config.json", read_json(run / "config.json") | {"id": "abc"})
    return run
