from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import pytest
from matplotlib.figure import Figure
from ml_collections import ConfigDict

from icegan_jax.config import build_models
from icegan_jax.reporting import style
from icegan_jax.training import loop
from icegan_jax.training.parallel import build_programs
from tests.training.tiny_run import STEPS, config_of, start, write_data


class Runs(NamedTuple):
    """Run directories, which tests copy.

    Attributes:
      data: The prepared folder of ``unfinished``.
      unfinished: Of a run that was killed before it evaluated its folds, which have checkpoints of steps 4 and 8.
      finished: Of an uninterrupted run of the same config; its prepared folder is ``data`` beside it.
    """

    data: Path
    unfinished: Path
    finished: Path


class Killed(BaseException):
    """Takes the place of the end of the process."""


@pytest.fixture(scope="package")
def runs(run_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Runs of one device, whose programs are compiled once; figures are left out, which take most of the time."""
    folder, devices = tmp_path_factory.mktemp("damage"), jax.local_devices()[:1]
    write_data(folder / "data")
    shared = build_programs(build_models(config_of(folder), STEPS), devices)
    blank = style.figure_to_picture(Figure(figsize=(0.1, 0.1)))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "build_programs", lambda *_: shared)
        patched.setattr(jax, "local_devices", lambda: devices)
        patched.setattr(jax, "local_device_count", lambda: 1)
        patched.setattr(style, "figure_to_picture", lambda _: blank)
        start_and_kill(config_of(folder / "data"), folder / "unfinished")
        yield Runs(folder / "data", folder / "unfinished", run_dir)


def start_and_kill(config: ConfigDict, run_dir: Path) -> None:
    """As ``start``, but killed after the training and before the evaluation."""

    def kill(*_: Any) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patched, pytest.raises(Killed):
        patched.setattr(loop, "evaluate_group", kill)
        start(config, run_dir)
