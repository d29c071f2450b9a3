"""What every experiment shares: options, configurations, scores, tables."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from experiments.shared import runs
from experiments.shared.options import Options, parse_options, run_command
from experiments.shared.published import PUBLISHED, read_figures
from experiments.shared.scores import difference_note, score_runs, uf1_difference
from experiments.shared.tables import write_tables
from icegan_jax.errors import UserError
from icegan_jax.evaluation import metrics
from tests.experiments import fabricated_runs


def options(tmp_path: Path, *fields: tuple[str, str], preset: str = "demo") -> Options:
    return Options(preset, "", tmp_path, 2, fields)


def test_options_are_read(tmp_path: Path) -> None:
    found, args = parse_options("doc", ["--preset=full", f"--out={tmp_path}", "--seeds=5", "--config.training.steps=3"])
    assert found == Options("full", "", tmp_path, 5, (("training.steps", "3"),))
    assert args.seeds == 5


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--seeds=0"], "--seeds=0: give 1 or more"),
        (["--config.seed"], "'--config.seed' is not an option; see --help"),
    ],
)
def test_a_wrong_option_is_one_line(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(lambda words: parse_options("doc", words), argv) == 2
    error = capsys.readouterr().err
    assert message in error and error.startswith("error: ") and error.count("\n") == 1


def test_the_experiment_and_the_user_change_the_preset(tmp_path: Path) -> None:
    mine = options(
        tmp_path, ("training.steps", "7"), ("generator.motion", "true"), ("discriminator.reconstruction_hidden", "(8,)")
    )
    config = runs.build_config(mine, 3, {"generator.kind": "skips", "model.width": 1}, "DATA")
    assert (config.seed, config.training.steps, config.generator.kind) == (3, 7, "skips")
    assert config.model.width == 1.0
    assert config.generator.motion is True and config.discriminator.reconstruction_hidden == (8,)
    assert config.data.dir == "DATA"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("model.widht", "1", "config.model.widht: .+ did you mean config.model.width"),
        ("model.width", "wide", "--config.model.width=wide: .+float"),
        ("model", "3", "--config.model=3: "),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, field: str, value: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        runs.build_config(options(tmp_path, (field, value)), 0, {}, "")


@pytest.mark.parametrize("field", ["generator.kind", "seed", "data.dir"])
def test_what_the_experiment_sets_is_not_the_users_to_change(tmp_path: Path, field: str) -> None:
    with pytest.raises(UserError, match=rf"--config\.{field}: the experiment sets this field itself"):
        runs.build_config(options(tmp_path, (field, "1")), 0, {"generator.kind": "skips"}, "D")


def test_a_run_that_leaves_nobody_to_test_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match="--config.protocol=all: trains on all subjects, so that a table has no score; leave"
    ):
        runs.build_config(options(tmp_path, ("protocol", "all")), 0, {}, "")


def test_a_finished_run_on_other_faces_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "prepared.json").write_text('{"fingerprint": "abc"}')

    def run(config: object, folder: Path, **_: object) -> None:
        folder.mkdir(parents=True)
        (folder / "results.json").write_text('{"data_fingerprint": "abc, casme2 alone"}')

    monkeypatch.setattr(runs.train_module, "train_and_evaluate", run)
    monkeypatch.setattr(runs, "enable_compilation_cache", lambda _: None)
    made = runs.train_run(options(tmp_path), 0, {}, str(data))
    assert runs.train_run(options(tmp_path), 0, {}, str(data)) == made
    (data / "prepared.json").write_text('{"fingerprint": "def"}')
    with pytest.raises(UserError, match=f"{made.name}: trained on other faces than {data} holds now"):
        runs.train_run(options(tmp_path), 0, {}, str(data))


def test_equal_configurations_share_a_run_and_others_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []

    def run(config: object, folder: Path, **_: object) -> None:
        trained.append(folder)
        folder.mkdir(parents=True)
        (folder / "results.json").write_text("{}")

    monkeypatch.setattr(runs.train_module, "train_and_evaluate", run)
    monkeypatch.setattr(runs, "enable_compilation_cache", lambda _: None)
    mine = options(tmp_path)
    first = runs.train_run(mine, 0, {"generator.kind": "skips"}, "D")
    assert runs.train_run(mine, 0, {"generator.kind": "skips"}, "D") == first and trained == [first]
    others = [
        runs.train_run(mine, 1, {"generator.kind": "skips"}, "D"),
        runs.train_run(mine, 0, {"generator.kind": "se"}, "D"),
        runs.train_run(mine, 0, {"generator.kind": "skips"}, "E"),
        runs.train_run(options(tmp_path, ("training.steps", "9")), 0, {"generator.kind": "skips"}, "D"),
    ]
    assert len({first, *others}) == 5 and trained == [first, *others]
    # What is the preset's value already changes nothing.
    base = runs.train_run(mine, 0, {}, "D")
    assert runs.train_run(mine, 0, {"generator.kind": "grm"}, "D") == base


def test_scores_are_means_over_seeds(tmp_path: Path) -> None:
    made = [fabricated_runs.write_run(tmp_path / str(wrong), wrong) for wrong in (0, 6)]
    found = score_runs(made)
    assert found["uf1"] == pytest.approx(0.75) and found["uf1_sd"] == pytest.approx(0.5**1.5)
    assert found["uf1_low"] <= 0.75 <= found["uf1_high"]
    assert (found["predictions"], found["people"], found["seeds"]) == (24, 8, 2)
    assert score_runs(made, lambda row: row.dataset == "d1")["uf1"] == 1
    assert score_runs(made[:1])["uf1_sd"] is None
    with pytest.raises(UserError, match="no prediction to score"):
        score_runs(made, lambda row: row.dataset == "other")


def uf1_of(wrong: int, people: list[tuple[str, str]]) -> float:
    """UF1 of the fabricated predictions of these people, one of them perhaps more than once."""
    rows = fabricated_runs.predictions(wrong)
    drawn = [row for person in people for row in rows if (row.dataset, row.subject) == person]
    return metrics.uf1(metrics.confusion([row.label for row in drawn], [row.prediction for row in drawn]))


EVERYBODY = sorted({(row.dataset, row.subject) for row in fabricated_runs.predictions(0)})


def resampled(statistic: Callable[[list[tuple[str, str]]], float]) -> tuple[float, float]:
    """The 95% interval by drawing people one by one."""
    rng = np.random.default_rng(1)
    draws = [[EVERYBODY[i] for i in rng.integers(len(EVERYBODY), size=len(EVERYBODY))] for _ in range(600)]
    low, high = np.quantile([statistic(people) for people in draws], [0.025, 0.975])
    return low, high


def test_a_difference_is_over_the_same_resampled_people(tmp_path: Path) -> None:
    better, worse = (fabricated_runs.write_run(tmp_path / str(wrong), wrong) for wrong in (2, 7))
    found = uf1_difference([better, better], [worse, better])
    change = uf1_of(2, EVERYBODY) - uf1_of(7, EVERYBODY)
    assert found.seeds == pytest.approx([change, 0]) and found.mean == pytest.approx(change / 2)
    low, high = resampled(lambda people: (uf1_of(2, people) - uf1_of(7, people)) / 2)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.08)


def test_a_certain_result_needs_all_seeds(tmp_path: Path) -> None:
    best, good, bad = (fabricated_runs.write_run(tmp_path / str(wrong), wrong) for wrong in (0, 4, 12))
    assert difference_note("X", [best, good], [bad, bad]).endswith(": better.")
    assert difference_note("X", [bad, bad], [best, good]).endswith(": worse.")
    assert difference_note("X", [best], [best]).endswith(": equal.")
    mixed = difference_note("X", [best, best, good], [bad, bad, best])
    assert "better on the mean, but other subjects or seeds could reverse the sign" in mixed
    assert "by seed +1.000, +1.000, -" in mixed


def test_every_published_figure_has_a_source() -> None:
    figures = read_figures()
    assert {figure.table for figure in figures} >= {"I", "II", "III", "IV", "I own", "I rerun", "parameters"}
    assert all(figure.selection and figure.source for figure in figures)
    assert all(0 < figure.value < 1 for figure in figures if figure.metric in ("uf1", "uar", "f1"))
    keys = [figure._replace(value=0, source="") for figure in figures]
    assert len(set(keys)) == len(keys)


def test_the_known_errors_of_published_rows_follow_from_the_numbers_of_clips() -> None:
    clips = {"all": (250, 109, 83), "smic": (70, 51, 43), "casme2": (88, 32, 25), "samm": (92, 26, 15)}  # MEGC2019
    published = {(f.table, f.method, f.dataset, f.metric): f.value for f in read_figures()}
    # All negative: F1 is 2n/(n + all) for negative and 0 for the others.
    always = {name: 2 * counts[0] / (counts[0] + sum(counts)) / 3 for name, counts in clips.items()}
    assert (round(always["casme2"], 3), round(always["samm"], 3)) == (0.252, 0.273)
    # F1 of a class with recall r is at least 2rn/(n + all clips), as no more than all clips get the class. The least
    # mean puts the recall on the classes that gain least from recall.
    gains = sorted(2 * n / (n + sum(clips["smic"])) for n in clips["smic"])
    recall, least = 3 * published["I own", "lbp_top", "smic", "uar"], 0.0
    for gain in gains:
        least, recall = least + min(1, recall) * gain / 3, recall - min(1, recall)
    assert published["I own", "lbp_top", "smic", "uf1"] < 0.230 < least
    # STSTNet's printed confusion matrix, in shares of the true class.
    shares = [[0.876, 0.088, 0.036], [0.367, 0.569, 0.064], [0.253, 0.036, 0.711]]
    counts = np.rint(np.array(shares) * np.array(clips["all"])[:, None]).astype(np.int64)
    assert metrics.precision_per_class(counts).mean() == pytest.approx(0.7605, abs=5e-4)
    assert metrics.uar(counts) == pytest.approx(0.7186, abs=5e-4)


def test_a_table_is_written_as_csv_and_markdown(tmp_path: Path) -> None:
    rows = [
        {"model": "A $x$", "uf1": 0.12345, "uf1_low": 0.1, "uf1_high": 0.2, "uf1_sd": 0.01, "clips": 12345},
        {"model": "B", "uf1": float("nan"), "extra": "more"},
    ]
    text = write_tables(tmp_path, "Title", ("model", "uf1", "clips"), rows, ["A note. " * 30])
    lines = text.splitlines()
    assert lines[0] == "# Title" and lines[2] == "| model | uf1 | clips |"
    assert lines[4:6] == ["| A $x$ | 0.123 [0.100, 0.200] ±0.010 | 12,345 |", "| B | – | – |"]
    assert (tmp_path / "table.md").read_text() == text
    stored = list(csv.DictReader((tmp_path / "table.csv").read_text().splitlines()))
    assert stored[0]["uf1"] == "0.12345" and stored[0]["uf1_low"] == "0.1" and stored[1]["extra"] == "more"


def test_the_help_of_every_experiment_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    others = {"__init__", "apex_spotting", "event_spotting", "guessing_study", "resting_faces"}  # which train nothing
    trained = sorted({path.stem for path in PUBLISHED.parent.glob("*.py")} - others)
    assert len(trained) >= 9
    for name in trained:
        module = __import__(f"experiments.{name}", fromlist=["main"])
        with pytest.raises(SystemExit) as done:
            module.main(["--help"])
        text = capsys.readouterr().out
        assert done.value.code == 0 and "--preset" in text and f"python -m experiments.{name}" in text
