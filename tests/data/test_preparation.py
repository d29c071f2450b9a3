import csv
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from icegan_jax.data.clips import Clip, read_clips
from icegan_jax.data.dataset import load_pairs
from icegan_jax.data.frames import read_frame
from icegan_jax.data.preparation import Options, prepare_clips
from icegan_jax.errors import UserError
from tests.data.conftest import STRENGTHS

WriteClip = Callable[..., None]


@pytest.fixture
def clip(tmp_path: Path, write_clip: WriteClip) -> Clip:
    """Frames 10 to 16 of the astronaut; the expression is strongest in 14."""
    write_clip(tmp_path / "frames" / "a")
    return Clip("d", "anna", "a", 1, tmp_path / "frames" / "a", 10, 14, 16)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_writes_the_apex_and_its_neighbours(tmp_path: Path, clip: Clip) -> None:
    out = tmp_path / "data"
    summary = prepare_clips([clip], out, workers=1, progress=False)
    pairs = load_pairs(out)
    assert pairs.shift.tolist() == [-2, -1, 0, 1, 2]
    assert pairs.onset.shape == pairs.apex.shape == (5, 128, 128)
    assert (pairs.onset == pairs.onset[0]).all()
    assert set(pairs.label) == {1} and set(pairs.subject) == {"anna"}
    assert sorted(p.name for p in out.iterdir()) == [
        "clips.csv", "contact_sheet.png", "icegan_pairs", "prepared.json", "repairs.csv",
    ]  # fmt: skip
    assert json.loads((out / "prepared.json").read_text()) == asdict(summary)
    assert (summary.clips, summary.faces_found, summary.pairs, summary.repairs) == (1, 1, 5, 0)
    assert summary.classes == {"negative": 0, "positive": 1, "surprise": 0}
    assert summary.fingerprint == pairs.fingerprint
    (written,) = read_clips(out / "clips.csv")
    assert replace(written, frames=written.frames.resolve()) == clip


def test_registration_leaves_the_expression_and_removes_the_drift(tmp_path: Path, clip: Clip) -> None:
    """Far from the mouth, registered frames equal the onset; at the mouth they do not."""
    change = {}
    for register in ("rigid", "none"):
        out = tmp_path / register
        prepare_clips([clip], out, options=Options(register=register), workers=1, progress=False)
        pairs = load_pairs(out)
        apex = np.flatnonzero(pairs.shift == 0)[0]
        moved = np.abs(pairs.apex[apex].astype(float) - pairs.onset[apex])
        change[register] = moved[20:60].mean()  # brows and eyes
        change[register + " mouth"] = moved[85:105, 40:90].mean()
    assert change["rigid"] < 0.4 * change["none"]
    assert change["rigid mouth"] > 2 * change["rigid"]


def test_neighbours_are_real_frames_after_the_onset_up_to_the_offset(tmp_path: Path, clip: Clip) -> None:
    (clip.frames / "img13.png").unlink()
    near_onset = replace(clip, clip="b", apex=11)
    near_offset = replace(clip, clip="c", apex=15, offset=15)
    prepare_clips([clip, near_onset, near_offset], tmp_path / "data", workers=1, progress=False)
    pairs = load_pairs(tmp_path / "data")
    shifts = {name: pairs.shift[pairs.clip == name].tolist() for name in "abc"}
    # 13 is missing; 10 is the onset; 16 is beyond the offset of c.
    assert shifts == {"a": [-2, 0, 1, 2], "b": [0, 1], "c": [-1, 0]}


def test_an_open_apex_is_spotted_and_recorded(tmp_path: Path, clip: Clip) -> None:
    prepare_clips([replace(clip, apex=None)], tmp_path / "data", workers=1, progress=False)
    (row,) = _rows(tmp_path / "data" / "repairs.csv")
    assert (row["clip"], row["field"], row["old"], row["new"]) == ("a", "apex", "", "14")
    assert "spotted" in row["reason"] and "after registration" in row["reason"]
    assert _rows(tmp_path / "data" / "clips.csv")[0]["apex"] == "14"
    given = prepare_clips([clip], tmp_path / "given", workers=1, progress=False)
    assert load_pairs(tmp_path / "data").fingerprint == given.fingerprint


def test_a_wrong_apex_is_repaired_and_named(tmp_path: Path, clip: Clip) -> None:
    prepare_clips([replace(clip, apex=99)], tmp_path / "data", workers=1, progress=False)
    (row,) = _rows(tmp_path / "data" / "repairs.csv")
    assert (row["field"], row["old"], row["new"]) == ("apex", "99", "13")
    assert "middle frame" in row["reason"]
    assert _rows(tmp_path / "data" / "clips.csv")[0]["apex"] == "13"


