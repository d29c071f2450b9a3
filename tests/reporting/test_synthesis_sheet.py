import numpy as np
import pytest

from icegan_jax.errors import UserError
from icegan_jax.reporting import synthesis_sheet
from tests.reporting import fabricated


def folds(tmp_path, count, labels=(0, 1, 2)):
    made = []
    for number in range(count):
        fold = tmp_path / f"db_{number:02d}"
        fold.mkdir()
        fabricated.write_synthesis(fold / "synthesis.npz", labels)
        made.append(fold)
    return made


def test_rows_are_spread_and_classes_turn(tmp_path):
    examples = synthesis_sheet.choose_examples(folds(tmp_path, 20), max_rows=5)
    chosen = [example.fold for example in examples]
    assert chosen == ["db_00", "db_05", "db_10", "db_14", "db_19"]
    assert [example.label for example in examples] == [0, 1, 2, 0, 1]


def test_subject_without_the_wanted_class(tmp_path):
    examples = synthesis_sheet.choose_examples(folds(tmp_path, 2, labels=(2, 2)))
    assert [(example.label, example.clip) for example in examples] == [(2, "clip0"), (2, "clip0")]


def test_folds_without_synthesis(tmp_path):
    made = folds(tmp_path, 3)
    (made[1] / "synthesis.npz").unlink()
    examples = synthesis_sheet.choose_examples(made)
    assert [example.fold for example in examples] == ["db_00", "db_02"]
    assert synthesis_sheet.choose_examples([tmp_path]) == []


def test_sheet_shows_faces_and_signed_differences(tmp_path):
    (example,) = synthesis_sheet.choose_examples(folds(tmp_path, 1))
    figure = synthesis_sheet.draw_sheet([example])
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


def test_sheet_of_other_classes(tmp_path):
    (fold,) = folds(tmp_path, 1)
    fabricated.write_synthesis(fold / "synthesis.npz", (4, 1), num_classes=5)
    classes = ("happiness", "disgust", "repression", "surprise", "a very long name")
    (example,) = synthesis_sheet.choose_examples([fold], 5)
    assert (example.label, example.clip) == (4, "clip0")
    figure = synthesis_sheet.draw_sheet([example], classes)
    figure.draw_without_rendering()
    titles = [axes.get_title() for axes in figure.axes[:13]]
    faces = ["happiness", "disgust", "repression", "surprise", "a very long n…", "real apex"]
    assert titles == ["onset", *faces, *faces]
    np.testing.assert_array_equal(figure.axes[5].get_images()[0].get_array(), example.synthetic[4])
    with pytest.raises(UserError, match="do not belong together"):
        synthesis_sheet.choose_examples([fold], 3)


@pytest.mark.parametrize("size", [1, 9])
def test_any_number_of_classes_is_drawn(tmp_path, size):
    (fold,) = folds(tmp_path, 1)
    fabricated.write_synthesis(fold / "synthesis.npz", (size - 1,), size=48, num_classes=size)
    examples = synthesis_sheet.choose_examples([fold], size)
    synthesis_sheet.draw_sheet(examples, [f"c{label}" for label in range(size)]).draw_without_rendering()


def test_odd_and_long_names_fit(tmp_path):
    fold = tmp_path / ("$very$ long name of a subject " * 3)
    fold.mkdir()
    fabricated.write_synthesis(fold / "synthesis.npz")
    figure = synthesis_sheet.draw_sheet(synthesis_sheet.choose_examples([fold]))
    figure.draw_without_rendering()
    label = figure.axes[0].texts[0]
    assert label.get_window_extent().x0 > 0


@pytest.mark.parametrize(
    "change,message",
    [
        ({"apex": np.zeros((2, 32, 32), np.uint8)}, "do not belong together"),
        ({"synthetic": np.zeros((3, 2, 32, 32), np.uint8)}, "do not belong together"),
        ({"label": np.array([0, 1, 7])}, "a label or clip name is wrong"),
        ({"clip": np.array(["a"])}, "a label or clip name is wrong"),
        ({"clip": np.array(["a", "b", None])}, "damaged or incomplete"),
        ({"onset": None}, "damaged or incomplete"),
    ],
)
def test_damaged_arrays_are_named(tmp_path, change, message):
    (fold,) = folds(tmp_path, 1)
    file = fold / "synthesis.npz"
    with np.load(file) as content:
        arrays = {**content, **change}
    np.savez(file, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(UserError, match=message) as caught:
        synthesis_sheet.choose_examples([fold])
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("size", [0, 10, 500])
def test_cut_file_is_named(tmp_path, size):
    (fold,) = folds(tmp_path, 1)
    file = fold / "synthesis.npz"
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(UserError, match="synthesis.npz: damaged or incomplete: train this fold"):
        synthesis_sheet.choose_examples([fold])
