import re
import shutil
import subprocess
import sys

import pytest

from icegan_jax import report
from icegan_jax.errors import UserError
from icegan_jax.reporting.run_files import read_run
from tests.reporting import fabricated
from tests.reporting.parsed_page import ParsedPage

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
    page = ParsedPage(html)
    page.check_self_contained()
    # A wrong clip of 4 pictures, the scale, 6 maps, 3 clips with 4 faces of 3 pictures and an onset, two curves.
    assert len(page.pictures()) == 4 + 1 + 6 + 3 * 13 + 2
    for text in (
        "ICE-GAN on a, b: 9 clips of 3 subjects",
        "Run my run",
        "inner validation",
        "<paper>",
        "abc123",
        "0.10.2",
        "secret/place",
        "UF1 0.970 and UAR 0.980",
    ):
        assert text in page.words()
    assert "The chosen steps: 20 to 100, median 30" in page.words() and "checksum" not in html
    for link in page.every("a"):  # to sections, and to files that exist
        name = str(link["href"])
        assert name.startswith(("#", "https://doi.org/")) or (folder / name).exists(), name


def test_report_without_faces_has_its_own_folder():
    folder = fabricated.reported_run() / "report_no_faces"
    assert {file.name for file in folder.iterdir()} == FILES - {"synthesis.png"}
    html = (folder / "index.html").read_text(encoding="utf-8")
    page = ParsedPage(html)
    matrices = [box["aria-label"] for box in page.every("div") if "Confusion" in (box.get("aria-label") or "")]
    assert matrices == [f"Confusion matrix, {name}" for name in ("all clips", "a", "b")]
    assert [image["alt"] for image in page.every("img")] == [
        "L1 distance to the apex generator",
        "margin loss discriminator",
    ]
    assert "secret/place" not in html and "older/place" not in html


@pytest.mark.parametrize("classes", [("disgust", "<b>", "repression", "surprise", "others"), ("face",)])
def test_report_of_other_classes(tmp_path, classes):
    index = report.write_report(fabricated.write_run(tmp_path / "run", classes))
    assert {file.name for file in index.parent.iterdir()} == FILES
    assert f"Always {classes[0]} answers the majority class" in ParsedPage(index.read_text()).words()
    assert f"always {classes[0]}" in (index.parent / "scores.csv").read_text()


def test_the_run_is_given_as_in_other_commands_or_alone(run, capsys):
    assert report.main([f"--workdir={run}"]) == report.main([str(run)]) == 0
    with pytest.raises(SystemExit):
        report.main([str(run), f"--workdir={run}"])
    assert "--workdir: not allowed with argument RUN" in capsys.readouterr().err


def test_report_can_be_written_again(tmp_path):
    shutil.copytree(fabricated.reported_run(), tmp_path / "my run")
    index = tmp_path / "my run" / "report" / "index.html"
    first = index.read_text(encoding="utf-8")
    assert report.write_report(tmp_path / "my run") == index and "program" in first  # no link to docs elsewhere
    assert index.read_text(encoding="utf-8") == first


def test_a_run_in_a_checkout_links_the_docs(run, monkeypatch):
    monkeypatch.setattr(report, "_CHECKOUT", run.parent)
    monkeypatch.setattr(report, "_DOCS", run.parent / "docs.md")
    (run.parent / "docs.md").touch()
    links = [link["href"] for link in ParsedPage(report.write_report(run).read_text()).every("a")]
    assert "../../docs.md" in links


def test_figures_without_data_are_removed(run):
    (run / "report").mkdir()
    for name in ("losses.png", "synthesis.png"):
        (run / "report" / name).write_text("of an earlier state")
    for file in [*run.glob("folds/*/synthesis.npz"), *run.glob("folds/*/metrics.jsonl")]:
        file.unlink()
    index = report.write_report(run)
    assert {file.name for file in index.parent.iterdir()} == FILES - {"losses.png", "synthesis.png"}


def test_no_faces_reads_no_face(run):
    for file in run.glob("folds/*/synthesis.npz"):
        file.write_bytes(b"not to be looked at")
    assert read_run(run, faces=False).faces is None
    with pytest.raises(UserError, match="synthesis.npz: damaged"):
        report.write_report(run)
    assert not (run / "report").exists()


