"""What trained folds leave, with made-up guesses in place of a training."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from icegan_jax.data.dataset import Pairs
from icegan_jax.data.folds import Fold
from icegan_jax.evaluation.predictions import Prediction, write_predictions
from icegan_jax.evaluation.resting import RestingPrediction, write_resting_predictions
from icegan_jax.io import checksum_of, write_arrays
from icegan_jax.training.fold_result import write_result

STEPS, RUN = 30, "run 1"


def scores_of(guesses: Sequence[int]) -> list[list[float]]:
    return [[0.75 if label == guess else 0.25 for label in range(3)] for guess in guesses]


def rows_of(fold: Fold, pairs: Pairs, guesses: Sequence[int]) -> list[Prediction]:
    return [
        Prediction(
            str(pairs.dataset[i]), str(pairs.subject[i]), str(pairs.clip[i]), int(pairs.label[i]), guess, tuple(scores)
        )
        for i, guess, scores in zip(fold.test, guesses, scores_of(guesses), strict=True)
    ]


def finish_fold(
    run_dir: Path,
    fold: Fold,
    pairs: Pairs,
    guesses: Sequence[int] | None = None,
    history: Any = (),
    faces: bool = True,
    **content: Any,
) -> Path:
    """Writes a fold's files, ``history`` the (test, inner) guesses at steps 10, 20 ...; returns its folder."""
    folder = run_dir / "folds" / fold.name
    rows = rows_of(fold, pairs, guesses or [0] * len(fold.test))
    write_predictions(folder / "predictions.csv", rows)
    at_rest = [RestingPrediction(row.dataset, row.subject, row.clip, 0, 0, (0.1, 0.05, 0.0)) for row in rows]
    write_resting_predictions(folder / "resting.csv", at_rest)
    if faces:
        columns = ("onset", "apex", "label", "clip", "dataset", "subject")
        arrays = {name: getattr(pairs, name)[fold.test] for name in columns}
        write_arrays(folder / "synthesis.npz", synthetic=np.stack([arrays["apex"]] * 3, axis=1), **arrays)
    if history:
        lines = [
            {"step": 10 * number, "test": scores_of(test), "inner": scores_of(inner)}
            for number, (test, inner) in enumerate(history, start=1)
        ]
        text = "".join(json.dumps({**line, "checksum": checksum_of(line)}) + "\n" for line in lines)
        (folder / "evaluations.jsonl").write_text(text)
    plain = {"people": fold.people, "steps": STEPS, "run": RUN, "wall_s": 9.0, "compile_s": 1.0, "worker": ""}
    write_result(folder, plain | content)
    return folder


def state_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    """When each file was written, and what it holds."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def flipped(data: bytes, bit: int) -> bytes:
    changed = np.frombuffer(data, np.uint8).copy()
    changed[bit // 8] ^= 1 << bit % 8
    return changed.tobytes()
