"""The page of a prepared folder: one HTML file with counts, findings, repairs and the faces of every clip."""

import base64
import hashlib
import io
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image

from icegan_jax.data.clips import Clip
from icegan_jax.data.dataset import Record
from icegan_jax.data.ingest.annotation import ClipKey, Finding
from icegan_jax.data.ingest.contact_sheet import draw_strip, sort_key
from icegan_jax.data.ingest.repairs import Repair
from icegan_jax.data.ingest.summary import count_clips, count_datasets

_FACE = 128  # pixels on a side
_MAX_FULL_SIZE = 600  # clips that are shown in this size; with more, faces shrink so that the page grows little
_MIN_FACE = 48
_QUALITY = 80  # of the JPEGs: 442 clips take about 7 MB

# Titles of the kinds of findings (``Finding``), the most serious first.
_KINDS = {
    "error": "Errors",
    "missing": "Missing clips",
    "surplus": "Folders and rows that no clip uses",
    "repair": "Repairs foreseen",
    "note": "Notes",
    "excluded": "Left out by the protocol",
}
_SERIOUS = ("error", "missing")

_STYLE = """
:root { color-scheme: light dark; --ink: #22262e; --soft: #68707c; --line: #e1e4e8; --back: #ffffff;
  --card: #f6f7f9; --accent: #12335b; --warn: #fff3d6; --rule: #d69a00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #9aa3af; --line: #343a44; --back: #14171c;
  --card: #1d2128; --accent: #9cc4f2; --warn: #33290f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 80rem; padding: 1.5rem 1rem 4rem; background: var(--back); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; color: var(--accent); }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; overflow-wrap: anywhere; }
p { max-width: 46rem; }
.warn { background: var(--warn); border-left: .25rem solid var(--rule); padding: .6rem .9rem; }
.soft { color: var(--soft); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); gap: .75rem; }
.tile { background: var(--card); border-radius: .6rem; padding: .7rem .9rem; }
.tile b { display: block; font-size: 1.6rem; line-height: 1.25; }
.tile span { color: var(--soft); font-size: .85rem; }
.scroll { overflow: auto; max-height: 32rem; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem 1rem .3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 500; position: sticky; top: 0; background: var(--back); }
.words td { min-width: 4rem; max-width: 26rem; overflow-wrap: anywhere; }
.words td:first-child { min-width: 9rem; }
.numbers th:not(:first-child), .numbers td:not(:first-child) { text-align: right; }
details { margin: .5rem 0; } summary { cursor: pointer; }
form { position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap; gap: .5rem; align-items: center;
  padding: .5rem 0; background: var(--back); border-bottom: 1px solid var(--line); }
@media (max-width: 40rem) { form { position: static; } }
input, select { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line);
  border-radius: .4rem; padding: .2rem .5rem; max-width: 11rem; }
.strips { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); gap: 1rem; }
figure { margin: 0; background: var(--card); border-radius: .6rem; overflow: hidden; }
figure img { display: block; width: 100%; height: auto; }
figcaption { padding: .4rem .7rem .6rem; font-size: .85rem; overflow-wrap: anywhere; }
figcaption .soft { display: block; }
figcaption ul { margin: .3rem 0 0; padding-left: 1.1rem; }
.home { display: none !important; } #flat .home { display: block !important; }
.chip { border: 2px solid; border-radius: 1rem; padding: 0 .5rem; font-size: .75rem; }
.c0 { border-color: #0072b2; } .c1 { border-color: #e69f00; } .c2 { border-color: #cc79a7; }
.c3 { border-color: #009e73; } .c4 { border-color: #d55e00; } .c5 { border-color: #56b4e9; }
.c6 { border-color: #8a919c; } .c7 { border-color: #b8a800; }
dl { display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: .2rem 1rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
[hidden] { display: none !important; }
"""

# The script hides and sorts clips; without it the page shows all clips by subject.
_SCRIPT = """
'use strict';
const form = document.getElementById('filters'), flat = document.getElementById('flat');
const figures = [...document.querySelectorAll('figure')];
const sections = [...document.querySelectorAll('section.subject')];
const homes = new Map(figures.map(figure => [figure, figure.parentElement]));
function show() {
  const { words, dataset, label, order, repaired, shown } = form.elements;
  const sought = words.value.toLowerCase().split(' ').filter(Boolean);
  let count = 0;
  for (const figure of figures) {
    const data = figure.dataset, name = data.name.toLowerCase();
    figure.hidden = !(sought.every(word => name.includes(word))
      && (!dataset.value || data.dataset === dataset.value)
      && (!label.value || data.label === label.value)
      && (!repaired.checked || 'repaired' in data));
    count += !figure.hidden;
  }
  const sign = { up: 1, down: -1 }[order.value];
  const sorted = sign ? [...figures].sort((a, b) => sign * (a.dataset.change - b.dataset.change)) : figures;
  for (const figure of sorted) (sign ? flat : homes.get(figure)).append(figure);
  for (const section of sections) section.hidden = !section.querySelector('figure:not([hidden])');
  shown.value = count + ' of ' + figures.length + ' clips';
}
form.addEventListener('input', show);
form.addEventListener('submit', event => event.preventDefault());
show();
"""


