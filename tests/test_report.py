import subprocess
import sys

import pytest

from icegan_jax import report
from icegan_jax.errors import UserError
from icegan_jax.evaluation.predictions import write_predictions
from tests.reporting import fabricated

FILES = {"index.html", "scores.csv", "confusion.png", "losses.png", "synthesis.png"}


@pytest.fixture
def run(tmp_path):
    return fabricated.write_run(tmp_path / "my run")


def test_report_of_a_finished_run(run):
    index = report.write_report(run)
    assert index == run / "report" / "index.html"
    assert {file.name for file in index.parent.iterdir()} == FILES
    for name in ("confusion.png", "losses.png", "synthesis.png"):
        assert (index.parent / name).read_bytes().startswith(b"\x89PNG")
    html = index.read_text(encoding="utf-8")
    assert html.count("data:image/png;base64,") == 3
    for words in ("<h1>my run</h1>", "last step", "&lt;paper&gt;", "abc123", "0.10.2"):
        assert words in html


def test_report_of_other_classes(tmp_path):
    run = fabricated.write_run(tmp_path / "run", ("disgust", "<b>", "repression", "surprise", "others"))
    index = report.write_report(run)
    assert {file.name for file in index.parent.iterdir()} == FILES
    html = index.read_text(encoding="utf-8")
    assert "<th>disgust</th><th>&lt;b&gt;</th><th>repression</th>" in html and "<b></th>" not in html
    assert "<em>Always disgust</em> answers the majority class" in html
    assert "always disgust" in (index.parent / "scores.csv").read_text()


@pytest.mark.parametrize("classes", [("face",), ("calm", "moved"), tuple("abcdefghi")])
def test_report_of_any_number_of_classes(tmp_path, classes):
    assert report.write_report(fabricated.write_run(tmp_path / "run", classes)).is_file()


def test_classes_of_predictions_and_results_must_agree(run):
    path = run / "predictions.csv"
    path.write_text(path.read_text().replace("surprise", "amazement"))
    with pytest.raises(UserError, match="do not agree: evaluate the run again"):
        report.write_report(run)


def test_report_can_be_written_again(run):
    first = report.write_report(run).read_text(encoding="utf-8")
    assert report.write_report(run).read_text(encoding="utf-8") == first


def test_missing_pictures_are_said_and_old_ones_go(run):
    report.write_report(run)
    for file in [*run.glob("folds/*/synthesis.npz"), *run.glob("folds/*/metrics.jsonl")]:
        file.unlink()
    index = report.write_report(run)
    assert {file.name for file in index.parent.iterdir()} == FILES - {"losses.png", "synthesis.png"}
    html = index.read_text(encoding="utf-8")
    assert "no folds/*/synthesis.npz" in html and "no folds/*/metrics.jsonl" in html


def test_unfinished_run(run):
    (run / "results.json").unlink()
    (run / "folds" / "a_1" / "result.json").unlink()
    with pytest.raises(UserError, match="not finished .2 of 3 started folds are done") as caught:
        report.write_report(run)
    assert "start the same training command again" in str(caught.value)
    assert not (run / "report").exists()


def test_not_a_run(tmp_path):
    with pytest.raises(UserError, match="nowhere: no such run directory"):
        report.write_report(tmp_path / "nowhere")
    with pytest.raises(UserError, match="not a run directory"):
        report.write_report(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "predictions.csv"])
def test_missing_part_is_named(run, name):
    (run / name).unlink()
    with pytest.raises(UserError, match=f"{name}: no such file"):
        report.write_report(run)


def test_predictions_and_results_must_agree(run):
    write_predictions(run / "predictions.csv", fabricated.predictions()[:-1])
    with pytest.raises(UserError, match="8 clips. and results.json .9 clips. do not agree"):
        report.write_report(run)


def test_command_prints_the_table(run, capsys):
    assert report.main([str(run)]) == 0
    printed = capsys.readouterr().out
    assert "overall" in printed and "always negative" in printed and "index.html" in printed


def test_command_says_what_is_wrong(tmp_path, capsys):
    assert report.main([str(tmp_path / "nowhere")]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1
    assert captured.out == ""


def test_help_teaches(capsys):
    with pytest.raises(SystemExit) as ended:
        report.main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for word in (*FILES, "pooled", "example:", "python -m icegan_jax.report runs/demo"):
        assert word in text


def test_report_needs_no_jax():
    found = "bool({'jax', 'flax', 'tensorflow'} & set(sys.modules))"
    code = f"import sys, icegan_jax.report; sys.exit({found})"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
