// What is shown now, and when it is read again.

import { callPage, userPage } from './details.js';
import { h, pill, swap } from './dom.js';
import { clock } from './format.js';
import * as overview from './overview.js';
import { login, logout, read, resume } from './session.js';

const EVERY_MS = 3000;
const DETAILS_EVERY_MS = 5000;
const AT_MOST_MS = 30000;

const main = document.getElementById('main');
const bar = document.getElementById('bar');
const door = document.getElementById('door');
const why = document.getElementById('why');
const fresh = document.getElementById('fresh');
const overall = document.getElementById('overall');

let timer = null;
let turn = 0;
let misses = 0;
let framed = null;

function place() {
  const [, kind, id] = /^#\/(user|call)\/(.+)$/.exec(location.hash) || [];
  if (!kind) return { kind: 'overview' };
  try {
    return { kind, id: decodeURIComponent(id) };
  } catch {
    return { kind: 'overview' };
  }
}

function titled(where) {
  document.title = where.kind === 'overview' ? 'Status – Scalix Gateway' : `${where.id} – Scalix Gateway`;
}

async function show() {
  clearTimeout(timer);
  const mine = ++turn;
  const where = place();
  const name = JSON.stringify(where);
  let young = false;
  if (framed !== name) {
    framed = name;
    titled(where);
    if (where.kind === 'overview') overview.frame(main);
    else main.replaceChildren(h('div', { class: 'title' }, h('h1', {}, where.id)), h('div', { class: 'wait' }), h('div', { class: 'wait' }));
  }
  try {
    const told = await read(where.kind, where.id);
    if (mine !== turn) return;
    misses = 0;
    if (where.kind === 'overview') {
      overview.draw(told);
      say(told);
    } else {
      swap(main, where.kind === 'user' ? userPage(told) : callPage(told));
      young = where.kind === 'call' && [...(told.calls || []), ...(told.traces || [])].some((each) => Date.now() - Date.parse(each.at) < 60000);
      fresh.textContent = '';
      swap(overall);
    }
  } catch (error) {
    if (mine !== turn) return;
    if (error.status === 401) return enter('Your session is over. Log in again.');
    misses += 1;
    lost(where, error);
  }
  // A call's record and trace come within seconds, and then do not change.
  if (where.kind !== 'call' || misses || young) again(where);
}

function again(where) {
  const pause = where.kind === 'overview' ? EVERY_MS : DETAILS_EVERY_MS;
  timer = setTimeout(() => (document.hidden ? again(where) : show()), Math.min(pause * 2 ** Math.min(misses, 4), AT_MOST_MS));
}

function say(told) {
  const next = pill(...worst(told));
  if (overall.textContent !== next.textContent) {
    overall.className = next.className;
    swap(overall, ...next.childNodes);
  }
  fresh.textContent = `${clock(told.now)} UTC`;
}

function worst(told) {
  if (told.health.status === 'down') return ['bad', 'down'];
  if (told.findings.some((each) => each.severity === 'bad')) return ['bad', 'in trouble'];
  return told.findings.length ? ['warning', 'needs a look'] : ['good', 'all well'];
}

function lost(where, error) {
  if (where.kind === 'overview') {
    overall.className = 'pill bad';
    overall.textContent = '✕ no answer';
    const list = document.getElementById('findings');
    swap(list, h('li', { class: 'bad' }, h('b', {}, '✕ No answer'), h('p', {}, `${error.message} What you see below is old.`)));
    return;
  }
  swap(main, h('p', { class: 'crumb' }, h('a', { href: '#/' }, '← Status')), h('div', { class: 'title' }, h('h1', {}, where.id)), h('p', { class: 'empty', role: 'alert' }, error.message));
  if (error.status === 404 || error.status === 400) misses = Math.max(misses, 2);
}

function enter(reason) {
  clearTimeout(timer);
  turn += 1;
  framed = null;
  main.replaceChildren();
  bar.hidden = true;
  main.hidden = true;
  door.hidden = false;
  document.title = 'Log in – Scalix Gateway';
  why.textContent = reason || '';
  document.getElementById('key').focus();
}

function open() {
  door.hidden = true;
  bar.hidden = false;
  main.hidden = false;
  misses = 0;
  show();
}

document.getElementById('login').addEventListener('submit', async (event) => {
  event.preventDefault();
  const field = document.getElementById('key');
  const button = event.target.querySelector('button');
  button.disabled = true;
  why.textContent = '';
  try {
    await login(field.value);
    field.value = '';
    open();
    main.focus({ preventScroll: true });
  } catch (error) {
    why.textContent = error.message;
    field.select();
  } finally {
    button.disabled = false;
  }
});

document.getElementById('logout').addEventListener('click', async () => {
  try {
    await logout();
    enter('You are logged out.');
  } catch (error) {
    fresh.textContent = error.message;
  }
});

// Our request ids are 32 hexadecimal digits. What else there is names a user, or a request as its client called it.
async function kindOf(wanted) {
  if (/^[0-9a-f]{32}$/.test(wanted)) return 'call';
  for (const kind of ['user', 'call']) {
    try {
      await read(kind, wanted);
      return kind;
    } catch (error) {
      if (error.status !== 404) break;
    }
  }
  return 'user';
}

document.getElementById('find').addEventListener('submit', async (event) => {
  event.preventDefault();
  const wanted = event.target.wanted.value.trim();
  if (wanted) location.hash = `#/${await kindOf(wanted)}/${encodeURIComponent(wanted)}`;
});

window.addEventListener('hashchange', () => {
  if (bar.hidden) return;
  misses = 0;
  window.scrollTo(0, 0);
  show();
  main.focus({ preventScroll: true });
});

document.addEventListener('visibilitychange', () => {
  if (!document.hidden && !bar.hidden) show();
});

try {
  if (await resume()) open();
  else enter();
} catch (error) {
  enter(error.message);
}
