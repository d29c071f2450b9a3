"""A fold's events for TensorBoard, read record by record."""

import errno
import io
import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from icegan_jax.errors import describe_os_error
from icegan_jax.training import logging
from icegan_jax.training.logging import open_events, write_faces, write_scalars
from tests.test_io import file_size_limit
from tests.training.event_files import scalars, shown


def test_each_quantity_is_a_scalar_at_its_step(tmp_path: Path) -> None:
    with open_events(tmp_path / "new" / "fold", 0) as events:
        write_scalars(events, 5, 0.5, {"g_l1": np.float32(0.1), "d_real_length_so, žal": 2, "steps_per_s": 3.0})
        write_scalars(events, 10, 1.0, {"g_l1": math.nan, "waiting_share": np.float64(-np.inf)})
    actual = scalars(tmp_path / "new" / "fold")
    assert {tag: [step for step, _ in points] for tag, points in actual.items()} == {
        "epoch": [5, 10],
        "g/l1": [5, 10],
        "d/real_length_so, žal": [5],
        "speed/steps_per_s": [5],
        "speed/waiting_share": [10],
    }
    assert actual["epoch"] == [(5, 0.5), (10, 1.0)]
    assert actual["g/l1"][0][1] == np.float32(0.1) and math.isnan(actual["g/l1"][1][1])
    assert actual["speed/waiting_share"] == [(10, -math.inf)]


def test_an_event_is_visible_immediately_and_no_thread_writes_it(tmp_path: Path) -> None:
    threads = threading.active_count()
    with open_events(tmp_path, 0) as events:
        write_scalars(events, 1, 0.1, {"g_l1": 0.25})
        assert scalars(tmp_path)["g/l1"] == [(1, 0.25)]
        assert threading.active_count() == threads
    assert events.closed


def test_a_resumed_run_takes_back_what_came_after_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several starts may fall into one second: each has its file, and the later one counts."""
    monkeypatch.setattr(logging.time, "time", lambda: 1_700_000_000.0)
    for start, steps in ((0, (2, 4, 6)), (4, (6, 8)), (4, (6,)), (6, (8, 10))):
        with open_events(tmp_path, start) as events:
            for step in steps:
                write_scalars(events, step, 0.0, {"g_l1": step + start / 100})
    assert len(list(tmp_path.iterdir())) == 4
    assert [step for step, _ in scalars(tmp_path)["g/l1"]] == [2, 4, 6, 8, 10]
    np.testing.assert_allclose([value for _, value in scalars(tmp_path)["g/l1"]], [2, 4, 6.04, 8.06, 10.06])
    with open_events(tmp_path, 0):  # the fold starts anew
        pass
    assert not shown(tmp_path)


def test_files_of_earlier_starts_are_as_they_were(tmp_path: Path) -> None:
    with open_events(tmp_path, 0) as events:
        write_scalars(events, 2, 0.0, {"g_l1": 1.0})
    (path,) = tmp_path.iterdir()
    before = path.read_bytes()[:-3]
    path.write_bytes(before)  # cut in a record, as by a kill
    with open_events(tmp_path, 0) as events:
        write_scalars(events, 2, 0.0, {"g_l1": 2.0})
    assert path.read_bytes() == before
    assert scalars(tmp_path)["g/l1"] == [(2, 2.0)]


def test_a_picture_has_a_row_of_faces_for_each_clip(tmp_path: Path) -> None:
    faces = np.random.default_rng(0).integers(0, 255, (2, 5, 6, 4), np.uint8)
    with open_events(tmp_path, 0) as events:
        write_faces(events, 8, "held out: onset, žal", faces)
    (event,) = shown(tmp_path)
    (value,) = event.summary.value
    assert (event.step, value.tag) == (8, "faces/held out: onset, žal")
    picture = np.asarray(Image.open(io.BytesIO(value.image.encoded_image_string)).convert("L"))
    assert picture.shape == (value.image.height, value.image.width) == (12, 20)
    np.testing.assert_array_equal(picture, np.vstack([np.hstack(list(row)) for row in faces]))


def test_a_full_disk_is_an_error_with_the_file(tmp_path: Path) -> None:
    """What was written of the record is cut off by a reader; the next start has a file of its own."""
    with open_events(tmp_path, 0) as events:
        write_scalars(events, 1, 0.1, {"g_l1": 0.25})
    with file_size_limit(Path(events.name).stat().st_size + 7), pytest.raises(OSError) as caught:
        with open_events(tmp_path, 0) as events:
            write_scalars(events, 1, 0.1, {"g_l1": 0.25})
            write_scalars(events, 2, 0.2, {"g_l1": 0.5})
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, events.name)
    assert scalars(tmp_path)["g/l1"] == [(1, 0.25)]
    with open_events(tmp_path, 1) as events:
        write_scalars(events, 2, 0.2, {"g_l1": 0.75})
    assert scalars(tmp_path)["g/l1"] == [(1, 0.25), (2, 0.75)]


@pytest.mark.parametrize("place", ["tensorboard", "tensorboard/fold"])
def test_a_file_in_the_way_is_an_error(tmp_path: Path, place: str) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text("a file")
    with pytest.raises(OSError) as caught, open_events(tmp_path / "tensorboard" / "fold", 0):
        pass
    assert describe_os_error(caught.value, "") == f"{tmp_path / place}: is not a folder; move it away"


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, mode: str) -> Any:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(OSError) as caught, open_events(tmp_path, 0):
        pass
    assert describe_os_error(caught.value, "").startswith(f"{tmp_path / 'events.out.tfevents.'}")
    assert describe_os_error(caught.value, "").endswith(": Read-only file system; make it writable")
