"""Answers to faces at rest, by a network that answers what the test says."""

import csv
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from experiments import resting_faces
from experiments.shared.options import run_command
from icegan_jax.errors import UserError


def test_answers_with_a_class_are_counted_by_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "faces").mkdir()
    for number in (1, 2):
        face = np.full((41, 60), 100 * number, np.uint8)
        assert cv2.imwrite(str(tmp_path / "faces" / f"{number}.png"), face)
    sizes = []

    def recognize(onset: object, apex: object = None) -> SimpleNamespace:
        """Answer a class for equal pictures, flagged if bright, refuse noisy pairs, and no expression for videos."""
        if isinstance(onset, Path):
            sizes.append(onset.stat().st_size)
            answer, flags = "no expression", ()
        elif np.array_equal(onset, apex):
            answer, flags = "a", (SimpleNamespace(word="bright"),) if np.max(onset) > 150 else ()
        else:
            raise UserError("no face")
        lengths = np.array([0.5, 0.25], np.float32)
        return SimpleNamespace(label=answer, flags=flags, lengths=lengths, scores={"a": 0.5, "b": 0.25})

    monkeypatch.setattr(resting_faces, "load_run", lambda _: SimpleNamespace(recognize=recognize, classes=("a", "b")))
    command = ["--run=RUN", f"--faces={tmp_path / 'faces'}", f"--out={tmp_path}", "--fps=10"]
    assert run_command(resting_faces.main, command) == 0
    with (tmp_path / "resting_faces" / "table.csv").open(newline="") as file:
        rows = {row.pop("kind"): row for row in csv.DictReader(file)}
    assert rows["with itself"] == {"faces": "2", "refused": "0", "classes": "2", "unflagged": "1", "longest": "0.50"}
    assert rows["with noise"] == {"faces": "2", "refused": "2", "classes": "0", "unflagged": "0", "longest": ""}
    assert rows["H.264, CRF 28"]["classes"] == "0"
    assert sizes[0] > sizes[1] > sizes[2] > 0  # CRF 18, 23, 28
    with (tmp_path / "resting_faces" / "answers.csv").open(newline="") as file:
        assert len(list(csv.reader(file))) == 1 + 2 * 5