def test_a_video_gives_what_its_frames_give(tmp_path: Path, clip: Clip) -> None:
    path = tmp_path / "a.avi"
    files = [clip.frames / f"img{10 + i}.png" for i in range(len(STRENGTHS))]
    frames = [np.dstack([read_frame(file)] * 3) for file in files]
    h, w, _ = frames[0].shape
    # A lossless codec, and two frames before the onset.
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"FFV1"), 25, (w, h))
    for frame in [frames[0], frames[0], *frames]:
        video.write(frame)
    video.release()
    filmed = replace(clip, frames=path, onset=2, apex=None, offset=8)
    prepare_clips([filmed], tmp_path / "video", workers=1, progress=False)
    prepare_clips([clip], tmp_path / "frames_out", workers=1, progress=False)
    assert _rows(tmp_path / "video" / "clips.csv")[0]["apex"] == "6"
    one, other = load_pairs(tmp_path / "video"), load_pairs(tmp_path / "frames_out")
    assert np.abs(one.apex.astype(int) - other.apex).max() <= 3  # colour conversion
    assert one.shift.tolist() == other.shift.tolist()


def test_bytes_do_not_depend_on_the_workers(tmp_path: Path, clip: Clip) -> None:
    clips = [replace(clip, clip=name, apex=apex) for name, apex in [("c", 14), ("a", None), ("b", 12)]]
    for name, workers in (("one", 1), ("two", 2)):
        prepare_clips(clips, tmp_path / name, workers=workers, progress=False)
    assert _files(tmp_path / "one") == _files(tmp_path / "two")
    assert [row["clip"] for row in _rows(tmp_path / "two" / "clips.csv")] == ["c", "a", "b"]


def test_what_registration_cannot_move_is_kept_and_recorded(tmp_path: Path, clip: Clip) -> None:
    black = np.zeros((260, 240), np.uint8)
    cv2.imwrite(str(clip.frames / "img15.png"), black)
    prepare_clips([clip], tmp_path / "data", workers=1, progress=False)
    (row,) = _rows(tmp_path / "data" / "repairs.csv")
    assert (row["field"], row["old"], row["new"]) == ("registration", "rigid", "none")
    assert "frame 15" in row["reason"]
    pairs = load_pairs(tmp_path / "data")
    assert pairs.apex[pairs.shift == 1].max() == 0


def test_the_box_of_a_later_frame_serves_a_hidden_onset(tmp_path: Path, clip: Clip) -> None:
    cv2.imwrite(str(clip.frames / "img10.png"), np.full((260, 240), 90, np.uint8))
    prepare_clips([clip], tmp_path / "data", workers=1, progress=False)
    rows = [row for row in _rows(tmp_path / "data" / "repairs.csv") if row["field"] == "face"]
    assert [(row["old"], row["new"]) for row in rows] == [("10", "11")]
    assert "later frame" in rows[0]["reason"]


def test_several_faces_are_said(tmp_path: Path, clip: Clip) -> None:
    for path in clip.frames.iterdir():
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert image is not None
        cv2.imwrite(str(path), np.hstack([image, image]))
    prepare_clips([clip], tmp_path / "data", workers=1, progress=False)
    rows = _rows(tmp_path / "data" / "repairs.csv")
    assert [(r["field"], r["old"], r["new"]) for r in rows] == [("face", "2", "1")]
    assert "the largest one" in rows[0]["reason"]


def test_a_clip_without_a_face_stops_with_its_name(tmp_path: Path, clip: Clip) -> None:
    blank = tmp_path / "frames" / "blank"
    blank.mkdir()
    for n in range(3):
        cv2.imwrite(str(blank / f"{n}.png"), np.full((100, 100), 90, np.uint8))
    faceless = Clip("d", "bob", "b", 0, blank, 0, 1, 2)
    with pytest.raises(UserError, match="1 of 2 faces found; no face in clip d/bob/b; remove"):
        prepare_clips([clip, faceless], tmp_path / "data", workers=1, progress=False)
    assert not (tmp_path / "data").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["frames"]


def test_frames_are_checked_before_work_begins(tmp_path: Path, clip: Clip) -> None:
    def refused(bad: Clip, message: str) -> None:
        with pytest.raises(UserError, match=message):
            prepare_clips([bad], tmp_path / "data", workers=1, progress=False)
        assert not (tmp_path / "data").exists()

    refused(replace(clip, frames=tmp_path / "gone"), "clip d/anna/a: .*gone: no such folder")
    refused(replace(clip, onset=9), "onset frame 9 is not in")
    (clip.frames / "img12.png").write_bytes(b"no image")
    refused(clip, r"img12\.png: not a readable image")
    cv2.imwrite(str(clip.frames / "img12.png"), np.zeros((50, 60), np.uint8))
    refused(clip, "frame 12 of .* is 60x50, the onset 240x260; give frames of one size")


def test_an_out_that_holds_the_frames_is_refused(tmp_path: Path, clip: Clip) -> None:
    with pytest.raises(UserError, match="holds the frames of clip d/anna/a"):
        prepare_clips([clip], tmp_path, workers=1, progress=False)
    assert (clip.frames / "img10.png").is_file()


def test_bad_options(tmp_path: Path, clip: Clip) -> None:
    for options, message in (
        (Options(register="affine"), "register 'affine' is unknown; use rigid or none"),
        (Options(size=4), "size 4 is out of range"),
    ):
        with pytest.raises(UserError, match=message):
            prepare_clips([clip], tmp_path / "data", options=options, workers=1, progress=False)
