"""Results and error messages of torch_baseline, without checks of speed."""

import importlib.util

import pytest

from benchmarks import machine, torch_baseline
from configs import demo
from tests.benchmarks import tiny_workload
from tests.benchmarks.tiny_workload import OPTIONS, check_named, measured, refusal


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="without the extra torch")
@pytest.mark.parametrize("folds", [1, 2])
def test_both_libraries_are_timed_alternately(folds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "get_config", tiny_workload.config().copy_and_resolve_references)
    monkeypatch.setattr(machine, "_PRODUCTS", {"cpu": (64, 1)})
    options = [f"--folds={folds}", "--steps=7", "--batch=3"]
    r = measured(torch_baseline.main, *OPTIONS, *options)
    check_named(r, " ".join(["python -m benchmarks.torch_baseline", *OPTIONS, *options]))
    assert (r["folds"], r["batch"], r["width"], r["perceptual"], r["channels_last"]) == (folds, 3, 0.0625, False, True)
    assert len(r["step_s"]) == len(r["jax_step_s"]) == 7
    assert r["ratio"] == pytest.approx(r["median_step_s"] / r["jax_median_step_s"])


def test_rounds_are_even_and_alternate() -> None:
    calls: list[str] = []
    updates = {name: lambda name=name: calls.append(name) for name in ("torch", "jax")}
    seconds, _ = torch_baseline._time_alternately(updates, 7)
    assert {name: len(values) for name, values in seconds.items()} == {"torch": 7, "jax": 7}
    assert "".join(name[0] for name in calls) == "ttjj" * 2 + "tj" * 3


def test_without_pytorch_the_message_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert refusal(torch_baseline.main, capsys).startswith("PyTorch is not installed: uv sync --extra torch")
