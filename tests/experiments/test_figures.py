"""The figures and scores of synthetic faces, from fabricated runs whose change lies where the test put it."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments import figure4_faces, figure5_motion, synthesis_scores
from experiments.shared import runs
from experiments.shared.muscle_regions import CLASS_UNITS, LANDMARKS, MuscleRegions
from experiments.shared.options import Options, run_command
from experiments.shared.synthesis import mean_cells
from icegan_jax.evaluation.synthesis.scores import ROWS
from icegan_jax.io import write_json
from tests.evaluation.synthesis.test_scores import moved_synthesis, networks, pairs, run
from tests.experiments.fabricated_faces import SIZE, made_up, table, write_run

NOISE = {"B": 12.0, "C": 6.0, "F": 0.0, figure4_faces.OURS: 1.0}


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put fabricated runs in the place of the trained ones of Figure 4; their folder."""
    fields = {model: figure4_faces.fields_of(Options("demo", "", Path(), 1), model) for model in figure4_faces.MODELS}

    def train(options: object, seed: int, asked: dict, data: str) -> Path:
        (model,) = (name for name in fields if fields[name] == asked)
        return write_run(tmp_path / "runs" / f"{model}_{seed}", made_up(seed, NOISE[model]))

    monkeypatch.setattr(runs, "train_run", train)
    monkeypatch.setattr(figure4_faces, "prepared_faces", lambda options, people: "drawn")
    return tmp_path


def test_figure_4(trained: Path) -> None:
    assert run_command(figure4_faces.main, [f"--out={trained}", "--seeds=2"]) == 0
    out = trained / "figure4_faces"
    rows = {row["model"]: row for row in table(out)}
    assert list(rows) == [*figure4_faces.MODELS, figure4_faces.COPY]
    # Of four of 32 rows the synthesis moves 10 and the apex 20; another class moves four other rows.
    assert float(rows["F"]["l1"]) == pytest.approx(10 * 4 / SIZE)
    assert float(rows["F"]["l1_of_wrong_class"]) == pytest.approx(30 * 4 / SIZE)
    assert float(rows[figure4_faces.COPY]["l1"]) == pytest.approx(20 * 4 / SIZE)
    likeness = [float(rows[model]["ssim"]) for model in ("B", "C", figure4_faces.OURS, "F")]
    assert likeness == sorted(likeness) and likeness[-1] < 1
    for name in ("figure4.png", "extremes.png"):
        with Image.open(out / name) as image:
            assert image.size[0] > 12 * 128 and image.size[1] > 3 * 128


def test_best_and_worst_by_ssim() -> None:
    faces = made_up()
    for row, change in ((2, 0), (5, 2), (6, 90), (7, 60)):  # the first is the real apex itself
        faces.synthetic[row, faces.label[row]] = faces.apex[row]
        faces.synthetic[row, faces.label[row], ::2, ::2] += np.uint8(change)
    found = figure4_faces.extremes([faces, faces], 2)
    assert [entry.name for entry in found] == ["d/p1/c2", "d/p2/c2", "e/p1/c1", "e/p1/c0"]
    assert found[0].ssim == pytest.approx(1) and found[0].of_onset < 1


def test_cells_are_over_people_and_seeds() -> None:
    cells = mean_cells("x", [1.0, 3.0, 5.0, float("nan")], ["a", "b", "a", "b"], [0, 0, 1, 1])
    assert cells["x"] == 3 and cells["x_sd"] == pytest.approx(np.std([2, 5], ddof=1))
    assert cells["x_low"] == cells["x_high"] == 3  # a has 1 and 5, b has 3: whoever is drawn, the mean is 3


def rows_mask(start: int, stop: int) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), bool)
    mask[start:stop] = True
    return mask


def regions_of(data: str, onsets: dict) -> MuscleRegions:
    """Class k's first unit holds the upper half of the rows that move, its last unit rows 28 to 32, where none does."""
    masks = {}
    for label, units in enumerate(CLASS_UNITS):
        masks |= {units[0]: rows_mask(8 * label, 8 * label + 2), units[-1]: rows_mask(28, 32)}
    return MuscleRegions(LANDMARKS, dict.fromkeys(onsets, masks), (("d", "p2", "c1"),))


def test_figure_5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figure5_motion, "muscle_regions", regions_of)
    named = [f"--run={write_run(tmp_path / f'run{seed}', made_up(seed))}" for seed in range(2)]
    assert run_command(figure5_motion.main, [*named, f"--out={tmp_path}"]) == 0
    out = tmp_path / "figure5_motion"
    rows = {(row["class"], row["region"]): row for row in table(out)}
    assert rows["all", figure5_motion.WHOLE]["clips"] == "54"
    for (_, region), row in rows.items():
        inside = {"AU9": 0, "AU15": 0, "AU12": 0, "AU26": 0}.get(region, 0.5)
        for kind in ("synthetic", "real"):
            assert float(row[kind]) == float(row[f"{kind}_low"]) == float(row[f"{kind}_high"]) == inside
        share = (6 if region == figure5_motion.WHOLE else 2 if inside else 4) / SIZE
        assert float(row["even_spread"]) == pytest.approx(share)
        assert float(row["shifted_onset"]) == pytest.approx(share, abs=0.03)  # the onsets are noise, edges everywhere
    assert "d/p2/c1: the mean landmarks of the others" in (out / "table.md").read_text()
    assert (out / "figure5.png").is_file() and (out / "figure5_people.png").is_file()


def test_synthesis_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def made_run(name: str, fingerprint: str) -> str:
        write_run(tmp_path / name, run(moved_synthesis))
        about = {"data": {"dir": "DATA", "database": ""}, "data_fingerprint": fingerprint}
        write_json(tmp_path / name / "config.json", about)
        return f"--run={tmp_path / name}"

    monkeypatch.setattr(synthesis_scores, "networks", networks)
    monkeypatch.setattr(synthesis_scores, "load_pairs", lambda folder: dataclasses.replace(pairs(), fingerprint="f"))
    named = [made_run("one", "f"), made_run("two", "f")]
    assert run_command(synthesis_scores.main, [*named, f"--out={tmp_path}"]) == 0
    rows = {r["faces"]: r for r in table(tmp_path / "synthesis_scores")}
    assert list(rows) == list(ROWS)
    ours, copy = rows["synthetic"], rows["copy of the onset"]
    assert float(ours["ssim"]) > float(copy["ssim"]) and float(ours["lpips"]) < float(copy["lpips"])
    assert float(ours["classifier_accuracy"]) == 1 and float(ours["ssim_sd"]) == 0  # twice the same run
    assert run_command(synthesis_scores.main, [made_run("other", "g"), f"--out={tmp_path}"]) == 2
    assert "other: trained on other faces than DATA holds now" in capsys.readouterr().err


@pytest.mark.parametrize("module", [figure5_motion, synthesis_scores])
def test_a_run_without_faces_is_named(module, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(module.main, [f"--run={tmp_path / 'none'}", f"--out={tmp_path}"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {tmp_path / 'none'}") and error.count("\n") == 1
