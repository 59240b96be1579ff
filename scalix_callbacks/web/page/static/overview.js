// The front page: what is wrong, then what is going on.

import { traffic } from './chart.js';
import { callLink, h, pill, swap, table, userLink } from './dom.js';
import { amount, category, clock, count, limitName, moment, ms, pair, share, short, usd } from './format.js';

const NOTHING = 'Nothing yet today.';

const TILES = [
  ['rate', 'Calls per minute'], ['failed', 'Failed, last hour'], ['latency', 'Time to answer, p95'],
  ['first', 'First token, p95'], ['price', 'Price today'], ['open', 'Open calls'],
];

const PANELS = [
  ['traffic', 'Traffic', 'more tall', ['recent'], drawTraffic],
  ['state', 'Stores and workers', 'third tall', [], drawState],
  ['models', 'Models', 'full tall', ['today', 'recent', 'resting'], drawModels],
  ['tiers', 'Tiers today', 'mid', ['today'], drawTiers],
  ['refusals', 'Refused', 'mid', ['live'], drawRefusals],
  ['errors', 'Errors today', 'third mid', ['today'], drawErrors],
  ['failures', 'Newest failures', 'more mid', ['recent'], drawFailures],
  ['users', 'Busiest users today', 'more mid', ['users'], drawUsers],
  ['cache', 'Answer cache', 'third mid', ['today', 'live'], drawCache],
  ['rollouts', 'Rollouts', 'full', ['rollouts'], drawRollouts],
  ['limits', 'What the tiers allow', 'full', [], drawLimits],
];

export function frame(main) {
  const waiting = () => [1, 2, 3].map(() => h('div', { class: 'wait' }));
  main.replaceChildren(
    h('h1', { class: 'unseen' }, 'Status'),
    h('ul', { id: 'findings', 'aria-live': 'polite', 'aria-label': 'What is wrong' }),
    h('div', { class: 'tiles' }, TILES.map(([id, title]) => h('section', { class: 'tile', id: `tile-${id}` },
      h('h2', {}, title), h('div', { class: 'value' }, '–'), h('div', { class: 'note' }, '\u00a0')))),
    h('div', { class: 'panels' }, PANELS.map(([id, title, kind]) => h('section', { class: `panel ${kind}`, id: `panel-${id}`, 'aria-labelledby': `title-${id}` },
      h('h2', { id: `title-${id}` }, title, h('span', { class: 'faint' })), h('p', { class: 'stale', hidden: true }), h('div', { class: 'body' }, waiting())))),
  );
}

export function draw(told) {
  drawFindings(told);
  drawTiles(told);
  for (const [id, , , parts, drawn] of PANELS) drawPanel(id, parts.map((part) => told[part]), () => drawn(told));
}

function drawPanel(id, parts, drawn) {
  const panel = document.getElementById(`panel-${id}`);
  const stale = panel.querySelector('.stale');
  const lost = parts.find((part) => part.error);
  stale.hidden = !lost;
  if (lost) stale.textContent = lost.data === null ? lost.error : `${lost.error} These figures are of ${clock(lost.as_of)} UTC.`;
  const body = panel.querySelector('.body');
  if (parts.some((part) => part.data === null)) {
    if (lost) swap(body, h('p', { class: 'empty' }, 'Not known right now.'));
    return;
  }
  const shown = drawn();
  swap(body, shown.body);
  panel.querySelector('h2 .faint').textContent = shown.note || '';
}

function drawFindings(told) {
  const list = document.getElementById('findings');
  const items = told.findings.map((each) => h('li', { class: each.severity },
    h('b', {}, each.severity === 'bad' ? '✕ Broken' : '! Look'),
    h('div', {}, h('p', {}, each.text), h('p', { class: 'mend' }, each.mend))));
  const fresh = items.length ? items : [h('li', { class: 'good' }, h('b', {}, '✓ All is well'), h('p', {}, 'No store, worker or model needs you.'))];
  // Said aloud when it changes, and only then.
  if (list.textContent !== fresh.map((item) => item.textContent).join('')) swap(list, fresh);
}

