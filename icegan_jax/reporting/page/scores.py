"""The tiles with the main scores, the score table, and the section about the selection of the reported model."""

from collections.abc import Mapping, Sequence
from html import escape
from statistics import median_low
from typing import Any

from icegan_jax.evaluation.score_table import ORACLE_NAME, ScoreRow, format_score
from icegan_jax.reporting.page.html import NUMBER, Cell, Column, TableRow, paragraph, scrollable, table, tiles

_LAST, _INNER = "last", "inner"  # the selection rules that results.json names
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
SECTION_TITLES = {
    "score": "This run, counts pooled over all folds",
    "floor": "Floors: answers that never look at a face",
    "reference": "References on the same clips and folds",
}


def render_tiles(results: Mapping[str, Any]) -> str:
    """Return tiles with the score and the number of clips and subjects; or tiles that state that there is no score."""
    if not results.get("scored", True):
        num_subjects = results.get("num_people", "all")
        entries = [
            ("no score", "everybody was trained on, nobody was left to test"),
            (str(results["num_clips"]), f"clips of {num_subjects} people, all trained on"),
            (f"{results['fit']['accuracy']:.3f}", "of these clips recognized: how well it fits, no score"),
        ]
    else:
        overall = results["overall"]
        num_subjects = results.get("num_people", results["num_folds"])
        entries = [
            (f"{overall['uf1']:.3f}", "UF1" + _interval_text(overall["uf1_ci95"])),
            (f"{overall['uar']:.3f}", "UAR" + _interval_text(overall["uar_ci95"])),
            (str(results["num_clips"]), f"clips of {num_subjects} held-out subjects"),
        ]
    return tiles([*entries, (selection_name(str(results["selection"])), "reported model")])


def render_scores(results: Mapping[str, Any], rows: Sequence[ScoreRow]) -> str:
    """Return the score table, and how to read the table.

    Args:
      results: results.json, of a run with a score.
      rows: of the table; the oracle is left out, as ``render_selection`` shows it.
    """
    lines = []
    section = None
    for row in rows:
        if row.section not in SECTION_TITLES:
            continue
        if row.section != section:
            section = row.section
            lines.append(f'<tr class="section"><td colspan="5">{escape(SECTION_TITLES[section])}</td></tr>')
        lines.append(_render_row(row))
    names = ("clips", "UF1 [95%]", "UAR [95%]", "accuracy")
    header = "<th></th>" + "".join(f'<th scope="col" class="number">{name}</th>' for name in names)
    html = f"<table><thead><tr>{header}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return scrollable(html, "Scores") + _render_help(results)


def selection_name(selection: str) -> str:
    """Return the displayed name of the selection rule; a rule that is not known is returned unchanged."""
    return _NAMES.get(_rule(selection), selection)


def render_selection(results: Mapping[str, Any]) -> str:
    """Return the explanation of how the reported model was selected, with the oracle last, in a box of its own.

    Args:
      results: results.json, of a run with a score.
    """
    selection = str(results["selection"])
    rule = _rule(selection)
    parts = [paragraph(_RULES.get(rule, f"The rule was: {selection}."))]
    valid = {name: block for name, block in results.get("by_selection", {}).items() if name != ORACLE_NAME}
    if len(valid) > 1:
        parts.append(paragraph("The same folds by either rule:", "soft"))
        parts.append(_render_rules(valid, rule))
    if results.get("selected_steps"):
        parts.append(_render_steps(results["selected_steps"]))
    if "oracle" in results:
        text = _ORACLE.format(uf1=results["oracle"]["uf1"], uar=results["oracle"]["uar"])
        parts.append(f'<div class="note"><h3>{escape(ORACLE_NAME)}</h3>{paragraph(text)}</div>')
    return "".join(parts)


def _rule(selection: str) -> str:
    """Return the rule that results.json names; empty for a rule that is not known."""
    first_word = next(iter(selection.split()), "")
    return first_word if first_word in _NAMES else ""


def _render_rules(blocks: Mapping[str, Mapping[str, Any]], rule: str) -> str:
    columns = [Column("rule"), Column("UF1 [95%]", NUMBER), Column("UAR [95%]", NUMBER), Column("accuracy", NUMBER)]
    rows: list[TableRow] = []
    for name, block in blocks.items():
        reported = " (reported)" if name == rule else ""
        scores = [Cell(format_score(block[key], block[f"{key}_ci95"]), block[key]) for key in ("uf1", "uar")]
        accuracy = Cell(f"{block['accuracy']:.3f}", block["accuracy"])
        rows.append([f"{_NAMES.get(name, name)}{reported}", *scores, accuracy])
    return table("Scores by rule", columns, rows)


def _render_steps(steps: Mapping[str, int]) -> str:
    low, high, middle = min(steps.values()), max(steps.values()), median_low(steps.values())
    summary = f"The chosen steps: {low} to {high}, median {middle}"
    rows: list[TableRow] = [[fold, Cell(str(step), step)] for fold, step in steps.items()]
    columns = [Column("fold"), Column("step", NUMBER)]
    return f"<details><summary>{summary}</summary>{table('Chosen steps', columns, rows)}</details>"


def _render_row(row: ScoreRow) -> str:
    numbers = (
        str(row.clips),
        format_score(row.uf1, row.uf1_interval),
        format_score(row.uar, row.uar_interval),
        "–" if row.accuracy is None else f"{row.accuracy:.3f}",
    )
    total = ' class="total"' if row.section == "score" and row.name == "overall" else ""
    cells = "".join(f'<td class="number">{cell}</td>' for cell in numbers)
    return f'<tr{total}><td class="name">{escape(row.name)}</td>{cells}</tr>'


def _interval_text(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f", 95% interval {interval[0]:.3f} to {interval[1]:.3f}"


def _render_help(results: Mapping[str, Any]) -> str:
    no_interval = results["overall"]["uf1_ci95"] is None
    interval = (
        "There is one subject only, so no interval can be given. "
        if no_interval
        else "Intervals resample subjects, not clips; they do not cover the training seed. "
    )
    constant = next(name for name in results["floors"] if name.startswith("always_")).replace("_", " ").capitalize()
    return (
        f'<p class="soft">{interval}UF1 and UAR are computed from counts summed over all folds '
        "(MEGC2019), never as a mean over folds. "
        f"<em>{escape(constant)}</em> answers the majority class; <em>prior random</em> draws from the "
        "class frequencies (mean of 1000 simulations). A network that does not clear the linear "
        "classifier on raw apex pixels may have learnt a shortcut.</p>"
    )
