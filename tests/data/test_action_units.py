from pathlib import Path

import pytest

from icegan_jax.data.action_units import load_action_units
from icegan_jax.data.clips import Clip, read_clips, write_clips
from icegan_jax.data.ingest.annotation import parse_action_units
from icegan_jax.errors import UserError
from tests.data.conftest import pairs_of, record


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("4", (4,)),
        ("4+R7", (4, 7)),
        ("(R6 or R12)+L15B ", (6, 12, 15)),
        ("A/L12", (12,)),
        ("?", ()),
        ("AU1+AU2", (1, 2)),
    ],
)
def test_parse(text: str, units: tuple[int, ...]) -> None:
    assert parse_action_units(text) == units


def test_units_of_pairs(tmp_path: Path) -> None:
    clips = [
        Clip(name, "s", "c", 0, tmp_path, 1, 2, 3, units)
        for name, units in (("casme2", (4, 7)), ("samm", (12,)), ("smic", ()))
    ]
    write_clips(tmp_path / "clips.csv", clips)
    assert read_clips(tmp_path / "clips.csv") == clips
    records = [record(name, "s", "c", 0, shift) for name in ("casme2", "samm") for shift in (-1, 0)]
    units, shown = load_action_units(tmp_path, pairs_of(records))
    assert units == (4, 7, 12)
    assert shown.astype(int).tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1], [0, 0, 1]]
    message = "clips.csv: smic has no action units; choose casme2 or samm by config.data.database"
    with pytest.raises(UserError, match=message):
        load_action_units(tmp_path, pairs_of([*records, record("smic", "s", "c", 0, 0)]))
    with pytest.raises(UserError, match="clips.csv: damaged, or of other clips; prepare the folder again"):
        load_action_units(tmp_path, pairs_of([record("samm", "s", "another", 0, 0)]))
