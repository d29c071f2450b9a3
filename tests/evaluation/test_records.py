import dataclasses
import json

import pytest

from icegan_jax.errors import UserError
from icegan_jax.evaluation import records
from icegan_jax.evaluation.records import Prediction

HEADER = "dataset,subject,clip,label,prediction,negative,positive,surprise"
TIMING = records.Timing(wall_s=10.0, compile_s=2.0, steps_per_s=3.0, faces_per_s=48.0)


def rows() -> list[Prediction]:
    return [
        Prediction("casme2", "1", "a", 0, 0, (0.9, 0.1, 0.25)),
        Prediction("casme2", "2", "a", 1, 1, (0.1, 0.8, 0.2)),
        Prediction("casme2", "2", "b, with comma", 2, 0, (0.5, 0.1, 0.4)),
        Prediction("samm", "1", "a", 0, 1, (0.3, 0.6, 0.1)),
        Prediction("samm", "2", "ü", 2, 2, (0.3, 0.1, 0.7)),
    ]


def build(predictions, **fields):
    return records.build_results(
        predictions,
        protocol="LOSO",
        selection="last step",
        seed=3,
        timing=TIMING,
        versions={"jax": "0.10.2"},
        data_fingerprint="abc",
        **fields,
    )


def test_predictions_come_back(tmp_path):
    path = tmp_path / "deep" / "predictions.csv"
    records.write_predictions(path, rows())
    assert records.read_predictions(path) == (("negative", "positive", "surprise"), rows())
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == HEADER
    assert lines[1] == "casme2,1,a,negative,negative,0.900000,0.100000,0.250000"
    assert [file.name for file in path.parent.iterdir()] == ["predictions.csv"]


FIVE = ("happiness", "disgust", "repression", "surprise", "so, what")


def five_rows() -> list[Prediction]:
    """Nobody shows repression."""
    return [
        Prediction("own", subject, f"clip{label}", label, guess, (0.1, 0.2, 0.3, 0.4, 0.5))
        for subject in ("1", "2")
        for label, guess in ((0, 0), (1, 4), (3, 3), (4, 2))
    ] + [Prediction("own", "2", "more", 4, 4, (0.1, 0.2, 0.3, 0.4, 0.5))]


def test_predictions_of_other_classes_come_back(tmp_path):
    path = tmp_path / "predictions.csv"
    records.write_predictions(path, five_rows(), FIVE)
    assert records.read_predictions(path) == (FIVE, five_rows())
    first = path.read_text().splitlines()[0]
    assert first == 'dataset,subject,clip,label,prediction,happiness,disgust,repression,surprise,"so, what"'
    with pytest.raises(ValueError, match="clip0: 5 scores for 3 classes"):
        records.write_predictions(path, five_rows())


def test_results_of_other_classes_come_back(tmp_path):
    results = build(five_rows(), classes=FIVE)
    assert results["classes"] == list(FIVE)
    assert results["overall"]["confusion"][4] == [0, 0, 2, 0, 1]
    # F1: happiness and surprise 1, disgust and repression 0, the last 2/(2 + 2 + 2); repression is predicted.
    assert results["overall"]["uf1"] == pytest.approx((1 + 0 + 0 + 1 + 2 / 6) / 5)
    assert results["overall"]["uar"] == pytest.approx((1 + 0 + 1 + 1 / 3) / 4)
    assert list(results["floors"]) == ["always_so, what", "prior_random"]
    path = tmp_path / "results.json"
    records.write_json(path, results)
    assert records.read_results(path) == results
    del results["floors"]["always_so, what"]
    records.write_json(path, results)
    with pytest.raises(UserError, match="the field floors.always_happiness is missing"):
        records.read_results(path)


def test_one_class_and_two_are_scored(tmp_path):
    for classes in (("a",), ("a", "b")):
        rows = [Prediction("own", subject, "c", 0, 0, (0.5,) * len(classes)) for subject in "12"]
        results = build(rows, classes=classes)
        assert results["overall"]["uf1"] == results["overall"]["uar"] == results["floors"]["always_a"]["uf1"] == 1
        assert len(results["overall"]["confusion"]) == len(classes)
        records.write_json(tmp_path / "results.json", results)
        assert records.read_results(tmp_path / "results.json") == results


