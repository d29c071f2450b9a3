import numpy as np

from icegan_jax.reporting import confusion


def words(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_counts_and_row_percentages():
    figure = confusion.draw_confusion(np.array([[3, 1, 0], [0, 2, 0], [1, 1, 2]]), "10 clips")
    expected = ["3", "75%", "1", "25%", "0", "0%", "0", "0%", "2", "100%", "0", "0%"]
    assert words(figure)[:12] == expected
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["negative\n4 clips", "positive\n2 clips", "surprise\n4 clips"]


def test_class_without_clips_has_no_percentage():
    figure = confusion.draw_confusion(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0]]), "$2_clips$")
    assert words(figure)[-6:] == ["0", "–"] * 3
    figure.draw_without_rendering()
