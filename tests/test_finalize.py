"""Results of a run: timing, selection of a step, and the files."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from icegan_jax.data.folds import Fold, build_folds
from icegan_jax.errors import UserError
from icegan_jax.evaluation.calibration import read_calibration
from icegan_jax.evaluation.predictions import read_predictions
from icegan_jax.evaluation.results import read_results
from icegan_jax.finalize import _timing, finalize_run
from icegan_jax.io import write_json_with_checksum
from tests.training import tiny
from tests.training.finished_folds import finish_fold


def result(wall_s: float, compile_s: float, worker: str | None = None) -> dict[str, Any]:
    content = {"steps": 10, "wall_s": wall_s, "compile_s": compile_s}
    return content if worker is None else content | {"worker": worker}


def test_one_worker_takes_the_sum_of_its_folds() -> None:
    timing = _timing([result(12.0, 7.0), result(5.0, 0.0)], batch_size=4)
    assert (timing.wall_s, timing.compile_s) == (17.0, 7.0)
    assert timing.steps_per_s == pytest.approx(20 / 10)
    assert timing.faces_per_s == pytest.approx(4 * 20 / 10)


def test_workers_train_at_the_same_time() -> None:
    """The time is that of the slowest worker."""
    results = [result(12.0, 7.0), result(5.0, 0.0, ""), result(20.0, 8.0, "1"), result(3.0, 0.0, "2")]
    timing = _timing(results, batch_size=1)
    assert (timing.wall_s, timing.compile_s) == (20.0, 8.0)
    assert timing.steps_per_s == pytest.approx(40 / 12)


PAIRS = tiny.pairs(subjects=4)
ORACLE = "best test epoch (not a valid score)"


def folds_for(protocol: str, inner_share: float) -> list[Fold]:
    return build_folds(PAIRS, protocol=protocol, share=0.5, inner_share=inner_share, seed=0)


def finish(run_dir: Path, folds: Sequence[Fold], histories: Sequence[Any] | None = None, **content: Any) -> None:
    """Write the files of trained folds; histories hold each fold's (test, inner) predictions at steps 10, 20, ..."""
    write_json_with_checksum(run_dir / "config.json", {})
    for fold, history in zip(folds, histories or [()] * len(folds), strict=True):
        finish_fold(run_dir, fold, PAIRS, history[-1][0] if history else None, history, faces=False, **content)


def finalize(run_dir: Path, folds: Sequence[Fold], **changes: Any) -> dict[str, Any]:
    plain = {"selection": "last", "evaluated": False, "oracle": False, "seed": 0, "batch_size": 4}
    finalize_run(PAIRS, folds, run_dir, **{**plain, "machine": "1 x cpu", **changes})
    return read_results(run_dir / "results.json")


def test_leave_one_subject_out(tmp_path: Path) -> None:
    folds = folds_for("loso", 0.0)
    finish(tmp_path, folds)
    results = finalize(tmp_path, folds)
    assert (results["protocol"], results["selection"]) == ("leave one subject out", "last")
    assert (results["num_folds"], results["num_people"], results["num_clips"]) == (4, 4, 12)
    assert results["by_selection"] == {"last": results["overall"]}
    assert results["overall"]["uf1"] == pytest.approx(1 / 6)
    assert not {"oracle", "selected_steps"} & results.keys()


def test_a_split(tmp_path: Path) -> None:
    folds = folds_for("split", 0.0)
    finish(tmp_path, folds)
    results = finalize(tmp_path, folds)
    assert results["protocol"] == "subject-wise split, 2 of 4 people held out"
    assert (results["num_folds"], results["num_people"], results["num_clips"]) == (1, 2, 6)
    references = {name: [sum(row) for row in each["confusion"]] for name, each in results["references"].items()}
    names = ("linear_on_apex_pixels", "svm_on_hog_differences", "svm_on_optical_flow")
    assert references == dict.fromkeys(names, [2, 2, 2])