def test_results_from_before_there_were_other_classes_are_read(tmp_path):
    results = build(rows())
    old = {name: value for name, value in results.items() if name != "classes"}
    records.write_json(tmp_path / "results.json", old)
    assert records.read_results(tmp_path / "results.json") == results


def test_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    records.write_json(path, {"old": 1})

    def fail(source, target):
        raise OSError("disk gone")

    monkeypatch.setattr(records.os, "replace", fail)
    with pytest.raises(OSError, match="disk gone"):
        records.write_json(path, {"new": 2})
    assert records.read_json(path) == {"old": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


@pytest.mark.parametrize(
    "line,message",
    [
        ("casme2,2,b,negative,positive,0.1", "predictions.csv:3: 6 cells where 8 columns"),
        ("casme2,2,b,angry,positive,0.1,0.2,0.3", ":3: label 'angry' is none of negative, pos"),
        ("casme2,2,b,negative,1,0.1,0.2,0.3", ":3: prediction '1' is none of negative"),
        ("casme2,2,b,negative,positive,0.1,x,0.3", ":3: '0.1,x,0.3' are not all numbers"),
        ("casme2,2,b,negative,positive,0.1,nan,0.3", ":3: a capsule length is not a finite"),
        ("casme2,1,a,negative,positive,0.1,0.2,0.3", "two predictions of the clip casme2 1 a"),
    ],
)
def test_damaged_line_is_named(tmp_path, line, message):
    path = tmp_path / "predictions.csv"
    path.write_text(f"{HEADER}\ncasme2,1,a,negative,negative,0.9,0.1,0.2\n{line}\n")
    with pytest.raises(UserError) as caught:
        records.read_predictions(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content,message",
    [
        (None, "no such file"),
        (b"", "expected the header dataset,subject"),
        (b"a,b\n", "expected the header dataset,subject"),
        (b"dataset,subject,clip,label,prediction\n", "prediction, then each class once"),
        (b"dataset,subject,clip,label,prediction,a,a\n", "prediction, then each class once"),
        (HEADER.encode() + b"\n", "not one prediction"),
        (b"\xff\xfe", "not UTF-8 text"),
    ],
)
def test_damaged_file_is_named(tmp_path, content, message):
    path = tmp_path / "predictions.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        records.read_predictions(path)
    assert str(path) in str(caught.value)


def test_diverged_training_is_not_written(tmp_path):
    broken = dataclasses.replace(rows()[0], scores=(float("nan"), 0.0, 0.0))
    with pytest.raises(UserError, match="casme2 1 a: .* diverged, lower the learning rate"):
        records.write_predictions(tmp_path / "predictions.csv", [broken])
    assert not list(tmp_path.iterdir())


def test_summary_pools_all_and_each_database():
    summary = records.summarise(rows())
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


def test_summary_refuses():
    with pytest.raises(UserError, match="no predictions to score"):
        records.summarise([])
    with pytest.raises(UserError, match="two predictions of the clip casme2 1 a"):
        records.summarise([*rows(), rows()[0]])


def test_results_have_the_fields_of_the_design(tmp_path):
    reference = records.score([0, 1, 2], [0, 1, 1], ["a", "b", "c"])
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
    records.write_json(path, results)
    assert records.read_results(path) == results


def test_single_subject_has_no_interval(tmp_path):
    results = build(rows()[:1], oracle={"uf1": 1.0, "uar": 1.0})
    assert results["overall"]["uf1_ci95"] is None
    records.write_json(tmp_path / "results.json", results)
    assert records.read_results(tmp_path / "results.json") == results


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
    ],
)
def test_damaged_results_name_the_field(tmp_path, keys, value, named):
    results = json.loads(json.dumps(build(rows())))
    inner = results
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path = tmp_path / "results.json"
    records.write_json(path, results)
    with pytest.raises(UserError) as caught:
        records.read_results(path)
    assert f"{named} is" in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize("text,message", [("{\n  oops", ":2: not JSON"), ("[1]", "expected a JSON object, found list")])
def test_damaged_json_is_named(tmp_path, text, message):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        records.read_json(path)


def test_json_has_no_nan(tmp_path):
    with pytest.raises(ValueError):
        records.write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert not list(tmp_path.iterdir())
