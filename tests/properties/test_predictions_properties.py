"""predictions.csv, published logs and tables, results.json: written files are read back, others raise one line."""

import dataclasses
import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.errors import UserError
from icegan_jax.evaluation import compare
from icegan_jax.evaluation.predictions import Prediction, read_predictions, write_predictions
from icegan_jax.evaluation.published_predictions import class_indices, infer_classes, read_published_predictions
from icegan_jax.evaluation.results import read_results
from icegan_jax.evaluation.score_table import format_table, score_rows, write_scores_csv
from icegan_jax.io import CHECKSUM, write_text
from icegan_jax.reporting.report_figures import ReportFigures
from icegan_jax.reporting.report_page import render_report
from icegan_jax.reporting.run_files import read_run
from tests.properties.strategies import edited, json_values, names, odd_text, outcome, scratch, words
from tests.reporting.fabricated import predictions, write_evaluated_run

FOLDER = scratch()
WORD = st.text(st.sampled_from("abcABC019_.-"), min_size=1, max_size=8).filter(lambda w: w[-1].isalnum())


@st.composite
def predictions_of_classes(draw: st.DrawFn) -> tuple[tuple[str, ...], list[Prediction]]:
    classes = tuple(draw(st.lists(names, min_size=1, max_size=5, unique_by=str.casefold)))
    keys = draw(st.lists(st.tuples(names, names, names), min_size=1, max_size=5, unique=True))
    label = st.integers(0, len(classes) - 1)
    score = st.floats(0, 1).map(lambda value: float(f"{value:.6f}"))
    return classes, [Prediction(*key, draw(label), draw(label), tuple(draw(score) for _ in classes)) for key in keys]


@given(predictions_of_classes())
def test_predictions_are_read_as_they_were_written(drawn: tuple[tuple[str, ...], list[Prediction]]) -> None:
    classes, rows = drawn
    path = FOLDER / "predictions.csv"
    write_predictions(path, rows, classes)
    assert read_predictions(path) == (classes, rows)
    result = read_published_predictions(path)
    assert result.classes == classes and result.clip == [row.clip for row in rows]
    for cells, numbers in ((result.label, [r.label for r in rows]), (result.prediction, [r.prediction for r in rows])):
        assert class_indices(path, cells, classes).tolist() == numbers


@given(predictions_of_classes(), st.data())
def test_edited_predictions_are_refused_or_of_known_classes(drawn, data: st.DataObject) -> None:
    path = FOLDER / "edited.csv"
    write_predictions(path, drawn[1], drawn[0])
    path.write_bytes(edited(data.draw, path.read_text(encoding="utf-8")).encode())
    result = outcome(lambda: read_predictions(path), "edited.csv")
    if result:
        assert all(0 <= number < len(result[0]) for row in result[1] for number in (row.label, row.prediction))
        assert len({(row.dataset, row.subject, row.clip) for row in result[1]}) == len(result[1])
    outcome(lambda: numbers_of(path), "edited.csv")


def numbers_of(path: Path) -> list[list[int]]:
    result = read_published_predictions(path)
    classes = infer_classes([result])
    columns = [result.label, *([result.prediction] if result.prediction else [])]
    numbers = [class_indices(path, column, classes).tolist() for column in columns]
    assert all(0 <= number < len(classes) for column in numbers for number in column)
    assert len(result.subject) == len(numbers[0]) == len(result.subject_keys)
    return numbers


@given(
    st.lists(st.one_of(odd_text, words), max_size=30),
    st.sampled_from(("", " ", ",", "\n")),
    st.sampled_from((".csv", ".txt")),
)
def test_any_text_is_read_or_raises_one_line(parts: list[str], between: str, suffix: str) -> None:
    path = FOLDER / f"any{suffix}"
    path.write_bytes(between.join(parts).encode())
    outcome(lambda: numbers_of(path), path.name)
    outcome(lambda: read_predictions(path), path.name)


LISTS = st.dictionaries(
    WORD, st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=5), min_size=1, max_size=4
)


