"""Procedural clips on disk: the same form as a user's, the same bytes for the same seed."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from icegan_jax.data.clips import EXPRESSIONS, Clip, read_clips
from icegan_jax.data.frame_numbers import index_frames
from icegan_jax.data.synthetic import draw_clips, read_true_regions
from icegan_jax.data.synthetic.animate import RESTING_FRAMES
from icegan_jax.data.video import read_frame
from icegan_jax.errors import UserError

FRAMES = 8


def write(out: Path, *, seed: int = 3, subjects: int = 2, clips: int = 1, frames: int = FRAMES) -> Path:
    return draw_clips(out, seed=seed, subjects=subjects, clips_per_class=clips, frames=frames, progress=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("procedural") / "clips"
    write(folder)
    yield folder


@pytest.fixture(scope="module")
def clips(written: Path) -> list[Clip]:
    return read_clips(written / "clips.csv")


def test_reads_as_a_users_clips(clips: list[Clip]) -> None:
    assert {clip.action_units for clip in clips if clip.label == 1} == {(6, 12)}
    assert [(c.subject, c.clip) for c in clips] == [(s, f"{word}_1") for s in ("p01", "p02") for word in EXPRESSIONS]
    assert {c.dataset for c in clips} == {"procedural"}
    for clip in clips:
        assert EXPRESSIONS[clip.label] == clip.clip.split("_")[0]
        frames = index_frames(clip.frames)
        assert list(frames) == list(range(clip.onset - RESTING_FRAMES, clip.offset + 1))
        assert clip.offset == clip.onset + FRAMES - 1
        assert clip.onset > 0
        assert clip.apex is not None and clip.onset + 3 <= clip.apex <= clip.offset - 2
        picture = read_frame(frames[clip.apex])
        assert picture.shape == (280, 240) and picture.std() > 10


def test_same_seed_same_bytes(written: Path, tmp_path: Path) -> None:
    write(tmp_path / "again")
    assert contents(tmp_path / "again") == contents(written)


def test_other_seed_other_people(written: Path, tmp_path: Path) -> None:
    write(tmp_path / "other", seed=4, subjects=1)
    pictures = [next(iter(index_frames(f / "frames/p01/positive_1").values())) for f in (written, tmp_path / "other")]
    a, b = (read_frame(p).astype(float) for p in pictures)
    assert np.abs(a - b).mean() > 5


def test_people_and_clips_do_not_depend_on_their_number(written: Path, tmp_path: Path) -> None:
    write(tmp_path / "more", subjects=1, clips=2)
    few, more = (contents(f / "frames/p01") for f in (written, tmp_path / "more"))
    assert len(more) == 2 * len(few)
    assert few.items() <= more.items()


def test_regions_lie_beside(written: Path, clips: list[Clip]) -> None:
    regions = read_true_regions(written)
    assert {key.rsplit("/", 1)[0] for key in regions} == {f"{c.subject}/{c.clip}" for c in clips}
    for key, mask in regions.items():
        assert mask.shape == (280, 240) and mask.dtype == bool
        assert 0.002 < mask.mean() < 0.25, key
    assert {"p01/positive_1/AU6", "p01/positive_1/AU12", "p01/surprise_1/AU26"} <= set(regions)
    assert (
        np.argwhere(regions["p01/surprise_1/AU1"])[:, 0].max()
        < np.argwhere(regions["p01/positive_1/AU12"])[:, 0].mean()
    )


@pytest.mark.filterwarnings("ignore:pkg_resources")
def test_landmark_detector_finds_every_onset(clips: list[Clip]) -> None:
    import face_recognition

    for clip in clips:
        gray = read_frame(index_frames(clip.frames)[clip.onset])
        picture = np.dstack([gray] * 3)
        boxes = face_recognition.face_locations(picture)
        assert len(boxes) == 1, clip.name
        marks = face_recognition.face_landmarks(picture, boxes)[0]
        eyes = np.mean(marks["left_eye"] + marks["right_eye"], axis=0)
        lips = np.mean(marks["top_lip"] + marks["bottom_lip"], axis=0)
        assert abs(eyes[0] - 120) < 12 and abs(eyes[1] - 132) < 12
        assert 50 < lips[1] - eyes[1] < 85


def test_neutral_faces_differ_more_than_expressions(clips: list[Clip]) -> None:
    faces = {}
    for clip in clips:
        frames = index_frames(clip.frames)
        assert clip.apex is not None
        faces[clip.name] = [
            cv2.GaussianBlur(read_frame(frames[n])[80:240, 50:190].astype(np.float32), (0, 0), 1)
            for n in (clip.onset, clip.apex)
        ]
    moved = np.mean([np.abs(onset - apex).mean() for onset, apex in faces.values()])
    first, second = (faces[f"procedural/{s}/positive_1"][0] for s in ("p01", "p02"))
    assert np.abs(first - second).mean() > 2 * moved


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"subjects": 0}, "at least 1"),
        ({"clips": 0}, "at least 1"),
        ({"frames": 5}, "at least 6"),
        ({"seed": -1}, "negative"),
    ],
)
def test_bad_numbers_are_named(tmp_path: Path, wrong: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        write(tmp_path / "none", **wrong)
    assert not (tmp_path / "none").exists()


def test_does_not_overwrite(written: Path) -> None:
    with pytest.raises(UserError, match="clips.csv exists"):
        write(written)


def test_missing_regions_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="regions.npz: no such file"):
        read_true_regions(tmp_path)


def test_progress_bar_goes_to_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw_clips(tmp_path, seed=0, subjects=1, clips_per_class=1, frames=6, progress=True)
    captured = capsys.readouterr()
    assert "drawing faces" in captured.err and not captured.out


def test_people_are_dealt_out_to_databases_and_stay_who_they_are(tmp_path: Path, written: Path) -> None:
    options = {"seed": 3, "subjects": 2, "clips_per_class": 1, "frames": FRAMES, "progress": False}
    table = draw_clips(tmp_path, **options, databases=2)
    actual = {(c.dataset, c.subject) for c in read_clips(table)}
    assert actual == {("procedural_1", "p01"), ("procedural_2", "p02")}
    frames = {name: data for name, data in contents(tmp_path).items() if name.endswith(".png")}
    assert frames == {name: data for name, data in contents(written).items() if name.endswith(".png")}
