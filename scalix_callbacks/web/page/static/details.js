// A user's page and a call's page.

import { instant, track } from './chart.js';
import { callLink, h, pill, table, userLink } from './dom.js';
import { amount, category, count, limitName, moment, ms, short, soon, usd } from './format.js';

const OUTCOMES = { ok: 'good', cached: 'good', replayed: 'good', error: 'bad', abandoned: 'bad', aborted: 'warning' };

function panel(title, kind, note, ...body) {
  return h('section', { class: `panel ${kind}` }, h('h2', {}, title, h('span', { class: 'faint' }, note || '')), h('div', { class: 'body' }, body));
}

function facts(rows) {
  return h('dl', {}, rows.flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value === null || value === undefined || value === '' ? '–' : value)]));
}

function crumb() {
  return h('p', { class: 'crumb' }, h('a', { href: '#/' }, '← Status'));
}

export function userPage(told) {
  const { account, today } = told;
  const state = account === null ? pill('none', 'no account of its own') : account.suspended_at ? pill('bad', 'suspended') : pill('good', 'open');
  return [
    crumb(),
    h('div', { class: 'title' }, h('h1', {}, told.user_id), pill('none', told.tier), state),
    h('div', { class: 'panels' },
      panel('Limits', '', 'now', told.limits === null ? h('p', { class: 'empty' }, 'Not known right now: Redis does not answer.') : limits(told.limits)),
      panel('Account', '', '', facts([
        ['Tier', account ? `${account.tier}${account.tier_until ? ` until ${moment(account.tier_until)}` : ''}` : told.tier],
        ['Budget', account && account.max_budget_usd !== null ? usd(account.max_budget_usd) : 'none'],
        ['Suspended', account && account.suspended_at ? moment(account.suspended_at) : 'no'],
        ['Created', account ? moment(account.created_at) : '–'],
        ['Today', `${count(today.calls)} calls, ${short(today.total_tokens)} tokens`],
        ['Price and cost today', `${usd(today.price_usd)}, ${usd(today.provider_cost_usd)}`],
      ])),
      panel('Keys', '', '', table('Keys', [
        { label: 'Key', value: (row) => h('span', { class: 'id' }, row.hint) },
        { label: 'Name', value: (row) => row.name || '–' },
        { label: 'State', value: (row) => pill(row.state === 'open' ? 'good' : 'none', row.state) },
        { label: 'Expires', value: (row) => (row.expires_at ? moment(row.expires_at) : 'never') },
      ], told.keys, 'It has no key.')),
      panel('Errors', '', 'today', table('Errors by category', [
        { label: 'Category', value: (row) => category(row.category) },
        { label: 'Calls', num: true, value: (row) => count(row.calls) },
      ], told.categories, 'No call failed today.')),
      panel('Models', 'full', 'today', table('Models', [
        { label: 'Model', value: (row) => row.model || '–' },
        { label: 'Calls', num: true, value: (row) => count(row.calls) },
        { label: 'Failed', num: true, value: (row) => count(row.outcomes.error), cls: (row) => (row.outcomes.error ? 'bad' : null) },
        { label: 'Tokens', num: true, value: (row) => short(row.total_tokens) },
        { label: 'Mean answer', num: true, value: (row) => ms(row.response_time_avg_ms) },
        { label: 'Price', num: true, value: (row) => usd(row.price_usd) },
      ], told.models, 'Nothing yet today.')),
      panel('Calls', 'full', `the newest ${count(told.calls.length)}`, table('Calls', [
        { label: 'At (UTC)', value: (row) => callLink(row.request_id, moment(row.at).replace(' UTC', '')) },
        { label: 'Outcome', value: (row) => pill(OUTCOMES[row.outcome] || 'none', row.outcome) },
        { label: 'Model', value: (row) => row.model_used || row.model_requested, whole: true },
        { label: 'Error', value: (row) => (row.error_category ? category(row.error_category) : '–') },
        { label: 'Tokens', num: true, value: (row) => count((row.prompt_tokens || 0) + (row.completion_tokens || 0)) },
        { label: 'Took', num: true, value: (row) => ms(row.duration_ms) },
        { label: 'Price', num: true, value: (row) => usd(row.price_usd) },
      ], told.calls, 'No call is recorded.')),
    ),
  ];
}

function limits(rows) {
  return table('Limits', [
    { label: 'Limit', value: (row) => h('span', {}, limitName(row.unit, row.window_s) + (row.shadow ? ' (shadow)' : ''), track(Number(row.used), Number(row.limit))) },
    { label: 'Used', num: true, value: (row) => `${amount(row.unit, row.used)} of ${amount(row.unit, row.limit)}` },
    { label: 'Left', num: true, value: (row) => amount(row.unit, row.remaining), cls: (row) => (Number(row.remaining) === 0 ? 'bad' : null) },
    { label: 'Resets (UTC)', num: true, whole: true, value: (row) => soon(row.resets_at) },
  ], rows, 'Nothing limits this account.');
}