def test_run_on_all_subjects_has_a_page_without_scores(tmp_path, capsys):
    run = fabricated.write_unscored_run(tmp_path / "run")
    (run / "report").mkdir()
    for name in ("scores.csv", "confusion.png"):
        (run / "report" / name).write_text("of an earlier run")
    assert report.main([str(run)]) == 0
    printed = capsys.readouterr().out
    assert "trained on everybody: no score exists" in printed and "UF1" not in printed
    assert {file.name for file in (run / "report").iterdir()} == {"index.html", "losses.png", "synthesis.png"}


def test_unfinished_run(run):
    (run / "results.json").unlink()
    (run / "folds" / "a_1" / "result.json").unlink()
    with pytest.raises(UserError, match="not finished .2 of 3 .*: start the same training command again"):
        report.write_report(run)
    assert not (run / "report").exists()


AGAIN = "start the command that trained the run again"
COPY = "put the file back from a copy"


@pytest.mark.parametrize(
    "name,change,remedy",
    [
        ("results.json", lambda text: text[:-9], AGAIN),
        ("results.json", lambda text: "[]", AGAIN),
        ("results.json", lambda text: text.replace('"uf1": 0.', '"uf1": 0.1', 1), AGAIN),
        ("predictions.csv", lambda text: text[:-9], AGAIN),
        ("predictions.csv", lambda text: text.replace("0.5", "0.6", 1), AGAIN),
        ("predictions.csv", lambda text: "\n".join(sorted(text.splitlines(), key=len)), AGAIN),
        ("config.json", lambda text: text.replace("abc", "abd"), COPY),
        ("config.json", lambda text: text[3:], COPY),
        ("config.json", None, ""),
        ("predictions.csv", None, ""),
    ],
)
def test_damage_is_one_line_with_the_remedy(run, capsys, name, change, remedy):
    fabricated.write_checksums(run)
    text = (run / name).read_text()
    (run / name).unlink()
    if change is not None:
        (run / name).write_text(change(text), newline="")
    assert report.main([str(run)]) == 2
    printed = capsys.readouterr()
    assert re.fullmatch(f"error: {run / name}:.*{remedy}.*\n", printed.err) and printed.out == ""
    assert not (run / "report").exists()


def test_files_that_do_not_belong_together_are_named(run, capsys):
    path, text = run / "predictions.csv", (run / "predictions.csv").read_text()
    for changed in (text.replace("surprise", "amazement"), "\n".join(text.splitlines()[:-1]) + "\n"):
        path.write_text(changed)
        assert report.main([str(run)]) == 2
        assert f"do not agree: {AGAIN}" in capsys.readouterr().err
    path.write_text(text)
    for file in run.glob("folds/*/synthesis.npz"):
        fabricated.write_synthesis(file, num_classes=4, subject=tuple(file.parent.name.split("_")))
    with pytest.raises(UserError, match="hold faces of 4 classes, the run has 3: train it again"):
        report.write_report(run)


def test_not_a_run(tmp_path, capsys):
    for folder, words in ((tmp_path / "nowhere", "no such run directory"), (tmp_path, "not a run directory")):
        assert report.main([str(folder)]) == 2
        assert re.fullmatch(f"error: {folder}: {words}.*\n", capsys.readouterr().err)


def test_command_prints_the_table(run, capsys, monkeypatch):
    asked = []
    monkeypatch.setattr(report, "write_report", lambda folder, no_faces: asked.append(no_faces) or folder / "page")
    for argv in ([str(run)], [str(run), "--no_faces"]):
        assert report.main(argv) == 0
        printed = capsys.readouterr().out
        assert "overall" in printed and "always negative" in printed and f"report:    {run / 'page'}\n" in printed
    assert asked == [False, True]


@pytest.mark.slow
def test_report_needs_no_jax():
    actual = "bool({'jax', 'flax', 'tensorflow'} & set(sys.modules))"
    code = f"import sys, icegan_jax.report; sys.exit({actual})"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