function tile(id, value, note) {
  const at = document.getElementById(`tile-${id}`);
  swap(at.querySelector('.value'), value);
  at.querySelector('.note').textContent = note || '\u00a0';
}

// What is old says so in the place of its second figure.
function dated(part, note) {
  return part.error ? `as of ${clock(part.as_of)} UTC` : note;
}

function drawTiles(told) {
  const { recent, today, outbox } = told;
  if (recent.data) {
    const { data } = recent;
    const rate = data.lately.calls_per_min;
    tile('rate', rate >= 100 ? short(Math.round(rate)) : String(rate), dated(recent, `last ${data.lately.minutes} min`));
    tile('failed', share(data.failed, data.calls), dated(recent, `${count(data.failed)} of ${count(data.calls)} calls`));
    tile('latency', ms(data.latency_ms.p95), dated(recent, `half within ${ms(data.latency_ms.p50)}`));
    tile('first', ms(data.first_token_ms.p95), dated(recent, `half within ${ms(data.first_token_ms.p50)}`));
  }
  if (today.data) tile('price', usd(today.data.total.price_usd), dated(today, `cost ${usd(today.data.total.provider_cost_usd)} · ${short(today.data.total.total_tokens)} tokens`));
  if (outbox.data) tile('open', count(outbox.error ? null : outbox.data.open_calls), outbox.error ? 'not known right now' : `outbox ${count(outbox.data.pending)}`);
}

function drawTraffic(told) {
  const recent = told.recent.data;
  const note = recent.is_cut ? `the newest ${count(recent.calls)} calls` : 'the last hour';
  if (!recent.calls) return { body: h('p', { class: 'empty' }, 'No call in the last hour.'), note };
  return { body: traffic(recent), note };
}

const KINDS = { ok: 'good', alive: 'good', degraded: 'warning', down: 'bad', stopping: 'bad', 'not configured': 'none' };

function drawState(told) {
  const { health, workers } = told;
  const silent = health.database.last_answer_s_ago;
  const lost = told.live.data && told.live.data.workers_without_store;
  const counted = told.outbox.data && !told.outbox.error ? told.outbox.data.pending : health.outbox.pending_records;
  const pending = health.redis.status === 'down' ? null : counted;
  const rows = [
    ['Redis', pill(KINDS[health.redis.status], health.redis.status), lost ? `${lost === 1 ? '1 worker goes' : `${lost} workers go`} on without it` : null],
    ['Database', pill(KINDS[health.database.status], health.database.status), silent === null ? 'never answered' : `answered ${silent} s ago`],
    ['Outbox', pill(KINDS[health.outbox.status], health.outbox.status), pending === null ? 'how much is in it is not known' : `${count(pending)} records on their way`],
    ['Models', pill(KINDS[health.providers.status], health.providers.status), `${health.providers.models_with_credentials} of ${health.providers.models} have credentials`],
    ['Workers', workers.running === null ? pill('none', 'not known') : pill(workers.running < workers.set ? 'warning' : 'good', `${workers.running} of ${workers.set}`), 'of this launcher'],
    ['Version', told.version, null],
  ];
  return { body: h('dl', {}, rows.flatMap(([name, value, note]) => [h('dt', {}, name), h('dd', {}, value, note ? h('span', { class: 'faint' }, ` ${note}`) : '')])) };
}

function stateOf(model) {
  if (!model.is_ready) return pill('none', 'no credentials');
  if (model.resting_until) return pill('warning', `rests until ${clock(model.resting_until)}`);
  if (model.auto && model.auto.is_down) return pill('bad', 'down');
  if (model.recent && model.recent.calls >= 5 && model.recent.failed * 2 >= model.recent.calls) return pill('bad', 'failing');
  if (model.recent && model.recent.failed) return pill('warning', 'some fail');
  return model.recent ? pill('good', 'well') : pill('none', 'not called');
}

