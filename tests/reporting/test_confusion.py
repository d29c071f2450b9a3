import itertools

import numpy as np
import pytest

from icegan_jax.reporting import plots


def words(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_counts_and_row_percentages():
    figure = plots.draw_confusion_matrix(np.array([[3, 1, 0], [0, 2, 0], [1, 1, 2]]), "10 clips")
    expected = ["3", "75%", "1", "25%", "0", "0%", "0", "0%", "2", "100%", "0", "0%"]
    assert words(figure)[:12] == expected
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["negative\n4 clips", "positive\n2 clips", "surprise\n4 clips"]


def test_other_classes_have_their_names_and_room():
    classes = ("happiness", "disgust", "repression", "$urprise", "a very long name")
    figure = plots.draw_confusion_matrix(np.eye(5, dtype=np.int64), "5 clips", classes)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names == ["happiness", "disgust", "repression", r"\$urprise", "a very long n…"]
    assert axes.get_yticklabels()[2].get_text() == "repression\n1 clips"
    boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


@pytest.mark.parametrize("size", [1, 2, 9])
def test_any_number_of_classes_is_drawn(size):
    figure = plots.draw_confusion_matrix(np.eye(size, dtype=np.int64), "", [f"c{label}" for label in range(size)])
    figure.draw_without_rendering()


def test_class_without_clips_has_no_percentage():
    figure = plots.draw_confusion_matrix(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0]]), "$2_clips$")
    assert words(figure)[-6:] == ["0", "–"] * 3
    figure.draw_without_rendering()
