import tomllib
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from icegan_jax.reporting.render import format_value, number_cell, render, render_macro
from tests.reporting.parsed_page import HOSTILE, ParsedPage

ROOT = Path(__file__).parents[2]


def test_the_templates_are_data_of_the_package():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folder = ROOT / "icegan_jax/reporting"
    packed = {file for pattern in settings["package-data"]["icegan_jax.reporting"] for file in folder.glob(pattern)}
    assert packed == set((folder / "templates").iterdir())


@pytest.mark.parametrize("kind,tag", [("image/png", "img"), ("video/mp4", "video")])
def test_the_page_of_a_synthesis_embeds_the_file(kind, tag):
    url = f"data:{kind};base64,"
    page = ParsedPage(
        render("synthesis.html", title=HOSTILE, description=HOSTILE, url=url, record={HOSTILE: [HOSTILE]})
    )
    page.check_self_contained()
    assert page.every(tag)[0]["src"] == url and page.words().count(HOSTILE) == 5


def test_a_value_that_a_template_misses_is_an_error():
    with pytest.raises(UndefinedError):
        render("synthesis.html", title="t")


def test_a_macro_escapes_its_arguments_and_surrogates_are_replaced():
    assert render_macro("app.html", "error", message="<x>\udcff") == '<p class="problem" role="alert">&lt;x&gt;?</p>'


def test_values_are_formatted():
    assert format_value({"a": 1, "b": {"c": [2, 0.123456]}}) == "a 1, b (c 2, 0.1235)"
    assert [format_value(value) for value in ("", [], {}, True)] == ["–", "none", "none", "True"]
    assert number_cell(None) == ("–", None) and number_cell(0.12345, 2) == ("0.12", 0.12345)
