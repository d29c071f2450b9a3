from dataclasses import replace

import numpy as np
import pytest

from icegan_jax.evaluation import metrics
from icegan_jax.evaluation.calibration import Calibration, CloseCall, Threshold, measure_reliability
from icegan_jax.evaluation.predictions import Prediction
from icegan_jax.evaluation.results import build_results, build_unscored_results
from icegan_jax.evaluation.score_table import ORACLE_NAME
from icegan_jax.evaluation.synthesis.faces import SynthesizedFaces
from icegan_jax.reporting.render import Cell, Row
from icegan_jax.reporting.report_figures import ReportFigures, find_worst_clips
from icegan_jax.reporting.report_page import (
    clips_table,
    render_report,
    selection_name,
    subjects_table,
    without_data_folder,
)
from icegan_jax.reporting.run_files import Run
from tests.reporting import fabricated
from tests.reporting.fabricated import CHART
from tests.reporting.parsed_page import HOSTILE, ParsedPage

ROWS = [
    Prediction("db", "s10", "a", 0, 0, (0.75, 0.25)),
    Prediction("db", "s2", "a", 0, 1, (0.5, 0.625)),
    Prediction("db", "s10", "b", 1, 1, (0.5, 0.75)),
]
ORACLE = {"uf1": 0.91, "uar": 0.92}


def run_of(name="run", dataset="db", config=None, **fields):
    """Two subjects with two clips, every prediction negative; `dataset` is part of every name."""
    predictions = [
        Prediction(dataset, subject, f"{dataset}{label}", label, 0, (0.5, 0.2, 0.3))
        for subject in ("1", "2" + dataset)
        for label in range(2)
    ]
    about = fabricated.ABOUT | {"protocol": f"LOSO {dataset}", "selection": f"by {dataset}", "versions": {dataset: "1"}}
    results = build_results(predictions, **about | fields) | {"warnings": {dataset: [f"warned {dataset}"]}}
    face = np.zeros((len(predictions), 8, 8), np.uint8)
    labels = np.array([row.label for row in predictions])
    subjects, clips = [(row.dataset, row.subject) for row in predictions], [row.clip for row in predictions]
    faces = SynthesizedFaces(face, np.stack([face] * 3, axis=1), face, labels, subjects, clips, ["fold"] * 4)
    counts = metrics.confusion(labels, [0] * len(predictions))
    classes = ("negative", "positive", "surprise")
    config = config or {dataset: dataset, "data": {"dir": dataset}}
    return Run(name, results, config, classes, predictions, counts, faces, [])


def page_of(run, **options):
    picture = np.zeros((8, 8, 3), np.uint8)
    figures = ReportFigures(
        [("all clips", CHART), (HOSTILE, CHART)], find_worst_clips(run.predictions, run.faces), picture, picture, CHART
    )
    return ParsedPage(render_report(run, figures, **options))


def test_every_name_is_escaped_and_the_page_is_self_contained():
    page = page_of(run_of(HOSTILE, HOSTILE))
    page.check_self_contained()
    assert "".join(page.text).count(HOSTILE) > 12
    assert len(page.pictures()) == 7  # two matrices, two wrong clips, the maps, the sheet, the curves


def test_links_lead_to_the_sections():
    page = page_of(run_of())
    targets = [link["href"] for link in page.every("a")]
    sections = [f"#{section['id']}" for section in page.every("section") if "id" in section]
    assert targets == sections and len(sections) == 12
    assert len({attributes["id"] for _, attributes in page.elements if "id" in attributes}) == 12 + 2  # two tables


def test_scores_and_settings():
    page = page_of(run_of(config={"seed": 0, "model": {"name": "<b>"}}))
    html, words = page.html, page.words()
    scores = html[html.index('id="scores"') : html.index('id="selection"')]
    assert "always negative" in scores and "0.333" in scores
    assert "The rule was: by db." in words and "db: warned db" in words and "wall s 12.50" in words
    assert '{ "seed": 0, "model": { "name": "<b>" } }' in words


def test_page_without_faces_says_so_and_omits_the_data_folder():
    run = run_of(dataset="my place")
    without = ParsedPage(render_report(replace(run, faces=None), ReportFigures([("all clips", CHART)]), no_faces=True))
    assert "made without faces" in without.words() and "made without faces" not in page_of(run).words()
    assert len(without.pictures()) == 1
    assert '"dir": "my place"' in page_of(run).words() and "dir" not in without.words()


def test_the_folder_of_the_data_is_left_out_wherever_it_is_named():
    assert without_data_folder(fabricated.CONFIG) == {
        "seed": 0,
        "data": {"mirror": True},
        "model": {"preset": "<paper>"},
        "resumed": [{"when": "2026", "changed": {"loss.x": [1, 2]}}],
    }
    odd = {"data": "odd", "resumed": ["odd", {"changed": 3}]}
    assert without_data_folder(odd) == odd


