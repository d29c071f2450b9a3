"""The HTML document around a page: style sheet, script and content security policy, all in one file."""

import base64
import hashlib
from html import escape

STYLE = """
:root { color-scheme: light dark; --ink: #22262e; --soft: #646c78; --line: #e1e4e8; --back: #ffffff; --card: #f6f7f9;
  --accent: #12335b; --wrong: #b3261e; --note: #fff3d6; --rule: #d69a00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #9aa3af; --line: #343a44; --back: #14171c;
  --card: #1d2128; --accent: #9cc4f2; --wrong: #ff9d94; --note: #33290f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem 1rem 4rem; background: var(--back); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; color: var(--accent); }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; }
p, ul { max-width: 46rem; }
a { color: var(--accent); }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; font-size: .9rem; }
.soft { color: var(--soft); }
.note { max-width: 46rem; background: var(--note); border-left: .25rem solid var(--rule); padding: .6rem .9rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; margin: 1.25rem 0; }
.tile { background: var(--card); border-radius: .6rem; padding: .7rem .9rem; }
.tile b { display: block; font-size: 1.6rem; line-height: 1.25; }
.tile span { color: var(--soft); font-size: .85rem; }
.scroll { overflow-x: auto; }
.long { overflow-y: auto; max-height: 36rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { padding: .3rem 1.2rem .3rem 0; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 500; font-size: .85rem; position: sticky; top: 0; background: var(--back); }
.number { text-align: right; }
td.name { white-space: normal; min-width: 6rem; max-width: 14rem; overflow-wrap: anywhere; }
td.words { white-space: normal; min-width: 14rem; }
th button { all: unset; cursor: pointer; padding: .2rem 0; }
th button::after { content: "\\2195"; content: "\\2195" / ""; opacity: .45; margin-left: .25rem; }
th[aria-sort=ascending] button::after { content: "\\2191"; content: "\\2191" / ""; opacity: 1; }
th[aria-sort=descending] button::after { content: "\\2193"; content: "\\2193" / ""; opacity: 1; }
:focus-visible, th button:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: .2rem; }
tr.section td { border-bottom: 0; padding-top: 1rem; color: var(--soft); font-size: .85rem; }
tr.total td { font-weight: 650; }
tr.wrong .answer { color: var(--wrong); }
form { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; margin: .75rem 0; }
input[type=search] { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line);
  border-radius: .4rem; padding: .2rem .5rem; width: 15rem; }
img { display: block; max-width: 100%; height: auto; border-radius: .6rem; }
.wide img { max-width: none; width: max(100%, 60rem); }
.half img { max-width: none; width: 46rem; }
.side { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); gap: 1rem;
  max-width: 72rem; }
figure { margin: 0; background: var(--card); border-radius: .6rem; overflow: hidden; }
figure img { width: 100%; border-radius: 0; }
figcaption { padding: .4rem .7rem .6rem; font-size: .85rem; line-height: 1.45; }
figcaption b { display: block; font-size: .95rem; }
@media (max-width: 40rem) { th, td { padding-right: .8rem; font-size: .9rem; } }
@media (prefers-color-scheme: dark) { .chart img { filter: invert(.89) hue-rotate(180deg); }
  .sheet img, figure img { filter: brightness(.75); } }
.groups { columns: 20rem; column-gap: 2rem; }
.groups section { break-inside: avoid; padding-bottom: 1rem; } .groups h3 { margin: 0; }
pre { background: var(--card); border-radius: .6rem; padding: 1rem; overflow-x: auto; font-size: .8rem;
  line-height: 1.4; overflow-wrap: normal; }
details { margin: .75rem 0; } summary { cursor: pointer; }
dl { display: grid; grid-template-columns: minmax(6rem, max-content) 1fr; gap: .2rem 1rem; }
dt { color: var(--soft); } dd { margin: 0; }
[hidden] { display: none !important; }
"""

# The script sorts a table by the clicked header and hides the rows that a form filters out; without the script all rows
# are shown in their original order. A cell without a value (data-value="") comes last in both directions.
SCRIPT = """
'use strict';
const order = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });
for (const table of document.querySelectorAll('table.sortable')) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => head.querySelector('button').addEventListener('click', () => {
    const number = head.classList.contains('number');
    const direction = head.getAttribute('aria-sort') === 'ascending' ? 'descending' : 'ascending';
    const sign = direction === 'ascending' ? 1 : -1;
    const of = row => number ? row.cells[column].dataset.value : row.cells[column].textContent;
    const compare = (a, b) => number ? a - b : order.compare(a, b);
    const rows = [...body.rows].map(row => [of(row), row]);
    rows.sort(([a], [b]) => (a === '') - (b === '') || sign * compare(a, b));
    for (const other of heads) other.setAttribute('aria-sort', other === head ? direction : 'none');
    body.append(...rows.map(([, row]) => row));
  }));
}
for (const form of document.querySelectorAll('form.filter')) {
  const rows = [...document.getElementById(form.dataset.table).tBodies[0].rows];
  const show = () => {
    const { words, wrong, shown } = form.elements;
    const sought = words.value.toLowerCase().split(' ').filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = (wrong.checked && !row.classList.contains('wrong')) || !sought.every(word => text.includes(word));
      count += !row.hidden;
    }
    shown.value = count + ' of ' + rows.length + ' clips';
  };
  form.addEventListener('input', show);
  form.addEventListener('submit', event => event.preventDefault());
  show();
}
"""

# The policy forbids every request and every script but the one above, whatever the name of a clip contains.
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    f"script-src 'sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}'"
)


def render_document(title: str, body: str) -> str:
    """Return a whole page from its title, as plain text, and its body, as HTML."""
    html = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n"
        f"<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )
    return html.encode("utf-8", "replace").decode()  # JSON may hold an unpaired surrogate, which UTF-8 cannot encode