function drawModels(told) {
  const recent = told.recent.data.models;
  const today = new Map(told.today.data.models.map((row) => [row.model, row]));
  const known = new Map(told.models.map((model) => [model.name, model]));
  const seen = [...new Set([...today.keys(), ...Object.keys(recent)])].filter((name) => !known.has(name));
  const all = [...told.models, ...seen.map((name) => ({ name, is_ready: true, missing: [], resting_until: null, auto: null }))]
    .map((model) => ({ ...model, recent: recent[model.name], today: today.get(model.name) }));
  const used = all.filter((model) => model.today || model.recent || model.resting_until || (model.auto && model.auto.is_down));
  const idle = all.filter((model) => !used.includes(model));
  used.sort((one, other) => ((other.today || {}).calls || 0) - ((one.today || {}).calls || 0) || one.name.localeCompare(other.name));
  const columns = [
    { label: 'Model', value: (row) => row.name },
    { label: 'State', value: stateOf, whole: true },
    { label: 'Calls today', num: true, value: (row) => count(row.today ? row.today.calls : 0) },
    { label: 'Failed today', num: true, value: (row) => count(row.today ? row.today.outcomes.error : 0), cls: (row) => (row.today && row.today.outcomes.error ? 'bad' : null) },
    { label: 'Answer p50, p95', num: true, whole: true, value: (row) => pair(row.recent && row.recent.latency_ms) },
    { label: '1st token p50, p95', num: true, whole: true, value: (row) => pair(row.recent && row.recent.first_token_ms) },
    { label: 'Tokens', num: true, value: (row) => short(row.today ? row.today.total_tokens : 0) },
    { label: 'Cost', num: true, value: (row) => usd(row.today ? row.today.provider_cost_usd : '0') },
    { label: 'Price', num: true, value: (row) => usd(row.today ? row.today.price_usd : '0') },
  ];
  const ready = idle.filter((model) => model.is_ready).map((model) => model.name);
  const without = idle.filter((model) => !model.is_ready);
  return {
    note: 'times: the last hour',
    body: [
      table('Models, busiest first', columns, used, 'No model was called today.'),
      ready.length ? h('p', { class: 'faint' }, `Not called today: ${ready.join(', ')}.`) : null,
      without.length ? h('p', { class: 'faint' }, `Without credentials: ${without.map((model) => `${model.name} (${model.missing.join(', ')})`).join(', ')}.`) : null,
    ].filter(Boolean),
  };
}

function drawTiers(told) {
  const whole = told.today.data.total.calls;
  return { note: `${count(whole)} calls`, body: table('Calls by tier', [
    { label: 'Tier', value: (row) => row.tier || 'operator' },
    { label: 'Calls', num: true, value: (row) => count(row.calls) },
    { label: 'Share', num: true, value: (row) => share(row.calls, whole) },
    { label: 'Failed', num: true, value: (row) => count(row.outcomes.error), cls: (row) => (row.outcomes.error ? 'bad' : null) },
    { label: 'Tokens', num: true, value: (row) => short(row.total_tokens) },
    { label: 'Cost', num: true, value: (row) => usd(row.provider_cost_usd) },
    { label: 'Price', num: true, value: (row) => usd(row.price_usd) },
  ], told.today.data.tiers, NOTHING) };
}

function drawRefusals(told) {
  const { refusals, shadow_refusals: shadow, other_refusals: others } = told.live.data;
  const limited = (row) => limitName(row.unit, row.window_s);
  const rows = [
    ...refusals.map((row) => ({ ...row, why: limited(row) })),
    ...others.map((row) => ({ ...row, why: category(row.category) })),
    ...shadow.map((row) => ({ ...row, why: `${limited(row)} (shadow: answered)` })),
  ];
  return { note: 'since the gateway started', body: table('Requests that were refused', [
    { label: 'Tier', value: (row) => row.tier },
    { label: 'Why', value: (row) => row.why, whole: true },
    { label: 'Refused', num: true, value: (row) => count(row.count) },
  ], rows, 'No request was refused.') };
}

function drawErrors(told) {
  return { body: table('Failed calls by category', [
    { label: 'Category', value: (row) => category(row.category) },
    { label: 'Calls', num: true, value: (row) => count(row.calls) },
  ], told.today.data.categories, 'No call failed today.') };
}

