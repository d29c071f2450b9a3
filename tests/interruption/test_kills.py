"""Runs that are killed by SIGKILL end like an uninterrupted one."""

from pathlib import Path

import pytest

from tests.interruption.kill_and_resume import kill_runs, small


@pytest.mark.parametrize(
    "kills", [pytest.param(2, marks=pytest.mark.slow), pytest.param(20, marks=pytest.mark.nightly)]
)
def test_kills_change_nothing(kills: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert kill_runs(kills, 0, tmp_path, small()) == kills, capfd.readouterr().out
