"""The command around the scores: runs on disk in, a table out; the networks are stand-ins."""

import dataclasses
from pathlib import Path

import pytest

from experiments import synthesis_scores
from experiments.shared.options import run_command
from icegan_jax.evaluation.synthesis.scores import ROWS
from icegan_jax.io import write_json
from tests.evaluation.synthesis.test_scores import moved_synthesis, networks, pairs, run
from tests.experiments.fabricated_faces import table, write_run


def made_run(folder: Path, fingerprint: str) -> Path:
    """Write a run whose synthetic faces move as the class, trained on faces with this fingerprint."""
    write_run(folder, run(moved_synthesis))
    write_json(folder / "config.json", {"data": {"dir": "DATA", "database": ""}, "data_fingerprint": fingerprint})
    return folder


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthesis_scores, "networks", networks)
    monkeypatch.setattr(synthesis_scores, "load_pairs", lambda folder: dataclasses.replace(pairs(), fingerprint="f"))


@pytest.mark.usefixtures("stand_ins")
def test_runs_in_a_table_out(tmp_path: Path) -> None:
    named = [f"--run={made_run(tmp_path / name, 'f')}" for name in ("one", "two")]
    assert run_command(synthesis_scores.main, [*named, f"--out={tmp_path}"]) == 0
    rows = {r["faces"]: r for r in table(tmp_path / "synthesis_scores")}
    assert list(rows) == list(ROWS)
    ours, copy = rows["synthetic"], rows["copy of the onset"]
    assert float(ours["ssim"]) > float(copy["ssim"]) and float(ours["lpips"]) < float(copy["lpips"])
    assert float(ours["flow_cosine"]) > 0.9 and float(copy["flow_cosine"]) == 0
    assert float(ours["classifier_accuracy"]) == 1 and float(ours["ssim_sd"]) == 0  # twice the same run
    assert ours["clips"] == "12" and "one, two" in (tmp_path / "synthesis_scores" / "table.md").read_text()


@pytest.mark.usefixtures("stand_ins")
def test_a_run_on_faces_that_are_no_longer_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = [made_run(tmp_path / "one", "f"), made_run(tmp_path / "two", "g")]
    assert run_command(synthesis_scores.main, [*(f"--run={run}" for run in named), f"--out={tmp_path}"]) == 2
    assert f"error: {named[1]}: trained on other faces than DATA holds now" in capsys.readouterr().err


@pytest.mark.usefixtures("stand_ins")
def test_runs_on_different_faces_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    named = [made_run(tmp_path / name, name) for name in "ab"]
    prints = iter("ab")
    monkeypatch.setattr(
        synthesis_scores, "load_pairs", lambda folder: dataclasses.replace(pairs(), fingerprint=next(prints))
    )
    assert run_command(synthesis_scores.main, [*(f"--run={run}" for run in named), f"--out={tmp_path}"]) == 2
    assert f"error: {named[1]}: trained on other faces than {named[0]}" in capsys.readouterr().err


def test_a_run_without_faces_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(synthesis_scores.main, [f"--run={tmp_path / 'none'}", f"--out={tmp_path}"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {tmp_path / 'none'}") and error.count("\n") == 1
