import os
from pathlib import Path

import numpy as np
import pytest

from icegan_jax.data.ingest.annotation import Annotation
from icegan_jax.data.ingest.overrides import Override
from icegan_jax.data.ingest.resolve_frames import ResolvedClip, extent_findings, resolve_frames
from tests.videos import write_test_video


def folder(path: Path, numbers: range | list[int]) -> Path:
    """Write empty frames: the tests only list them."""
    path.mkdir(parents=True)
    for n in numbers:
        (path / f"img{n}.jpg").write_bytes(b"")
    return path


def annotated(*frames: Path, onset: int | None = 10, apex: int | None = 15, offset: int | None = 20) -> Annotation:
    return Annotation("casme2", "sub01", "EP01", "disgust", frames, onset, apex, offset, "sheet.xlsx, row 2")


def resolve(annotation: Annotation, override: Override | None = None) -> ResolvedClip:
    return resolve_frames(annotation, 0, override, allow_missing=True)


def test_a_folder_with_the_offset_is_preferred_to_one_without(tmp_path: Path) -> None:
    raw, cropped = folder(tmp_path / "raw", range(1, 19)), folder(tmp_path / "cropped", range(10, 21))
    resolved = resolve(annotated(raw, cropped))
    assert resolved.clip is not None and (resolved.clip.frames, resolved.clip.offset) == (cropped, 20)
    (row,) = resolved.repairs
    assert (row.field, row.old, row.new) == ("frames", str(raw), str(cropped))
    assert row.reason == "another release than preferred: it lacks frame 20 (offset)"


def test_the_folder_with_the_fewest_missing_frames_then_the_most_frames(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", [10, 11, 12])  # no apex, no offset
    b = folder(tmp_path / "b", [10, 12, 15, 19])  # no offset
    c = folder(tmp_path / "c", [10, 12, 15, 17, 18])  # no offset, a frame more
    resolved = resolve(annotated(a, b, c))
    assert resolved.clip is not None and resolved.clip.frames == c
    assert [(r.field, r.new) for r in resolved.repairs] == [("frames", str(c)), ("offset", "18")]
    assert resolved.findings[0].message == "between onset 10 and offset 18 no frame 11, 13 to 14, 16"


def test_a_folder_that_cannot_be_listed_is_not_used(tmp_path: Path) -> None:
    raw, cropped = folder(tmp_path / "raw", range(10, 21)), folder(tmp_path / "cropped", range(10, 21))
    (raw / "copy10.png").write_bytes(b"")
    resolved = resolve(annotated(raw, cropped))
    assert resolved.clip is not None and resolved.clip.frames == cropped
    assert "copy10.png is not named like the other frames, as img10.jpg" in resolved.repairs[0].reason
    alone = resolve(annotated(raw))
    assert alone.clip is None and alone.damaged
    (error,) = alone.findings
    assert (error.kind, error.clip, error.remedy) == ("error", "casme2/sub01/EP01", "rename it, or move it away")


def test_an_empty_folder_is_missing_or_an_error(tmp_path: Path) -> None:
    empty = folder(tmp_path / "empty", [])
    (empty / "notes.txt").write_text("no frame 1")
    resolved = resolve(annotated(empty))
    (finding,) = resolved.findings
    assert resolved.clip is None and not resolved.damaged
    assert (finding.kind, finding.where, finding.message) == ("missing", str(empty), "the folder holds no frames")
    own = resolve_frames(annotated(empty), 0, None, allow_missing=False)
    assert own.damaged
    assert own.findings[0].kind == "error"
    assert str(empty) in own.findings[0].message


def test_frames_that_do_not_fit_are_an_error_with_file_and_remedy(tmp_path: Path) -> None:
    resolved = resolve(annotated(folder(tmp_path / "raw", range(100, 120))))
    (error,) = resolved.findings
    assert resolved.clip is None and resolved.damaged
    assert (error.kind, error.where) == ("error", "sheet.xlsx, row 2")
    assert error.message.startswith("onset frame 10 is not in ")
    assert error.remedy == "correct onset or restore the frame"


def test_an_override_is_applied_before_every_rule(tmp_path: Path) -> None:
    raw = folder(tmp_path / "raw", range(1, 30))
    override = Override("EP01", None, 14, 25, "seen by eye", "fixes.csv, row 2")
    resolved = resolve(annotated(raw, apex=3), override)
    assert resolved.clip is not None and (resolved.clip.apex, resolved.clip.offset) == (14, 25)
    assert [(r.field, r.old, r.new, r.reason) for r in resolved.repairs] == [
        ("apex", "3", "14", "seen by eye"),
        ("offset", "20", "25", "seen by eye"),
    ]
    wrong = resolve(annotated(raw), Override("EP01", None, 99, None, "x", "fixes.csv, row 2"))
    assert wrong.clip is None and not wrong.damaged  # the file is wrong, not the clip
    assert [f.where for f in wrong.findings] == ["fixes.csv, row 2"] * 2


@pytest.mark.parametrize("exact", [1, 3])
def test_a_folder_that_ends_elsewhere_than_the_annotation_is_a_note(tmp_path: Path, exact: int) -> None:
    several = [resolve(annotated(folder(tmp_path / str(i), range(10, 21)))) for i in range(exact)]
    several += [resolve(annotated(folder(tmp_path / f"late{i}", range(10, 25)))) for i in range(2)]
    notes = extent_findings(several)
    if exact == 1:  # most folders hold more than the clip: a release of whole recordings
        assert notes == []
        return
    assert [(f.kind, f.where) for f in notes] == [("note", str(tmp_path / f"late{i}")) for i in range(2)]
    assert notes[0].message == ("the folder holds frames 10 to 24, sheet.xlsx, row 2 says onset 10 and offset 20")
    assert "--repairs" in notes[0].remedy


def test_a_folder_whose_name_is_not_utf8_is_an_error(tmp_path: Path) -> None:
    """Old archives unpack such names; clips.csv could not hold them."""
    strange = folder(Path(os.fsdecode(os.fsencode(tmp_path) + b"/sub\xff")), range(10, 21))
    resolved = resolve(annotated(strange))
    assert resolved.clip is None and resolved.damaged
    (error,) = resolved.findings
    assert "the name is not UTF-8" in error.message and error.remedy == "rename the folder"
    valid = folder(tmp_path / "cropped", range(10, 21))
    assert resolve(annotated(strange, valid)).clip is not None


def test_null_frames_of_a_video_are_noted(tmp_path: Path) -> None:
    pictures = [np.full((32, 32), 20 * n, np.uint8) for n in range(8)]
    path = write_test_video(tmp_path / "v.avi", pictures, 25, [0, 1, 2, 5, 6, 7, 8, 9])
    (note,) = resolve(annotated(path, onset=1, apex=5, offset=9)).findings
    assert (note.kind, note.where) == ("note", str(path)) and note.message.startswith("the video lacks 2 frames: null")
