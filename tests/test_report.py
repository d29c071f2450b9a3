import re
import shutil
import subprocess
import sys

import pytest

from icegan_jax import report
from icegan_jax.errors import UserError
from icegan_jax.evaluation.predictions import write_predictions
from icegan_jax.io import write_json
from icegan_jax.reporting.run_files import read_run
from tests.reporting import fabricated

FILES = {"index.html", "scores.csv", "confusion.png", "losses.png", "synthesis.png"}


@pytest.fixture
def run(tmp_path):
    return fabricated.write_run(tmp_path / "my run")


def test_report_of_a_finished_run():
    folder = fabricated.reported_run() / "report"
    assert {file.name for file in folder.iterdir()} == FILES
    for name in ("confusion.png", "losses.png", "synthesis.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    html = (folder / "index.html").read_text(encoding="utf-8")
    assert html.count("<img ") == 7  # three matrices, a wrong clip, the maps, the sheet, the curves
    for words in ("<h1>my run</h1>", "inner validation", "&lt;paper&gt;", "abc123", "0.10.2", "secret/place"):
        assert words in html
    assert "The chosen steps: 20 to 100, median 30" in html and "UF1 0.970 and UAR 0.980" in html
    assert "checksum" not in html


def test_report_without_faces_has_its_own_folder():
    folder = fabricated.reported_run() / "report_no_faces"
    assert {file.name for file in folder.iterdir()} == FILES - {"synthesis.png"}
    html = (folder / "index.html").read_text(encoding="utf-8")
    alternatives = re.findall('<img alt="([^"]*)"', html)
    matrices = [f"Confusion matrix, {name}" for name in ("all clips", "a", "b")]
    assert alternatives == [*matrices, "Training curves"]
    assert "secret/place" not in html and "older/place" not in html


def test_report_of_other_classes(tmp_path):
    run = fabricated.write_run(tmp_path / "run", ("disgust", "<b>", "repression", "surprise", "others"))
    index = report.write_report(run)
    assert {file.name for file in index.parent.iterdir()} == FILES
    html = index.read_text(encoding="utf-8")
    assert '<button type="button">&lt;b&gt;</button>' in html and "<b></button>" not in html
    assert "<em>Always disgust</em> answers the majority class" in html
    assert "always disgust" in (index.parent / "scores.csv").read_text()


def test_report_of_a_single_class(tmp_path):
    assert report.write_report(fabricated.write_run(tmp_path / "run", ("face",))).is_file()


def test_classes_of_predictions_and_results_must_agree(run):
    path = run / "predictions.csv"
    path.write_text(path.read_text().replace("surprise", "amazement"))
    with pytest.raises(UserError, match="do not agree: start the command that trained the run again"):
        report.write_report(run)


def test_report_can_be_written_again(tmp_path):
    shutil.copytree(fabricated.reported_run(), tmp_path / "my run")
    index = tmp_path / "my run" / "report" / "index.html"
    first = index.read_text(encoding="utf-8")
    assert report.write_report(tmp_path / "my run") == index
    assert index.read_text(encoding="utf-8") == first


def test_missing_figures_are_named_and_old_ones_removed(run):
    (run / "report").mkdir()
    for name in ("losses.png", "synthesis.png"):
        (run / "report" / name).write_text("of an earlier state")
    for file in [*run.glob("folds/*/synthesis.npz"), *run.glob("folds/*/metrics.jsonl")]:
        file.unlink()
    index = report.write_report(run)
    assert {file.name for file in index.parent.iterdir()} == FILES - {"losses.png", "synthesis.png"}
    html = index.read_text(encoding="utf-8")
    assert "no folds/*/synthesis.npz" in html and "no folds/*/metrics.jsonl" in html


def test_no_faces_reads_no_face(run):
    for file in run.glob("folds/*/synthesis.npz"):
        file.write_bytes(b"not to be looked at")
    assert read_run(run, faces=False).faces is None
    with pytest.raises(UserError, match="synthesis.npz: damaged"):
        report.write_report(run)
    assert not (run / "report").exists()


def test_faces_of_other_classes_raise(run):
    for file in run.glob("folds/*/synthesis.npz"):
        fabricated.write_synthesis(file, num_classes=4, subject=tuple(file.parent.name.split("_")))
    with pytest.raises(UserError, match="hold faces of 4 classes, the run has 3: train it again"):
        report.write_report(run)


def test_run_on_all_subjects_has_a_page_without_scores(tmp_path, capsys):
    run = fabricated.write_unscored_run(tmp_path / "run")
    (run / "report").mkdir()
    for name in ("scores.csv", "confusion.png"):
        (run / "report" / name).write_text("of an earlier run")
    assert report.main([str(run)]) == 0
    printed = capsys.readouterr().out
    assert "trained on everybody: no score exists" in printed and "UF1" not in printed
    assert {file.name for file in (run / "report").iterdir()} == {"index.html", "losses.png", "synthesis.png"}
    html = (run / "report" / "index.html").read_text()
    assert "no score exists" in html and html.count("<img ") == 3


def test_unfinished_run(run):
    (run / "results.json").unlink()
    (run / "folds" / "a_1" / "result.json").unlink()
    with pytest.raises(UserError, match="not finished .2 of 3 started folds are done") as caught:
        report.write_report(run)
    assert "start the same training command again" in str(caught.value)
    assert not (run / "report").exists()


def test_unfinished_run_with_partial_results(run, capsys):
    """Of 17 folds 3 are finished, one of them since the partial results were written."""
    (run / "results.json").unlink()
    missing = {f"fold{number}": "not finished" for number in range(14)} | {"b_1": "not finished"}
    write_json(run / "results.partial.json", {"folds": {"finished": ["a_1", "a_2"], "missing": missing}})
    (run / "folds" / "fold3").mkdir()
    assert report.main([str(run)]) == 2
    words = "3 of 17 folds are finished (results.partial.json); the same command that began it goes on"
    assert capsys.readouterr().err == f"error: {run}: {words}\n"
    for text in ("{}", '{"folds": 3}', "half"):
        (run / "results.partial.json").write_text(text)
        assert report.main([str(run)]) == 2
        assert capsys.readouterr().err.startswith(f"error: {run / 'results.partial.json'}:")


AGAIN = "start the command that trained the run again: it writes the results anew from the finished folds"
COPY = "put the file back from a copy, or train in another folder"


@pytest.mark.parametrize(
    "name,change,words",
    [
        ("results.json", lambda text: text[:-9], f"remove the file and {AGAIN}"),
        ("results.json", lambda text: "", f"remove the file and {AGAIN}"),
        ("results.json", lambda text: "[]", f"expected a JSON object, found list; remove the file and {AGAIN}"),
        ("results.json", lambda text: text.replace("last step", "best step"), f"remove the file and {AGAIN}"),
        ("results.json", lambda text: text.replace('"uf1": 0.', '"uf1": 0.1', 1), f"remove the file and {AGAIN}"),
        ("predictions.csv", lambda text: "", AGAIN),
        ("predictions.csv", lambda text: text[:-9], AGAIN),
        (
            "predictions.csv",
            lambda text: text.replace("\n", "\r\n"),
            f"not what the results were computed from; {AGAIN}",
        ),
        ("predictions.csv", lambda text: text.replace("0.5", "0.6", 1), f"the results were computed from; {AGAIN}"),
        ("predictions.csv", lambda text: "\n".join(sorted(text.splitlines(), key=len)), AGAIN),
        ("predictions.csv", lambda text: text + text.splitlines()[-1], AGAIN),
        ("config.json", lambda text: text.replace("abc", "abd"), f"the checksum does not match: .*; {COPY}"),
        ("config.json", lambda text: text[3:], f"not JSON .*; {COPY}"),
    ],
)
def test_damage_is_one_line_with_the_remedy(run, capsys, name, change, words):
    fabricated.write_checksums(run)
    text = (run / name).read_text()
    assert change(text) != text
    (run / name).write_text(change(text), newline="")
    assert report.main([str(run)]) == 2
    printed = capsys.readouterr()
    assert re.fullmatch(f"error: {run / name}:.*{words}\n", printed.err) and printed.out == ""
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


def test_command_prints_the_table(run, capsys, monkeypatch):
    asked = []
    monkeypatch.setattr(report, "write_report", lambda folder, no_faces: asked.append(no_faces) or folder / "page")
    for argv in ([str(run)], [str(run), "--no_faces"]):
        assert report.main(argv) == 0
        printed = capsys.readouterr().out
        assert "overall" in printed and "always negative" in printed and f"report:    {run / 'page'}\n" in printed
    assert asked == [False, True]


def test_command_prints_errors_in_one_line(tmp_path, capsys):
    assert report.main([str(tmp_path / "nowhere")]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1
    assert captured.out == ""


def test_wrong_options_are_one_line(capsys):
    for argv in ([], ["a", "b"], ["a", "--no_face"]):
        with pytest.raises(SystemExit) as ended:
            report.main(argv)
        assert ended.value.code == 2
        assert re.fullmatch("error: .*; see --help\n", capsys.readouterr().err)


def test_help_explains_the_output(capsys):
    with pytest.raises(SystemExit) as ended:
        report.main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for word in (
        *FILES,
        "--no_faces",
        "report_no_faces",
        "pooled",
        "example:",
        "python -m icegan_jax.report runs/demo",
    ):
        assert word in text


def test_report_needs_no_jax():
    actual = "bool({'jax', 'flax', 'tensorflow'} & set(sys.modules))"
    code = f"import sys, icegan_jax.report; sys.exit({actual})"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
