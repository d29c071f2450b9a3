"""Results and error messages of torch_baseline, without checks of speed."""

import importlib.util
import os

import pytest

from benchmarks import torch_baseline
from tests.benchmarks.tiny_workload import OPTIONS, check_named, measured, refusal

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="without the extra torch")


@needs_torch
@pytest.mark.usefixtures("workload")
@pytest.mark.parametrize("folds", [1, 2])
def test_both_libraries_are_timed_alternately(folds: int) -> None:
    options = [f"--folds={folds}", "--steps=7", "--batch=3"]
    r = measured(torch_baseline.main, *OPTIONS, *options)
    check_named(r, " ".join(["python -m benchmarks.torch_baseline", *OPTIONS, *options]))
    assert r["versions"]["torch"]
    assert (r["folds"], r["batch"], r["width"], r["perceptual"], r["channels_last"]) == (folds, 3, 0.0625, False, True)
    for prefix in ("", "jax_"):
        assert len(r[f"{prefix}step_s"]) == r["steps"] == 7
        assert 0 < r[f"{prefix}lower_quartile_step_s"] <= r[f"{prefix}median_step_s"]
        assert r[f"{prefix}median_step_s"] <= r[f"{prefix}upper_quartile_step_s"]
    assert r["ratio"] == pytest.approx(r["median_step_s"] / r["jax_median_step_s"])
    assert r["idle_cores"].keys() == {"torch", "jax"}


@needs_torch
@pytest.mark.usefixtures("workload")
def test_pytorch_alone() -> None:
    r = measured(torch_baseline.main, *OPTIONS, "--steps=2", "--batch=2", "--noagainst_jax", "--nochannels_last")
    assert not any(name.startswith("jax") or name == "ratio" for name in r)
    assert not r["channels_last"] and r["idle_cores"].keys() == {"torch"}
    assert "PyTorch" in torch_baseline._table(r)


def test_rounds_are_even_and_alternate() -> None:
    calls: list[str] = []
    updates = {name: lambda name=name: calls.append(name) for name in ("torch", "jax")}
    seconds, _ = torch_baseline._time_alternately(updates, 7)
    assert {name: len(values) for name, values in seconds.items()} == {"torch": 7, "jax": 7}
    assert "".join(name[0] for name in calls) == "ttjj" * 2 + "tj" * 3


def test_without_pytorch_it_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert refusal(torch_baseline.main, capsys).startswith("PyTorch is not installed: uv sync --extra torch")


@needs_torch
def test_cores_that_are_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    cores = len(os.sched_getaffinity(0))
    assert refusal(torch_baseline.main, capsys, f"--threads={cores + 1}").startswith(f"--threads is {cores + 1}: this")
    assert len(os.sched_getaffinity(0)) == cores


@pytest.mark.parametrize("option", ["--steps=0", "--folds=-1"])
def test_nothing_to_do(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    name, value = option.removeprefix("--").split("=")
    assert refusal(torch_baseline.main, capsys, option) == f"--{name} is {value}: give 1 or more"