def write_page(
    path: Path,
    *,
    summary: Mapping[str, object],
    apexes: Sequence[Record],
    clips: Sequence[Clip],
    repairs: Sequence[Repair],
    findings: Sequence[Finding],
    classes: Sequence[str],
) -> None:
    """Write one HTML file that needs no network, for light and dark mode, phone and screen.

    The page shows for each clip onset, apex and 4 times their difference as an embedded JPEG with faces of 128 pixels
    (smaller ones beyond 600 clips), the frame numbers and the repairs. Every name is escaped, and the content security
    policy allows no script but the page's own.

    Args:
        path: the file to write.
        summary: the content of prepared.json; its "protocol", where there is one, is named above the findings.
        apexes: the records of shift 0.
        clips: the repaired clips, for counts and frame numbers.
        repairs: the rows of repairs.csv.
        findings: the rows of findings.csv.
        classes: names of the classes.
    """
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    body = [
        "<h1>Prepared micro-expressions</h1>",
        '<p class="warn">This page holds recognizable faces. Frames of licensed databases, and pictures made of them, '
        "must not be shared: keep this file where the frames are.</p>",
        _tiles(clips, repairs, findings),
        "<h2>Clips per database and class</h2>",
        _count_table(clips, classes),
        "<h2>Protocol check and findings</h2>",
        _protocol_line(str(summary.get("protocol") or ""), clips, findings),
        *_finding_tables(findings),
        "<h2>Repairs</h2>",
        _repair_table(repairs),
        "<h2>Clips</h2>",
        '<p class="soft">Onset, apex, and 4 &times; (apex &minus; onset) on mid-gray. Change: mean absolute difference '
        "of the two faces, in gray levels of 255.</p>",
        _filters(apexes, classes),
        *_subject_sections(apexes, clips, repairs, classes),
        "<h2>How this was prepared</h2>",
        _summary_list(summary),
    ]
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Prepared micro-expressions</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + f"\n<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )
    path.write_bytes(page.encode("utf-8", "replace"))  # names from a disk need not be valid text


def _tiles(clips: Sequence[Clip], repairs: Sequence[Repair], findings: Sequence[Finding]) -> str:
    serious = sum(finding.kind in _SERIOUS for finding in findings)
    tiles = (
        (len(clips), "clips"),
        (len({(clip.dataset, clip.subject) for clip in clips}), "subjects"),
        (len({(row.dataset, row.subject, row.clip) for row in repairs}), "clips with a spotted apex or a repair"),
        (serious, "errors and missing clips"),
    )
    cells = (f'<div class="tile"><b>{value}</b><span>{words}</span></div>' for value, words in tiles)
    return f'<div class="tiles">{"".join(cells)}</div>'


def _count_table(clips: Sequence[Clip], classes: Sequence[str]) -> str:
    groups = sorted(count_datasets(clips, classes).items())
    if len(groups) > 1:
        groups.append(("all", count_clips(clips, classes)))
    rows = [(name, *(n.classes[word] for word in classes), n.clips, n.subjects) for name, n in groups]
    return _table(("database", *classes, "clips", "subjects"), rows, "numbers")


def _protocol_line(protocol: str, clips: Sequence[Clip], findings: Sequence[Finding]) -> str:
    kinds = Counter(finding.kind for finding in findings)
    counts = [f"{name.lower()}: {kinds[kind]}" for kind, name in _KINDS.items() if kinds[kind]]
    words = [f"Protocol {protocol}: {len(clips)} clips" if protocol else f"{len(clips)} clips"]
    serious = any(kinds[kind] for kind in _SERIOUS)
    words.append("see errors and missing clips first" if serious else "no error, no clip known to be missing")
    text = f"{'; '.join(words)}. {'; '.join(counts).capitalize() or 'No findings'}."
    return f"<p>{escape(text)}</p>"


def _finding_tables(findings: Sequence[Finding]) -> Iterable[str]:
    kinds = [*_KINDS, *sorted({finding.kind for finding in findings} - set(_KINDS))]
    for kind in kinds:
        rows = [(f.clip, f.message, f.remedy, f.where) for f in findings if f.kind == kind]
        if rows:
            title = f"{_KINDS.get(kind, kind)} ({len(rows)})"
            table = _table(("clip", "finding", "remedy", "where"), rows)
            state = " open" if kind in _SERIOUS else ""
            yield f"<details{state}><summary>{escape(title)}</summary>{table}</details>"


