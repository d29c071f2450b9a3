"""Drawn databases with the people, clips and classes of MEGC2019."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from icegan_jax.data.clips import Clip, read_clips
from icegan_jax.data.frame_numbers import index_frames
from icegan_jax.data.ingest.expected_counts import ExpectedCounts
from icegan_jax.data.synthetic import DATABASES, draw_databases
from icegan_jax.data.synthetic.databases import Camera, assign_clips, record_frame
from icegan_jax.data.video import read_frame
from icegan_jax.errors import UserError

MEGC2019 = {database.name: database for database in DATABASES["megc2019"]}
SMALL = [
    replace(
        database,
        counts=ExpectedCounts((1, 0, 1), frozenset({"a", "b"})),
        seconds=(7 / database.fps, 9 / database.fps),
        camera=replace(database.camera, scale=database.camera.scale / 4),
    )
    for database in MEGC2019.values()
]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("databases")
    draw_databases(folder, SMALL, seed=3, workers=1)
    return folder


@pytest.fixture(scope="module")
def clips(written: Path) -> list[Clip]:
    return read_clips(written / "clips.csv")


@pytest.mark.parametrize(
    ("name", "people", "clips"),
    [("smic", 16, (70, 51, 43)), ("casme2", 24, (88, 32, 25)), ("samm", 28, (92, 26, 15))],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_people_and_clips_are_those_of_the_protocol(name: str, people: int, clips: tuple[int, ...], seed: int) -> None:
    labels = assign_clips(MEGC2019[name], np.random.default_rng(seed))
    assert len(labels) == people and min(map(len, labels.values())) >= 1
    counts = Counter(label for person in labels.values() for label in person)
    assert tuple(counts[label] for label in range(3)) == clips
    numbers = sorted(map(len, labels.values()))
    assert numbers[-1] > 3 * numbers[len(numbers) // 2]  # few people have many clips


def test_every_row_is_marked_as_drawn_and_smic_is_not_coded(clips: list[Clip]) -> None:
    assert {(c.dataset, c.apex is None and not c.action_units) for c in clips} == {
        ("procedural_casme2", False),
        ("procedural_samm", False),
        ("procedural_smic", True),
    }


def test_databases_differ_in_size_and_file_type(clips: list[Clip]) -> None:
    frames = {c.dataset: index_frames(c.frames)[c.onset] for c in clips}
    assert {name: (path.suffix, read_frame(path).shape) for name, path in frames.items()} == {
        "procedural_casme2": (".jpg", (70, 60)),
        "procedural_samm": (".jpg", (91, 78)),
        "procedural_smic": (".png", (52, 45)),
    }
    for clip in clips:
        numbers = list(index_frames(clip.frames))
        assert numbers[0] < clip.onset and numbers[-1] == clip.offset  # all frames, and some before the onset


def test_frame_rate_and_duration_give_the_number_of_frames() -> None:
    frames = {name: [round(database.fps * s) for s in database.seconds] for name, database in MEGC2019.items()}
    assert frames == {"casme2": [30, 70], "samm": [30, 80], "smic": [11, 58]}


def test_same_seed_same_bytes_whatever_the_workers(written: Path, tmp_path: Path) -> None:
    draw_databases(tmp_path / "again", SMALL[:1], seed=3, workers=2)
    again = {name: data for name, data in contents(tmp_path / "again").items() if name.startswith("frames")}
    assert again and again.items() <= contents(written).items()
    draw_databases(tmp_path / "other", SMALL[:1], seed=4, workers=1)
    other = contents(tmp_path / "other")
    assert other["clips.csv"] != contents(tmp_path / "again")["clips.csv"]


def test_camera_changes_size_and_contrast() -> None:
    drawing = np.tile(np.repeat(np.array([88, 168], np.uint8), 20), (40, 1))
    camera = Camera(scale=0.5, blur=0.3, noise=0.0, contrast=0.5, quality=None)
    frame = record_frame(drawing, camera, np.random.default_rng(0))
    assert frame.shape == (20, 20) and (frame[:, 2] == 108).all() and (frame[:, -2] == 148).all()
    noisy = record_frame(drawing, replace(camera, noise=3.0), np.random.default_rng(0))
    assert 2 < np.std(noisy.astype(float) - frame) < 4


def test_negative_seed_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="negative"):
        draw_databases(tmp_path / "none", SMALL, seed=-1)
    assert not (tmp_path / "none").exists()