def test_a_run_that_trained_on_everybody_has_no_score():
    run = run_of()
    results = build_unscored_results(run.predictions, **fabricated.ABOUT)
    run = Run("all", results, {}, run.classes, [], run.counts * 0, run.faces, [])
    page = page_of(run)
    words = page.words()
    assert "nobody was held out, so no score exists" in words and "0.500 of these clips recognized" in words
    assert "a person that the generator was trained on" in words and "never saw" not in words
    assert not {"scores", "confusion", "worst", "subjects"} & {section.get("id") for section in page.every("section")}


def test_a_run_without_faces_and_logs_says_so():
    words = ParsedPage(render_report(replace(run_of(), faces=None), ReportFigures([("all clips", CHART)]))).words()
    assert "no folds/*/synthesis.npz" in words and "no folds/*/metrics.jsonl" in words


@pytest.mark.parametrize("selection", ["last", "last step"])
def test_the_last_step_is_not_selected(selection):
    words = page_of(run_of(selection=selection)).words()
    assert "after its last training step. No step was chosen" in words and "valid" not in words
    assert selection_name(selection) == "last step" and selection_name("coin & luck") == "coin & luck"


def test_inner_validation_is_shown_beside_the_last_step_and_apart_from_the_oracle():
    run = run_of(selection="inner validation")
    inner = run.results["overall"] | {"uf1": 0.75, "uf1_ci95": [0.5, 0.8]}
    results = run.results | {
        "by_selection": {"last": run.results["overall"], "inner": inner, ORACLE_NAME: ORACLE},
        "selected_steps": {"a": 10, "b": 400, "<c>": 20},
        "oracle": ORACLE,
    }
    html = page_of(replace(run, results=results)).html
    section = html[html.index('id="selection"') : html.index('id="confusion"')]
    table, apart = section.split('<div class="note">')
    assert "kept out of training (inner validation)" in table and "The chosen steps: 10 to 400, median 20" in table
    assert "inner validation (reported)" in table and "last step (reported)" not in table
    assert "0.750 [0.500, 0.800]" in table and 'data-value="0.75"' in table and "&lt;c&gt;" in table
    assert "0.910" not in table and "0.910 and UAR 0.920" in apart and ORACLE_NAME in apart


def test_subjects_count_right_clips_of_each_class():
    table = subjects_table(ROWS, ("calm", "moved"))
    assert [column.name for column in table.columns] == ["dataset", "subject", "clips", "correct", "calm", "moved"]
    ten = ["db", "s10", Cell("2", 2), Cell("2 / 2", 1), Cell("1 / 1", 1), Cell("1 / 1", 1)]
    two = ["db", "s2", Cell("1", 1), Cell("0 / 1", 0), Cell("0 / 1", 0), Cell("–", None)]
    assert [row.cells for row in table.rows] == [ten, two]


def test_clips_have_lengths_and_the_margin_of_the_true_class():
    rows = clips_table(ROWS, ("calm", "moved")).rows
    numbers = [Cell("0.500", 0.5), Cell("0.625", 0.625), Cell("-0.125", -0.125)]
    assert rows[1] == Row(["db", "s2", "a", "calm", "moved", *numbers], {"wrong": "yes"})
    assert rows[0].fields == {} and rows[0].cells[-1] == Cell("+0.500", 0.5)
    single = clips_table([Prediction("db", "s", "a", 0, 0, (0.5,))], ("face",))
    assert single.rows[0].cells[-1] == Cell("–", None)


def test_how_faces_at_rest_are_answered():
    threshold = Threshold(0.5, (6, 2, 0), (2, 2, 2, 2, 0, 0, 0, 0, 0, 0), (1, 0, 0), (3, 3, 3), (2, 3, 1))
    reliability = measure_reliability(np.array([0.3, 0.6, 0.9]), np.array([True, False, True]))
    calibration = Calibration(threshold, CloseCall(0.125, 7, 3), reliability)
    page = page_of(replace(run_of(), calibration=calibration))
    page.check_self_contained()
    for words in ("1 of 8 pairs of held-out faces at rest get a class", "6 of 9 held-out clips", "longer than 0.500"):
        assert words in page.words(), words
    assert "do not tell an expression from none" in page.words()  # most clips are missed
    assert "differ by 0.125 or less, 3 are right" in page.words() and "1 / 8" in page.words()
    without = page_of(replace(run_of(), calibration=replace(calibration, threshold=None)))
    assert "has no pairs of faces at rest" in without.words() and "1 / 8" not in without.words()