function drawFailures(told) {
  return { note: 'the last hour', body: table('Newest failures', [
    { label: 'At', value: (row) => callLink(row.request_id, clock(row.at)) },
    { label: 'Category', value: (row) => category(row.category), whole: true },
    { label: 'Model', value: (row) => row.model, whole: true },
    { label: 'User', value: (row) => userLink(row.user_id), whole: true },
  ], told.recent.data.failures, 'No call failed in the last hour.') };
}

function drawUsers(told) {
  return { body: table('Users with the most calls', [
    { label: 'User', value: (row) => userLink(row.user) },
    { label: 'Calls', num: true, value: (row) => count(row.calls) },
    { label: 'Failed', num: true, value: (row) => count(row.outcomes.error), cls: (row) => (row.outcomes.error ? 'bad' : null) },
    { label: 'Tokens', num: true, value: (row) => short(row.total_tokens) },
    { label: 'Price', num: true, value: (row) => usd(row.price_usd) },
  ], told.users.data, NOTHING) };
}

function drawCache(told) {
  const { hits, misses } = told.live.data.cache;
  const { cached, replayed } = told.today.data.total.outcomes;
  const rows = [
    ['From the cache today', `${count(cached)} of ${count(told.today.data.total.calls)} calls`],
    ['Replayed today', count(replayed)],
    ['Hits since the start', `${count(hits)} of ${count(hits + misses)}, ${share(hits, hits + misses)}`],
    ['Providers’ own caches', `${short(told.today.data.total.cached_tokens)} tokens`],
  ];
  return { body: h('dl', {}, rows.flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)])) };
}

const STAGES = { running: 'good', paused: 'warning', killed: 'bad', rolled_back: 'bad' };

function drawRollouts(told) {
  const { flags, triggers } = told.rollouts.data;
  const errors = (row) => row.recent && row.recent.error_percent;
  const p95 = (row) => row.recent && row.recent.p95_s;
  const why = (row) => (row.reason ? ` ${row.reason.trigger === 'p95' ? `p95 ${row.reason.p95_s} s` : `${row.reason.error_percent} % failed`}` : '');
  return {
    note: `back above ${triggers.error_percent} % errors for ${triggers.error_minutes} min, or p95 above ${triggers.p95_s} s for ${triggers.p95_minutes} min`,
    body: table('Rollouts', [
      { label: 'Flag', value: (row) => row.flag },
      { label: 'State', value: (row) => h('span', {}, pill(STAGES[row.state] || 'none', row.state.replace('_', ' ')), h('span', { class: 'faint' }, why(row))) },
      { label: 'Percentage', num: true, value: (row) => `${row.percent} %` },
      { label: 'A day', num: true, value: (row) => (row.next_step_at ? `+${row.daily_percent} %` : '–') },
      { label: 'Users who have it', whole: true, value: (row) => h('span', {}, Object.entries(row.groups).map(([name, group]) => `${name} ${group.percent} %`).join(' · ')) },
      { label: 'By name', num: true, value: (row) => `${count(row.migrated)} in, ${count(row.rolled_back)} out` },
      { label: 'Last step (UTC)', num: true, whole: true, value: (row) => moment(row.last_step_at).replace(' UTC', '') },
      { label: 'Calls', num: true, value: (row) => count(row.recent && row.recent.calls) },
      { label: 'Errors', num: true, value: (row) => (errors(row) === null ? '–' : `${errors(row)} %`), cls: (row) => (errors(row) > triggers.error_percent ? 'bad' : null) },
      { label: 'p95', num: true, value: (row) => (p95(row) === null ? '–' : `${p95(row)} s`), cls: (row) => (p95(row) > triggers.p95_s ? 'bad' : null) },
    ], flags, 'No flag has begun.'),
  };
}

function drawLimits(told) {
  return { body: table('Limits of each tier', [
    { label: 'Tier', value: (row) => row.name },
    { label: 'Limits', whole: true, value: (row) => h('span', {}, row.limits.map((limit) => `${amount(limit.unit, limit.limit)} ${limitName(limit.unit, limit.window_s)}${limit.shadow ? ' (shadow)' : ''}`).join(' · ') || 'none') },
  ], told.tiers, '') };
}
