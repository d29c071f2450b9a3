"""Runs with made-up synthetic faces, for the tests of the figures."""

import csv
import json
from pathlib import Path

import numpy as np

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.evaluation.predictions import Prediction, write_predictions
from icegan_jax.evaluation.synthesis.faces import SynthesizedFaces

SIZE = 32
PEOPLE = (("d", "p1"), ("d", "p2"), ("e", "p1"))


def made_up(seed: int = 0, noise: float = 0.0) -> SynthesizedFaces:
    """A clip of every class of three people: class k moves rows 8k to 8k+4, by 20 in truth and by 10 in the synthesis.

    The onsets depend on nothing; ``noise`` (deviation in gray levels, drawn from ``seed``) lies on the synthetic faces.
    """
    onset = np.random.default_rng(5).integers(60, 120, (9, SIZE, SIZE)).astype(np.uint8)
    synthetic = np.repeat(onset[:, None], 3, axis=1)
    apex = onset.copy()
    label = np.tile(np.arange(3), 3)
    for k in range(3):
        synthetic[:, k, 8 * k : 8 * k + 4] += 10
        apex[label == k, 8 * k : 8 * k + 4] += 20
    spots = np.random.default_rng(seed).normal(0, noise, synthetic.shape).round()
    synthetic = np.clip(synthetic + spots, 0, 255).astype(np.uint8)
    person = [person for person in PEOPLE for _ in range(3)]
    return SynthesizedFaces(
        onset, synthetic, apex, label, person, [f"c{k}" for k in label], ["_".join(p) for p in person]
    )


def write_run(run: Path, faces: SynthesizedFaces, classes: tuple[str, ...] = EXPRESSIONS) -> Path:
    """What main would leave of these held-out faces, as far as the figures read it."""
    for fold in dict.fromkeys(faces.fold):
        rows = [row for row, name in enumerate(faces.fold) if name == fold]
        folder = run / "folds" / fold
        folder.mkdir(parents=True)
        np.savez(
            folder / "synthesis.npz",
            onset=faces.onset[rows],
            synthetic=faces.synthetic[rows],
            apex=faces.apex[rows],
            label=faces.label[rows],
            clip=np.array([faces.clip[row] for row in rows]),
            dataset=np.array([faces.subject[row][0] for row in rows]),
            subject=np.array([faces.subject[row][1] for row in rows]),
        )
    table = [
        Prediction(*person, clip, int(label), int(label), (0.1,) * len(classes))
        for person, clip, label in zip(faces.subject, faces.clip, faces.label, strict=True)
    ]
    write_predictions(run / "predictions.csv", table, classes)
    (run / "config.json").write_text(json.dumps({"data": {"dir": "DATA"}}))
    return run


def table(out: Path) -> list[dict[str, str]]:
    """The rows of a figure's table.csv."""
    return list(csv.DictReader((out / "table.csv").read_text().splitlines()))
