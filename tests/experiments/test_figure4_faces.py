"""The figure from fabricated runs of known faces in place of the training."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments import figure4_faces
from experiments.shared import runs
from experiments.shared.options import Options, run_command
from experiments.shared.people import mean_cells, select_clips
from icegan_jax.evaluation.synthesis.faces import SynthesizedFaces
from tests.experiments.fabricated_faces import SIZE, made_up, table, write_run

DEMO = Options("demo", "", Path(), 1)
NOISE = {"B": 12.0, "C": 6.0, "F": 0.0, figure4_faces.OURS: 1.0}


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put fabricated runs in the place of trained ones; their folder."""
    fields = {model: figure4_faces.fields_of(DEMO, model) for model in figure4_faces.MODELS}

    def train(options: object, seed: int, asked: dict, data: str) -> Path:
        assert data == "drawn"
        (model,) = (name for name in fields if fields[name] == asked)
        return write_run(tmp_path / "runs" / f"{model}_{seed}", made_up(seed, NOISE[model]))

    monkeypatch.setattr(runs, "train_run", train)
    monkeypatch.setattr(figure4_faces, "prepared_faces", lambda options, people: "drawn")
    return tmp_path


def test_models_are_those_of_the_paper() -> None:
    generators = [figure4_faces.fields_of(DEMO, model)["generator.kind"] for model in figure4_faces.MODELS]
    assert generators == ["dcgan", "encoder_decoder", "grm", "grm"]
    assert all(figure4_faces.fields_of(DEMO, model)["protocol"] == "split" for model in figure4_faces.MODELS)
    motion = [figure4_faces.fields_of(DEMO, model)["generator.motion"] for model in figure4_faces.MODELS]
    assert motion == [False, False, False, True]


