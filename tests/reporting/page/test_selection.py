import re

import pytest

from icegan_jax.evaluation.score_table import ORACLE_NAME
from icegan_jax.reporting.page.scores import render_selection, selection_name

LAST = {"uf1": 0.7, "uar": 0.6, "accuracy": 0.65, "uf1_ci95": [0.5, 0.8], "uar_ci95": None, "confusion": [[1]]}
INNER = LAST | {"uf1": 0.75}
ORACLE = {"uf1": 0.91, "uar": 0.92}


@pytest.mark.parametrize("selection", ["last", "last step"])
def test_the_last_step_is_not_selected(selection):
    html = render_selection({"selection": selection, "by_selection": {"last": LAST}})
    assert "after its last training step. No step was chosen" in html
    assert "<table" not in html and "valid" not in html
    assert selection_name(selection) == "last step"


def test_inner_validation_is_shown_beside_the_last_step_and_apart_from_the_oracle():
    results = {
        "selection": "inner validation",
        "by_selection": {"last": LAST, "inner": INNER, ORACLE_NAME: ORACLE},
        "selected_steps": {"a": 10, "b": 400, "<c>": 20},
        "oracle": ORACLE,
    }
    html = render_selection(results)
    assert "kept out of training (inner validation)" in html and "The chosen steps: 10 to 400, median 20" in html
    table, apart = html.split('<div class="note">')
    assert "inner validation (reported)" in table and "last step (reported)" not in table
    assert "0.750 [0.500, 0.800]" in table and 'data-value="0.75"' in table and "&lt;c&gt;" in table
    assert "0.910" not in table and "UF1 0.910 and UAR 0.920" in apart and "not a valid score" in apart


def test_another_rule_is_named():
    text = re.sub("<[^>]*>", "", render_selection({"selection": "coin & luck"}))
    assert text == "The rule was: coin &amp; luck."
