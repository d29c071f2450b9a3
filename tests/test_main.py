"""The command with the smallest networks: files of a run, repetition, and messages about bad input."""

import contextlib
import csv
import io
import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import icegan_jax
from icegan_jax.data.dataset import write_pairs
from icegan_jax.provenance import git_commit
from tests.data.conftest import record
from tests.in_process import run_main

ROOT = Path(__file__).parents[1]
DEMO = "--config=configs/demo.py"
SMALL = [
    DEMO,
    "--config.data.procedural.subjects=2",
    "--config.data.procedural.clips_per_class=1",
    "--config.data.procedural.frames=8",
    "--config.model.width=0.03125",
    "--config.generator.embedding=8",
    "--config.model.noise=4",
    "--config.discriminator.primary_types=1",
    "--config.discriminator.primary_dimension=4",
    "--config.discriminator.adversarial_dimension=8",
    "--config.discriminator.expression_dimension=4",
    "--config.discriminator.reconstruction_width=0.02",
    "--config.training.steps=2",
    "--config.training.steps_per_call=1",
    "--config.training.batch_size=2",
]
FOLDS = ("procedural_p01", "procedural_p02")


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    # One device, as a computer without accelerator has.
    flags = os.environ["XLA_FLAGS"].replace("device_count=4", "device_count=1")
    return subprocess.run(
        [sys.executable, "-m", "icegan_jax.main", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        timeout=300,
    )


def here(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """As ``command``, in this process, with the devices of the tests."""
    words = list(map(str, arguments))
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = run_main(words)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def read_json(path: Path) -> Any:
    """Parse strict JSON, without NaN."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{path}: {word} is not JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("main") / "run"
    done = command(*SMALL, f"--workdir={folder}")
    assert done.returncode == 0, done.stderr
    assert "2 folds of 2 steps, 30 pairs of 6 clips, 1 x cpu" in done.stdout
    assert f"scores: {folder / 'results.json'}" in done.stdout
    assert "overall" in done.stdout and "always negative" in done.stdout
    assert "Traceback" not in done.stderr
    return folder


def test_results_have_the_fields_of_the_design(run_dir: Path) -> None:
    results = read_json(run_dir / "results.json")
    assert (results["protocol"], results["selection"]) == ("leave one subject out", "last")
    assert (results["num_clips"], results["num_folds"], results["seed"]) == (6, 2, 0)
    for score in (results["overall"], results["datasets"]["procedural"]):
        assert score.keys() >= {"uf1", "uar", "accuracy", "uf1_ci95", "uar_ci95", "confusion"}
        assert sum(map(sum, score["confusion"])) == 6
        assert [sum(row) for row in score["confusion"]] == [2, 2, 2]
        assert 0 <= score["uf1"] <= 1
    assert list(results["datasets"]) == ["procedural"]
    assert set(results["floors"]) == {"always_negative", "prior_random"}
    assert set(results["timing"]) == {"wall_s", "compile_s", "steps_per_s", "faces_per_s"}
    assert all(value > 0 for value in results["timing"].values())
    assert results["timing"]["faces_per_s"] == pytest.approx(2 * results["timing"]["steps_per_s"])
    assert {"python", "jax", "flax", "machine"} <= results["versions"].keys()
    assert results["data_fingerprint"] == read_json(run_dir / "data" / "prepared.json")["fingerprint"]


def test_the_scores_are_those_of_the_predictions(run_dir: Path) -> None:
    """predictions.csv has one row per clip, from which UF1 is computed here."""
    with (run_dir / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = ["dataset", "subject", "clip", "label", "prediction", "negative", "positive", "surprise"]
    assert list(rows[0]) == names
    clips = [(row["subject"], row["clip"]) for row in rows]
    assert len(set(clips)) == len(clips) == 6
    classes = names[-3:]
    f1 = []
    for name in classes:
        hits = sum(row["label"] == row["prediction"] == name for row in rows)
        wrong = sum((row["label"] == name) != (row["prediction"] == name) for row in rows)
        f1.append(2 * hits / (2 * hits + wrong))
    assert read_json(run_dir / "results.json")["overall"]["uf1"] == pytest.approx(sum(f1) / 3)


def test_each_fold_left_its_files(run_dir: Path) -> None:
    assert sorted(path.name for path in (run_dir / "folds").iterdir()) == list(FOLDS)
    for fold in FOLDS:
        folder = run_dir / "folds" / fold
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == [1, 2]
        assert read_json(folder / "result.json")["steps"] == 2
        assert (folder / "synthesis.npz").is_file()


def test_config_json_is_the_config_as_it_was_run(run_dir: Path) -> None:
    config = read_json(run_dir / "config.json")
    assert (config["training"]["steps"], config["model"]["width"], config["data"]["dir"]) == (2, 0.03125, "")
    assert config["data_fingerprint"] == read_json(run_dir / "results.json")["data_fingerprint"]
    assert len(config["id"]) == 32 and config["code"]["jax"] == jax.__version__
    assert config["code"]["icegan_jax"] == icegan_jax.__version__
    assert config["git_commit"] == git_commit()


def test_the_report_has_its_images(run_dir: Path) -> None:
    sources = []

    class Pictures(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            if tag == "img":
                sources.append(dict(attributes)["src"] or "")

    Pictures().feed((run_dir / "report" / "index.html").read_text())
    assert sources
    for source in sources:
        assert source.startswith("data:image/") or (run_dir / "report" / source).is_file(), source[:80]


def test_the_same_command_again_does_not_change_finished_folds(run_dir: Path) -> None:
    def state() -> dict[Path, int]:
        folders = [run_dir / "folds", run_dir / "data"]
        return {path: path.stat().st_mtime_ns for folder in folders for path in folder.rglob("*")}

    before, results = state(), read_json(run_dir / "results.json")
    done = here(*SMALL, f"--workdir={run_dir}")
    assert done.returncode == 0, done.stderr
    assert state() == before
    assert read_json(run_dir / "results.json")["overall"] == results["overall"]
    assert "step/s" not in done.stderr


@pytest.fixture(scope="module")
def split_dir(run_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A split of the same two subjects, without a generator, evaluated during the training."""
    folder = tmp_path_factory.mktemp("split") / "run"
    fields = [
        "protocol=split",
        "generator.kind=none",
        "training.evaluate_every=1",
        "evaluation.oracle=True",
        "augmentation.shift=1",
    ]
    data = f"--config.data.dir={run_dir / 'data'}"
    done = here(*SMALL, data, *(f"--config.{field}" for field in fields), f"--workdir={folder}")
    assert done.returncode == 0, done.stderr
    assert "1 fold of 2 steps, 30 pairs of 6 clips, " in done.stdout
    assert "best test epoch (not a valid score)" in done.stdout
    assert "margin=" in done.stderr and "L1=" not in done.stderr
    return folder


def test_a_split_trains_one_network(split_dir: Path) -> None:
    results = read_json(split_dir / "results.json")
    assert results["protocol"] == "subject-wise split, 1 of 2 people held out"
    assert (results["num_clips"], results["num_folds"], results["num_people"]) == (3, 1, 1)
    assert set(results["by_selection"]) == {"last", "best test epoch (not a valid score)"}
    (folder,) = (split_dir / "folds").iterdir()
    assert folder.name == "split_0"
    steps = [json.loads(line)["step"] for line in (folder / "evaluations.jsonl").read_text().splitlines()]
    assert steps == [1, 2]
    with (split_dir / "predictions.csv").open(newline="") as file:
        tested = {row["subject"] for row in csv.DictReader(file)}
    assert [[name] for name in tested] == [[subject] for _, subject in read_json(folder / "result.json")["people"]]


def test_without_a_generator_there_are_no_faces(split_dir: Path) -> None:
    assert not (split_dir / "folds" / "split_0" / "synthesis.npz").exists()
    page = (split_dir / "report" / "index.html").read_text()
    assert "no faces to show" in page and "where synthetic faces move" not in page
    lines = (split_dir / "folds" / "split_0" / "metrics.jsonl").read_text().splitlines()
    assert not any(name.startswith(("g_", "d_fake")) for name in json.loads(lines[-1]))


FIVE = ("happiness", "disgust", "repression", "surprise", "others")


@pytest.fixture(scope="module")
def five_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on prepared pairs of five classes, without clips of repression."""
    folder = tmp_path_factory.mktemp("five")
    labels = [label for label in range(5) if FIVE[label] != "repression"]
    pairs = [
        record("own", subject, f"clip{label}", label, shift, size=32)
        for subject in ("s1", "s2")
        for label in labels
        for shift in (0, 1)
    ]
    fingerprint = write_pairs(folder / "data", pairs, FIVE)
    (folder / "data" / "prepared.json").write_text(json.dumps({"fingerprint": fingerprint}))
    done = here(*SMALL, *five_data(folder), f"--workdir={folder / 'run'}")
    assert done.returncode == 0, done.stderr
    assert "2 folds of 2 steps, 16 pairs of 8 clips, " in done.stdout
    assert "always happiness" in done.stdout and "negative" not in done.stdout
    return folder


def five_data(folder: Path) -> list[str]:
    return [f"--config.data.dir={folder / 'data'}", "--config.model.image_size=32"]


@pytest.mark.slow
def test_five_classes_are_in_the_report(five_dir: Path) -> None:
    run = five_dir / "run"
    results = read_json(run / "results.json")
    assert results["classes"] == list(FIVE)
    assert [sum(row) for row in results["overall"]["confusion"]] == [2, 2, 0, 2, 2]
    assert [sum(row) for row in results["references"]["linear_on_apex_pixels"]["confusion"]] == [2, 2, 0, 2, 2]
    assert set(results["floors"]) == {"always_happiness", "prior_random"}
    with (run / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[-5:] == list(FIVE)
    for row in rows:
        assert float(row[row["prediction"]]) == max(float(row[word]) for word in FIVE)
    for fold in ("own_s1", "own_s2"):
        lines = (run / "folds" / fold / "metrics.jsonl").read_text().splitlines()
        lengths = {name for name in json.loads(lines[-1]) if name.startswith("d_real_length_")}
        assert lengths == {f"d_real_length_{word}" for word in FIVE}
        with np.load(run / "folds" / fold / "synthesis.npz") as sheet:
            assert sheet["synthetic"].shape == (4, 5, 32, 32)
    page = (run / "report" / "index.html").read_text()
    assert all(f">{word}</button></th>" in page for word in FIVE)
    assert all(f'<section id="{name}">' in page for name in ("confusion", "worst", "changes", "synthesis", "training"))


@pytest.mark.slow
def test_parameters_are_those_for_the_classes_of_the_data(five_dir: Path) -> None:
    lines = [
        next(line for line in here(*SMALL, *data, "--parameters").stdout.splitlines() if "exp_caps" in line)
        for data in (five_data(five_dir), ["--config.model.image_size=32"])
    ]
    five, three = (int(line.split()[1].replace(",", "")) for line in lines)
    assert 3 * five == 5 * three


def test_parameters() -> None:
    done = here("--config=configs/loso.py", "--parameters")
    assert done.returncode == 0, done.stderr
    totals = [line.split()[1] for line in done.stdout.splitlines() if line.split()[:1] == ["total"]]
    assert totals == ["44,760,001", "27,244,544"]


@pytest.fixture(scope="module")
def refused(run_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, subprocess.CompletedProcess[str]]:
    """Commands with errors, by name; one of each kind of error runs in a subprocess."""
    folder = tmp_path_factory.mktemp("refused")
    prepared = f"--config.data.dir={run_dir}/data"
    (folder / "file").write_text("")
    commands = {
        "no config": [f"--workdir={folder}/a"],
        "no workdir": [DEMO],
        "unknown field": [DEMO, f"--workdir={folder}/c", "--config.training.step=5"],
        "unknown flag": [DEMO, f"--workdir={folder}/c", "--steps=3"],
        "not a flag": [DEMO, f"--workdir={folder}/c", "steps=3"],
        "no data": ["--config=configs/loso.py", f"--workdir={folder}/d", f"--config.data.dir={folder}/none"],
        "other size": [*SMALL, prepared, "--config.model.image_size=64", f"--workdir={folder}/e"],
        "other config": [
            *SMALL,
            f"--workdir={run_dir}",
            "--config.optimizer.learning_rate=0.5",
            "--config.training.checkpoint_every=7",
            "--force_resume",
        ],
        "nobody to spare": [*SMALL, prepared, f"--workdir={folder}/f", "--config.evaluation.inner_share=0.5"],
        "workdir below a file": [DEMO, f"--workdir={folder}/file/run"],
    }
    processes = {"unknown field", "unknown flag"}
    done = {name: (command if name in processes else here)(*arguments) for name, arguments in commands.items()}
    assert {path.name for path in folder.iterdir()} == {"file"}, "a refused command left something behind"
    return done


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no config", ["--config is missing", "--config=configs/demo.py"]),
        ("no workdir", ["--workdir is missing", "--workdir=runs/demo"]),
        ("unknown field", ["did you mean config.training.steps?"]),
        ("unknown flag", ["--steps is not an option (did you mean --config.training.steps?)"]),
        ("not a flag", ["'steps=3' is not an option"]),
        ("no data", ["/none", "python -m icegan_jax.prepare"]),
        ("other size", ["faces of 128 pixels", "--config.model.image_size=128"]),
        ("nobody to spare", ["procedural_p01", "config.evaluation.inner_share"]),
        ("workdir below a file", ["file/run"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    refused: dict[str, subprocess.CompletedProcess[str]], name: str, words: list[str]
) -> None:
    done = refused[name]
    assert done.returncode == 2, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    assert all(word in lines[0] for word in words), lines[0]
    assert done.stdout == ""


def test_another_config_is_refused_with_all_differences(
    refused: dict[str, subprocess.CompletedProcess[str]], run_dir: Path
) -> None:
    done = refused["other config"]
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.strip().splitlines() == [
        f"error: {run_dir}/config.json: the run began with another configuration:",
        "  optimizer.learning_rate: 0.001 -> 0.5",
        "  training.checkpoint_every: 50 -> 7 (harmless: when to save)",
        "repeat the old command with the old versions, or choose another --workdir",
    ]
