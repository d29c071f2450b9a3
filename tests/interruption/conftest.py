from pathlib import Path
from typing import NamedTuple

import pytest

from tests.interruption.kill_and_resume import Timing, uninterrupted
from tests.interruption.run import small


class Whole(NamedTuple):
    run_dir: Path
    timing: Timing


@pytest.fixture(scope="package")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """The smallest run, by the command, without interruption; not to be changed."""
    folder = tmp_path_factory.mktemp("whole")
    return Whole(folder / "run", uninterrupted(folder / "run", small(), folder / "log", print))
