"""What of a fold's log a resumed run keeps."""

import errno
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from icegan_jax import io
from icegan_jax.io import checksum_of
from icegan_jax.run_dir import METRICS_FILE
from icegan_jax.training.logging import append, open_log, sync_logs, write_line
from tests.test_io import file_size_limit


@pytest.mark.parametrize(
    "damage", ['{"step": 2, "lo', "[]", "3", "null", '"step"', "{}", '{"step": null}', "", "\ufffd"]
)
def test_a_damaged_line_is_left_out(tmp_path: Path, damage: str) -> None:
    lines = ['{"step": 1, "loss": 0.5}', damage, '{"step": 4}', '{"step": 6}']
    (tmp_path / METRICS_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    with open_log(tmp_path, 4) as log:
        write_line(log, 5, 0.25, {"loss": 0.1234567})
    actual = [json.loads(line) for line in (tmp_path / METRICS_FILE).read_text().splitlines()]
    assert actual == [{"step": 1, "loss": 0.5}, {"step": 4}, {"step": 5, "epoch": 0.25, "loss": 0.123457}]


def test_bytes_that_are_no_text_are_damage(tmp_path: Path) -> None:
    (tmp_path / METRICS_FILE).write_bytes(b'{"step": 1}\n\xff\xfe\n{"step": 2}\n')
    with open_log(tmp_path, 2):
        pass
    assert (tmp_path / METRICS_FILE).read_text() == '{"step": 1}\n{"step": 2}\n'


def test_a_new_run_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / METRICS_FILE).write_text('{"step": 0}\n')
    with open_log(tmp_path, 0):
        pass
    assert (tmp_path / METRICS_FILE).read_text() == ""


def test_numbers_that_are_not_finite_are_null(tmp_path: Path) -> None:
    values = {"a": math.nan, "b": np.float32(np.inf), "c": -math.inf, "d": np.float32(0.1), "e": 3}
    with open_log(tmp_path, 0) as log:
        write_line(log, 2, 0.12345, values)
    text = (tmp_path / METRICS_FILE).read_text()
    assert text == '{"step": 2, "epoch": 0.123, "a": null, "b": null, "c": null, "d": 0.1, "e": 3.0}\n'


def test_lines_with_a_wrong_checksum_are_left_out(tmp_path: Path) -> None:
    lines = [{"step": step, "test": [[0.25, 0.75]]} for step in (10, 20, 30)]
    text = "".join(json.dumps({**line, "checksum": checksum_of(line)}) + "\n" for line in lines)
    (tmp_path / "log").write_text(text.replace('{"step": 20, "test": [[0.25', '{"step": 20, "test": [[0.35'))
    with open_log(tmp_path, 30, "log"):
        pass
    kept = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["step"] for line in kept] == [10, 30]


def test_a_log_with_nothing_to_leave_out_is_not_written_anew(tmp_path: Path) -> None:
    (tmp_path / METRICS_FILE).write_text('{"step": 1}\n{"step": 2}\n')
    before = (tmp_path / METRICS_FILE).stat()
    with open_log(tmp_path, 2):
        pass
    after = (tmp_path / METRICS_FILE).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_killed_while_lines_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '{"step": 1}\n{"step": 2}\n{"step": 3}\n'
    (tmp_path / METRICS_FILE).write_text(text)

    def kill(source: Path, target: Path) -> None:
        assert source.read_text() == '{"step": 1}\n{"step": 2}\n' and target.read_text() == text
        raise KeyboardInterrupt

    monkeypatch.setattr(io.os, "replace", kill)
    with pytest.raises(KeyboardInterrupt), open_log(tmp_path, 2):
        pass
    assert (tmp_path / METRICS_FILE).read_text() == text


def test_a_full_disk_is_an_error_with_the_log(tmp_path: Path) -> None:
    """What was written of the line is left out at the next start; everything before it is there."""
    with open_log(tmp_path, 0) as log:
        write_line(log, 1, 0.5, {"loss": 1.0})
    before = (tmp_path / METRICS_FILE).read_text()
    with file_size_limit(len(before) + 7), pytest.raises(OSError) as caught, open_log(tmp_path, 1) as log:
        write_line(log, 2, 0.5, {"loss": 1.0})
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(tmp_path / METRICS_FILE))
    assert (tmp_path / METRICS_FILE).read_text() == before + '{"step"'
    with open_log(tmp_path, 1):
        pass
    assert (tmp_path / METRICS_FILE).read_text() == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
def test_a_line_for_a_full_device() -> None:
    stream = open("/dev/full", "a")  # noqa: SIM115 (closing it fails too)
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        append(stream, {"step": 1})
    with pytest.raises(OSError):
        stream.close()


def test_kept_logs_are_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(io.os, "fsync", lambda descriptor: synced.append(os.readlink(f"/proc/self/fd/{descriptor}")))
    with open_log(tmp_path, 0, "a") as one, open_log(tmp_path, 0, "b") as two:
        synced.clear()
        append(one, {"step": 1})
        assert synced == []
        sync_logs([one, two])
    assert synced == [str(tmp_path / "a"), str(tmp_path / "b")]

    def full(descriptor: int) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    with open_log(tmp_path, 1, "a") as one, monkeypatch.context() as patched:
        patched.setattr(io.os, "fsync", full)
        with pytest.raises(OSError, match=f"quota exceeded: '{tmp_path / 'a'}'"):
            sync_logs([one])


def test_words_of_any_language_stay(tmp_path: Path) -> None:
    (tmp_path / METRICS_FILE).write_text('{"step": 1, "d_length_žal\u2028": 1}\n', encoding="utf-8")
    with open_log(tmp_path, 1) as log:
        write_line(log, 2, 1.0, {"d_length_žal\u2028": 0.5})
    actual = [json.loads(line) for line in (tmp_path / METRICS_FILE).read_text(encoding="utf-8").split("\n")[:-1]]
    assert [line["d_length_žal\u2028"] for line in actual] == [1, 0.5]
