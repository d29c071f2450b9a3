import pytest

from icegan_jax.errors import UserError
from icegan_jax.evaluation.predictions import Prediction
from icegan_jax.evaluation.results import (
    Timing,
    build_results,
    build_unscored_results,
    read_results,
    read_scored_results,
    require_scored,
    score,
    score_predictions,
)
from icegan_jax.io import write_json, write_json_with_checksum
from tests.evaluation.example_predictions import FIVE, five_rows, rows

ABOUT = {
    "protocol": "LOSO",
    "selection": "last step",
    "seed": 3,
    "timing": Timing(wall_s=10.0, compile_s=2.0, steps_per_s=3.0, faces_per_s=48.0),
    "versions": {"jax": "0.10.2"},
    "data_fingerprint": "abc",
}


def test_scores_pool_all_clips_and_each_database():
    summary = score_predictions(rows())
    assert list(summary["datasets"]) == ["casme2", "samm"]
    overall = summary["overall"]
    assert overall["confusion"] == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]
    assert overall["accuracy"] == pytest.approx(3 / 5)
    assert overall["uf1"] == pytest.approx((2 / 4 + 2 / 3 + 2 / 3) / 3)
    assert overall["uar"] == pytest.approx((1 / 2 + 1 + 1 / 2) / 3)
    assert overall["uf1_ci95"][0] <= overall["uf1"] <= overall["uf1_ci95"][1]
    assert summary["datasets"]["samm"]["confusion"] == [[0, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert summary["floors"]["always_negative"]["uf1"] == pytest.approx(2 * 2 / (2 * 2 + 3) / 3)
    assert summary["dataset_floors"]["samm"]["always_negative"]["uf1"] == pytest.approx(1 / 3)


def test_no_prediction_and_two_of_one_clip_are_refused():
    with pytest.raises(UserError, match="no predictions to score"):
        score_predictions([])
    with pytest.raises(UserError, match="two predictions of the clip casme2 1 a"):
        score_predictions([*rows(), rows()[0]])


def test_results_have_the_fields_of_the_design_and_come_back(tmp_path):
    reference = score([0, 1, 2], [0, 1, 1], ["a", "b", "c"])
    results = build_results(rows(), **ABOUT, references={"linear_on_apex_pixels": reference})
    expected = "protocol selection num_clips num_folds seed overall datasets floors timing versions data_fingerprint"
    assert set(expected.split()) <= set(results) and "oracle" not in results
    fields = {"uf1", "uar", "accuracy", "uf1_ci95", "uar_ci95", "confusion"}
    assert set(results["overall"]) == set(results["datasets"]["samm"]) == fields
    assert (results["num_clips"], results["num_folds"]) == (5, 4)  # casme2 1 and samm 1 are two
    write_json_with_checksum(tmp_path / "results.json", results)
    assert read_results(tmp_path / "results.json") == results


def test_results_of_other_classes():
    results = build_results(five_rows(), FIVE, **ABOUT)
    assert results["classes"] == list(FIVE)
    assert results["overall"]["confusion"][4] == [0, 0, 2, 0, 1]
    # F1: happiness and surprise 1, disgust and repression 0, the last 2/(2 + 2 + 2); repression is predicted.
    assert results["overall"]["uf1"] == pytest.approx((1 + 0 + 0 + 1 + 2 / 6) / 5)
    assert results["overall"]["uar"] == pytest.approx((1 + 0 + 1 + 1 / 3) / 4)
    assert list(results["floors"]) == ["always_so, what", "prior_random"]
    for classes in (("a",), ("a", "b")):
        alike = [Prediction("own", subject, "c", 0, 0, (0.5,) * len(classes)) for subject in "12"]
        results = build_results(alike, classes, **ABOUT)
        assert results["overall"]["uf1"] == results["overall"]["uar"] == results["floors"]["always_a"]["uf1"] == 1


def test_single_subject_has_no_interval():
    assert build_results(rows()[:1], **ABOUT)["overall"]["uf1_ci95"] is None


def test_damaged_results_are_named(tmp_path):
    path = tmp_path / "results.json"
    with pytest.raises(UserError, match="no such file: is this a finished run directory.$"):
        read_results(path)
    results = build_results(rows(), **ABOUT)
    write_json_with_checksum(path, {name: value for name, value in results.items() if name != "floors"})
    with pytest.raises(UserError, match=f"{path}: the field floors is missing; remove the file and start"):
        read_results(path)
    write_json_with_checksum(path, results)
    path.write_text(path.read_text().replace('"seed": 3', '"seed": 2'))
    with pytest.raises(UserError, match=f"{path}: the checksum does not match: .*; remove the file and start"):
        read_results(path)


def test_results_of_a_run_on_all_subjects_have_a_fit_and_no_score(tmp_path):
    results = build_unscored_results(rows(), **ABOUT)
    right = sum(row.label == row.prediction for row in rows())
    assert (results["scored"], results["fit"]) == (False, {"accuracy": right / len(rows())})
    assert (results["num_clips"], results["num_folds"], results["num_people"]) == (5, 1, 4)
    path = tmp_path / "results.json"
    require_scored(tmp_path)  # without results.json nothing is raised here
    write_json_with_checksum(path, results)
    assert read_results(path) == results
    for refuse in (lambda: read_scored_results(path), lambda: require_scored(tmp_path)):
        with pytest.raises(UserError, match=r"trained on everybody .protocol=all.: it has no score; give a run with"):
            refuse()
    write_json(path, build_results(rows(), **ABOUT))
    require_scored(tmp_path)
