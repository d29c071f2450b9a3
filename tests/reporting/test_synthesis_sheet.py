import numpy as np
import pytest

from icegan_jax.evaluation.synthesis.faces import read_faces
from icegan_jax.reporting import grids
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


def test_rows_are_spread_and_classes_alternate(tmp_path):
    examples = grids.choose_examples(faces_of(tmp_path, people=people_of(20)), max_rows=5)
    chosen = [example.subject for example in examples]
    assert chosen == ["db 00", "db 05", "db 10", "db 14", "db 19"]
    assert [example.label for example in examples] == [0, 1, 2, 0, 1]


def test_subjects_of_one_fold_get_a_row_each(tmp_path):
    """A split, or a run that trained on every subject, has one fold."""
    faces = faces_of(tmp_path, people=people_of(3))
    one = faces._replace(fold=["all"] * 9, subject=[("db", "2"), ("db", "2"), ("db", "1")] * 3)
    examples = grids.choose_examples(one)
    assert [(example.subject, example.label) for example in examples] == [("db 1", 2), ("db 2", 1)]


def test_subject_without_the_wanted_class(tmp_path):
    examples = grids.choose_examples(faces_of(tmp_path, labels=(2, 2), people=people_of(2)))
    assert [(example.label, example.clip) for example in examples] == [(2, "clip0"), (2, "clip0")]


def test_sheet_shows_faces_and_signed_differences(tmp_path):
    (example,) = grids.choose_examples(faces_of(tmp_path))
    figure = grids.draw_synthesis_grid([example])
    figure.draw_without_rendering()
    images = [axes.get_images()[0].get_array() for axes in figure.axes[:9]]
    np.testing.assert_array_equal(images[0], example.onset)
    np.testing.assert_array_equal(images[3], example.synthetic[2])
    np.testing.assert_array_equal(images[4], example.apex)
    change = example.apex.astype(int) - example.onset
    np.testing.assert_array_equal(images[8], change)
    assert change.max() == 30  # wraps to 226 if taken in uint8 the other way round
    assert figure.axes[8].get_images()[0].get_clim() == (-63.75, 63.75)
    titles = [axes.get_title() for axes in figure.axes[:9]]
    faces = ["negative", "positive", "surprise", "real apex"]
    assert titles == ["onset", *faces, *faces]


def test_title_is_drawn(tmp_path):
    examples = grids.choose_examples(faces_of(tmp_path))
    for figure, title in (
        (grids.draw_synthesis_grid(examples), "Synthesis of held-out subjects"),
        (grids.draw_synthesis_grid(examples, title="Of others"), "Of others"),
    ):
        assert title in [text.get_text() for text in figure.texts]


def test_sheet_of_other_classes(tmp_path):
    classes = ("happiness", "disgust", "repression", "surprise", "a very long name")
    (example,) = grids.choose_examples(faces_of(tmp_path, (4, 1), num_classes=5))
    assert (example.label, example.clip) == (4, "clip0")
    figure = grids.draw_synthesis_grid([example], classes)
    figure.draw_without_rendering()
    titles = [axes.get_title() for axes in figure.axes[:13]]
    faces = ["happiness", "disgust", "repression", "surprise", "a very long n…", "real apex"]
    assert titles == ["onset", *faces, *faces]
    np.testing.assert_array_equal(figure.axes[5].get_images()[0].get_array(), example.synthetic[4])


@pytest.mark.parametrize("size", [1, 9])
def test_any_number_of_classes_is_drawn(tmp_path, size):
    examples = grids.choose_examples(faces_of(tmp_path, (size - 1,), size=48, num_classes=size))
    grids.draw_synthesis_grid(examples, [f"c{label}" for label in range(size)]).draw_without_rendering()


def test_odd_and_long_names_fit(tmp_path):
    faces = faces_of(tmp_path, people=(("db", "$very$ long name of a subject " * 3),))
    figure = grids.draw_synthesis_grid(grids.choose_examples(faces))
    figure.draw_without_rendering()
    label = figure.axes[0].texts[0]
    assert label.get_window_extent().x0 > 0
