"""metrics.jsonl and the events for TensorBoard: what they hold, and what a resumed run keeps of them."""

import contextlib
import errno
import io
import json
import math
import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from icegan_jax import io as files
from icegan_jax.training.logging import append, open_events, open_log, sync_logs, write_faces, write_line, write_scalars
from tests.training.event_files import scalars, shown


@contextlib.contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Limit the size of files of this process: a write then fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    "damage", ['{"step": 2, "lo', "[]", '{"step": null}', "", "\ufffd", '{"step": 5}', '{"step": 3}']
)
def test_a_resumed_run_keeps_the_lines_before_its_step_and_before_damage(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "log"
    path.write_text('{"step": 1, "loss": 0.5}\n{"step": 2}\n' + damage, encoding="utf-8")
    with open_log(path, 4) as log:
        write_line(log, 5, 0.25, {"loss": 0.1234567})
    actual = [json.loads(line) for line in path.read_text().splitlines()]
    assert actual == [{"step": 1, "loss": 0.5}, {"step": 2}, {"step": 5, "epoch": 0.25, "loss": 0.123457}]


def test_numbers_that_are_not_finite_are_null(tmp_path: Path) -> None:
    values = {"a": math.nan, "b": np.float32(np.inf), "žal": -math.inf, "d": np.float32(0.1), "e": 3}
    with open_log(tmp_path / "new" / "log", 0) as log:
        write_line(log, 2, 0.12345, values)
    actual = json.loads((tmp_path / "new" / "log").read_text())
    assert actual == {"step": 2, "epoch": 0.123, "a": None, "b": None, "žal": None, "d": 0.1, "e": 3.0}


def test_killed_while_a_log_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, text = tmp_path / "log", '{"step": 1}\n{"step": 2}\n{"step": 3}\n'
    path.write_text(text)

    def kill(source: Path, target: Path) -> None:
        assert source.read_text() == '{"step": 1}\n{"step": 2}\n' and target.read_text() == text
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "replace", kill)
    with pytest.raises(KeyboardInterrupt), open_log(path, 2):
        pass
    assert path.read_text() == text


def test_a_full_disk_is_an_error_with_the_log(tmp_path: Path) -> None:
    """The part of the line that was written is removed at the next start."""
    path = tmp_path / "log"
    with open_log(path, 0) as log:
        append(log, {"step": 1})
    before = path.read_text()
    with file_size_limit(len(before) + 7), pytest.raises(OSError) as caught, open_log(path, 1) as log:
        append(log, {"step": 2})
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
    with open_log(path, 1):
        pass
    assert path.read_text() == before


def test_each_quantity_is_a_scalar_at_its_step(tmp_path: Path) -> None:
    with open_events(tmp_path / "fold", 0) as events:
        write_scalars(events, 5, 0.5, {"g_l1": np.float32(0.1), "d_real_length_žal": 2, "steps_per_s": 3.0})
        write_scalars(events, 10, 1.0, {"g_l1": math.nan})
    actual = scalars(tmp_path / "fold")
    assert actual.keys() == {"epoch", "g/l1", "d/real_length_žal", "speed/steps_per_s"}
    assert actual["epoch"] == [(5, 0.5), (10, 1.0)]
    assert actual["g/l1"][0] == (5, np.float32(0.1)) and math.isnan(actual["g/l1"][1][1])


def test_a_resumed_run_hides_the_events_after_its_checkpoint(tmp_path: Path) -> None:
    """Several starts may be within one second: each has its file, and the later one counts."""
    for start, steps in ((0, (2, 4, 6)), (4, (6, 8)), (4, (6,)), (6, (8, 10))):
        with open_events(tmp_path, start) as events:
            for step in steps:
                write_scalars(events, step, 0.0, {"g_l1": step + start / 100})
    assert len(list(tmp_path.iterdir())) == 4
    actual = scalars(tmp_path)["g/l1"]
    assert [step for step, _ in actual] == [2, 4, 6, 8, 10]
    np.testing.assert_allclose([value for _, value in actual], [2, 4, 6.04, 8.06, 10.06], rtol=1e-6)


def test_a_picture_has_a_row_of_faces_for_each_clip(tmp_path: Path) -> None:
    faces = np.random.default_rng(0).integers(0, 255, (2, 5, 6, 4), np.uint8)
    with open_events(tmp_path, 0) as events:
        write_faces(events, 8, "held_out/onset-žal", faces)
    (event,) = shown(tmp_path)
    (value,) = event.summary.value
    assert (event.step, value.tag) == (8, "faces/held_out/onset-žal")
    picture = np.asarray(Image.open(io.BytesIO(value.image.encoded_image_string)).convert("L"))
    np.testing.assert_array_equal(picture, np.vstack([np.hstack(list(row)) for row in faces]))


def test_events_on_a_full_disk_are_an_error_before_a_checkpoint(tmp_path: Path) -> None:
    with open_log(tmp_path / "log", 0) as log, open_events(tmp_path / "fold", 0) as events:
        append(log, {"step": 1})
        sync_logs([log], events)
        with file_size_limit(100), pytest.raises(OSError):
            for step in range(40):
                write_scalars(events, step, 0.1, {"g_l1": 0.25})
            sync_logs([log], events)
