from collections.abc import Iterator

import pytest

from benchmarks import machine
from configs import demo
from tests.benchmarks import tiny_workload


@pytest.fixture(scope="module")
def workload() -> Iterator[None]:
    """Make ``--config=demo`` a small one, and the matrix product that the rate is measured on."""
    config = tiny_workload.config()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "get_config", config.copy_and_resolve_references)
        patch.setattr(machine, "_PRODUCTS", {"cpu": (64, 1)})
        yield
