"""What step_time reports, how its figures hang together, and what it refuses; never how fast anything is."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import pytest

from benchmarks import step_time
from benchmarks.workload import check_finite
from icegan_jax.errors import UserError
from tests.benchmarks.tiny_workload import OPTIONS, check_named, measured, refusal

ROOT = Path(__file__).parents[2]
CASES = {
    "one fold": ("--steps=3", "--batch=3", "--profile"),
    "two folds, two steps a call": ("--steps=3", "--batch=3", "--folds=2", "--steps_per_call=2"),
}
Results = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def results(workload: None) -> Results:
    return {name: measured(step_time.main, *OPTIONS, *options) for name, options in CASES.items()}


@pytest.mark.parametrize(("name", "folds", "calls", "per_call"), [*zip(CASES, (1, 2), (3, 2), (1, 2), strict=True)])
def test_what_was_measured(name: str, folds: int, calls: int, per_call: int, results: Results) -> None:
    """Call of several steps do at least the steps asked for."""
    r = results[name]
    check_named(r, " ".join(["python -m benchmarks.step_time", *OPTIONS, *CASES[name]]))
    assert (r["folds"], r["batch"], r["width"], r["steps_per_call"]) == (folds, 3, 0.0625, per_call)
    assert (r["precision"], r["perceptual"]) == ("float32", False)
    assert len(r["step_s"]) == calls and r["steps"] == calls * per_call


@pytest.mark.parametrize("name", CASES)
def test_the_figures_hang_together(name: str, results: Results) -> None:
    r = results[name]
    assert 0 < r["lower_quartile_step_s"] <= r["median_step_s"] <= r["upper_quartile_step_s"]
    assert min(r["step_s"]) <= r["median_step_s"] <= max(r["step_s"])
    assert r["faces_per_s"] == pytest.approx(r["folds"] * r["batch"] / r["median_step_s"])
    assert r["gflops"] == pytest.approx(r["gflop"] / r["median_step_s"])
    rates = r["matrix_rate_gflops_before"], r["matrix_rate_gflops_after"]
    assert min(rates) > 0 and r["matrix_rate_gflops"] == pytest.approx(sum(rates) / 2)
    assert r["share"] == pytest.approx(r["gflop"] / r["median_step_s"] / r["matrix_rate_gflops"])
    assert r["share_direct"] == pytest.approx(r["gflop_direct"] / r["median_step_s"] / r["matrix_rate_gflops"])
    assert 0 < r["program_memory_gib"] < r["peak_memory_gib"]
    assert r["compile_s"] > 0


def test_gflop_are_those_of_one_update_of_all_folds(results: Results) -> None:
    """But for the taking apart and putting together of states, which is some of so small an update."""
    one, two = results.values()
    assert two["gflop"] == pytest.approx(2 * one["gflop"], rel=0.05)
    assert two["gflop_direct"] == pytest.approx(2 * one["gflop_direct"])


def test_the_profile_names_kinds_and_layers(results: Results) -> None:
    by_kind, by_layer = results["one fold"]["profile"]["by_kind"], results["one fold"]["profile"]["by_layer"]
    assert {"matrix products", "elementwise"} <= by_kind.keys()
    layers = {"trunk_1", "down_1", "up_1", "grm_1", "norms", "reconstruction_1", "exp_caps", "adv_caps", "optimizer"}
    assert layers <= by_layer.keys()
    assert sum(by_kind.values()) == pytest.approx(sum(by_layer.values()))
    assert list(by_layer.values()) == sorted(by_layer.values(), reverse=True)
    assert "profile" not in results["two folds, two steps a call"]


def test_the_table_holds_the_same(results: Results) -> None:
    r = results["one fold"]
    lines = step_time._table(r).splitlines()
    assert "| width, folds, batch | 0.0625, 1, 3 |" in lines
    assert f"| share of it | {r['share']:.1%} |" in lines
    assert "| by kind | ms per step | share |" in lines and any(line.startswith("| trunk_1 | ") for line in lines)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps=0"], "--steps is 0: give 1 or more"),
        (["--folds=-1"], "--folds is -1: give 1 or more"),
        (["--steps=few"], "argument --steps: invalid int value: 'few'; see --help"),
        (
            ["--precision=float8"],
            "config.model.dtype is 'float8': it must be one of float32, bfloat16",
        ),
        (["--width=0"], "config.model.width is 0.0: it must be above 0"),
        (["--batch=0"], "config.training.batch_size is 0: it must be above 0"),
        (["--config=paper"], "--config is 'paper': choose one of loso, loso_pair, demo"),
        (["--config=configs/loso.py"], "--config is 'configs/loso.py': did you mean loso?"),
        (["--speed"], "unrecognized arguments: --speed; see --help"),
        (["--prof"], "unrecognized arguments: --prof; see --help"),
    ],
)
def test_bad_options(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(step_time.main, capsys, *options) == message


def test_losses_that_are_no_numbers_are_no_measurement() -> None:
    check_finite({"g_l1": jnp.ones(2)})
    with pytest.raises(UserError, match=r"^after the timed steps these are not finite: a, c; give a --config that"):
        check_finite({"c": jnp.array([1.0, jnp.nan]), "b": jnp.zeros(()), "a": jnp.array(jnp.inf)})


def test_the_module_runs_as_a_command() -> None:
    command = [sys.executable, "-m", "benchmarks.step_time", "--steps=0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "error: --steps is 0: give 1 or more\n")


def test_a_machine_without_the_data_pipeline_will_do() -> None:
    """A GPU machine may have jax and flax, but neither grain nor tensorflow-datasets."""
    modules = "benchmarks.step_time, benchmarks.loso_throughput, benchmarks.inference"
    heavy = "grain", "tensorflow_datasets", "orbax", "cv2", "dlib", "torch"
    code = f"import sys, {modules}; print(sorted(set({heavy}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "[]\n")
