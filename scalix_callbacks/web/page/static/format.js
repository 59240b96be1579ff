// Figures as people read them; null is what nobody knows, and a dash.

const DASH = '–';

export function count(value) {
  return value === null || value === undefined ? DASH : Number(value).toLocaleString('en-US');
}

export function short(value) {
  if (value === null || value === undefined) return DASH;
  if (value < 10000) return count(value);
  for (const [size, letter] of [[1e9, 'G'], [1e6, 'M'], [1e3, 'k']]) {
    if (value >= size) return `${(value / size).toFixed(value / size < 100 ? 1 : 0)} ${letter}`;
  }
  return count(value);
}

export function ms(value) {
  if (value === null || value === undefined) return DASH;
  return value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(value < 10000 ? 2 : 1)} s`;
}

// The usual and the longest time together, for they are read together.
export function pair(quantiles) {
  return quantiles && quantiles.p50 !== null ? `${ms(quantiles.p50)}, ${ms(quantiles.p95)}` : DASH;
}

// Money comes as exact text; it is shortened for the eye only.
export function usd(value) {
  if (value === null || value === undefined) return DASH;
  const number = Number(value);
  if (number === 0) return '$0';
  if (number < 0.000001) return 'below $0.000001';
  if (number < 0.01) return `$${number.toFixed(6).replace(/0+$/, '')}`;
  if (number < 1) return `$${number.toFixed(4)}`;
  return `$${number.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
}

export function share(part, whole) {
  if (!whole) return DASH;
  const of = (part / whole) * 100;
  return `${of > 0 && of < 10 ? of.toFixed(1) : Math.round(of)} %`;
}

export function clock(iso) {
  return iso ? `${iso.slice(11, 19)}` : DASH;
}

// The day only where it is another one.
export function soon(iso) {
  return iso.slice(0, 10) === new Date().toISOString().slice(0, 10) ? clock(iso) : `${iso.slice(5, 10)} ${clock(iso)}`;
}

export function moment(iso) {
  return iso ? `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC` : DASH;
}

export function windowName(seconds) {
  const names = [[86400, 'day'], [3600, 'hour'], [60, 'minute'], [1, 'second']];
  const [size, word] = names.find(([each]) => seconds % each === 0) || [1, 'second'];
  const many = seconds / size;
  return many === 1 ? word : `${many} ${word}s`;
}

export function limitName(unit, windowS) {
  return `${unit === 'usd' ? 'USD' : unit} per ${Number.isFinite(Number(windowS)) ? windowName(Number(windowS)) : windowS}`;
}

export function amount(unit, value) {
  return unit === 'usd' ? usd(value) : count(value);
}

export function category(name) {
  return name ? name.toLowerCase().replaceAll('_', ' ') : DASH;
}
