// Elements are made here and nowhere else: whatever comes from outside becomes text, never markup.

const SVG = 'http://www.w3.org/2000/svg';

export function h(tag, attributes, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

// A change of content leaves the keyboard where it was.
export function swap(parent, ...children) {
  const active = document.activeElement;
  const key = active && parent.contains(active) ? active.getAttribute('href') : null;
  parent.replaceChildren(...children.flat());
  if (key !== null) {
    const same = [...parent.querySelectorAll('a[href]')].find((link) => link.getAttribute('href') === key);
    if (same) same.focus({ preventScroll: true });
  }
}

// Columns: {label, value(row), num, cls(row), whole}. On a phone each row is a card with the labels in it.
export function table(caption, columns, rows, empty) {
  if (!rows.length) return h('p', { class: 'empty' }, empty);
  return h('table', { class: 'cards' },
    h('caption', { class: 'unseen' }, caption),
    h('thead', {}, h('tr', {}, columns.map((column) => h('th', { scope: 'col', class: column.num ? 'num' : null }, column.label)))),
    h('tbody', {}, rows.map((row) => h('tr', {}, columns.map((column) => {
      const classes = [column.num && 'num', column.whole && 'whole', column.cls && column.cls(row)].filter(Boolean).join(' ');
      const value = column.value(row);
      return h('td', { class: classes || null, 'data-label': column.label },
        value instanceof Node ? value : h('span', { class: column.num ? null : 'name', title: column.num ? null : String(value) }, String(value)));
    })))));
}

export function userLink(id) {
  return h('a', { href: `#/user/${encodeURIComponent(id)}`, class: 'name', title: id }, id);
}

export function callLink(id, text) {
  return h('a', { href: `#/call/${encodeURIComponent(id)}` }, text || id);
}

// State is said by a sign and a word; colour only repeats it.
export function pill(kind, text) {
  const sign = { good: '✓', warning: '!', bad: '✕' }[kind] || '•';
  return h('span', { class: `pill ${kind}` }, h('span', { 'aria-hidden': 'true' }, sign), text);
}