export function callPage(told) {
  const traces = told.traces || [];
  const calls = told.calls || [];
  return [
    crumb(),
    h('div', { class: 'title' }, h('h1', {}, 'Call ', h('span', { class: 'id' }, told.request_id))),
    told.traces === null ? h('p', { class: 'stale' }, 'Its trace cannot be read right now: Redis does not answer.') : null,
    told.calls === null ? h('p', { class: 'stale' }, 'Its record cannot be read right now: the database does not answer.') : null,
    h('div', { class: 'panels' }, calls.flatMap((call, at) => [panel(
      calls.length > 1 ? `Attempt ${at + 1} of ${calls.length}` : 'Record', 'full', moment(call.at), facts([
        ['Request id', h('span', { class: 'id' }, call.request_id)],
        ['Outcome', h('span', {}, pill(OUTCOMES[call.outcome] || 'none', call.outcome), call.error_category ? ` ${category(call.error_category)}` : '')],
        ['User', userLink(call.user_id)],
        ['Tier', call.tier || 'operator'],
        ['Endpoint', `${call.endpoint}${call.stream ? ', stream' : ''}`],
        ['Model asked for', call.model_requested],
        [call.outcome === 'error' ? 'Model that failed' : 'Model that answered', call.model_used],
        ['Provider', call.provider],
        ['Took', ms(call.duration_ms)],
        ['First token after', ms(call.time_to_first_token_ms)],
        ['Prompt tokens', `${count(call.prompt_tokens)}${call.estimated ? ' (estimated)' : ''}`],
        ['Completion tokens', count(call.completion_tokens)],
        ['From the provider’s cache', count(call.cached_tokens)],
        ['Reasoning tokens', count(call.reasoning_tokens)],
        ['Price', call.price_usd === null ? 'not known' : `$${call.price_usd}`],
        ['Provider’s cost', call.provider_cost_usd === null ? 'not known' : `$${call.provider_cost_usd}`],
        ['Counts as a request', call.requests_counted ? 'yes' : 'no'],
        ['Attempt', count(call.attempt)],
        ['Call id', h('span', { class: 'id' }, call.call_id)],
        ['Client’s request id', call.client_request_id ? h('span', { class: 'id' }, call.client_request_id) : null],
      ])), ...traces.filter((each) => each.call_id === call.call_id).map((each) => tracePanel(each))]),
    traces.filter((each) => !calls.some((call) => call.call_id === each.call_id)).flatMap((each) => [refusedPanel(each), tracePanel(each)])),
  ].filter((each) => each !== null);
}

// A request without a record: it was refused before it was admitted, or its record is on its way.
function refusedPanel(trace) {
  return panel('Request', 'full', moment(trace.at), facts([
    ['Request id', h('span', { class: 'id' }, trace.request_id)],
    ['Outcome', h('span', {}, pill(OUTCOMES[trace.outcome] || (trace.outcome === 'refused' ? 'warning' : 'none'), trace.outcome), trace.category ? ` ${category(trace.category)}` : '')],
    ['Status', trace.status],
    ['User', trace.user_id ? userLink(trace.user_id) : 'not known'],
    ['Tier', trace.tier],
    ['Model asked for', trace.model_requested],
  ]));
}

const BAD = ['failed', 'refused'];

function tracePanel(trace) {
  const whole = Math.max(1, ...trace.steps.map((step) => step.at_ms));
  const sender = [trace.client, trace.version, trace.session && `session ${trace.session}`].filter(Boolean).join(' ');
  return panel('Trace', 'full trace', `${ms(trace.duration_ms)}${sender ? `, from ${sender}` : ''}`,
    table('Steps of the request, with the time since it was received', [
      { label: 'Step', value: (step) => h('span', { class: BAD.includes(step.step) ? 'bad-text' : null }, `${BAD.includes(step.step) ? '✕ ' : ''}${step.step.replaceAll('_', ' ')}`) },
      { label: 'After', num: true, value: (step) => exact(step.at_ms) },
      { label: 'When', cls: () => 'when', value: (step) => instant(step.at_ms, whole) },
      { label: 'What', cls: () => 'whole', value: (step) => h('span', { class: 'what' }, about(step)) },
    ], trace.steps, 'No step was noted.'),
    trace.left_out ? h('p', { class: 'faint' }, `${count(trace.left_out)} more steps were left out.`) : '');
}

function exact(value) {
  return value < 10 ? `${value.toFixed(2)} ms` : ms(value);
}

function about(step) {
  return Object.entries(step).filter(([name]) => name !== 'step' && name !== 'at_ms')
    .map(([name, value]) => `${name.replaceAll('_', ' ')} ${value}`).join(' · ') || '–';
}
