import numpy as np
import pytest

from icegan_jax.data.clips import EXPRESSIONS
from icegan_jax.evaluation.predictions import Prediction
from icegan_jax.evaluation.synthesis.faces import SynthesizedFaces, read_faces
from icegan_jax.reporting import report_figures
from icegan_jax.reporting.report_figures import (
    DifferenceMaps,
    choose_clips,
    color_maps,
    draw_synthesis_sheet,
    find_worst_clips,
    mean_differences,
)
from tests.reporting import fabricated


def faces_of(folder, labels=(0, 1, 2), people=(("db", "1"),), **fields):
    """Faces as read from a run with one fold per subject."""
    for dataset, subject in people:
        fold = folder / "folds" / f"{dataset}_{subject}"
        fold.mkdir(parents=True)
        fabricated.write_synthesis(fold / "synthesis.npz", labels, subject=(dataset, subject), **fields)
    return read_faces(folder)


def people_of(count):
    return tuple(("db", f"{number:02d}") for number in range(count))


def flat_faces():
    """Three clips of 4 by 4 whose onsets are 100: real ones of classes 0, 0 and 2, of three."""
    onset = np.full((3, 4, 4), 100, np.uint8)
    apex = onset.copy()
    apex[0, 0, 0], apex[1, 0, 0], apex[2, 3, 3] = 110, 70, 255
    synthetic = np.stack([onset] * 3, axis=1)
    synthetic[:, 1, 2, 2] = (90, 100, 107)
    return SynthesizedFaces(onset, synthetic, apex, np.array([0, 0, 2]), [("d", "s")] * 3, ["a", "b", "c"], ["f"] * 3)


def test_differences_are_absolute_means_of_each_class():
    changes = mean_differences(flat_faces())
    assert changes.clips == (2, 0, 1)
    real, synthetic = np.zeros((2, 3, 4, 4))
    real[0, 0, 0], real[2, 3, 3] = (10 + 30) / 2, 155
    synthetic[1, 2, 2] = (10 + 0 + 7) / 3
    np.testing.assert_allclose(changes.real, real)
    np.testing.assert_allclose(changes.synthetic, synthetic)


@pytest.fixture
def grids(monkeypatch):
    """The grids that are drawn: the layout, the cells and the frames."""
    drawn = []

    class Recorded(report_figures.FaceGrid):
        def draw(self, cells, frames=None):
            drawn.append((self, cells, frames))
            return super().draw(cells, frames)

    monkeypatch.setattr(report_figures, "FaceGrid", Recorded)
    return drawn


def test_real_and_synthetic_maps_have_one_scale():
    differences = mean_differences(flat_faces())
    maps = color_maps(differences)
    assert maps.limit == pytest.approx(np.percentile([*differences.real, *differences.synthetic], 99.5))
    weaker = color_maps(differences._replace(synthetic=differences.real / 2))
    assert weaker.synthetic[0][0, 0].sum() > weaker.real[0][0, 0].sum()  # half of the change is paler
    assert (maps.real[0][1, 1] == maps.scale[0, 0]).all() and (maps.real[2][3, 3] == maps.scale[0, -1]).all()


def test_subjects_are_spread_and_classes_alternate(tmp_path):
    faces = faces_of(tmp_path, people=people_of(20))
    chosen = choose_clips(faces, max_rows=5)
    assert [faces.subject[clip][1] for clip in chosen] == ["00", "05", "10", "14", "19"]
    assert [faces.label[clip] for clip in chosen] == [0, 1, 2, 0, 1]


def test_subjects_of_one_fold_get_a_row_each_also_without_the_wanted_class(tmp_path):
    faces = faces_of(tmp_path, people=people_of(3))
    one = faces._replace(fold=["all"] * 9, subject=[("db", "2"), ("db", "2"), ("db", "1")] * 3)
    assert [(one.subject[clip], one.label[clip]) for clip in choose_clips(one)] == [(("db", "1"), 2), (("db", "2"), 1)]


def test_the_sheet_shows_faces_and_differences_and_frames_the_true_class(tmp_path, grids):
    faces = faces_of(tmp_path)
    draw_synthesis_sheet(faces, [2], EXPRESSIONS)
    ((grid, (row,), frames),) = grids
    np.testing.assert_array_equal(row[0], faces.onset[2])
    np.testing.assert_array_equal(row[1:4], faces.synthetic[2])
    np.testing.assert_array_equal(row[4], faces.apex[2])
    np.testing.assert_array_equal(row[8], report_figures.difference_image(faces.onset[2], faces.apex[2]))
    assert grid.column_names[3] == "synthetic\nsurprise" and grid.column_names[8] == "difference\nreal apex"
    assert set(frames) == {(0, column) for column in (3, 4, 7, 8)} and len(row) == len(grid.column_names) == 9


@pytest.mark.parametrize("size", [1, 9])
def test_any_number_of_classes_is_drawn(tmp_path, size):
    classes = [f"c{label}" for label in range(size)]
    faces = faces_of(tmp_path, (size - 1,), size=48, num_classes=size, people=(("db", "$very$ long name " * 9),))
    assert draw_synthesis_sheet(faces, choose_clips(faces), classes).shape[2] == 3
    maps = DifferenceMaps(np.zeros((size, 4, 4)), np.zeros((size, 4, 4)), (0,) * (size - 1) + (1,))
    assert len(color_maps(maps).synthetic) == size


def test_the_wrong_prediction_with_the_largest_margin_comes_first_with_its_own_faces():
    rows = [
        Prediction("db", "1", "a", 0, 1, (0.5, 0.6)),
        Prediction("db", "1", "b", 1, 1, (0.0, 0.9)),
        Prediction("db", "2", "a", 1, 0, (0.9, 0.3)),
        Prediction("db", "3", "a", 0, 1, (0.2, 0.5)),
    ]
    onset = np.zeros((3, 8, 8), np.uint8)
    apex = onset + np.array([0, 40, 80], np.uint8)[:, None, None]
    subjects = [("db", "2"), ("db", "1"), ("other", "3")]
    faces = SynthesizedFaces(onset, onset[:, None], apex, np.zeros(3, int), subjects, ["a"] * 3, ["f"] * 3)
    worst = find_worst_clips(rows, faces)
    assert [(clip.prediction.subject, round(clip.margin, 6)) for clip in worst] == [("2", 0.6), ("3", 0.3), ("1", 0.1)]
    assert worst[1].faces is None  # subject 3 of another database
    assert [clip.faces[1][4, 4] for clip in (worst[0], worst[2])] == [0, 40]
    assert [clip.prediction.subject for clip in find_worst_clips(rows, faces, limit=1)] == ["2"]
