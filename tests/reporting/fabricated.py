"""A small finished run with made-up numbers, for the tests of the report."""

import json
from pathlib import Path

import numpy as np
from skimage import data, transform

from icegan_jax.evaluation import records

FOLDS = (("a", "1"), ("a", "2"), ("b", "1"))


def predictions() -> list[records.Prediction]:
    return [
        records.Prediction(dataset, subject, f"clip{label}", label, guess, (0.2, 0.5, 0.3))
        for dataset, subject in FOLDS
        for label, guess in ((0, 0), (1, 1), (2, 0 if subject == "2" else 2))
    ]


def write_synthesis(path: Path, labels: tuple[int, ...] = (0, 1, 2), size: int = 32) -> None:
    """A drawn change on a real face; the files that the training loop would write."""
    face = transform.resize(data.astronaut()[0:200, 130:330].mean(axis=-1) / 255, (size, size))
    onset = np.repeat((face * 200).astype(np.uint8)[None], len(labels), axis=0)
    synthetic = np.repeat(onset[:, None], 3, axis=1)
    for label in range(3):
        synthetic[:, label, 8 + 6 * label : 12 + 6 * label, 8:24] += 30
    apex = synthetic[np.arange(len(labels)), list(labels)]
    np.savez(
        path,
        onset=onset,
        synthetic=synthetic,
        apex=apex,
        label=np.array(labels, np.int32),
        clip=np.array([f"clip{row}" for row in range(len(labels))]),
    )


def write_metrics(path: Path, offset: float = 0.0, steps: int = 6) -> None:
    lines = []
    for step in range(0, 10 * steps, 10):
        fall = 1.0 / (1 + step) + offset
        entry = {
            "step": step,
            "epoch": step / 10,
            "g_l1": fall,
            "d_margin": 2 * fall,
            "d_accuracy": 0.5,
            "length_negative": 0.4,
            "length_positive": 0.5,
            "length_surprise": 0.6,
            "learning_rate": 1e-3,
        }
        lines.append(json.dumps(entry))
    path.write_text("\n".join(lines) + "\n")


def write_run(run: Path) -> Path:
    for number, (dataset, subject) in enumerate(FOLDS):
        fold = run / "folds" / f"{dataset}_{subject}"
        fold.mkdir(parents=True)
        write_metrics(fold / "metrics.jsonl", offset=0.01 * number)
        write_synthesis(fold / "synthesis.npz")
        records.write_json(fold / "result.json", {})
    records.write_predictions(run / "predictions.csv", predictions())
    records.write_json(run / "config.json", {"seed": 0, "model": {"preset": "<paper>"}})
    results = records.build_results(
        predictions(),
        protocol="leave one subject out",
        selection="last step",
        seed=0,
        timing=records.Timing(12.5, 3.0, 8.0, 128.0),
        versions={"jax": "0.10.2"},
        data_fingerprint="abc123",
    )
    records.write_json(run / "results.json", results)
    return run
