from dataclasses import replace
from pathlib import Path

import pytest

from icegan_jax.data.clips import Clip
from icegan_jax.data.repairs import movement, settle, write_repairs
from icegan_jax.errors import UserError

CLIP = Clip("d", "s", "c", 0, Path("frames"), onset=10, apex=15, offset=20)
ALL = list(range(5, 31))


def test_a_sound_clip_stays() -> None:
    assert settle(CLIP, ALL) == (CLIP, [])
    open_apex = replace(CLIP, apex=None)
    assert settle(open_apex, ALL) == (open_apex, [])


def test_movement_leaves_out_the_onset() -> None:
    assert movement(CLIP, [8, 10, 11, 13, 20, 21]) == [11, 13, 20]


@pytest.mark.parametrize(
    ("apex", "numbers", "expected", "reason"),
    [
        (9, ALL, 15, "outside onset..offset: the middle frame"),
        (25, ALL, 15, "outside onset..offset: the middle frame"),
        (10, ALL, 15, "apex is the onset: the middle frame"),
        (25, [10, 11, 17, 20], 17, "outside onset..offset: the middle frame"),
        (15, [10, 11, 14, 20], 14, "no such frame: the nearest one"),
    ],
)
def test_apex_is_repaired_and_recorded(apex: int, numbers: list[int], expected: int, reason: str) -> None:
    settled, (row,) = settle(replace(CLIP, apex=apex), numbers)
    assert settled.apex == expected
    assert (row.field, row.old, row.new) == ("apex", str(apex), str(expected))
    assert reason in row.reason


def test_offset_beyond_the_last_frame(tmp_path: Path) -> None:
    settled, rows = settle(replace(CLIP, apex=19), list(range(10, 18)))
    assert (settled.apex, settled.offset) == (17, 17)
    assert [(r.field, r.old, r.new) for r in rows] == [("offset", "20", "17"), ("apex", "19", "17")]
    write_repairs(tmp_path / "repairs.csv", rows)
    lines = (tmp_path / "repairs.csv").read_text().splitlines()
    assert lines[0] == "dataset,subject,clip,field,old,new,reason"
    assert lines[1] == "d,s,c,offset,20,17,no such frame: the last one before it"


def test_no_onset_or_no_frame_after_it() -> None:
    with pytest.raises(UserError, match="clip d/s/c: onset frame 10 is not in frames .frames 11 to 20"):
        settle(CLIP, list(range(11, 21)))
    with pytest.raises(UserError, match="clip d/s/c: no frame after onset 10 up to offset 20"):
        settle(CLIP, [9, 10, 21])
