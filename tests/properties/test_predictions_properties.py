"""predictions.csv, compared files and results.json: written files are read back, others raise one line."""

import json

from hypothesis import given
from hypothesis import strategies as st

from icegan_jax.evaluation import compare
from icegan_jax.evaluation.predictions import Prediction, read_predictions, write_predictions
from icegan_jax.evaluation.results import read_results
from tests.properties.strategies import edited, json_values, names, odd_text, outcome, scratch, words
from tests.reporting.fabricated import write_evaluated_run

FOLDER = scratch()
RESULTS = (write_evaluated_run(FOLDER / "run") / "results.json").read_text()


@st.composite
def predictions_of_classes(draw: st.DrawFn) -> tuple[tuple[str, ...], list[Prediction]]:
    classes = tuple(draw(st.lists(names, min_size=1, max_size=5, unique_by=str.casefold)))
    keys = draw(st.lists(st.tuples(names, names, names), min_size=1, max_size=5, unique=True))
    label = st.integers(0, len(classes) - 1)
    score = st.floats(0, 1).map(lambda value: float(f"{value:.6f}"))
    return classes, [Prediction(*key, draw(label), draw(label), tuple(draw(score) for _ in classes)) for key in keys]


@given(predictions_of_classes())
def test_predictions_are_read_as_they_were_written_and_equal_themselves(drawn) -> None:
    classes, rows = drawn
    path = FOLDER / "own.csv"
    write_predictions(path, rows, classes)
    assert read_predictions(path) == (classes, rows)
    text = compare.compare_predictions(path, path)
    assert f"the predictions differ on 0 of {len(rows)} clips" in text


@given(predictions_of_classes(), st.data())
def test_edited_predictions_are_refused_or_of_known_classes(drawn, data: st.DataObject) -> None:
    path = FOLDER / "edited.csv"
    write_predictions(path, drawn[1], drawn[0])
    path.write_bytes(edited(data.draw, path.read_text(encoding="utf-8")).encode())
    result = outcome(lambda: read_predictions(path), "edited.csv")
    if result:
        assert all(0 <= number < len(result[0]) for row in result[1] for number in (row.label, row.prediction))
        assert len({(row.dataset, row.subject, row.clip) for row in result[1]}) == len(result[1])
    outcome(lambda: compare.compare_predictions(path, path), "edited.csv")


@given(st.lists(st.one_of(odd_text, words), max_size=30), st.sampled_from(("", " ", ",", "\n")))
def test_any_text_is_read_or_raises_one_line(parts: list[str], between: str) -> None:
    path = FOLDER / "any.csv"
    path.write_bytes(between.join(parts).encode())
    outcome(lambda: read_predictions(path), path.name)
    outcome(lambda: compare.compare_predictions(path, path), path.name)


@given(st.data(), json_values)
def test_edited_results_and_any_json_are_refused_in_one_line(data: st.DataObject, value: object) -> None:
    path = FOLDER / "results.json"
    path.write_bytes(edited(data.draw, RESULTS).encode())
    result = outcome(lambda: read_results(path), "results.json")
    assert result is None or {**json.loads(RESULTS), "checksum": 0} == {**result, "checksum": 0}
    path.write_text(json.dumps(value))
    assert outcome(lambda: read_results(path), "results.json") is None
