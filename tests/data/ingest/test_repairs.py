from dataclasses import replace
from pathlib import Path

import pytest

from icegan_jax.data.clips import Clip
from icegan_jax.data.ingest.annotation import Annotation
from icegan_jax.data.ingest.repairs import (
    MAX_ONSET_SHIFT,
    annotation_to_clip,
    repair_annotation,
)
from icegan_jax.errors import UserError

CLIP = Clip("d", "s", "c", 0, Path("frames"), onset=10, apex=15, offset=20)
ALL = list(range(5, 31))


def test_a_valid_clip_is_not_changed() -> None:
    assert repair_annotation(CLIP, ALL) == (CLIP, [])
    open_apex = replace(CLIP, apex=None)
    assert repair_annotation(open_apex, ALL) == (open_apex, [])


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
    repaired, (row,) = repair_annotation(replace(CLIP, apex=apex), numbers)
    assert repaired.apex == expected
    assert (row.field, row.old, row.new) == ("apex", str(apex), str(expected))
    assert reason in row.reason


def test_offset_beyond_the_last_frame() -> None:
    repaired, rows = repair_annotation(replace(CLIP, apex=19), list(range(10, 18)))
    assert (repaired.apex, repaired.offset) == (17, 17)
    assert [(r.field, r.old, r.new) for r in rows] == [("offset", "20", "17"), ("apex", "19", "17")]


def test_no_onset_or_no_frame_after_it() -> None:
    with pytest.raises(UserError, match="clip d/s/c: onset frame 10 is not in frames .frames 16 to 20. and no frame"):
        repair_annotation(CLIP, list(range(16, 21)))
    with pytest.raises(UserError, match="clip d/s/c: no frame after onset 10 up to offset 20"):
        repair_annotation(CLIP, [9, 10, 21])


@pytest.mark.parametrize(
    ("numbers", "onset"),
    [
        (range(11, 30), 11),
        ([4, 5, 12, 13, 16, 20], 12),
        ([5, 16, 17, 20], 5),
        ([9, 11, 15, 20], 9),  # as near as the later one, and nothing of the movement is lost
    ],
)
def test_an_onset_without_a_frame_takes_the_nearest_before_the_apex(numbers: list[int], onset: int) -> None:
    repaired, rows = repair_annotation(replace(CLIP, apex=16 if 16 in numbers else 15), numbers)
    assert repaired.onset == onset
    assert (rows[0].field, rows[0].old, rows[0].new) == ("onset", "10", str(onset))
    assert rows[0].reason == "no such frame: the nearest one"


def test_how_far_an_onset_may_move() -> None:
    far = replace(CLIP, apex=None)
    assert repair_annotation(far, range(10 + MAX_ONSET_SHIFT, 30))[0].onset == 10 + MAX_ONSET_SHIFT
    with pytest.raises(UserError, match="no frame within 5 of it"):
        repair_annotation(far, range(10 + MAX_ONSET_SHIFT + 1, 30))
    with pytest.raises(UserError, match="correct onset or restore the frame"):
        repair_annotation(replace(CLIP, apex=12), range(12, 30))


def test_a_repaired_clip_is_not_changed_again() -> None:
    for apex in (None, 2, 10, 15, 19, 25):
        for numbers in (range(7, 40), range(12, 18), [8, 11, 14, 15, 22]):
            repaired, _ = repair_annotation(replace(CLIP, apex=apex), numbers)
            assert repair_annotation(repaired, numbers) == (repaired, [])
            assert repaired.onset in numbers and repaired.offset in numbers
            if repaired.apex is not None:
                assert repaired.onset < repaired.apex <= repaired.offset and repaired.apex in numbers


SHEET = Annotation("d", "s", "c", "disgust", (Path("frames"),), 10, 15, 20, "sheet.csv, row 2")


def test_a_folder_that_holds_exactly_the_clip_needs_no_numbers() -> None:
    clip, rows = annotation_to_clip(replace(SHEET, onset=None, apex=None, offset=None), 2, Path("f"), [7, 8, 12])
    assert clip == Clip("d", "s", "c", 2, Path("f"), 7, None, 12)
    assert rows == []


def test_half_an_annotation_is_a_repair() -> None:
    clip, (row,) = annotation_to_clip(replace(SHEET, offset=None), 0, Path("f"), ALL)
    assert (clip.onset, clip.apex, clip.offset) == (10, 15, 30)
    assert (row.field, row.old, row.new, row.reason) == ("offset", "", "30", "not annotated: the last frame")
    clip, (row,) = annotation_to_clip(replace(SHEET, onset=None), 0, Path("f"), ALL)
    assert (row.field, row.new, row.reason) == ("onset", "5", "not annotated: the first frame")
