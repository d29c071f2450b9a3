"""What the seconds of several processes and starts add up to."""

from typing import Any

import pytest

from icegan_jax.conclusion import _timing


def result(wall_s: float, compile_s: float, process: int | None = None) -> dict[str, Any]:
    content = {"steps": 10, "wall_s": wall_s, "compile_s": compile_s}
    return content if process is None else content | {"process": process}


def test_one_process_takes_the_sum_of_its_folds() -> None:
    timing = _timing([result(12.0, 7.0), result(5.0, 0.0)], batch_size=4)
    assert (timing.wall_s, timing.compile_s) == (17.0, 7.0)
    assert timing.steps_per_s == pytest.approx(20 / 10)
    assert timing.faces_per_s == pytest.approx(4 * 20 / 10)


def test_processes_work_at_the_same_time() -> None:
    """The busiest one's time, in which all steps were made; one without a number is the first."""
    results = [result(12.0, 7.0), result(5.0, 0.0, 0), result(20.0, 8.0, 1), result(3.0, 0.0, 2)]
    timing = _timing(results, batch_size=1)
    assert (timing.wall_s, timing.compile_s) == (20.0, 8.0)
    assert timing.steps_per_s == pytest.approx(40 / 12)