def _repair_table(repairs: Sequence[Repair]) -> str:
    if not repairs:
        return "<p>None: every clip is used as annotated.</p>"
    counts = ", ".join(f"{n} of {field}" for field, n in Counter(row.field for row in repairs).most_common())
    rows = [(f"{r.dataset}/{r.subject}/{r.clip}", r.field, r.old, r.new, r.reason) for r in repairs]
    table = _table(("clip", "what", "was", "is", "reason"), rows)
    return f"<details><summary>{len(rows)} repairs: {escape(counts)}</summary>{table}</details>"


def _filters(apexes: Sequence[Record], classes: Sequence[str]) -> str:
    def choice(name: str, words: Iterable[tuple[str, str]]) -> str:
        options = (f'<option value="{escape(value)}">{escape(word)}</option>' for value, word in words)
        return f'<select name="{name}" aria-label="{name}">{"".join(options)}</select>'

    datasets = [("", "all databases"), *((name, name) for name in sorted({r.dataset for r in apexes}))]
    labels = [("", "all classes"), *((str(label), word) for label, word in enumerate(classes))]
    orders = [("", "by subject"), ("up", "least change first"), ("down", "most change first")]
    return (
        '<form id="filters"><input type="search" name="words" placeholder="subject or clip" aria-label="subject or '
        f'clip">{choice("dataset", datasets)}{choice("label", labels)}{choice("order", orders)}'
        '<label><input type="checkbox" name="repaired"> repaired only</label><output name="shown"></output></form>'
        '<div class="strips" id="flat"></div>'
    )


def _subject_sections(
    apexes: Sequence[Record], clips: Sequence[Clip], repairs: Sequence[Repair], classes: Sequence[str]
) -> Iterable[str]:
    """Yield a section for each (dataset, subject), with a figure for each clip."""
    clip_of_key = {(clip.dataset, clip.subject, clip.clip): clip for clip in clips}
    repaired: dict[ClipKey, list[Repair]] = defaultdict(list)
    for row in repairs:
        repaired[row.dataset, row.subject, row.clip].append(row)
    size = (
        _FACE
        if len(apexes) <= _MAX_FULL_SIZE
        else max(_MIN_FACE, round(_FACE * math.sqrt(_MAX_FULL_SIZE / len(apexes)) / 8) * 8)
    )
    for (dataset, subject), group in groupby(sorted(apexes, key=sort_key), key=lambda r: (r.dataset, r.subject)):
        figures = []
        for record in group:
            key = (dataset, subject, record.clip)
            figures.append(_figure(record, clip_of_key.get(key), repaired[key], classes[record.label], size))
        yield (
            f'<section class="subject"><h3>{escape(dataset)} / {escape(subject)} '
            f'<span class="soft">{len(figures)}</span></h3><div class="strips">{"".join(figures)}</div></section>'
        )


def _figure(record: Record, clip: Clip | None, repairs: Sequence[Repair], word: str, size: int) -> str:
    change = float(np.abs(record.apex.astype(np.float32) - record.onset.astype(np.float32)).mean())
    numbers = f"onset {clip.onset}, apex {clip.apex}, offset {clip.offset}; " if clip else ""
    rows = (f"<li>{escape(r.field)} {escape(r.old)} &rarr; {escape(r.new)}: {escape(r.reason)}</li>" for r in repairs)
    fixes = f"<ul>{''.join(rows)}</ul>" if repairs else ""
    name = escape(f"{record.dataset}/{record.subject}/{record.clip}")
    return (
        f'<figure data-name="{name}" data-dataset="{escape(record.dataset)}" data-label="{record.label}" '
        f'data-change="{change:.4f}"{" data-repaired" if repairs else ""}>'
        f'<img alt="{name}: onset, apex, difference" width="{3 * size}" height="{size}" src="{_jpeg(record, size)}">'
        f'<figcaption><b>{escape(record.clip)}</b> <span class="chip c{record.label % 8}">{escape(word)}</span> '
        f'<span class="home soft">{escape(record.dataset)} / {escape(record.subject)}</span>'
        f'<span class="soft">{numbers}change {change:.1f}</span>{fixes}</figcaption></figure>'
    )


def _jpeg(record: Record, size: int) -> str:
    data = io.BytesIO()
    Image.fromarray(draw_strip(record, size)).save(data, "JPEG", quality=_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode("ascii")


def _summary_list(summary: Mapping[str, object]) -> str:
    items = (f"<dt>{escape(k.replace('_', ' '))}</dt><dd>{escape(_format_value(v))}</dd>" for k, v in summary.items())
    return f"<dl>{''.join(items)}</dl>"


def _format_value(value: object) -> str:
    """Return a value of prepared.json as text, nested values in brackets."""
    if isinstance(value, Mapping):
        inner = (
            (f"{k} ({_format_value(v)})" if isinstance(v, Mapping) else f"{k} {_format_value(v)}")
            for k, v in value.items()
        )
        return ", ".join(inner) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(_format_value(v) for v in value) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]], kind: str = "words") -> str:
    head = "".join(f"<th>{escape(word)}</th>" for word in heads)
    lines = ("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    table = f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'
    return f'<div class="scroll">{table}</div>'
