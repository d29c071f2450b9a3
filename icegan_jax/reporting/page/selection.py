"""Which step of each fold is the reported model, who chose it, and what other rules would have come to."""

from collections.abc import Mapping
from html import escape
from statistics import median_low
from typing import Any

from icegan_jax.evaluation.table import ORACLE_NAME, format_score
from icegan_jax.reporting.page.html import NUMBER, Cell, Column, Line, paragraph, table

_LAST = "last"
_INNER = "inner"
_RULES = {
    _LAST: "The reported model of each fold is the one after its last training step. No step was chosen, so no clip of "
    "a held-out subject had a say in it.",
    _INNER: "Of each fold some training people were kept out of training (inner validation). The reported model is the "
    "one of the step that scored best on them; no clip of a held-out subject had a say in it.",
}
_NAMES = {_LAST: "last step", _INNER: "inner validation"}
_ORACLE = (
    "If each fold took the best of all its evaluations on the very clips it is tested on, the score would be UF1 "
    "{uf1:.3f} and UAR {uar:.3f}. This is what some published logs report. It is not a valid score: the test clips "
    "choose the model, and a guesser gains by it too. It stands here for comparison with such logs only."
)


def name_of(selection: str) -> str:
    """The rule in words, as results.json names it or a little longer."""
    return _NAMES.get(_rule(selection), selection)


def render_selection(results: Mapping[str, Any]) -> str:
    """How the reported model was selected, in plain words; the oracle comes last, apart.

    Args:
      results: results.json, of a run with a score.
    """
    selection = str(results["selection"])
    rule = _rule(selection)
    parts = [paragraph(_RULES.get(rule, f"The rule was: {selection}."))]
    valid = {name: block for name, block in results.get("by_selection", {}).items() if name != ORACLE_NAME}
    if len(valid) > 1:
        parts.append(paragraph("The same folds by either rule:", "soft"))
        parts.append(_comparison(valid, rule))
    if results.get("selected_steps"):
        parts.append(_steps(results["selected_steps"]))
    if "oracle" in results:
        words = _ORACLE.format(uf1=results["oracle"]["uf1"], uar=results["oracle"]["uar"])
        parts.append(f'<div class="note"><h3>{escape(ORACLE_NAME)}</h3>{paragraph(words)}</div>')
    return "".join(parts)


def _rule(selection: str) -> str:
    """Which of the rules results.json names; empty: another one."""
    first = selection.split()[:1]
    return first[0] if first and first[0] in _NAMES else ""


def _comparison(blocks: Mapping[str, Mapping[str, Any]], rule: str) -> str:
    columns = [Column("rule"), Column("UF1 [95%]", NUMBER), Column("UAR [95%]", NUMBER), Column("accuracy", NUMBER)]
    rows: list[Line] = []
    for name, block in blocks.items():
        reported = " (reported)" if name == rule else ""
        scores = [Cell(format_score(block[key], block[f"{key}_ci95"]), block[key]) for key in ("uf1", "uar")]
        accuracy = Cell(f"{block['accuracy']:.3f}", block["accuracy"])
        rows.append([f"{_NAMES.get(name, name)}{reported}", *scores, accuracy])
    return table("Scores by rule", columns, rows)


def _steps(steps: Mapping[str, int]) -> str:
    low, high, middle = min(steps.values()), max(steps.values()), median_low(steps.values())
    words = f"The chosen steps: {low} to {high}, median {middle}"
    rows: list[Line] = [[fold, Cell(str(step), step)] for fold, step in steps.items()]
    columns = [Column("fold"), Column("step", NUMBER)]
    return f"<details><summary>{words}</summary>{table('Chosen steps', columns, rows)}</details>"