@given(LISTS, st.sampled_from((", ", " ", ",\n  ")))
def test_a_published_log_is_read(people: dict[str, list[tuple[int, int]]], between: str) -> None:
    path = FOLDER / "log.txt"
    lines = []
    for name, pairs in people.items():
        truth, predicted = (between.join(map(str, column)) for column in zip(*pairs, strict=True))
        lines += [f"Subject: {name}", "epoch 3, loss 0.25", f"predicted : [{predicted}]", f"ground truth : [{truth}]"]
    path.write_text("\n".join(lines))
    result = read_published_predictions(path)
    assert result.subject == [name for name, pairs in people.items() for _ in pairs]
    expected = [tuple(map(str, pair)) for pairs in people.values() for pair in pairs]
    assert list(zip(result.label, result.prediction, strict=True)) == expected


@given(LISTS, st.data())
def test_a_megc_log_is_read_and_an_edited_one_is_one_line(people, data: st.DataObject) -> None:
    path = FOLDER / "megc.txt"
    lines = []
    for name, pairs in people.items():
        lines += [f"casme2 {name}", *(f"EP{number} {a} {b}" for number, (a, b) in enumerate(pairs))]
    path.write_text("\n".join(lines))
    result = read_published_predictions(path)
    assert result.subject == [name for name, pairs in people.items() for _ in pairs]
    assert result.prediction == [str(b) for pairs in people.values() for _, b in pairs]
    path.write_bytes(edited(data.draw, "\n".join(lines)).encode())
    outcome(lambda: numbers_of(path), "megc.txt")


@given(LISTS)
def test_compared_with_itself_nothing_differs(people) -> None:
    path = FOLDER / "own.csv"
    lines = ["subject,clip,label,prediction"]
    lines += [f"{name},{n},{a},{b}" for name, pairs in people.items() for n, (a, b) in enumerate(pairs)]
    path.write_text("\n".join(lines))
    text = compare.compare_predictions(path, path, tuple("abcde"))
    assert f"the predictions differ on 0 of {len(lines) - 1} clips" in text


RUN = write_evaluated_run(FOLDER / "run")
READ = read_run(RUN)
# Without the checksum, which would reject any change, results are checked field by field.
RESULTS = {name: value for name, value in json.loads((RUN / "results.json").read_text()).items() if name != CHECKSUM}


def paths(tree: object, here: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the paths of a JSON value and of all values inside."""
    result = [here] if here else []
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for name, value in inner:
        result += paths(value, (*here, name))
    return result


@given(st.sampled_from(paths(RESULTS)), st.one_of(json_values, st.just("DELETE")))
def test_results_with_a_strange_value_are_read_or_one_line(place: tuple[str | int, ...], value: object) -> None:
    content = json.loads(json.dumps(RESULTS))
    part = content
    for name in place[:-1]:
        part = part[name]
    if value == "DELETE":
        del part[place[-1]]
    else:
        part[place[-1]] = value
    path = FOLDER / "results.json"
    path.write_text(json.dumps(content))
    result = outcome(lambda: read_results(path), "results.json")
    if result is not None:
        assert len(result["overall"]["confusion"]) == len(result["classes"])
        rows = score_rows(result)
        assert format_table(rows).count("\n") > len(rows)
        write_scores_csv(FOLDER / "scores.csv", rows)
        run = dataclasses.replace(READ, results=result, config={"any": value})
        write_text(FOLDER / "index.html", render_report(run, ReportFigures()))


@given(json_values)
def test_any_json_is_results_or_one_line(value: object) -> None:
    path = FOLDER / "results.json"
    path.write_text(json.dumps(value))
    outcome(lambda: read_results(path), "results.json")


def test_the_run_s_own_results_are_read() -> None:
    assert read_results(RUN / "results.json")["num_clips"] == len(predictions())
    assert read_predictions(RUN / "predictions.csv")[0] == EXPRESSIONS
    assert issubclass(UserError, Exception)
