"""Benchmarks on workloads small enough for tests, and what they print."""

import contextlib
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from ml_collections import ConfigDict

from configs import demo

# What makes a workload small besides ``config``, and the output a line of JSON.
OPTIONS = ("--config=demo", "--width=0.0625", "--noperceptual", "--json")

Main = Callable[[Sequence[str]], int]


def config() -> ConfigDict:
    """The demo's on 32 pixels."""
    small = demo.get_config()
    small.model.image_size = 32
    small.generator.embedding = 6
    small.model.noise = 4
    small.discriminator.primary_types = 2
    small.discriminator.primary_dimension = 4
    small.discriminator.adversarial_dimension = 6
    small.discriminator.expression_dimension = 4
    small.discriminator.reconstruction_width = 1 / 64
    small.optimizer.learning_rate = 1e-4
    small.training.steps_per_call = 2
    return small


def measured(main: Main, *options: str) -> dict[str, Any]:
    """Run a benchmark with --json; what it prints is one line."""
    output = printed(main, *options)
    assert output.endswith("}\n") and output.count("\n") == 1
    result = json.loads(output)
    assert isinstance(result, dict)
    return result


def printed(main: Main, *options: str) -> str:
    """Run a benchmark; what it prints."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        assert main(list(options)) == 0
    return output.getvalue()


def refusal(main: Main, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """Run a benchmark with bad options; it says so in one line and ends with 2."""
    assert main(list(options)) == 2
    captured = capsys.readouterr()
    assert not captured.out and captured.err.startswith("error: ") and captured.err.count("\n") == 1
    return captured.err.removeprefix("error: ").strip()


def check_named(result: dict[str, Any], command: str) -> None:
    """Machine, date, versions and command stand beside the figures."""
    assert {"cpu", "cores", "load", "system", "device", "platform", "devices"} <= result["machine"].keys()
    assert result["machine"]["platform"] == "cpu" and result["machine"]["devices"] == 4
    assert {"python", "jax", "jaxlib", "flax", "optax", "numpy"} <= result["versions"].keys()
    assert result["date"][4] == "-" and result["date"][10] == "T"
    assert result["command"] == command