@pytest.mark.parametrize("inner_share", [0.0, 0.3])
def test_training_on_all_subjects_gives_a_fit_and_no_score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], inner_share: float
) -> None:
    (fold,) = folds_for("all", inner_share)
    run_dir = tmp_path / "my run"
    predicted = PAIRS.label[fold.test].tolist()
    predicted[0] = 2 - predicted[0]  # one of them is wrong
    run_dir.mkdir()
    finish(run_dir, [fold], [[(predicted, [0] * len(fold.inner))]], warnings=["it is slow"])
    results = finalize(run_dir, [fold], evaluated=True)
    clips, but = (9, " but 1 kept for inner validation") if inner_share else (12, "")
    assert results.pop("timing")["wall_s"] == 9.0 and results.pop("versions")["icegan-jax"]
    assert results == {
        "scored": False,
        "protocol": f"all: everybody{but} is trained on, nobody is left to test",
        "selection": "last",
        "num_clips": clips,
        "num_folds": 1,
        "num_people": clips // 3,
        "seed": 0,
        "classes": ["negative", "positive", "surprise"],
        "fit": {"accuracy": (clips - 1) / clips},
        "data_fingerprint": "made up",
        "files": {},
        "warnings": {"all": ["it is slow"]},
    }
    assert {path.name for path in run_dir.iterdir()} == {"config.json", "folds", "results.json", "report"}
    output = capsys.readouterr().out
    assert output.startswith("trained on everybody: no score exists\nfit: 0.")
    assert f" of the {clips} clips trained on are recognized, which is no estimate for other people" in output
    assert f"run:    {run_dir}\nuse it: python -m icegan_jax.predict --workdir='{run_dir}' --input=" in output
    assert not any(word in output for word in ("UF1", "UAR", "overall", "always"))


RIGHT, WRONG = [0, 1, 2], [1, 2, 0]
HALF = [0, 1, 0]  # two of three
# Of each of four folds, predicted at steps 10, 20, 30: the test clips of one person, the inner clips of one.
HISTORIES = [
    [(RIGHT, WRONG), (HALF, RIGHT), (WRONG, HALF)],
    [(WRONG, HALF), (RIGHT, RIGHT), (WRONG, RIGHT)],  # of equal ones the latest
    [(WRONG, WRONG), (WRONG, WRONG), (HALF, RIGHT)],
    [(HALF, RIGHT), (HALF, WRONG), (WRONG, WRONG)],
]


@pytest.fixture
def evaluated(tmp_path: Path) -> tuple[Path, list[Fold]]:
    folds = folds_for("loso", 0.3)  # one of three people
    assert [len(fold.inner) for fold in folds] == [3] * 4
    finish(tmp_path, folds, HISTORIES)
    return tmp_path, folds


def test_inner_validation_chooses_the_step_of_each_fold(evaluated: tuple[Path, list[Fold]]) -> None:
    run_dir, folds = evaluated
    results = finalize(run_dir, folds, selection="inner", evaluated=True, oracle=True)
    assert results["selection"] == "inner validation"
    assert results["selected_steps"] == {fold.name: step for fold, step in zip(folds, (20, 30, 30, 10), strict=True)}
    # Chosen: HALF, WRONG, HALF, HALF; on test: RIGHT, RIGHT, HALF, HALF; last: WRONG, WRONG, HALF, WRONG.
    actual = [row.prediction for row in read_predictions(run_dir / "predictions.csv")[1]]
    assert actual == [*HALF, *WRONG, *HALF, *HALF]
    assert results["overall"]["confusion"] == [[3, 1, 0], [0, 3, 1], [4, 0, 0]]
    inner = {"uf1": (6 / 11 + 6 / 8 + 0) / 3, "uar": (3 / 4 + 3 / 4 + 0) / 3}
    last = {"uf1": (2 / 9 + 2 / 8 + 0) / 3, "uar": (1 / 4 + 1 / 4 + 0) / 3}
    best = {"uf1": (8 / 10 + 1 + 4 / 6) / 3, "uar": (1 + 1 + 2 / 4) / 3}
    actual = {name: (block["uf1"], block["uar"]) for name, block in results["by_selection"].items()}
    assert actual == {
        "last": pytest.approx(tuple(last.values())),
        "inner": pytest.approx(tuple(inner.values())),
        ORACLE: pytest.approx(tuple(best.values())),
    }
    assert len(results["by_selection"]["inner"]["uf1_ci95"]) == 2 and "uf1_ci95" not in results["oracle"]
    assert (results["overall"]["uf1"], results["overall"]["uar"]) == pytest.approx((inner["uf1"], inner["uar"]))
    assert results["oracle"] == {**results["by_selection"][ORACLE], "name": ORACLE}


def test_the_last_step_is_reported_beside_the_others(evaluated: tuple[Path, list[Fold]]) -> None:
    run_dir, folds = evaluated
    results = finalize(run_dir, folds, evaluated=True)
    assert (results["selection"], list(results["by_selection"])) == ("last", ["last", "inner"])
    assert results["overall"]["uf1"] == results["by_selection"]["last"]["uf1"]
    assert not {"oracle", "selected_steps"} & results.keys()
    actual = [row.prediction for row in read_predictions(run_dir / "predictions.csv")[1]]
    assert actual == [*WRONG, *WRONG, *HALF, *WRONG]


