"""Each damage ends in recovery, to the same bytes, or in one line that names the file."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from icegan_jax.errors import UserError
from icegan_jax.io import read_json
from tests.damage.damage_cases import DAMAGE_CASES, FIRST, DamageCase
from tests.damage.runs import Runs, config_of, copied, outcome, start


@pytest.fixture(scope="module")
def expected(runs: Runs) -> dict[str, Any]:
    return outcome(runs.finished)


def test_the_names_of_the_cases_are_unique() -> None:
    assert len({case.name for case in DAMAGE_CASES}) == len(DAMAGE_CASES) >= 30


def test_a_killed_run_ends_like_an_uninterrupted_one(runs: Runs, expected: dict[str, Any], tmp_path: Path) -> None:
    run = copied(runs.unfinished, tmp_path / "run")
    start(config_of(runs.data), run)
    assert outcome(run) == expected


@pytest.fixture
def data(runs: Runs, tmp_path: Path) -> Iterator[Path]:
    """The prepared folder, which is restored afterwards: the run directories name it."""
    copy = copied(runs.data, tmp_path / "copy")
    yield runs.data
    shutil.rmtree(runs.data)
    copy.rename(runs.data)


@pytest.mark.parametrize("case", DAMAGE_CASES, ids=lambda case: case.name)
def test_damage(
    case: DamageCase,
    runs: Runs,
    data: Path,
    expected: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = copied(getattr(runs, case.run), tmp_path / "run")
    case.apply(run, data, runs)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    capsys.readouterr()
    if case.recovers:
        start(config_of(data), run)
        assert outcome(run) == expected
        message = capsys.readouterr().err
        assert "Traceback" not in message
        assert ("warning: " in message) == bool(case.words), message
    else:
        with pytest.raises(UserError) as caught:
            start(config_of(data), run)
        message = str(caught.value)
        changed = [str(path) for path, content in before.items() if not path.is_file() or path.read_bytes() != content]
        assert not [path for path in changed if "/processes/" not in path], "a refused start changed files"
    for word in case.words:
        assert word in message, message


def test_a_file_where_checkpoints_should_be(runs: Runs, expected: dict[str, Any], tmp_path: Path) -> None:
    """The other folds are finished first; without the file, the fold starts again."""
    run = copied(runs.unfinished, tmp_path / "run")
    path = run / "folds" / FIRST / "checkpoints"
    shutil.rmtree(path)
    path.write_text("a file")
    with pytest.raises(UserError, match=rf"{path}: is not a folder; move it away"):
        start(config_of(runs.data), run)
    assert read_json(run / "results.partial.json")["folds"]["missing"] == {FIRST: "not finished"}
    path.rename(tmp_path / "file")
    start(config_of(runs.data), run)
    assert outcome(run) == expected
    assert not (run / "results.partial.json").exists()
