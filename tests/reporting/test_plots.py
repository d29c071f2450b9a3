import itertools

import numpy as np
import pytest

from icegan_jax.errors import UserError
from icegan_jax.reporting import curves, plots, style
from tests.reporting import fabricated


def words(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_counts_and_row_percentages():
    figure = plots.draw_confusion_matrix(np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]]), "$2_clips$")
    assert words(figure) == ["3", "75%", "1", "25%", "0", "0%", "0", "0%", "2", "100%", "0", "0%", *["0", "–"] * 3]
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["negative\n4 clips", "positive\n2 clips", "surprise\n0 clips"]


@pytest.mark.parametrize("size", [1, 5, 9])
def test_any_number_of_classes_has_names_and_room(size):
    classes = ("$urprise", *(f"a very long name {label}" for label in range(size)))[:size]
    figure = plots.draw_confusion_matrix(np.eye(size, dtype=np.int64), "", classes)
    figure.draw_without_rendering()
    labels = figure.axes[0].get_xticklabels()
    assert [label.get_text() for label in labels] == [r"\$urprise", *["a very long n…"] * (size - 1)]
    boxes = [label.get_window_extent() for label in labels]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_metrics_are_read_with_gaps_and_the_later_value_of_a_step(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = [
        '{"step": 10, "epoch": 1, "g_l1": 9}',
        "",
        '{"step": 20, "g_l1": NaN, "x": 1}',
        '{"step": 30, "g_l1": null}',
    ]
    path.write_text("\n".join([*lines, '{"step": 10, "g_l1": 0.5}']))
    result = curves.read_metrics(path)
    assert set(result) == {"g_l1", "x"}
    np.testing.assert_array_equal(result["g_l1"].steps, [10, 20, 30])
    np.testing.assert_array_equal(result["g_l1"].values, [0.5, np.nan, np.nan])
    np.testing.assert_array_equal(result["x"].steps, [20])


@pytest.mark.parametrize("line", [b'{"step": 2', b'{"g_l1": 2}', b"[1]", b'{"step": 2, "a": "b"}', b"\xff\xfe\x00"])
def test_a_damaged_line_is_named(tmp_path, line):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1, "g_l1": 2}\n' + line + b"\n")
    with pytest.raises(UserError, match="metrics.jsonl:2: .*: delete the line|metrics.jsonl: cannot be read as text"):
        curves.read_metrics(path)


def test_the_mean_is_over_the_steps_that_all_folds_logged():
    short = curves.Curve(np.array([0, 10]), np.array([1.0, 2.0]))
    long = curves.Curve(np.array([0, 10, 20]), np.array([3.0, np.nan, 5.0]))
    mean = curves.mean_over_folds([short, long])
    np.testing.assert_array_equal(mean.steps, [0, 10])
    np.testing.assert_array_equal(mean.values, [2.0, np.nan])


CLASSES = ("negative", "positive", "surprise")


def plot_of_title(figure):
    return {axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_visible()}


def draw(folds, classes=CLASSES):
    panels, _ = curves.choose_panels(folds, classes)
    figure = plots.draw_training_curves(folds, panels, classes)
    figure.draw_without_rendering()
    return figure


def curve(*values):
    return curves.Curve(10 * np.arange(len(values)), np.array(values))


def test_a_line_per_fold_and_their_mean_whose_last_value_is_named(tmp_path):
    folds = []
    for number in range(3):
        fabricated.write_metrics(tmp_path / f"{number}.jsonl", offset=0.1 * number)
        folds.append(curves.read_metrics(tmp_path / f"{number}.jsonl"))
    result = plot_of_title(draw(folds))
    assert set(result) == {"L1 distance to the apex: 0.12\ngenerator", "margin loss: 0.239\ndiscriminator"}
    lines = [line.get_ydata() for line in result["L1 distance to the apex: 0.12\ngenerator"].get_lines()]
    assert len(lines) == 4
    np.testing.assert_allclose(lines[3], np.mean(lines[:3], axis=0))


def test_what_is_constant_or_logged_twice_is_not_drawn():
    fold = {"d_fake_margin": curve(2.0, 1.0), "g_margin": curve(2.0, 1.0), "learning_rate": curve(0.1, 0.1)}
    fold |= {"d_real_length_negative": curve(0.5, 0.5), "d_real_length_positive": curve(0.25, 0.25)}
    panels, constants = curves.choose_panels([fold], CLASSES)
    assert [list(panel.classes) for panel in panels] == [["d_fake_margin"]]
    assert constants == [
        "capsule lengths (discriminator, real faces): negative 0.5, positive 0.25",
        "learning rate: 0.1",
    ]


@pytest.mark.parametrize("size", [1, 5, 9])
def test_lengths_of_the_classes_share_a_plot(size):
    classes = tuple(f"${label}$" for label in range(size))
    fold = {f"d_real_length_{name}": curve(0.5, 0.1 * label) for label, name in enumerate(classes)}
    (plot,) = plot_of_title(draw([fold], classes)).values()
    assert len(plot.get_lines()) == 2 * size and plot.get_ylim() == (-0.03, 1.03)
    if size > 1:
        assert len({line.get_color() for line in plot.get_lines()}) == min(size, 7)
        assert [text.get_text() for text in plot.get_legend().get_texts()][1] == r"\$1\$ 0.1"


def test_divergence_is_named_in_the_title():
    folds = [{"g_l1": curve(1.0, value)} for value in (0.5, np.inf, -np.inf)]
    assert set(plot_of_title(draw(folds))) == {"L1 distance to the apex: nan\ngenerator, not finite in 2"}


def test_only_wide_ranges_get_a_log_axis():
    values = {"g_wide": curve(100, 10, 1, 0.1), r"g_$\bad{": curve(3, 2, 1, 0.9), "g_signed": curve(100, 10, 1, -0.1)}
    scales = [axes.get_yscale() for axes in plot_of_title(draw([values])).values()]
    assert sorted(scales) == ["linear", "linear", "log"]


def test_quantities_are_in_rows_of_their_kind_and_cut_out_equally_large():
    predicted = [f"d_real_predicted_{name}" for name in CLASSES]
    names = ["g_l1", "g_gradient_norm", "d_real_margin", "d_parameter_norm", "steps_per_s", *predicted]
    figure = draw([{name: curve(1.0, 1e-4 * number) for number, name in enumerate(names)}])
    rows = {}
    for strip in figure.subfigs[1:]:
        rows[strip._suptitle.get_text()] = [title.split(":")[0].split("\n")[0] for title in plot_of_title(strip)]
    assert rows == {
        "Losses": ["L1 distance to the apex", "margin loss"],
        "Accuracy, capsule lengths and predictions": ["shares of the predictions"],
        "Norms": ["norm of the gradient", "norm of the parameters"],
        "Speed": ["updates per second"],
    }
    pictures = plots.cut_out_panels(figure, style.figure_to_picture(figure))
    assert len(pictures) == 6 and len({picture.size for picture in pictures}) == 1
    assert all(picture.getextrema()[3] == (0, 255) for picture in pictures)  # ink on a transparent ground
