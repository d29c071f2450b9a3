"""A run that trains on everybody: it ends, goes on and mends itself like any other, and nothing takes it for a test."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments import guessing_study
from icegan_jax import compare
from icegan_jax import config as config_module
from icegan_jax.config import build_train_config
from icegan_jax.evaluation.predictions import read_predictions
from icegan_jax.io import read_json
from icegan_jax.training import memory
from tests.damage.kinds import replace
from tests.damage.world import World, config_of, copied, start, start_and_kill
from tests.training import event_files, tiny

PAIRS = tiny.pairs()


@pytest.fixture(scope="module", autouse=True)
def beside_copies() -> Iterator[None]:
    """The one fold is trained beside copies of itself: the world's programs, for three, serve it too."""
    planned = build_train_config
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            config_module, "build_train_config", lambda *given: dataclasses.replace(planned(*given), folds_per_device=3)
        )
        yield


@pytest.fixture(scope="module")
def trained(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Killed before the fold was evaluated, and started again."""
    run = tmp_path_factory.mktemp("everybody") / "run"
    start_and_kill(config(world), run)
    assert not (run / "results.json").exists()
    start(config(world), run)
    return run


def config(world: World) -> Any:
    return config_of(world.data, protocol="all")


def outcome(run: Path) -> dict[str, bytes]:
    """The fold's files that hold no times."""
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
    assert event.summary.value[0].tag.startswith("faces/trained on: onset, negative")


def test_a_finished_run_trains_nothing(world: World, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("nothing is left to train")

    before = {path: path.stat().st_mtime_ns for path in (trained / "folds").rglob("*")}
    results = read_json(trained / "results.json")
    monkeypatch.setattr(memory, "build_programs", refuse)
    start(config(world), trained)
    assert {path: path.stat().st_mtime_ns for path in (trained / "folds").rglob("*")} == before
    assert read_json(trained / "results.json") == results


def test_a_damaged_fold_runs_again_from_its_checkpoint(
    world: World, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copied(trained, tmp_path / "run")
    replace(run / "folds" / "all" / "predictions.csv", "clip0,negative", "clip0,surprise")
    start(config(world), run)
    assert "predictions.csv: not what the fold wrote; the fold runs again" in capsys.readouterr().err
    assert outcome(run) == outcome(trained)


@pytest.mark.parametrize("part", ["", "folds/all", "folds/all/predictions.csv"])
def test_nothing_takes_its_answers_for_a_test(
    world: World, trained: Path, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = [
        compare.main([str(world.whole), str(trained / part)]),
        compare.main([str(trained / part), str(world.whole)]),
        guessing_study.main([str(trained / part)]),
    ]
    assert commands == [2, 2, 2]
    said = f"{trained}: trained on everybody (protocol=all): it has no score; give a run with --config.protocol=loso"
    assert capsys.readouterr() == ("", f"error: {said}\n" * 3)
