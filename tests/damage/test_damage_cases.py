"""Each kind of damage ends in recovery, to the same bytes, or in one clear line that names the file."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from icegan_jax.errors import UserError
from icegan_jax.io import read_json
from tests.damage.damage_cases import FIRST, KINDS, Kind
from tests.damage.runs import World, config_of, copied, outcome, start


@pytest.fixture(scope="module")
def wanted(world: World) -> dict[str, Any]:
    return outcome(world.whole)


def test_the_table_is_long_enough_and_says_each_once() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 30


def test_a_run_cut_short_ends_like_a_whole_one(world: World, wanted: dict[str, Any], tmp_path: Path) -> None:
    run = copied(world.cut, tmp_path / "run")
    start(config_of(world.data), run)
    assert outcome(run) == wanted


@pytest.fixture
def data(world: World, tmp_path: Path) -> Iterator[Path]:
    """The prepared folder, put back afterwards: the run directories name it."""
    kept = copied(world.data, tmp_path / "kept")
    yield world.data
    shutil.rmtree(world.data)
    kept.rename(world.data)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_damage(
    kind: Kind,
    world: World,
    data: Path,
    wanted: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = copied(getattr(world, kind.run), tmp_path / "run")
    kind.do(run, data, world)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    capsys.readouterr()
    if kind.recovers:
        start(config_of(data), run)
        assert outcome(run) == wanted
        told = capsys.readouterr().err
        assert "Traceback" not in told
        assert ("warning: " in told) == bool(kind.told), told
    else:
        with pytest.raises(UserError) as caught:
            start(config_of(data), run)
        told = str(caught.value)
        changed = [str(path) for path, content in before.items() if not path.is_file() or path.read_bytes() != content]
        assert not [path for path in changed if "/processes/" not in path], "a refused start changed files"
    for word in kind.told:
        assert word in told, told


def test_a_file_where_checkpoints_should_be(world: World, wanted: dict[str, Any], tmp_path: Path) -> None:
    """The other folds are finished first; with the file out of the way, the one starts anew."""
    run = copied(world.cut, tmp_path / "run")
    place = run / "folds" / FIRST / "checkpoints"
    shutil.rmtree(place)
    place.write_text("a file")
    with pytest.raises(UserError, match=rf"{place}: is not a folder; move it away"):
        start(config_of(world.data), run)
    assert read_json(run / "results.partial.json")["folds"]["missing"] == {FIRST: "not finished"}
    place.rename(tmp_path / "file")
    start(config_of(world.data), run)
    assert outcome(run) == wanted
    assert not (run / "results.partial.json").exists()