def test_files_and_table(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(figure4_faces.main, [f"--out={trained}", "--seeds=3"]) == 0
    out = trained / "figure4_faces"
    rows = {row["model"]: row for row in table(out)}
    assert list(rows) == [*figure4_faces.MODELS, figure4_faces.COPY]
    # Of four of 32 rows the synthesis moves 10 and the apex 20; another class moves four other rows.
    assert float(rows["F"]["l1"]) == pytest.approx(10 * 4 / SIZE)
    assert float(rows["F"]["l1_of_wrong_class"]) == pytest.approx(30 * 4 / SIZE)
    copy = rows[figure4_faces.COPY]
    assert float(copy["l1"]) == float(copy["l1_of_wrong_class"]) == pytest.approx(20 * 4 / SIZE)
    assert float(rows["F"]["l1_low"]) == pytest.approx(float(rows["F"]["l1_high"]))
    likeness = [float(rows[model]["ssim"]) for model in ("B", "C", figure4_faces.OURS, "F")]
    assert likeness == sorted(likeness) and likeness[-1] < 1
    for seed_spread in ("l1_sd", "ssim_sd"):
        assert float(rows["B"][seed_spread]) > float(rows["F"][seed_spread])
    assert (rows["B"]["clips"], rows["B"]["people"]) == ("27", "3")
    printed = capsys.readouterr().out
    for name in ("figure4.png", "extremes.png"):
        with Image.open(out / name) as image:
            assert image.size[0] > 12 * 128 and image.size[1] > 3 * 128
        assert str(out / name) in printed


def test_every_face_stands_where_its_heading_says(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = {}
    monkeypatch.setattr(figure4_faces.style, "save_figure", lambda figure, path: drawn.update({path.name: figure}))
    figure4_faces.main([f"--out={trained}", "--seeds=1"])
    models, extremes = drawn["figure4.png"], drawn["extremes.png"]
    cells = models.axes
    assert len(cells) == 3 * 14 and cells[0].get_position().width * models.get_figwidth() * 150 >= 128
    images = [np.asarray(axes.get_images()[0].get_array()) for axes in cells]
    faces = made_up()
    for line, row in enumerate((0, 4, 8)):
        mine = images[14 * line :]
        np.testing.assert_array_equal(mine[0], faces.onset[row])
        for model, name in enumerate(NOISE):
            np.testing.assert_array_equal(mine[1 + 3 * model : 4 + 3 * model], made_up(0, NOISE[name]).synthetic[row])
        np.testing.assert_array_equal(mine[13], faces.apex[row])
        framed = [place for place in range(14) if cells[14 * line + place].spines["left"].get_visible()]
        assert framed == [1 + line, 4 + line, 7 + line, 10 + line, 13]
    assert len(extremes.axes) == 4 * 4 * 3
    labels = [text.get_text() for axes in extremes.axes for text in axes.texts]
    assert [text for text in labels if text in NOISE] == list(NOISE)


def test_best_and_worst_by_ssim() -> None:
    faces = made_up()
    for row, change in ((2, 0), (5, 2), (6, 90), (7, 60)):  # the first is the real apex itself
        faces.synthetic[row, faces.label[row]] = faces.apex[row]
        faces.synthetic[row, faces.label[row], ::2, ::2] += np.uint8(change)
    found = figure4_faces.extremes([faces, faces], 2)
    assert [entry.name for entry in found] == ["d/p1/c2", "d/p2/c2", "e/p1/c1", "e/p1/c0"]
    assert found[0].ssim == pytest.approx(1) and found[0].of_onset < 1
    assert [entry.ssim for entry in found] == sorted((entry.ssim for entry in found), reverse=True)
    np.testing.assert_array_equal(found[0].synthetic, found[0].apex)
    few = figure4_faces.extremes([part(faces, [2, 5, 6])], 2)
    assert [entry.name for entry in few] == ["d/p1/c2", "d/p2/c2", "e/p1/c0"]


def part(faces: SynthesizedFaces, rows: list[int]) -> SynthesizedFaces:
    arrays = {name: getattr(faces, name)[rows] for name in ("onset", "synthetic", "apex", "label")}
    lists = {name: [getattr(faces, name)[row] for row in rows] for name in ("subject", "clip", "fold")}
    return faces._replace(**arrays, **lists)


def test_runs_of_other_clips_are_refused(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = runs.train_run

    def train(options: object, seed: int, asked: dict, data: str) -> Path:
        if asked["generator.kind"] != "encoder_decoder":
            return right(options, seed, asked, data)
        return write_run(trained / "other", part(made_up(), [0, 1, 2]))

    monkeypatch.setattr(runs, "train_run", train)
    assert run_command(figure4_faces.main, [f"--out={trained}", "--seeds=1"]) == 2
    error = capsys.readouterr().err
    assert error == (
        f"error: {trained / 'other'}: held out other clips than {trained / 'runs' / 'B_0'}; remove both and train them "
        "on the same data\n"
    )


def test_rows_are_chosen_by_names_alone() -> None:
    faces = made_up()
    assert select_clips(faces, 6, 3) == [0, 4, 8]
    assert select_clips(faces, 2, 3) == [0, 7]  # the first and the last person; the class turns
    backwards = part(faces, list(range(8, -1, -1)))
    assert [backwards.clip[row] for row in select_clips(backwards, 6, 3)] == ["c0", "c1", "c2"]
    lacking = part(faces, [0, 2, 3, 5, 6, 8])
    chosen = [(lacking.subject[row][1], lacking.clip[row]) for row in select_clips(lacking, 6, 3)]
    assert chosen == [("p1", "c0"), ("p2", "c0"), ("p1", "c2")]


def test_cells_over_people_and_seeds() -> None:
    cells = mean_cells("x", [1.0, 3.0, 5.0, float("nan")], ["a", "b", "a", "b"], [0, 0, 1, 1])
    assert cells["x"] == 3 and cells["x_sd"] == pytest.approx(np.std([2, 5], ddof=1))
    assert cells["x_low"] == cells["x_high"] == 3  # a has 1 and 5, b has 3: whoever is drawn, the mean is 3
    alone = mean_cells("x", [1.0, 2.0], ["a", "a"], [0, 0])
    assert alone == {"x": 1.5, "x_low": None, "x_high": None, "x_sd": None}
