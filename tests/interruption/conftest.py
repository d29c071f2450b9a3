from pathlib import Path
from typing import NamedTuple

import pytest

from tests.interruption.kill_and_resume import Timing, run_uninterrupted
from tests.interruption.run import small


class UninterruptedRun(NamedTuple):
    run_dir: Path
    timing: Timing


@pytest.fixture(scope="package")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> UninterruptedRun:
    """The smallest run, by the command, without interruption; tests must not change it."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    return UninterruptedRun(folder / "run", run_uninterrupted(folder / "run", small(), folder / "log", print))
