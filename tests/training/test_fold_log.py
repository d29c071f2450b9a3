"""What of a fold's log a resumed run keeps."""

import json
from pathlib import Path

import pytest

from icegan_jax.training.fold_log import METRICS, open_log, write_line


@pytest.mark.parametrize(
    "damage", ['{"step": 2, "lo', "[]", "3", "null", '"step"', "{}", '{"step": null}', "", "\ufffd"]
)
def test_a_damaged_line_is_left_out(tmp_path: Path, damage: str) -> None:
    lines = ['{"step": 1, "loss": 0.5}', damage, '{"step": 4}', '{"step": 6}']
    (tmp_path / METRICS).write_text("\n".join(lines) + "\n", encoding="utf-8")
    with open_log(tmp_path, 4) as log:
        write_line(log, 5, 0.25, {"loss": 0.1234567})
    found = [json.loads(line) for line in (tmp_path / METRICS).read_text().splitlines()]
    assert found == [{"step": 1, "loss": 0.5}, {"step": 4}, {"step": 5, "epoch": 0.25, "loss": 0.123457}]


def test_bytes_that_are_no_text_are_damage(tmp_path: Path) -> None:
    (tmp_path / METRICS).write_bytes(b'{"step": 1}\n\xff\xfe\n{"step": 2}\n')
    with open_log(tmp_path, 2):
        pass
    assert (tmp_path / METRICS).read_text() == '{"step": 1}\n{"step": 2}\n'


def test_a_new_run_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / METRICS).write_text('{"step": 0}\n')
    with open_log(tmp_path, 0):
        pass
    assert (tmp_path / METRICS).read_text() == ""
