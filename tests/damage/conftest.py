from collections.abc import Iterator
from typing import Any

import jax
import pytest

from icegan_jax import settings
from icegan_jax.training import capacity
from icegan_jax.training.engine import build_engine
from tests.damage.world import STEPS, World, config_of, make_world


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One engine, of one device, for every run: its programs are compiled once."""
    folder, devices = tmp_path_factory.mktemp("damage"), jax.local_devices()[:1]
    shared = build_engine(settings.networks_of(config_of(folder), STEPS), devices)

    def same(*_: Any) -> Any:
        return shared

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(capacity, "build_engine", same)
        patched.setattr(jax, "local_devices", lambda: devices)
        yield make_world(folder)
