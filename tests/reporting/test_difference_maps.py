import numpy as np
import pytest

from icegan_jax.evaluation.synthesis.faces import SynthesizedFaces
from icegan_jax.reporting.grids import DifferenceMaps, draw_difference_maps, mean_differences


def faces():
    """Three clips of 4 by 4 whose onsets are 100: real ones of classes 0, 0 and 2, of three."""
    onset = np.full((3, 4, 4), 100, np.uint8)
    apex = onset.copy()
    apex[0, 0, 0], apex[1, 0, 0], apex[2, 3, 3] = 110, 70, 255
    synthetic = np.stack([onset] * 3, axis=1)
    synthetic[:, 1, 2, 2] = (90, 100, 107)
    return SynthesizedFaces(onset, synthetic, apex, np.array([0, 0, 2]), [("d", "s")] * 3, ["a", "b", "c"], ["f"] * 3)


def test_differences_are_absolute_means_of_each_class():
    changes = mean_differences(faces())
    assert changes.clips == (2, 0, 1)
    real, synthetic = np.zeros((2, 3, 4, 4))
    real[0, 0, 0], real[2, 3, 3] = (10 + 30) / 2, 155
    synthetic[1, 2, 2] = (10 + 0 + 7) / 3
    np.testing.assert_allclose(changes.real, real)
    np.testing.assert_allclose(changes.synthetic, synthetic)


def test_the_maps_are_in_two_rows_with_a_color_bar_each():
    changes = mean_differences(faces())
    figure = draw_difference_maps(changes, ("$alm", "moved", "a name that is much too long"))
    figure.draw_without_rendering()
    maps = [axes for axes in figure.axes if axes.get_images()]
    np.testing.assert_array_equal(maps[2].get_images()[0].get_array(), changes.real[2])
    np.testing.assert_array_equal(maps[4].get_images()[0].get_array(), changes.synthetic[1])
    words = [axes.get_xlabel() for axes in maps]
    assert words == [
        "2 clips, mean 1.2",
        "no clip",
        "1 clip, mean 9.7",
        *(f"3 clips, mean {m}" for m in (0.0, 0.4, 0.0)),
    ]
    assert [axes.get_title() for axes in maps[:3]] == [r"\$alm", "moved", "a name that is much…"]
    limits = {axes.get_images()[0].get_clim() for axes in maps}
    assert len(limits) == 2 and all(low == 0 for low, _ in limits)
    assert [axes.get_ylabel() for axes in figure.axes if not axes.get_images()] == ["gray levels of 255"] * 2


@pytest.mark.parametrize("size", [1, 9])
def test_any_number_of_classes_is_drawn(size):
    changes = DifferenceMaps(np.zeros((size, 4, 4)), np.zeros((size, 4, 4)), (0,) * (size - 1) + (1,))
    draw_difference_maps(changes, [f"c{label}" for label in range(size)]).draw_without_rendering()
