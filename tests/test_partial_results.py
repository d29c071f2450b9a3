"""Partial results of a stopped run, and the renaming of older results."""

import json
from pathlib import Path

import pytest

from icegan_jax.data.folds import leave_one_subject_out
from icegan_jax.finalize import remove_old_results, rename_old_results, write_partial_results
from tests.training import tiny
from tests.training.finished_folds import finish_fold, state_of

PAIRS = tiny.pairs(subjects=4)
FOLDS = leave_one_subject_out(PAIRS)
PARTIAL = "results.partial.json"


def test_the_finished_folds_are_scored_and_the_others_named(tmp_path: Path) -> None:
    """The labels are 0, 1, 2 for each subject."""
    finish_fold(tmp_path, FOLDS[0], PAIRS, [0, 1, 2])
    finish_fold(tmp_path, FOLDS[2], PAIRS, [0, 0, 1])
    damaged = finish_fold(tmp_path, FOLDS[1], PAIRS) / "predictions.csv"
    damaged.write_text("half")
    path = write_partial_results(PAIRS, FOLDS, tmp_path, seed=7, missing={"tiny_s3": "skipped: a loss is not finite"})
    assert path == tmp_path / PARTIAL
    content = json.loads(path.read_text())
    part = content.pop("so_far")
    assert content == {
        "partial": True,
        "folds": {
            "finished": ["tiny_s0", "tiny_s2"],
            "missing": {"tiny_s1": f"{damaged}: not what the fold wrote", "tiny_s3": "skipped: a loss is not finite"},
        },
        "num_clips": 6,
        "classes": ["negative", "positive", "surprise"],
        "seed": 7,
        "data_fingerprint": "made up",
    }
    assert part["confusion"] == [[2, 0, 0], [1, 1, 0], [0, 1, 1]]
    # F1: 4/(4 + 1), 2/(2 + 1 + 1), 2/(2 + 1); recall 1, 1/2, 1/2.
    assert part["uf1"] == pytest.approx((4 / 5 + 1 / 2 + 2 / 3) / 3)
    assert part["uar"] == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)
    assert part["accuracy"] == pytest.approx(4 / 6)
    assert "a part of the people is not the run's result" in part["note"]


def test_without_a_finished_fold_there_are_no_partial_results(tmp_path: Path) -> None:
    assert write_partial_results(PAIRS, FOLDS, tmp_path, seed=0, missing={}) is None
    assert not list(tmp_path.iterdir())
    (tmp_path / PARTIAL).write_text("of an earlier state")
    assert write_partial_results(PAIRS, FOLDS, tmp_path, seed=0, missing={}) is None
    assert not list(tmp_path.iterdir())


def test_earlier_results_are_kept_under_another_name_until_there_are_new_ones(tmp_path: Path) -> None:
    def write(words: str) -> None:
        for name in ("results.json", "predictions.csv", "report/index.html", "report_no_faces/index.html"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(words)

    write("first")
    (tmp_path / "report" / "mine.txt").write_text("mine")
    (tmp_path / "config.json").write_text("{}")
    rename_old_results(tmp_path)
    kept = {name: data for name, (_, data) in state_of(tmp_path).items()}
    assert kept == {
        "config.json": b"{}",
        "results.json.old": b"first",
        "predictions.csv.old": b"first",
        "report.old/index.html": b"first",
        "report.old/mine.txt": b"mine",
        "report_no_faces.old/index.html": b"first",
    }
    write("second")
    rename_old_results(tmp_path)
    assert {data for name, (_, data) in state_of(tmp_path).items() if name != "config.json"} == {b"second"}
    (tmp_path / PARTIAL).write_text("{}")
    remove_old_results(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
