from collections.abc import Iterator
from typing import Any

import jax
import pytest
from matplotlib.figure import Figure

from icegan_jax.config import build_models
from icegan_jax.reporting import style
from icegan_jax.training import loop
from icegan_jax.training.parallel import build_programs
from tests.damage.runs import STEPS, Runs, config_of, train_runs


@pytest.fixture(scope="package")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Programs of one device, for every run: its programs are compiled once.

    Figures are rendered for the first runs alone: to turn one into pixels, which is matplotlib's work, took as long
    as all the rest of a run. The later runs make them all the same, from what they recovered.
    """
    folder, devices = tmp_path_factory.mktemp("damage"), jax.local_devices()[:1]
    shared = build_programs(build_models(config_of(folder), STEPS), devices)

    def same(*_: Any) -> Any:
        return shared

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "build_programs", same)
        patched.setattr(jax, "local_devices", lambda: devices)
        runs = train_runs(folder)
        blank = style.figure_to_png(Figure(figsize=(0.1, 0.1)))
        patched.setattr(style, "figure_to_png", lambda _: blank)
        yield runs
