"""The experiment on drawn faces, and its tables on known errors."""

import csv
from pathlib import Path

import pytest

from experiments import apex_spotting
from experiments.apex_spotting import SpottedApex
from icegan_jax.data.clips import read_clips


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on one drawn person's three clips, by every way."""
    out = tmp_path_factory.mktemp("run")
    command = [f"--out={out}", "--subjects=1", "--frames=8", "--whole", "--exclude=p01/positive_1"]
    assert apex_spotting.main(command) == 0
    return out


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_way_spots_every_clip(run: Path) -> None:
    clips = {clip.name: clip for clip in read_clips(run / "drawn_0_1_8" / "clips.csv")}
    spotted = rows(run / "spotted.csv")
    ways = {(row["method"], row["frames"]) for row in spotted}
    assert len(ways) == 3 * 3 + 1 and len(spotted) == 3 * len(ways)
    for row in spotted:
        clip = clips[row["clip"]]
        assert int(row["given"]) == clip.apex
        assert int(row["error"]) == int(row["spotted"]) - int(row["given"])
        assert clip.onset < int(row["spotted"]) <= clip.offset
        if row["method"] == "middle":
            assert int(row["spotted"]) == (clip.onset + clip.offset) // 2


def test_scores_are_those_of_the_rows(run: Path) -> None:
    """Worked out again from spotted.csv, with the excluded clip and without."""
    spotted, scores = rows(run / "spotted.csv"), rows(run / "scores.csv")
    assert [row["clips"] for row in scores] == ["3"] * 10 + ["2"] * 10
    for score in scores:
        errors = [
            abs(int(row["error"]))
            for row in spotted
            if row["method"] == score["method"]
            and row["frames"] == score["frames"]
            and not (score["excluded"] and row["clip"].endswith(score["excluded"]))
        ]
        assert float(score["mean"]) == pytest.approx(sum(errors) / len(errors))
        assert int(score["most"]) == max(errors)
        assert float(score["within_1"]) == pytest.approx(sum(e <= 1 for e in errors) / len(errors))


def test_table(run: Path) -> None:
    errors = [0, -3, 1, 1]
    mine = [SpottedApex(f"d/s/c{i}", "ratio", "crop", 20, 20 + e, e) for i, e in enumerate(errors)]
    middle = [SpottedApex("d/s/c0", "middle", "numbers only", 20, 20, 0)]
    table = apex_spotting._markdown(apex_spotting._scores(middle + mine, ""))
    assert table.splitlines() == [
        "| method | frames | clips | mean | median | within 1 | worst |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| ratio | crop | 4 | 1.25 | 1 | 75% | 3: d/s/c1 |",
        "| middle | numbers only | 1 | 0.00 | 0 | 100% | 0: d/s/c0 |",
    ]
    text = (run / "scores.md").read_text()
    assert "frames, all clips:" in text and "frames, without p01/positive_1:" in text


def test_a_clip_without_apex_is_left_out_and_bad_input_is_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = run / "drawn_0_1_8" / "clips.csv"
    lines = drawn.read_text().replace("frames/", f"{drawn.parent}/frames/").splitlines()
    cells = [line.split(",") for line in lines]
    open_apex = [",".join([*row[:6], "", row[7]]) for row in cells[1:]]
    some, none = tmp_path / "some.csv", tmp_path / "none.csv"
    some.write_text("\n".join([lines[0], lines[1], *open_apex[1:]]))
    none.write_text("\n".join([lines[0], *open_apex]))

    assert apex_spotting.main([f"--raw={some}", f"--out={tmp_path}"]) == 0
    assert {row["clip"] for row in rows(tmp_path / "spotted.csv")} == {"/".join(cells[1][:3])}
    capsys.readouterr()
    for command, message in (
        ([f"--raw={none}"], f"error: {none}: no clip has an apex to compare with; fill in the column apex\n"),
        ([f"--raw={some}", "--exclude=p09/x"], f"error: --exclude=p09/x: no such clip in {some}; give SUBJECT/CLIP"),
    ):
        assert apex_spotting.main([*command, f"--out={tmp_path}"]) == 2
        assert capsys.readouterr().err.startswith(message)
