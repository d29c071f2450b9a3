import json

import pytest

from icegan_jax.errors import UserError
from icegan_jax.evaluation.predictions import Prediction
from icegan_jax.evaluation.results import (
    RERUN_HINT,
    Timing,
    build_results,
    build_unscored_results,
    read_results,
    read_scored_results,
    require_scored,
    score,
)
from icegan_jax.io import write_json, write_json_with_checksum
from tests.evaluation.example_predictions import FIVE, five_rows, rows

TIMING = Timing(wall_s=10.0, compile_s=2.0, steps_per_s=3.0, faces_per_s=48.0)


def build(predictions, **fields):
    return build_results(
        predictions,
        protocol="LOSO",
        selection="last step",
        seed=3,
        timing=TIMING,
        versions={"jax": "0.10.2"},
        data_fingerprint="abc",
        **fields,
    )


def test_results_of_other_classes_come_back(tmp_path):
    results = build(five_rows(), classes=FIVE)
    assert results["classes"] == list(FIVE)
    assert results["overall"]["confusion"][4] == [0, 0, 2, 0, 1]
    # F1: happiness and surprise 1, disgust and repression 0, the last 2/(2 + 2 + 2); repression is predicted.
    assert results["overall"]["uf1"] == pytest.approx((1 + 0 + 0 + 1 + 2 / 6) / 5)
    assert results["overall"]["uar"] == pytest.approx((1 + 0 + 1 + 1 / 3) / 4)
    assert list(results["floors"]) == ["always_so, what", "prior_random"]
    path = tmp_path / "results.json"
    write_json(path, results)
    assert read_results(path) == results
    del results["floors"]["always_so, what"]
    write_json(path, results)
    with pytest.raises(UserError, match="the field floors.always_happiness is missing"):
        read_results(path)


def test_one_class_and_two_are_scored(tmp_path):
    for classes in (("a",), ("a", "b")):
        rows = [Prediction("own", subject, "c", 0, 0, (0.5,) * len(classes)) for subject in "12"]
        results = build(rows, classes=classes)
        assert results["overall"]["uf1"] == results["overall"]["uar"] == results["floors"]["always_a"]["uf1"] == 1
        assert len(results["overall"]["confusion"]) == len(classes)
        write_json(tmp_path / "results.json", results)
        assert read_results(tmp_path / "results.json") == results


def test_results_from_before_there_were_other_classes_are_read(tmp_path):
    results = build(rows())
    old = {name: value for name, value in results.items() if name != "classes"}
    write_json(tmp_path / "results.json", old)
    assert read_results(tmp_path / "results.json") == results


def test_results_have_the_fields_of_the_design(tmp_path):
    reference = score([0, 1, 2], [0, 1, 1], ["a", "b", "c"])
    results = build(rows(), references={"linear_on_apex_pixels": reference})
    expected = "protocol selection num_clips num_folds seed overall datasets floors timing versions"
    assert set(expected.split()) | {"data_fingerprint"} <= set(results)
    fields = {"uf1", "uar", "accuracy", "uf1_ci95", "uar_ci95", "confusion"}
    assert set(results["overall"]) == set(results["datasets"]["samm"]) == fields
    assert set(results["floors"]) == {"always_negative", "prior_random"}
    assert set(results["timing"]) == {"wall_s", "compile_s", "steps_per_s", "faces_per_s"}
    assert (results["num_clips"], results["num_folds"]) == (5, 4)  # casme2 1 and samm 1 are two
    assert "oracle" not in results

    path = tmp_path / "results.json"
    write_json(path, results)
    assert read_results(path) == results


def test_single_subject_has_no_interval(tmp_path):
    results = build(rows()[:1], oracle={"uf1": 1.0, "uar": 1.0})
    assert results["overall"]["uf1_ci95"] is None
    write_json(tmp_path / "results.json", results)
    assert read_results(tmp_path / "results.json") == results


