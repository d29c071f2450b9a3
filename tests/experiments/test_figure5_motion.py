"""The figure from fabricated runs whose change lies where the test put it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments import figure5_motion
from experiments.shared import runs
from experiments.shared.muscle_regions import CLASS_UNITS, EXACT, LANDMARKS, MuscleRegions
from experiments.shared.options import run_command
from experiments.shared.presets import PRESETS
from icegan_jax.evaluation.synthesis.faces import read_faces
from tests.experiments.fabricated_faces import SIZE, made_up, table, write_run


def rows_mask(start: int, stop: int) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), bool)
    mask[start:stop] = True
    return mask


def regions_of(data: str, onsets: dict) -> MuscleRegions:
    """Class k's first unit holds the upper half of the rows that move, its last unit rows 28 to 32, where none does."""
    assert data == "DATA"
    masks = {}
    for label, units in enumerate(CLASS_UNITS):
        masks |= {units[0]: rows_mask(8 * label, 8 * label + 2), units[-1]: rows_mask(28, 32)}
    shared = dict.fromkeys(onsets, masks)
    shared["e", "p1", "c0"] = {unit: mask for unit, mask in masks.items() if unit in CLASS_UNITS[0]}
    return MuscleRegions(LANDMARKS, shared, (("d", "p2", "c1"),))


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[str]]:
    """The output folder, and the options that name two runs."""
    monkeypatch.setattr(figure5_motion, "muscle_regions", regions_of)
    runs = [write_run(tmp_path / f"run{seed}", made_up(seed)) for seed in range(2)]
    return tmp_path / "out" / "figure5_motion", [f"--run={run}" for run in runs] + [f"--out={tmp_path / 'out'}"]


def test_shares_are_those_of_the_change(made: tuple[Path, list[str]]) -> None:
    out, options = made
    figure5_motion.main(options)
    rows = {(row["class"], row["region"]): row for row in table(out)}
    keys = [("all", figure5_motion.WHOLE)]
    for word, units in zip(("negative", "positive", "surprise"), CLASS_UNITS, strict=True):
        keys += [(word, region) for region in (figure5_motion.WHOLE, units[0], units[-1])]
    assert list(rows) == keys  # units that nobody moves have no row
    for (_, region), row in rows.items():
        inside = {figure5_motion.WHOLE: 0.5, "AU9": 0, "AU15": 0, "AU12": 0, "AU26": 0}.get(region, 0.5)
        for kind in ("synthetic", "real"):
            assert float(row[kind]) == float(row[f"{kind}_low"]) == float(row[f"{kind}_high"]) == inside
            assert float(row[f"{kind}_sd"]) == 0
        whole = region == figure5_motion.WHOLE
        assert float(row["even_spread"]) == pytest.approx((6 if whole else 2 if inside else 4) / SIZE)
        # the onsets are noise, whose edges are everywhere
        assert float(row["shifted_onset"]) == pytest.approx(float(row["even_spread"]), abs=0.03)
    # one clip of each run has regions of the first class alone: it counts there alone
    assert [rows[word, figure5_motion.WHOLE]["clips"] for word in ("negative", "positive", "surprise")] == [
        "18",
        "16",
        "16",
    ]
    assert rows["negative", "AU4"]["real_clips"] == "6"
    text = (out / "table.md").read_text()
    for words in ("sensor noise", "d/p2/c1: the mean landmarks of the others", "around 68 landmarks", "of 2 runs"):
        assert words in text


def test_pictures_are_drawn(made: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    out, options = made
    drawn = {}
    monkeypatch.setattr(figure5_motion.style, "save_figure", lambda figure, path: drawn.update({path.name: figure}))
    figure5_motion.main(options)
    classes, people = drawn["figure5.png"], drawn["figure5_people.png"]
    titles = [axes.get_title() for axes in classes.axes if axes.get_title()]
    assert titles == ["negative", "positive", "surprise"]
    heat = np.asarray(classes.axes[0].get_images()[0].get_array())
    moved = np.ptp(heat, axis=-1).mean(1) > 0.1  # the face is gray, the heat is not
    np.testing.assert_array_equal(np.flatnonzero(moved), range(4))
    assert [axes.get_title() for axes in people.axes[:5]] == ["onset", "negative", "positive", "surprise", "real apex"]
    assert len(people.axes) == 3 * 5 + 1
    words = [text.get_text() for axes in people.axes for text in axes.texts]
    assert words == ["p1\nc0", "p2\nc1", "p1\nc2"]  # a class after the other, a person after the other


def test_files_are_written_and_large_enough(made: tuple[Path, list[str]]) -> None:
    out, options = made
    assert run_command(figure5_motion.main, options) == 0
    for name, at_least in (("figure5.png", 1000), ("figure5_people.png", 900)):
        with Image.open(out / name) as image:
            assert min(image.size) >= 700 and max(image.size) >= at_least
            assert np.asarray(image.convert("L")).std() > 20
    assert (out / "table.png").is_file()


def test_a_class_without_a_real_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figure5_motion, "muscle_regions", regions_of)
    faces = made_up()
    kept = [row for row in range(9) if faces.label[row] != 2]
    some = {name: getattr(faces, name)[kept] for name in ("onset", "synthetic", "apex", "label")}
    some |= {name: [getattr(faces, name)[row] for row in kept] for name in ("subject", "clip", "fold")}
    run = write_run(tmp_path / "run", faces._replace(**some))
    figure5_motion.main([f"--run={run}", f"--out={tmp_path}"])
    rows = table(tmp_path / "figure5_motion")
    surprise = next(row for row in rows if row["class"] == "surprise")
    assert (surprise["real"], surprise["real_clips"], surprise["synthetic"]) == ("nan", "0", "0.5")


def test_runs_are_trained_where_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def train(options: object, seed: int, fields: dict, data: str) -> Path:
        asked.append((seed, fields, data))
        return write_run(tmp_path / f"run{seed}", made_up(seed))

    exact = MuscleRegions(EXACT, regions_of("DATA", dict.fromkeys(keys_of(made_up()))).masks)
    monkeypatch.setattr(figure5_motion, "muscle_regions", lambda data, onsets: exact)
    monkeypatch.setattr(runs, "train_run", train)
    monkeypatch.setattr(figure5_motion, "prepared_faces", lambda *asked: "drawn")
    figure5_motion.main([f"--out={tmp_path}", "--seeds=3"])
    assert asked == [(seed, PRESETS["demo"].synthesis, "drawn") for seed in range(3)]
    assert "true regions of the drawn faces" in (tmp_path / "figure5_motion" / "table.md").read_text()


def keys_of(faces: object) -> list[tuple[str, str, str]]:
    return [(*person, clip) for person, clip in zip(faces.subject, faces.clip, strict=True)]


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run", made_up())
    others = write_run(tmp_path / "others", made_up(), ("a", "b", "c"))
    no_data = write_run(tmp_path / "no_data", made_up())
    (no_data / "config.json").write_text("{}")
    for path, message in (
        (tmp_path / "none", "none: no folds/*/synthesis.npz; give the directory of a finished run with a generator"),
        (others, "classes a, b, c: their action units are not known; give faces of negative, positive, surprise"),
        (no_data, "config.json: no data.dir; name the prepared folder with --data"),
        (run, "DATA: no raw/regions.npz and no face in any of 9 onsets; give prepared faces that dlib finds"),
    ):
        assert run_command(figure5_motion.main, [f"--run={path}", f"--out={tmp_path}"]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ") and message in error and error.count("\n") == 1
    assert len(read_faces(run).clip) == 9
