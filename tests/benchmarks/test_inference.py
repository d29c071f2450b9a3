"""What inference reports, how its figures hang together, and what it refuses; never how fast anything is."""

import pytest

from benchmarks import inference
from tests.benchmarks.tiny_workload import check_named, measured, refusal


def test_the_figures_hang_together(workload: None) -> None:
    options = ["--config=demo", "--batches=4,1", "--steps=2"]
    r = measured(inference.main, *options, "--json")
    check_named(r, "python -m benchmarks.inference --config=demo --batches=4,1 --steps=2 --json")
    assert [(row["network"], row["batch"]) for row in r["rows"]] == [("D", 1), ("D", 4), ("G", 1), ("G", 4)]
    for row in r["rows"]:
        assert row["faces_per_s"] == pytest.approx(row["batch"] / row["median_ms"] * 1e3)
        assert row["gflops"] == pytest.approx(row["gflop"] / row["median_ms"] * 1e3)
        assert row["quartiles_ms"][0] <= row["median_ms"] <= row["quartiles_ms"][1]
    by_batch = {(row["network"], row["batch"]): row["gflop"] for row in r["rows"]}
    for network in "DG":
        assert 2 < by_batch[network, 4] / by_batch[network, 1] < 4.5

    table = inference._table(r).splitlines()
    assert sum(line.startswith(("| D | ", "| G | ")) for line in table) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--batches="], "--batches is '': give whole numbers with commas between them, as 1,2,4"),
        (["--batches=0"], "--batches is '0': give 1 or more"),
        (["--steps=0"], "--steps is 0: give 1 or more"),
        (["--perceptual"], "unrecognized arguments: --perceptual; see --help"),
    ],
)
def test_bad_options(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(inference.main, capsys, *options) == message
