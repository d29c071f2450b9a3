"""The soak in small: it runs, nothing stays open, and it would see what grows."""

import csv
from pathlib import Path

import pytest

from benchmarks import soak
from benchmarks.sampling import Sample
from tests.benchmarks.tiny_workload import check_named, measured, refusal


def test_files_and_threads_stay_as_many(tmp_path: Path) -> None:
    result = measured(soak.main, "--steps=60", "--folds=4", f"--samples={tmp_path / 'samples.csv'}", "--json")
    check_named(result, f"python -m benchmarks.soak --steps=60 --folds=4 --samples={tmp_path / 'samples.csv'} --json")
    assert [(row["start"], row["end"]) for row in result["rows"]] == [("6 steps", "60 steps"), ("2 folds", "4 folds")]
    for row in result["rows"]:
        assert row["rss_mib_early"] > 50 and row["files_early"] > 2 and row["threads_early"] > 1
    assert not [line for line in result["grown"] if not line.startswith("rss_mib")]  # of so few steps, caches fill
    assert result["log_kib_per_1000_steps"].keys() == {"evaluations.jsonl", "metrics.jsonl"}
    assert 10 < result["log_kib_per_1000_steps"]["metrics.jsonl"] < 1000
    with (tmp_path / "samples.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["part"] for row in rows} == {"steps", "folds"}
    assert max(int(row["step"]) for row in rows) == 60 and max(int(row["folds"]) for row in rows) >= 3


def samples(rss: float, files: int, threads: int) -> list[Sample]:
    return [Sample("steps", 0.0, 1, 0, rss + wobble, files, threads) for wobble in (-1, 0, 1)]


@pytest.mark.parametrize(
    ("late", "grown"),
    [
        ((104.9, 9, 30), []),
        ((90.0, 8, 29), []),
        ((105.2, 9, 30), ["rss_mib from 100 after A to 105.2 after B"]),
        ((100.0, 10, 31), ["files from 9 after A to 10 after B", "threads from 30 after A to 31 after B"]),
    ],
)
def test_what_has_grown(late: tuple[float, int, int], grown: list[str]) -> None:
    row = soak._row("A", "B", samples(100.0, 9, 30), samples(*late))
    assert row["grown"] == grown
    assert (row["rss_mib_early"], row["rss_mib_late"]) == (100.0, late[0])


def test_growth_is_an_exit_code_and_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def train(part: str, run_dir: Path, people: int, folds: int, steps: int) -> list[Sample]:
        """A process that opens a file every 40 steps and takes 9 MiB for each fold."""
        (run_dir / "folds" / "a").mkdir(parents=True)
        if part == "folds":
            return [Sample(part, 1.0, 0, fold, 100.0 + 9 * fold, 8, 30) for fold in range(folds)]
        return [Sample(part, 1.0, step, 0, 100.0, step // 40, 30) for step in range(steps + 1)]

    monkeypatch.setattr(soak, "_train", train)
    assert soak.main(["--steps=400", "--folds=4"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("GROWN")] == [
        "GROWN: files from 1 after 40 steps to 9 after 400 steps",
        "GROWN: rss_mib from 118 after 2 folds to 127 after 4 folds",
    ]


@pytest.mark.parametrize("options", [["--steps=10"], ["--folds=3"], ["--steps=0"]])
def test_too_short_a_soak_is_refused(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "or more" in refusal(soak.main, capsys, *options)