@pytest.mark.parametrize(
    "keys,value,named",
    [
        (("selection",), None, "selection"),
        (("overall",), [], "overall"),
        (("overall", "uf1"), "high", "overall.uf1"),
        (("overall", "uar_ci95"), [0.1], "overall.uar_ci95"),
        (("datasets", "samm", "confusion"), [[1]], "datasets.samm.confusion"),
        (("floors", "prior_random"), None, "floors.prior_random"),
        (("dataset_floors", "samm", "always_negative"), 1, "dataset_floors.samm.always_negative"),
        (("references",), {"x": 1}, "references.x.uf1"),
        (("classes",), ["a", "a"], "the field classes"),
        (("classes",), [], "the field classes"),
        (("classes",), "abc", "the field classes"),
        (("classes",), ["negative", "positive", "surprise", "d"], "overall.confusion"),
        (("oracle",), {"uf1": 1.0}, "oracle.uar"),
        (("files",), [], "files"),
        (("files",), {"predictions.csv": 3}, "files.predictions.csv"),
        (("warnings",), {"a_1": "words"}, "warnings.a_1"),
    ],
)
def test_damaged_results_name_the_field(tmp_path, keys, value, named):
    results = json.loads(json.dumps(build(rows())))
    inner = results
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path = tmp_path / "results.json"
    write_json(path, results)
    with pytest.raises(UserError) as caught:
        read_results(path)
    assert f"{named} is" in str(caught.value) and str(path) in str(caught.value)
    assert str(caught.value).endswith("; remove the file and " + RERUN_HINT)


def build_unscored_run(**changes):
    fields = {
        "protocol": "all",
        "selection": "last",
        "seed": 3,
        "timing": TIMING,
        "versions": {"jax": "0.10.2"},
        "data_fingerprint": "abc",
    }
    return build_unscored_results(rows(), **fields) | changes


def test_results_of_a_run_on_all_subjects_have_a_fit_and_no_score(tmp_path):
    results = build_unscored_run()
    right = sum(row.label == row.prediction for row in rows())
    assert 0 < right < len(rows())
    assert (results["scored"], results["fit"], results["files"]) == (False, {"accuracy": right / len(rows())}, {})
    assert (results["num_clips"], results["num_folds"], results["num_people"]) == (5, 1, 4)
    assert not {"overall", "datasets", "floors", "references", "oracle", "by_selection"} & results.keys()
    path = tmp_path / "results.json"
    write_json_with_checksum(path, results)
    assert read_results(path) == results
    line = f"{tmp_path}: trained on everybody (protocol=all): it has no score; give a run with --config.protocol=loso"
    for refuse in (lambda: read_scored_results(path), lambda: require_scored(tmp_path)):
        with pytest.raises(UserError) as caught:
            refuse()
        assert str(caught.value) == line


def test_a_run_with_a_score_is_not_refused(tmp_path):
    path = tmp_path / "results.json"
    require_scored(tmp_path)  # without results.json nothing is raised here
    path.write_text("damaged")
    require_scored(tmp_path)
    write_json(path, build(rows()))
    require_scored(tmp_path)
    assert read_scored_results(path) == read_results(path) == build(rows())


@pytest.mark.parametrize(
    "changes,named",
    [
        ({"fit": None}, "fit"),
        ({"fit": {}}, "fit.accuracy"),
        ({"fit": {"accuracy": 1.5}}, "fit.accuracy"),
        ({"scored": 0}, "scored"),
        ({"scored": True}, "overall"),
        ({"timing": []}, "timing"),
        ({"warnings": {"all": "words"}}, "warnings.all"),
    ],
)
def test_damaged_results_without_a_score_name_the_field(tmp_path, changes, named):
    write_json(tmp_path / "results.json", build_unscored_run(**changes))
    with pytest.raises(UserError, match=rf"{named} is (missing or damaged|not from 0 to 1); remove the file"):
        read_results(tmp_path / "results.json")


def test_results_with_a_checksum_come_back_without_it(tmp_path):
    path = tmp_path / "results.json"
    results = build(rows()) | {"files": {"predictions.csv": "abc"}, "warnings": {"a_1": ["one", "two"]}}
    write_json_with_checksum(path, results)
    assert read_results(path) == results
    path.write_text(path.read_text().replace('"seed": 3', '"seed": 2'))
    with pytest.raises(UserError, match=f"{path}: the checksum does not match: .*; remove the file and {RERUN_HINT}"):
        read_results(path)


def test_message_about_missing_results_does_not_say_remove(tmp_path):
    with pytest.raises(UserError, match="no such file: is this a finished run directory.$"):
        read_results(tmp_path / "results.json")
