"""The report's page: one HTML file with everything inside, for phone and screen, light and dark."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from icegan_jax.evaluation.predictions import Prediction
from icegan_jax.evaluation.table import Row, format_score

# Nothing is fetched and no script runs, whatever a clip may be called.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

STYLE = """
:root { color-scheme: light dark; --ink: #22262e; --soft: #68707c; --line: #e1e4e8;
  --back: #ffffff; --card: #f6f7f9; --accent: #12335b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #9aa3af; --line: #343a44;
  --back: #14171c; --card: #1d2128; --accent: #9cc4f2; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem 1rem 4rem; background: var(--back);
  color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; color: var(--accent); }
p { max-width: 46rem; }
.soft { color: var(--soft); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem;
  margin: 1.25rem 0; }
.tile { background: var(--card); border-radius: .6rem; padding: .7rem .9rem; }
.tile b { display: block; font-size: 1.6rem; line-height: 1.25; }
.tile span { color: var(--soft); font-size: .85rem; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .9rem .3rem 0; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th { color: var(--soft); font-weight: 500; font-size: .85rem; }
tr.section td { border-bottom: 0; padding-top: 1rem; color: var(--soft); font-size: .85rem; }
tr.total td { font-weight: 650; }
img { display: block; max-width: 100%; height: auto; background: #fff; border-radius: .6rem; }
.wide img { max-width: none; width: max(100%, 60rem); }
pre { background: var(--card); border-radius: .6rem; padding: 1rem; overflow-x: auto;
  font-size: .8rem; line-height: 1.4; }
summary { cursor: pointer; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
"""

SECTION_TITLES = {
    "score": "This run, counts pooled over all folds",
    "floor": "Floors: answers that never look at a face",
    "reference": "References on the same clips and folds",
    "oracle": "Shown for comparison with logs that report it; chosen on the test clips",
}

SUBJECT_HELP = (
    "Correct clips of all clips, by subject and true class. A score per subject would mean little: "
    "many subjects have one or two clips."
)


@dataclass(frozen=True)
class Picture:
    """A PNG file with its words; `wide` scrolls sideways on a phone instead of shrinking."""

    heading: str
    text: str
    path: Path | None
    wide: bool = False


def render_page(
    name: str,
    results: Mapping[str, Any],
    config: Mapping[str, Any],
    rows: Sequence[Row],
    predictions: Sequence[Prediction],
    pictures: Sequence[Picture],
) -> str:
    """The whole page as HTML; every name that comes from data is escaped.

    Args:
      name: of the run.
      results: results.json.
      config: config.json.
      rows: of the score table.
      predictions: one per clip.
      pictures: in the order shown; without a path only their words appear.
    """
    body = [
        f"<h1>{escape(name)}</h1>",
        f'<p class="soft">{escape(str(results["protocol"]))}</p>',
        _tiles(results),
        "<h2>Scores</h2>",
        _score_table(rows),
        _reading_help(results),
        *(_picture(picture) for picture in pictures),
        "<h2>Subjects</h2>",
        f'<p class="soft">{SUBJECT_HELP}</p>',
        _subject_table(predictions, results["classes"]),
        "<h2>How this run was made</h2>",
        _facts(results),
        f"<details><summary>Configuration</summary>{_json(config)}</details>",
    ]
    html = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(name)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )
    return html.encode("utf-8", "replace").decode()  # JSON may hold half of a surrogate pair, which is no text


def _tiles(results: Mapping[str, Any]) -> str:
    overall = results["overall"]
    tiles = (
        (f"{overall['uf1']:.3f}", "UF1" + _interval_words(overall["uf1_ci95"])),
        (f"{overall['uar']:.3f}", "UAR" + _interval_words(overall["uar_ci95"])),
        (str(results["num_clips"]), f"clips of {results.get('num_people', results['num_folds'])} held-out subjects"),
        (str(results["selection"]), "reported model"),
    )
    cells = (f'<div class="tile"><b>{escape(value)}</b><span>{escape(words)}</span></div>' for value, words in tiles)
    return f'<div class="tiles">{"".join(cells)}</div>'


def _interval_words(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f", 95% interval {interval[0]:.3f} to {interval[1]:.3f}"


def _score_table(rows: Sequence[Row]) -> str:
    lines = []
    section = None
    for row in rows:
        if row.section != section:
            section = row.section
            title = escape(SECTION_TITLES[section])
            lines.append(f'<tr class="section"><td colspan="5">{title}</td></tr>')
        cells = (
            escape(row.name),
            str(row.clips),
            format_score(row.uf1, row.uf1_interval),
            format_score(row.uar, row.uar_interval),
            "–" if row.accuracy is None else f"{row.accuracy:.3f}",
        )
        total = ' class="total"' if row.section == "score" and row.name == "overall" else ""
        lines.append(f"<tr{total}>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "<th></th><th>clips</th><th>UF1 [95%]</th><th>UAR [95%]</th><th>accuracy</th>"
    return f'<div class="scroll"><table><tr>{head}</tr>{"".join(lines)}</table></div>'


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


def _picture(picture: Picture) -> str:
    words = f"<h2>{escape(picture.heading)}</h2><p class='soft'>{escape(picture.text)}</p>"
    if picture.path is None:
        return words
    data = base64.b64encode(picture.path.read_bytes()).decode("ascii")
    frame = "scroll wide" if picture.wide else "scroll"
    image = f'<img alt="{escape(picture.heading)}" src="data:image/png;base64,{data}">'
    return f'{words}<div class="{frame}">{image}</div>'


def _subject_table(predictions: Sequence[Prediction], classes: Sequence[str]) -> str:
    subjects = sorted({(row.dataset, row.subject) for row in predictions})
    lines = []
    for key in subjects:
        rows = [row for row in predictions if (row.dataset, row.subject) == key]
        cells = [escape(key[0]), escape(key[1]), _correct(rows)]
        for label in range(len(classes)):
            cells.append(_correct([row for row in rows if row.label == label]))
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    heads = ("dataset", "subject", "correct", *classes)
    head = "".join(f"<th>{escape(word)}</th>" for word in heads)
    return f'<div class="scroll"><table><tr>{head}</tr>{"".join(lines)}</table></div>'


def _correct(rows: Sequence[Prediction]) -> str:
    if not rows:
        return "–"
    return f"{sum(row.label == row.prediction for row in rows)} / {len(rows)}"


def _facts(results: Mapping[str, Any]) -> str:
    facts = {
        "protocol": results["protocol"],
        "selection rule": results["selection"],
        "training seed": results["seed"],
        "data fingerprint": results["data_fingerprint"],
        **{name.replace("_", " "): _number(value) for name, value in results["timing"].items()},
        **results["versions"],
    }
    items = (f"<dt>{escape(str(k))}</dt><dd>{escape(str(v))}</dd>" for k, v in facts.items())
    return f"<dl>{''.join(items)}</dl>"


def _number(value: Any) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


def _json(content: Mapping[str, Any]) -> str:
    return f"<pre>{escape(json.dumps(content, indent=2, ensure_ascii=False))}</pre>"
