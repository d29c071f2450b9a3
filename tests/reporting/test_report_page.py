from dataclasses import replace

import numpy as np
import pytest

from icegan_jax.evaluation import metrics
from icegan_jax.evaluation.calibration import Calibration, CloseCall, Threshold, measure_reliability
from icegan_jax.evaluation.predictions import Prediction
from icegan_jax.evaluation.results import build_results, build_unscored_results
from icegan_jax.evaluation.score_table import ORACLE_NAME
from icegan_jax.evaluation.synthesis.faces import SynthesizedFaces, read_any_faces
from icegan_jax.reporting.render import Cell, Row
from icegan_jax.reporting.report_figures import (
    ReportFigures,
    TrainingCurves,
    color_maps,
    find_worst_clips,
    mean_differences,
)
from icegan_jax.reporting.report_page import render_report, selection_name
from icegan_jax.reporting.run_description import configuration_table, describe_command, describe_resumes
from icegan_jax.reporting.run_files import Run
from icegan_jax.reporting.score_tables import class_table, clips_table, confusions, subjects_table
from icegan_jax.reporting.synthesis_scores import synthesis_table
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
    face = np.zeros((len(predictions), 32, 32), np.uint8)
    labels = np.array([row.label for row in predictions])
    subjects, clips = [(row.dataset, row.subject) for row in predictions], [row.clip for row in predictions]
    faces = SynthesizedFaces(face, np.stack([face] * 3, axis=1), face, labels, subjects, clips, ["fold"] * 4)
    counts = metrics.confusion(labels, [0] * len(predictions))
    classes = ("negative", "positive", "surprise")
    config = config or {dataset: dataset, "data": {"dir": dataset}}
    return Run(name, results, config, classes, predictions, counts, faces, [])


def page_of(run, **options):
    picture = np.zeros((8, 8, 3), np.uint8)
    differences = mean_differences(run.faces)
    figures = ReportFigures(
        CHART,
        find_worst_clips(run.predictions, run.faces),
        differences,
        color_maps(differences),
        [0, 3],
        picture,
        TrainingCurves(CHART, [(HOSTILE, [(HOSTILE, CHART), (HOSTILE, CHART)])], [f"{HOSTILE}: 1"]),
    )
    return ParsedPage(render_report(run, figures, **options))


def test_every_name_is_escaped_and_the_page_is_self_contained():
    page = page_of(run_of(HOSTILE, HOSTILE))
    page.check_self_contained()
    assert "".join(page.text).count(HOSTILE) > 12
    # Two wrong clips of 4 pictures, the scale, 6 maps, 2 clips with 4 faces of 3 pictures and an onset, two curves.
    assert len(page.pictures()) == 2 * 4 + 1 + 6 + 2 * 13 + 2


def test_links_lead_to_the_sections():
    page = page_of(run_of())
    targets = [link["href"] for link in page.every("a") if link["href"].startswith("#")]
    sections = [f"#{section['id']}" for section in page.every("section") if "id" in section]
    assert targets == sections and len(sections) == 13
    assert len({attributes["id"] for _, attributes in page.elements if "id" in attributes}) == 13 + 5  # with the tables


def test_scores_and_settings():
    page = page_of(run_of(config={"seed": 0, "model": {"name": "<b>", "width": 0.5}, "started": "2026-11-30T21:00"}))
    html, words = page.html, page.words()
    scores = html[html.index('id="scores"') : html.index('id="selection"')]
    assert "always negative" in scores and "0.333" in scores
    assert "The rule was: by db." in words and "db: warned db" in words and "wall s 12.50" in words
    assert "ICE-GAN on db: 4 clips of 2 subjects" in words and "started 2026-11-30" in words
    assert "model.name <b> – model.width 0.5 1 factor on the channels of PatchGAN and U-Net" in words
    assert "seed 0 of initialization" in words and "--config.model.width=0.5" in words
    assert "IJCNN 2021" in words and "no lie detector" in words
    links = [link["href"] for link in page.every("a")]
    assert {"../results.json", "../predictions.csv", "../config.json", "scores.csv"} <= set(links)


def test_classes_have_precision_recall_and_f1_in_every_database():
    rows = [*ROWS, Prediction("other", "s1", "a", 1, 1, (0.1, 0.9))]
    results = build_results(rows, ("calm", "moved"), **fabricated.ABOUT)
    table = class_table(confusions(results), ("calm", "moved"))
    assert [row.cells[:2] for row in table.rows[::2]] == [["all clips", "calm"], ["db", "calm"], ["other", "calm"]]
    assert [cell.text for cell in table.rows[0].cells[2:]] == ["2", "1", "1", "1.000", "0.500", "0.667"]
    assert [cell.text for cell in table.rows[4].cells[2:]] == ["0", "0", "0", "–", "–", "–"]


def test_synthetic_motion_is_beside_the_real_one(tmp_path):
    fabricated.write_synthesis(tmp_path / "synthesis.npz", size=64)
    (tmp_path / "folds/f").mkdir(parents=True)
    (tmp_path / "synthesis.npz").rename(tmp_path / "folds/f/synthesis.npz")
    faces = read_any_faces(tmp_path)
    still = faces._replace(synthetic=np.repeat(faces.onset[:, None], 3, axis=1))
    for each, ratio, similar in ((faces, 1, "1.000"), (still, 0, None)):
        every = synthesis_table(each, ("a", "b", "c")).rows[-1].cells
        real, synthetic = every[2].value, every[3].value
        assert real > 0.2 and synthetic == pytest.approx(ratio * real)
        assert every[5].text == (similar or every[6].text)  # a copy of the onset has the onset's similarity


def test_page_without_faces_says_so_and_omits_the_data_folder():
    run = run_of(dataset="my place")
    without = ParsedPage(render_report(replace(run, faces=None), ReportFigures(CHART), no_faces=True))
    assert "made without faces" in without.words() and "made without faces" not in page_of(run).words()
    assert without.pictures() == [] and "data.dir my place" in page_of(run).words()
    assert "--config.data.dir=DATA" in without.words() and "data.dir my" not in without.words()
    assert not any(str(link["href"]).startswith("..") for link in without.every("a"))


def test_the_folder_of_the_data_is_left_out_wherever_it_is_named():
    for shown in (True, False):
        run = replace(run_of(), config=fabricated.CONFIG)
        (resume,) = describe_resumes(run.config, data_folder=shown)
        assert ("older/place" in resume) == shown and "loss.x 1 → 2" in resume
        fields = [row.cells[0] for row in configuration_table(run.config, data_folder=shown).rows]
        assert ("data.dir" in fields) == ("secret/place" in describe_command(run, data_folder=shown)) == shown


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
    words = ParsedPage(render_report(replace(run_of(), faces=None), ReportFigures(CHART))).words()
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
    names = ["dataset", "subject", "clips", "correct", "accuracy", "UF1", "UAR", "calm", "moved"]
    assert [column.name for column in table.columns] == names
    ones, zeros = [Cell("1.000", 1)] * 3, [Cell("0.000", 0)] * 3
    ten = ["db", "s10", Cell("2", 2), Cell("2 / 2", 1), *ones, Cell("1 / 1", 1), Cell("1 / 1", 1)]
    two = ["db", "s2", Cell("1", 1), Cell("0 / 1", 0), *zeros, Cell("0 / 1", 0), Cell("–", None)]
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
    assert (
        "3 of 7 answers whose two longest capsules differ by 0.125 or less are right" in page.words()
        and "1 / 8" in page.words()
    )
    assert "1 / 8" not in page_of(run_of()).words()
