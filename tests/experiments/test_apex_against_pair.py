"""The experiment's tables, made from runs whose training is replaced by known predictions."""

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest

from experiments import apex_against_pair
from icegan_jax.evaluation.files import write_json
from icegan_jax.evaluation.predictions import Prediction
from icegan_jax.evaluation.results import Timing, build_results

TIMING = Timing(wall_s=1.0, compile_s=0.5, steps_per_s=1.0, faces_per_s=16.0)


def results(wrong: int) -> dict[str, object]:
    """Six clips of two people, each class twice; the first ``wrong`` clips are given the next class."""
    rows = [Prediction("d", f"s{i % 2}", f"c{i}", i % 3, (i % 3 + (i < wrong)) % 3, (0.1, 0.2, 0.3)) for i in range(6)]
    return build_results(rows, protocol="p", selection="last", seed=0, timing=TIMING, versions={}, data_fingerprint="f")


def test_a_row_per_run_then_mean_and_deviation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {("apex", 0): 3, ("apex", 1): 0, ("pair", 0): 0, ("pair", 1): 0}
    seen = []

    def train(data: str, workdir: Path, kind: str, seed: int, overrides: Sequence[str]) -> int:
        seen.append((data, kind, seed, list(overrides)))
        workdir.mkdir(parents=True)
        write_json(workdir / "results.json", results(wrong[kind, seed]))
        return 0

    monkeypatch.setattr(apex_against_pair, "_train", train)
    extra = "--config.training.steps=2"
    assert apex_against_pair.main(["--data=D", f"--out={tmp_path}", "--seeds=2", "--", extra]) == 0
    assert seen == [("D", kind, seed, [extra]) for kind in ("apex", "pair") for seed in (0, 1)]

    rows = list(csv.DictReader((tmp_path / "scores.csv").read_text().splitlines()))
    assert [(row["input"], row["seed"]) for row in rows] == [
        ("apex", "0"),
        ("apex", "1"),
        ("pair", "0"),
        ("pair", "1"),
        ("apex", "mean"),
        ("apex", "sd"),
        ("pair", "mean"),
        ("pair", "sd"),
    ]
    # One clip of each class is wrong: every recall and every F1 is 1/2.
    assert [float(row["uf1"]) for row in rows] == pytest.approx([0.5, 1, 1, 1, 0.75, 0.5**1.5, 1, 0])
    assert [float(row["uar"]) for row in rows] == pytest.approx([0.5, 1, 1, 1, 0.75, 0.5**1.5, 1, 0])
    assert "| apex | mean | 0.750 | 0.750 | 6 |" in (tmp_path / "scores.md").read_text()


def test_a_failed_run_ends_it_with_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apex_against_pair, "_train", lambda *_: 2)
    assert apex_against_pair.main(["--data=D", f"--out={tmp_path}"]) == 2
    assert not (tmp_path / "scores.csv").exists()
