"""Each benchmark runs with tiny arguments, reports what it measured, and names a wrong option; never how fast it is."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import inference, loso_throughput, machine, prepare_throughput, scaling, soak, step_time
from benchmarks.sampling import Sample
from benchmarks.workload import check_finite
from configs import demo
from icegan_jax.data.dataset import Record, load_pairs, write_pairs
from icegan_jax.data.video import list_frames, read_frames
from icegan_jax.errors import UserError
from tests.benchmarks import tiny_workload
from tests.benchmarks.tiny_workload import OPTIONS, check_named, measured, printed, refusal


@pytest.fixture
def workload(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make ``--config=demo`` a small one, measure the rate on a small product, and start no process."""

    def here(function: Callable[..., Any], *arguments: object) -> Any:
        return function(*arguments)

    monkeypatch.setattr(demo, "get_config", tiny_workload.config().copy_and_resolve_references)
    monkeypatch.setattr(machine, "_PRODUCTS", {"cpu": (64, 1)})
    monkeypatch.setattr(scaling, "run_in_new_process", here)
    yield


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A prepared folder of two clips."""
    rng = np.random.default_rng(0)
    records = [
        Record("d", f"s{clip}", "c", clip, shift, *rng.integers(0, 256, (3, 32, 32), np.uint8))
        for clip in range(2)
        for shift in scaling.SHIFTS
    ]
    write_pairs(tmp_path / "source", records)
    return tmp_path / "source"


@pytest.mark.slow
def test_step_time(workload: None, tmp_path: Path) -> None:
    options = ["--steps=3", "--batch=3", "--folds=2", "--steps_per_call=2", f"--trace={tmp_path}"]
    r = measured(step_time.main, *OPTIONS, *options)
    check_named(r, " ".join(["python -m benchmarks.step_time", *OPTIONS, *options]))
    assert (r["folds"], r["batch"], r["width"], r["steps_per_call"], r["steps"]) == (2, 3, 0.0625, 2, 4)
    assert r["faces_per_s"] == pytest.approx(6 / r["median_step_s"])
    assert r["share"] == pytest.approx(r["gflop"] / r["median_step_s"] / r["matrix_rate_gflops"])
    assert list(tmp_path.rglob("*.trace.json.gz"))
    assert "| width, folds, batch | 0.0625, 2, 3 |" in step_time._table(r)


@pytest.mark.slow
def test_loso_throughput(workload: None) -> None:
    options = ["--folds=2,1", "--rounds=2", "--steps=2", "--batch=3"]
    r = measured(loso_throughput.main, *OPTIONS, *options)
    check_named(r, " ".join(["python -m benchmarks.loso_throughput", *OPTIONS, *options]))
    assert r["run"] == {"folds": 68, "epochs": 100, "pairs": 2210, "steps": 73700}  # 737 = 2210 / 3 rounded up
    for row, groups in zip(r["rows"], (68, 34), strict=True):
        assert row["ratio"] == pytest.approx(row["one_after_another_s"] / row["side_by_side_s"])
        assert row["hours"] == pytest.approx(groups * 73700 * row["side_by_side_s"] / 3600)
    assert r["state_gib_per_fold"] < r["rows"][0]["program_memory_gib"] < r["rows"][1]["program_memory_gib"]
    assert loso_throughput.hours(3600.0, 8, 16) == 9 * 100 * 139  # the last group of a run is a whole one


@pytest.mark.slow
def test_inference(workload: None) -> None:
    options = ["--config=demo", "--batches=4,1", "--steps=2", "--json"]
    r = measured(inference.main, *options)
    check_named(r, " ".join(["python -m benchmarks.inference", *options]))
    assert [(row["network"], row["batch"]) for row in r["rows"]] == [("D", 1), ("D", 4), ("G", 1), ("G", 4)]
    for row in r["rows"]:
        assert row["faces_per_s"] == pytest.approx(row["batch"] / row["median_ms"] * 1e3)


@pytest.mark.slow
def test_scaling(workload: None, source: Path, tmp_path: Path) -> None:
    scaling.write_clips(source, tmp_path / "seven", 7)
    few, many = load_pairs(source), load_pairs(tmp_path / "seven")
    assert len(set(many.clip.tolist())) == 7 and (many.apex[30:35] == few.apex[:5]).all()
    options = [f"--data={source}", "--clips=9,4", "--batch=5", "--folds=2", "--json"]
    r = measured(scaling.main, *options)
    check_named(r, " ".join(["python -m benchmarks.scaling", *options]))
    assert [(row["clips"], row["pairs"], row["steps"]) for row in r["rows"]] == [(4, 20, 4), (9, 45, 10)]
    for row in r["rows"]:
        assert row["epoch_s"] > 0 and row["draw_ms"] > 0 and 0 <= row["waiting"] <= 1
        assert row["data_gib"] == row["pairs"] * 3 * 32 * 32 / 2**30


@pytest.mark.slow
def test_prepare_throughput() -> None:
    options = ["--clips=1", "--lengths", "25", "--workers=1", "--scale=0.5"]
    table = printed(prepare_throughput.main, *options)
    assert "| register | " in table and "| 25 | " in table and "frames of 120x140, crops of 128 pixels" in table


def test_a_clip_of_the_preparation_is_the_short_one_back_and_forth(tmp_path: Path) -> None:
    source = tmp_path / "source"
    prepare_throughput.write_source(None, source, 0.5)
    assert list_frames(source) == list(range(25))
    frames = [image for _, image in read_frames(source, range(25))]
    prepare_throughput.write_clip(source, tmp_path / "60", 60)
    played = [image for _, image in read_frames(tmp_path / "60", range(60))]
    for position, frame in ((0, 0), (24, 24), (25, 23), (47, 1), (48, 0), (49, 1), (59, 11)):
        assert (played[position] == frames[frame]).all()


@pytest.mark.slow
def test_soak(tmp_path: Path) -> None:
    options = ["--steps=60", "--folds=4", f"--samples={tmp_path / 'samples.csv'}", "--json"]
    r = measured(soak.main, *options)
    check_named(r, " ".join(["python -m benchmarks.soak", *options]))
    assert [(row["start"], row["end"]) for row in r["rows"]] == [("6 steps", "60 steps"), ("2 folds", "4 folds")]
    assert not [line for line in r["grown"] if not line.startswith("rss_mib")]  # of so few steps, caches fill
    assert r["log_kib_per_1000_steps"].keys() == {"evaluations.jsonl", "metrics.jsonl"}


def test_growth_is_an_exit_code_and_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def train(part: str, run_dir: Path, people: int, folds: int, steps: int) -> list[Sample]:
        """A process that opens a file every 40 steps and takes 9 MiB for each fold."""
        (run_dir / "folds" / "a").mkdir(parents=True)
        if part == "folds":
            return [Sample(part, 1.0, 0, fold, 100.0 + 9 * fold, 8, 30) for fold in range(folds)]
        return [Sample(part, 1.0, step, 0, 100.0, step // 40, 30) for step in range(steps + 1)]

    monkeypatch.setattr(soak, "_train", train)
    assert soak.main(["--steps=400", "--folds=4"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("GROWN")] == [
        "GROWN: files from 1 after 40 steps to 9 after 400 steps",
        "GROWN: rss_mib from 118 after 2 folds to 127 after 4 folds",
    ]


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        (inference, ["--batches="], "--batches is '': give whole numbers"),
        (loso_throughput, ["--folds=0,1"], "--folds is '0,1': give 1 or more"),
        (scaling, ["--clips=3"], "--clips is 3: give 4 or more"),
        (soak, ["--steps=10"], "or more"),
        (step_time, ["--steps=0"], "--steps is 0: give 1 or more"),
        (step_time, ["--precision=float8"], "config.model.dtype is 'float8'"),
        (step_time, ["--config=paper"], "--config is 'paper': choose one of loso, loso_pair, demo"),
    ],
)
def test_a_wrong_option_is_named(
    module: ModuleType, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refusal(module.main, capsys, *options)


def test_losses_that_are_no_numbers_are_no_measurement() -> None:
    with pytest.raises(UserError, match="after the timed steps these are not finite: a, c;"):
        check_finite({"c": jnp.array([1.0, jnp.nan]), "b": jnp.zeros(()), "a": jnp.array(jnp.inf)})


def test_states_are_taken_apart_and_joined_again() -> None:
    tree = {"a": jnp.arange(6.0).reshape(3, 2), "key": jax.random.split(jax.random.key(0), 3)}
    expected = np.asarray(tree["a"])
    apart = loso_throughput.split_folds(tree, 3)
    assert tree["a"].is_deleted() and [part["a"].tolist() for part in apart] == expected.tolist()
    np.testing.assert_array_equal(loso_throughput.join_folds(apart)["a"], expected)
