from icegan_jax.reporting.page.run_settings import render_config, render_warnings, without_data_folder
from tests.reporting.fabricated import CONFIG


def test_fields_stand_under_their_group_and_the_file_is_folded_away():
    config = {"seed": 0, "data": {"dir": "", "procedural": {"frames": 15}}, "model": {"name": "<b>", "wide": True}}
    html, raw = render_config(config).split("<details>")
    assert html.index("<h3>run</h3>") < html.index("<dt>seed</dt><dd>0</dd>") < html.index("<h3>data</h3>")
    assert "<dt>dir</dt><dd>–</dd><dt>procedural.frames</dt><dd>15</dd>" in html
    assert "<dt>name</dt><dd>&lt;b&gt;</dd><dt>wide</dt><dd>true</dd>" in html
    assert "&quot;procedural&quot;: {" in raw and "<b>" not in raw


def test_the_folder_of_the_data_is_left_out_wherever_it_is_named():
    shared = without_data_folder(CONFIG)
    assert shared == {
        "seed": 0,
        "data": {"mirror": True},
        "model": {"preset": "<paper>"},
        "resumed": [{"when": "2026", "changed": {"loss.x": [1, 2]}}],
    }
    assert CONFIG["data"]["dir"] == "secret/place"
    assert without_data_folder({"data": "odd", "resumed": ["odd", {"changed": 3}]}) == {
        "data": "odd",
        "resumed": ["odd", {"changed": 3}],
    }


def test_warnings_are_a_line_each():
    assert render_warnings({}) == ""
    assert render_warnings({"warnings": {"a": ["x", "<y>"], "b": []}}) == "<ul><li>a: x</li><li>a: &lt;y&gt;</li></ul>"
