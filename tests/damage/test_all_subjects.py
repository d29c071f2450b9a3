"""A run that trains on all subjects ends, resumes and recovers like others, and has no test predictions."""

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from icegan_jax import compare, train
from icegan_jax.config import build_train_config
from icegan_jax.evaluation.predictions import read_predictions
from icegan_jax.io import read_json
from tests.damage.conftest import Runs, start_and_kill
from tests.damage.test_damage import replace
from tests.training import tiny
from tests.training.tiny_run import config_of, start

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


def test_the_fit_is_that_of_the_people_trained_on(trained: Path) -> None:
    results = read_json(trained / "results.json")
    _, rows = read_predictions(trained / "folds" / "all" / "predictions.csv")
    assert [row.subject for row in rows] == PAIRS.subject[PAIRS.shift == 0].tolist()
    assert results["fit"]["accuracy"] == sum(row.label == row.prediction for row in rows) / 9
    assert (results["scored"], results["num_clips"], results["num_people"]) == (False, 9, 3)
    assert read_json(trained / "folds" / "all" / "result.json")["people"] == []
    assert not (trained / "predictions.csv").exists() and (trained / "report" / "index.html").is_file()


def test_a_damaged_fold_runs_again_from_its_checkpoint(
    runs: Runs, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    replace(run / "folds" / "all" / "predictions.csv", "clip0,negative", "clip0,surprise")
    start(config(runs), run)
    assert "predictions.csv: not what the fold wrote; the fold runs again" in capsys.readouterr().err
    for name in ("predictions.csv", "synthesis.npz"):
        assert (run / "folds" / "all" / name).read_bytes() == (trained / "folds" / "all" / name).read_bytes()


@pytest.mark.parametrize("part", ["", "folds/all/predictions.csv"])
def test_the_predictions_are_refused_as_test_predictions(
    runs: Runs, trained: Path, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare.main([str(runs.finished), str(trained / part)]) == 2
    message = f"{trained}: trained on everybody (protocol=all): it has no score; give a run with --config.protocol=loso"
    assert capsys.readouterr().err == f"error: {message}\n"
