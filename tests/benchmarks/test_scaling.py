"""What scaling reports, and that it goes through the real pipeline; never how fast anything is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import scaling
from icegan_jax.data.dataset import Record, load_pairs, write_pairs
from tests.benchmarks.tiny_workload import check_named, measured, printed, refusal


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A prepared folder of two clips."""
    rng = np.random.default_rng(0)
    records = [
        Record("d", f"s{clip}", "c", clip, shift, *rng.integers(0, 256, (2, 32, 32), np.uint8))
        for clip in range(2)
        for shift in scaling.SHIFTS
    ]
    write_pairs(tmp_path / "source", records)
    return tmp_path / "source"


def test_the_clips_follow_the_order_of_the_source(source: Path, tmp_path: Path) -> None:
    scaling.write_clips(source, tmp_path / "seven", 7)
    few, many = load_pairs(source), load_pairs(tmp_path / "seven")
    assert many.onset.shape == (35, 32, 32) and len(set(many.clip.tolist())) == 7
    assert len(set(many.subject.tolist())) == 2
    assert many.shift.tolist() == 7 * [-2, -1, 0, 1, 2]
    for clip in range(7):
        mine, theirs = slice(5 * clip, 5 * clip + 5), slice(5 * (clip % 2), 5 * (clip % 2) + 5)
        assert (many.apex[mine] == few.apex[theirs]).all() and (many.label[mine] == few.label[theirs]).all()


def test_the_figures_hang_together(workload: None, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def here(function: Callable[..., Any], *arguments: object) -> Any:
        return function(*arguments)

    monkeypatch.setattr(scaling, "run_in_new_process", here)  # a new process would not know the small networks
    options = [f"--data={source}", "--clips=9,4", "--batch=5", "--folds=2", "--json"]
    r = measured(scaling.main, *options)
    check_named(r, " ".join(["python -m benchmarks.scaling", *options]))
    assert "grain" in r["versions"] and (r["folds"], r["batch"], r["width"]) == (2, 5, 0.0625)
    assert [(row["clips"], row["pairs"]) for row in r["rows"]] == [(4, 20), (9, 45)]
    assert [(row["steps"], row["steps_per_epoch"]) for row in r["rows"]] == [(4, 4), (10, 9)]
    for row in r["rows"]:
        assert row["epoch_s"] > 0 and row["draw_ms"] > 0 and 0 <= row["waiting"] <= 1
        assert row["data_gib"] == row["pairs"] * 2 * 32 * 32 / 2**30
        assert row["beyond_data_gib"] == pytest.approx(row["peak_memory_gib"] - row["data_gib"])
        assert 0 < row["load_peak_gib"] <= row["peak_memory_gib"]

    table = printed(scaling.main, *options[:-1], "--steps=2").splitlines()
    rows = [line.split(" | ") for line in table if line.startswith(("| 4 |", "| 9 |"))]
    assert [row[3:5] for row in rows] == [["2", "4"], ["2", "9"]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--clips=1,x"], "--clips is '1,x': give whole numbers with commas between them, as 1,2,4"),
        (["--folds=0"], "--folds is 0: give 1 or more"),
        (["--clips=3"], "--clips is 3: give 4 or more, two each of two people"),
    ],
)
def test_bad_options(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(scaling.main, capsys, *options) == message
