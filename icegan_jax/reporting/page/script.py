"""The page's only script, and the policy that lets no other one run."""

import base64
import hashlib

# Sorts a table by the header that is pressed and hides the rows that are not asked for; without it all rows are there,
# in their first order. A cell without a value (data-value="") comes last either way.
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

# Nothing is fetched or sent, and no script but the one above runs, whatever a clip may be called.
POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    f"script-src 'sha256-{base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}'"
)
