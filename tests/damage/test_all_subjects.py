"""A run that trains on all subjects ends, resumes and recovers like others, and has no test predictions."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments import guessing_study
from icegan_jax import compare, train
from icegan_jax.config import build_train_config
from icegan_jax.evaluation.predictions import read_predictions
from icegan_jax.io import read_json
from icegan_jax.training import loop
from tests.damage.damage_cases import replace
from tests.damage.runs import Runs, config_of, copied, start, start_and_kill
from tests.training import event_files, tiny

PAIRS = tiny.pairs()


@pytest.fixture(scope="module", autouse=True)
def three_folds_per_device() -> Iterator[None]:
    """Train the single fold in a group of three, so that the programs of the other runs can be used."""
    original = build_train_config
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            train, "build_train_config", lambda *args: dataclasses.replace(original(*args), folds_per_device=3)
        )
        yield


@pytest.fixture(scope="module")
def trained(runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was killed before the fold was evaluated, and started again."""
    run = tmp_path_factory.mktemp("everybody") / "run"
    start_and_kill(config(runs), run)
    assert not (run / "results.json").exists()
    start(config(runs), run)
    return run


def config(runs: Runs) -> Any:
    return config_of(runs.data, protocol="all")


def outcome(run: Path) -> dict[str, bytes]:
    """Return the fold's files that hold no times."""
    return {name: (run / "folds" / "all" / name).read_bytes() for name in ("predictions.csv", "synthesis.npz")}


def test_the_fit_is_that_of_the_people_trained_on(trained: Path) -> None:
    results = read_json(trained / "results.json")
    _, rows = read_predictions(trained / "folds" / "all" / "predictions.csv")
    assert [row.subject for row in rows] == PAIRS.subject[PAIRS.shift == 0].tolist()
    assert results["fit"]["accuracy"] == sum(row.label == row.prediction for row in rows) / 9
    assert (results["scored"], results["num_clips"], results["num_people"]) == (False, 9, 3)
    assert read_json(trained / "folds" / "all" / "result.json")["people"] == []
    assert not (trained / "predictions.csv").exists() and (trained / "report" / "index.html").is_file()
    event = event_files.shown(trained / "tensorboard" / "all")[-1]
    assert event.summary.value[0].tag.startswith("faces/trained_on/onset-negative")


def test_a_finished_run_trains_nothing(runs: Runs, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("no fold remains to train")

    before = {path: path.stat().st_mtime_ns for path in (trained / "folds").rglob("*")}
    results = read_json(trained / "results.json")
    monkeypatch.setattr(loop, "build_programs", refuse)
    start(config(runs), trained)
    assert {path: path.stat().st_mtime_ns for path in (trained / "folds").rglob("*")} == before
    assert read_json(trained / "results.json") == results


def test_a_damaged_fold_runs_again_from_its_checkpoint(
    runs: Runs, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copied(trained, tmp_path / "run")
    replace(run / "folds" / "all" / "predictions.csv", "clip0,negative", "clip0,surprise")
    start(config(runs), run)
    assert "predictions.csv: not what the fold wrote; the fold runs again" in capsys.readouterr().err
    assert outcome(run) == outcome(trained)


@pytest.mark.parametrize("part", ["", "folds/all", "folds/all/predictions.csv"])
def test_the_predictions_are_refused_as_test_predictions(
    runs: Runs, trained: Path, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = [
        compare.main([str(runs.finished), str(trained / part)]),
        compare.main([str(trained / part), str(runs.finished)]),
        guessing_study.main([str(trained / part)]),
    ]
    assert commands == [2, 2, 2]
    message = f"{trained}: trained on everybody (protocol=all): it has no score; give a run with --config.protocol=loso"
    assert capsys.readouterr() == ("", f"error: {message}\n" * 3)
