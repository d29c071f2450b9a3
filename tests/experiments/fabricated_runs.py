"""Finished runs with known predictions, in place of training, for the tests of the tables."""

from collections.abc import Callable, Mapping
from pathlib import Path

from experiments.shared.options import Options
from icegan_jax.evaluation.predictions import Prediction, write_predictions
from icegan_jax.evaluation.resting import RestingPrediction, write_resting_predictions
from icegan_jax.evaluation.results import Timing, build_results, score
from icegan_jax.io import write_json_with_checksum

TIMING = Timing(wall_s=1.0, compile_s=0.5, steps_per_s=1.0, faces_per_s=16.0)
Train = Callable[[Options, int, Mapping[str, object], str], Path]


def predictions(wrong: int) -> list[Prediction]:
    """Twelve clips of four people of two databases, each class four times; of the first ``wrong`` the next class."""
    return [
        Prediction(f"d{i // 6}", f"s{i % 4}", f"c{i}", i % 3, (i % 3 + (i < wrong)) % 3, (0.1, 0.2, 0.3))
        for i in range(12)
    ]


def write_run(run: Path, wrong: int, selection: str = "last") -> Path:
    rows = predictions(wrong)
    write_predictions(run / "predictions.csv", rows)
    lengths = [0.02 * i + 0.1 for i in range(12)]  # 0.1 to 0.32; the longest capsule of every clip is 0.3
    at_rest = [
        RestingPrediction(row.dataset, row.subject, row.clip, 0, 2, (0.0, 0.05, length))
        for row, length in zip(rows, lengths, strict=True)
    ]
    write_resting_predictions(run / "resting.csv", at_rest)
    labels, people = [row.label for row in rows], [(row.dataset, row.subject) for row in rows]
    results = build_results(
        rows,
        protocol="p",
        selection=selection,
        seed=0,
        timing=TIMING,
        versions={},
        data_fingerprint="f",
        references={"linear_on_apex_pixels": score(labels, [0] * 12, people)},
    )
    write_json_with_checksum(run / "results.json", results)
    return run


def training(wrong: Callable[[Mapping[str, object], int], int], runs: Path, asked: list[tuple]) -> Train:
    """What stands in for ``runs.train``: ``wrong`` tells how many clips a run with these fields and seed misses."""

    def train(options: Options, seed: int, fields: Mapping[str, object], data: str) -> Path:
        asked.append((seed, dict(fields), data))
        return write_run(runs / str(len(asked)), wrong(fields, seed))

    return train
