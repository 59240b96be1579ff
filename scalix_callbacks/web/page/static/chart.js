// Two drawings: calls over time, and how much of a limit is used.

import { h, svg } from './dom.js';
import { clock, count } from './format.js';

const HEIGHT = 160;
const STEP = 20;

export function traffic(recent) {
  const { well, failed } = recent.traffic;
  const most = Math.max(1, ...well.map((each, at) => each + failed[at]));
  const width = well.length * STEP;
  const bars = well.flatMap((good, at) => {
    const high = (good / most) * (HEIGHT - 8);
    const bad = (failed[at] / most) * (HEIGHT - 8);
    const title = svg('title', {}, `${count(good)} well, ${count(failed[at])} failed`);
    return [
      svg('rect', { class: 'well', x: at * STEP + 2, y: HEIGHT - high, width: STEP - 4, height: high }, title),
      svg('rect', { class: 'failed', x: at * STEP + 2, y: HEIGHT - high - bad, width: STEP - 4, height: bad }),
    ];
  });
  const hatch = svg('pattern', { id: 'hatch', width: 5, height: 5, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' },
    svg('rect', { width: 5, height: 5, class: 'hatch-ground' }),
    svg('line', { x1: 0, y1: 0, x2: 0, y2: 5, 'stroke-width': 3, class: 'hatch-line' }));
  const told = `${count(recent.calls)} calls, of them ${count(recent.failed)} failed; at most ${count(most)} in one bar.`;
  return [
    svg('svg', { class: 'chart', viewBox: `0 0 ${width} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': told },
      svg('defs', {}, hatch),
      svg('line', { class: 'axis', x1: 0, x2: width, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5 }),
      bars),
    h('div', { class: 'ends' }, h('span', {}, clock(recent.from)), h('span', {}, `highest bar: ${count(most)}`), h('span', {}, `${clock(recent.to)} UTC`)),
    h('div', { class: 'key' }, h('span', {}, h('i', {}), 'answered, cached or left by the client'), h('span', {}, h('i', { class: 'failed' }), 'failed')),
  ];
}

export function track(used, of) {
  const part = of > 0 ? Math.min(Math.max(used / of, 0), 1) : 1;
  return svg('svg', { class: part >= 1 ? 'track full' : 'track', viewBox: '0 0 100 8', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    svg('rect', { width: part * 100, height: 8 }));
}

// Where in the whole time something happened.
export function instant(at, whole) {
  const x = Math.min(Math.max(at / whole, 0), 1) * 97;
  return svg('svg', { class: 'instant', viewBox: '0 0 100 8', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    svg('rect', { class: 'before', y: 3, width: x, height: 2 }), svg('rect', { x, width: 3, height: 8 }));
}
