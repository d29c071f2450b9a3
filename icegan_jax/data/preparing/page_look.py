"""How the page of the prepared data looks, and its filters: style sheet and script."""

STYLE = """
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

# Without it the page shows everything, by subject. It only hides and moves what is there.
SCRIPT = """
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
