"""The first tiles and the score table, with floors and references."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from icegan_jax.evaluation.table import Row, format_score
from icegan_jax.reporting.page.html import scroll, tiles
from icegan_jax.reporting.page.selection import name_of

SECTION_TITLES = {
    "score": "This run, counts pooled over all folds",
    "floor": "Floors: answers that never look at a face",
    "reference": "References on the same clips and folds",
}


def render_tiles(results: Mapping[str, Any]) -> str:
    """Score, clips and people; of a run that has no score, that it has none."""
    if not results.get("scored", True):
        people = results.get("num_people", "all")
        entries = [
            ("no score", "everybody was trained on, nobody was left to test"),
            (str(results["num_clips"]), f"clips of {people} people, all trained on"),
            (f"{results['fit']['accuracy']:.3f}", "of these clips recognised: how well it fits, no score"),
        ]
    else:
        overall = results["overall"]
        people = results.get("num_people", results["num_folds"])
        entries = [
            (f"{overall['uf1']:.3f}", "UF1" + _interval_words(overall["uf1_ci95"])),
            (f"{overall['uar']:.3f}", "UAR" + _interval_words(overall["uar_ci95"])),
            (str(results["num_clips"]), f"clips of {people} held-out subjects"),
        ]
    return tiles([*entries, (name_of(str(results["selection"])), "reported model")])


def render_scores(results: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """The score table and how to read it.

    Args:
      results: results.json, of a run with a score.
      rows: of the table; an oracle among them is left out, it is shown where the selection is.
    """
    lines = []
    section = None
    for row in rows:
        if row.section not in SECTION_TITLES:
            continue
        if row.section != section:
            section = row.section
            lines.append(f'<tr class="section"><td colspan="5">{escape(SECTION_TITLES[section])}</td></tr>')
        lines.append(_line(row))
    heads = ("clips", "UF1 [95%]", "UAR [95%]", "accuracy")
    head = "<th></th>" + "".join(f'<th scope="col" class="number">{word}</th>' for word in heads)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return scroll(table, "Scores") + _reading_help(results)


def _line(row: Row) -> str:
    numbers = (
        str(row.clips),
        format_score(row.uf1, row.uf1_interval),
        format_score(row.uar, row.uar_interval),
        "–" if row.accuracy is None else f"{row.accuracy:.3f}",
    )
    total = ' class="total"' if row.section == "score" and row.name == "overall" else ""
    cells = "".join(f'<td class="number">{cell}</td>' for cell in numbers)
    return f'<tr{total}><td class="name">{escape(row.name)}</td>{cells}</tr>'


def _interval_words(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f", 95% interval {interval[0]:.3f} to {interval[1]:.3f}"


def _reading_help(results: Mapping[str, Any]) -> str:
    one = results["overall"]["uf1_ci95"] is None
    interval = (
        "There is one subject only, so no interval can be given. "
        if one
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
