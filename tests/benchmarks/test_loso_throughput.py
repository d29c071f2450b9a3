"""What loso_throughput reports, how its figures hang together, and what it refuses; never how fast anything is."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import loso_throughput
from tests.benchmarks.tiny_workload import OPTIONS, check_named, measured, printed, refusal


def test_the_figures_hang_together(workload: None) -> None:
    options = ["--folds=2,1", "--rounds=2", "--steps=2", "--batch=3"]
    r = measured(loso_throughput.main, *OPTIONS, *options)
    check_named(r, " ".join(["python -m benchmarks.loso_throughput", *OPTIONS, *options]))
    assert [row["folds"] for row in r["rows"]] == [1, 2] and not r["skipped"]
    # 737 = 2210 / 3 updates an epoch, rounded up
    assert r["run"] == {"folds": 68, "epochs": 100, "pairs": 2210, "steps": 73700}
    for row in r["rows"]:
        assert row["ratio"] == pytest.approx(row["one_after_another_s"] / row["side_by_side_s"])
        assert row["fold_steps_per_s"] == pytest.approx(row["folds"] / row["side_by_side_s"])
        groups = {1: 68, 2: 34}[row["folds"]]
        assert row["hours"] == pytest.approx(groups * 73700 * row["side_by_side_s"] / 3600)
        lower, upper = row["side_by_side_quartiles_s"]
        assert 0 < lower <= row["side_by_side_s"] <= upper
    one, two = r["rows"]
    assert r["state_gib_per_fold"] < one["program_memory_gib"] < two["program_memory_gib"]


def test_the_last_group_of_a_run_is_a_whole_one() -> None:
    assert loso_throughput.hours(3600.0, 8, 16) == 9 * 100 * 139


def test_a_number_of_folds_that_does_not_fit_is_left_out(workload: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loso_throughput, "free_bytes", lambda _: 0)
    options = ["--folds=1,2", "--rounds=1", "--steps=1", "--batch=3"]
    r = measured(loso_throughput.main, *OPTIONS, *options)
    assert not r["rows"] and [row["folds"] for row in r["skipped"]] == [1, 2]
    assert 0 < r["skipped"][0]["needed_gib"] < r["skipped"][1]["needed_gib"]

    table = printed(loso_throughput.main, *(option for option in OPTIONS if option != "--json"), *options)
    lines = [line for line in table.splitlines() if "left out" in line]
    assert len(lines) == 2 and lines[1].startswith("2 folds left out: they need ")
    assert lines[1].endswith(" GiB, 0.0 GiB are free")


def test_states_are_taken_apart_and_joined_again() -> None:
    def tree(lead: Sequence[int]) -> dict[str, jax.Array]:
        return {"a": jnp.arange(3 * 2.0).reshape(*lead, 2), "key": jax.random.split(jax.random.key(0), 3)}

    first = tree([3])
    apart = loso_throughput.split_folds(first, 3)
    assert first["a"].is_deleted()
    assert [part["a"].tolist() for part in apart] == [[0, 1], [2, 3], [4, 5]]
    again = loso_throughput.join_folds(apart)
    assert apart[0]["a"].is_deleted()
    np.testing.assert_array_equal(again["a"], tree([3])["a"])
    np.testing.assert_array_equal(jax.random.key_data(again["key"]), jax.random.key_data(tree([3])["key"]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--folds=1,many"], "--folds is '1,many': give whole numbers with commas between them, as 1,2,4"),
        (["--folds=0,1"], "--folds is '0,1': give 1 or more"),
        (["--rounds=0"], "--rounds is 0: give 1 or more"),
    ],
)
def test_bad_options(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(loso_throughput.main, capsys, *options) == message