def test_the_linear_reference_does_not_train_on_inner_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def linear(apex: Any, label: Any, folds: Any, num_classes: int) -> Any:
        seen.extend(folds)
        return np.concatenate([label[test] for _, test in folds])

    monkeypatch.setattr("icegan_jax.evaluation.baselines.references.linear_on_apex_pixels", linear)
    folds = folds_for("split", 0.5)
    finish(tmp_path, folds)
    results = finalize(tmp_path, folds)
    assert results["references"]["linear_on_apex_pixels"]["uf1"] == 1.0
    ((train, test),) = seen
    assert (train.tolist(), test.tolist()) == (folds[0].train.tolist(), folds[0].test.tolist())
    assert not set(PAIRS.subject[train]) & set(PAIRS.subject[folds[0].inner])


def test_missing_evaluations_are_reported(evaluated: tuple[Path, list[Fold]]) -> None:
    run_dir, folds = evaluated
    (run_dir / "folds" / folds[1].name / "evaluations.jsonl").unlink()
    with pytest.raises(UserError, match="evaluations.jsonl: No such file .* same command again: the fold runs again"):
        finalize(run_dir, folds, evaluated=True)


def test_there_are_no_results_without_every_fold(tmp_path: Path) -> None:
    folds = folds_for("loso", 0.0)
    finish(tmp_path, folds)
    for damage, words in (
        (lambda path: (path / "result.json").unlink(), "result.json: no such file"),
        (lambda path: (path / "predictions.csv").write_text("half"), "predictions.csv: not what the fold wrote"),
    ):
        damage(tmp_path / "folds" / folds[2].name)
        with pytest.raises(UserError, match=f"{folds[2].name}/{words}.* start the same command again"):
            finalize(tmp_path, folds)
        assert {path.name for path in tmp_path.iterdir()} == {"config.json", "folds"}
        finish(tmp_path, folds)


def test_results_have_the_checksums_of_predictions_and_content(tmp_path: Path) -> None:
    folds = folds_for("loso", 0.0)
    finish(tmp_path, folds)
    results = finalize(tmp_path, folds)
    tables = ("predictions.csv", "resting.csv")
    checksums = {name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in tables}
    assert results["files"] == checksums and "warnings" not in results
    text = (tmp_path / "results.json").read_text()
    (tmp_path / "results.json").write_text(text.replace('"accuracy": 0.33', '"accuracy": 0.53'))
    with pytest.raises(UserError, match="results.json: the checksum does not match: .*; remove the file and start the"):
        read_results(tmp_path / "results.json")


def test_warnings_of_folds_are_in_results_and_report(tmp_path: Path) -> None:
    folds = folds_for("loso", 0.0)
    finish(tmp_path, folds)
    finish(tmp_path, folds[1:3], warnings=["all clips <negative> in 5 passes", "again"])
    results = finalize(tmp_path, folds)
    assert results["warnings"] == {fold.name: ["all clips <negative> in 5 passes", "again"] for fold in folds[1:3]}
    page = (tmp_path / "report" / "index.html").read_text()
    lines = "<li>tiny_s1: all clips &lt;negative&gt; in 5 passes</li><li>tiny_s1: again</li>"
    assert "<h2>Warnings</h2>" in page and lines in page
    finish(tmp_path, folds)
    finalize(tmp_path, folds)
    assert "Warnings" not in (tmp_path / "report" / "index.html").read_text()


def test_the_calibration_is_that_of_the_last_step(tmp_path: Path) -> None:
    """The networks that predict uses are of the last step, whatever step the scores are of."""
    folds = folds_for("loso", 0.0)
    finish(tmp_path, folds)
    finalize(tmp_path, folds)
    found = read_calibration(tmp_path / "calibration.json")
    assert found is not None
    assert found.threshold.length == pytest.approx((0.1 + 0.75) / 2) and found.threshold.resting == (12, 0, 0)
    assert found.close_call.margin == 0.5 and found.reliability.clips[7] == 12


def test_the_references_are_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folds = folds_for("split", 0.0)
    finish(tmp_path, folds)
    references = finalize(tmp_path, folds)["references"]
    monkeypatch.setattr("icegan_jax.finalize.score_references", lambda pairs, folds: {})
    assert finalize(tmp_path, folds)["references"] == references
    assert finalize(tmp_path, folds, machine="another")["references"] == {}
