'use strict';
// The script sorts a table by the clicked header and hides the rows that a form filters out; without the script all
// rows are shown in their original order. A cell without a value (data-value="") comes last in both directions.
const order = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });
for (const table of document.querySelectorAll('table.sortable')) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => head.querySelector('button')?.addEventListener('click', () => {
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
// A control of a filter form keeps the rows whose field data-NAME has its value; the field "words" searches the text.
// The element whose id is the data-card of a row is shown and hidden with the row.
for (const form of document.querySelectorAll('form.filter')) {
  const rows = [...document.getElementById(form.dataset.table).tBodies[0].rows];
  const controls = [...form.querySelectorAll('select, input[type=checkbox]')];
  const show = () => {
    const { words, shown } = form.elements;
    const sought = words.value.toLowerCase().split(' ').filter(Boolean);
    const wanted = controls.filter(control => control.type === 'checkbox' ? control.checked : control.value);
    let count = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !(sought.every(word => text.includes(word))
        && wanted.every(control => row.dataset[control.name] === control.value));
      document.getElementById(row.dataset.card ?? '')?.toggleAttribute('hidden', row.hidden);
      count += !row.hidden;
    }
    shown.value = count + ' of ' + rows.length + ' clips';
  };
  form.addEventListener('input', show);
  form.addEventListener('submit', event => event.preventDefault());
  show();
}
// On paper every folded box is open.
const folded = [];
window.addEventListener('beforeprint', () => {
  folded.push(...document.querySelectorAll('details:not([open])'));
  for (const box of folded) box.open = true;
});
window.addEventListener('afterprint', () => { for (const box of folded.splice(0)) box.open = false; });
