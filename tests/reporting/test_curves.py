import numpy as np
import pytest

from icegan_jax.errors import UserError
from icegan_jax.reporting import plots
from tests.reporting import fabricated


def test_read_metrics(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 10, "epoch": 1, "g_l1": 0.5}\n\n{"step": 20, "g_l1": NaN, "x": 1}\n')
    result = plots.read_metrics(path)
    assert set(result) == {"g_l1", "x"}
    np.testing.assert_array_equal(result["g_l1"].steps, [10, 20])
    np.testing.assert_array_equal(result["g_l1"].values, [0.5, np.nan])
    np.testing.assert_array_equal(result["x"].steps, [20])


def test_a_null_was_not_finite(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 10, "g_l1": 0.5}\n{"step": 20, "g_l1": null}\n')
    np.testing.assert_array_equal(plots.read_metrics(path)["g_l1"].values, [0.5, np.nan])


def test_a_step_logged_again_keeps_the_later_value(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = ['{"step": 1, "a": 1}', '{"step": 2, "a": 2}', '{"step": 1, "a": 3}']
    path.write_text("\n".join(lines))
    np.testing.assert_array_equal(plots.read_metrics(path)["a"].steps, [1, 2])
    np.testing.assert_array_equal(plots.read_metrics(path)["a"].values, [3, 2])


@pytest.mark.parametrize("line", ['{"step": 2', '{"g_l1": 2}', "[1]", '{"step": 2, "a": "b"}', '{"step": Infinity}'])
def test_damaged_line_is_named(tmp_path, line):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "g_l1": 2}\n' + line + "\n")
    with pytest.raises(UserError, match="metrics.jsonl:2: not a line like .*: delete the line"):
        plots.read_metrics(path)


def test_binary_file_is_named(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="metrics.jsonl: cannot be read as text"):
        plots.read_metrics(path)


def test_mean_over_the_steps_that_all_folds_logged():
    short = plots.Curve(np.array([0, 10]), np.array([1.0, 2.0]))
    long = plots.Curve(np.array([0, 10, 20]), np.array([3.0, np.nan, 5.0]))
    mean = plots.mean_over_folds([short, long])
    np.testing.assert_array_equal(mean.steps, [0, 10])
    np.testing.assert_array_equal(mean.values, [2.0, np.nan])


def panels(figure):
    return {axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_visible()}


def drawn(folds):
    figure = plots.draw_training_curves(folds)
    figure.draw_without_rendering()
    return panels(figure)


def test_a_line_per_fold_and_their_mean(tmp_path):
    folds = []
    for number in range(3):
        path = tmp_path / f"{number}.jsonl"
        fabricated.write_metrics(path, offset=0.1 * number)
        folds.append(plots.read_metrics(path))
    result = drawn(folds)
    assert set(result) == {"g_l1", "d_margin", "d_accuracy", "length_*", "learning_rate"}
    lines = result["g_l1"].get_lines()
    assert len(lines) == 4
    each = [line.get_ydata() for line in lines[:3]]
    np.testing.assert_allclose(lines[3].get_ydata(), np.mean(each, axis=0))
    assert len(result["length_*"].get_lines()) == 3 * 4
    legend = [text.get_text() for text in result["length_*"].get_legend().get_texts()]
    assert legend == ["negative", "positive", "surprise"]


@pytest.mark.parametrize("size", [1, 5, 9])
def test_lengths_of_other_classes_share_a_panel(tmp_path, size):
    classes = tuple(f"${label}$" for label in range(size))
    fabricated.write_metrics(tmp_path / "m.jsonl", classes=classes)
    figure = plots.draw_training_curves([plots.read_metrics(tmp_path / "m.jsonl")], classes)
    figure.draw_without_rendering()
    panel = panels(figure)["length_*"]
    assert len(panel.get_lines()) == 2 * size
    if size > 1:
        assert len({line.get_color() for line in panel.get_lines()}) == min(size, 7)
        legend = [text.get_text() for text in panel.get_legend().get_texts()]
        assert legend == [rf"\${label}\$" for label in range(size)]


def test_divergence_is_named_in_the_title():
    steps = np.array([0, 10])
    fine = {"g_l1": plots.Curve(steps, np.array([1.0, 0.5]))}
    broken = {"g_l1": plots.Curve(steps, np.array([1.0, np.inf]))}
    opposite = {"g_l1": plots.Curve(steps, np.array([1.0, -np.inf]))}
    assert set(drawn([fine, broken, opposite])) == {"g_l1  (not finite in 2)"}


def test_only_wide_ranges_get_a_log_axis():
    steps = np.arange(4)
    wide = plots.Curve(steps, np.array([100.0, 10.0, 1.0, 0.1]))
    narrow = plots.Curve(steps, np.array([3.0, 2.0, 1.0, 0.9]))
    signed = plots.Curve(steps, np.array([100.0, 10.0, 1.0, -0.1]))
    result = drawn([{"g_wide": wide, "g_narrow": narrow, "g_signed": signed}])
    assert {name: axes.get_yscale() for name, axes in result.items()} == {
        "g_wide": "log",
        "g_narrow": "linear",
        "g_signed": "linear",
    }


def test_a_name_with_dollars_is_drawn_as_text():
    curve = plots.Curve(np.array([0, 1]), np.array([1.0, 2.0]))
    assert drawn([{r"g_$\bad{": curve}])


def test_a_run_without_a_generator():
    steps = np.array([0, 10])
    names = ["d_real_margin", "d_real_accuracy", "d_real_length_negative", "steps_per_s"]
    result = drawn([{name: plots.Curve(steps, np.array([0.5, 0.25])) for name in names}])
    assert set(result) == {"d_real_margin", "d_real_accuracy", "d_real_length_*", "steps_per_s"}


def test_norms_are_apart_from_losses_and_predicted_shares_have_one_panel():
    steps = np.array([0, 10])
    predicted = [f"d_real_predicted_{name}" for name in ("negative", "positive", "surprise")]
    names = ["g_l1", "g_gradient_norm", "d_real_margin", "d_parameter_norm", *predicted]
    figure = plots.draw_training_curves([{name: plots.Curve(steps, np.array([1.0, 1e-4])) for name in names}])
    figure.draw_without_rendering()
    rows = {strip._suptitle.get_text(): panels(strip) for strip in figure.subfigs[1:]}
    assert {heading: set(result) for heading, result in rows.items()} == {
        "Generator losses": {"g_l1"},
        "Discriminator losses": {"d_real_margin"},
        "Accuracy, capsule lengths and answers": {"d_real_predicted_*"},
        "Norms of gradients, parameters and statistics": {"g_gradient_norm", "d_parameter_norm"},
    }
    panel = panels(figure)["d_real_predicted_*"]
    assert panel.get_ylim() == (-0.03, 1.03)
    assert [text.get_text() for text in panel.get_legend().get_texts()] == ["negative", "positive", "surprise"]
