// Elements, words for numbers, and small charts. Text becomes text nodes and attributes only, never markup: ids of
// items and users come from anybody.

const SVG = 'http://www.w3.org/2000/svg';

/** An HTML element. Attributes that are null or false are left out; functions listen to the event of that name. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// --- numbers and times ----------------------------------------------------------------------------------------------

/** 77206 → 77,206 */
export const count = (number) => Number(number ?? 0).toLocaleString('en-US');

/** 1 item, 2 items */
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** Three digits that matter: 3.36, 12.5, 126. */
export function short(number) {
  if (number === null || number === undefined || !Number.isFinite(Number(number))) return '–';
  const size = Math.abs(number);
  if (size >= 1e7) return Number(number).toLocaleString('en-US', { notation: 'compact', maximumSignificantDigits: 3 });
  if (size >= 100) return Math.round(number).toLocaleString('en-US');
  if (size >= 10) return String(Number(Number(number).toFixed(1)));
  return String(Number(Number(number).toPrecision(size < 0.1 ? 2 : 3)));
}

export function bytes(number) {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let rest = number;
  while (rest >= 1024 && unit < units.length - 1) { rest /= 1024; unit += 1; }
  return `${short(rest)} ${units[unit]}`;
}

/** Milliseconds as 0.42 ms, 12.1 ms, 3.2 s, 4 min. */
export function duration(ms) {
  if (ms === null || ms === undefined) return '–';
  if (ms < 1000) return `${short(ms)} ms`;
  return ms < 60000 ? `${short(ms / 1000)} s` : span(ms / 1000);
}

/** Seconds in the largest unit of which there are two, or one. */
export function span(seconds) {
  const units = [['day', 86400], ['hour', 3600], ['minute', 60]];
  for (const [name, length] of units) {
    if (seconds >= length) return plural(Math.floor(seconds / length), name);
  }
  return plural(Math.floor(seconds), 'second');
}

const localTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const localDate = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });

/** A moment as people write it; the exact one is in its attributes. */
export function time(text, format = localTime) {
  const moment = new Date(text);
  return Number.isNaN(moment.getTime()) ? String(text) : el('time', { datetime: text, title: text }, format.format(moment));
}

export const date = (text) => time(text, localDate);

// --- charts ---------------------------------------------------------------------------------------------------------

/** Class of the colour of the nth indicator. */
export const colour = (index) => (index < 0 ? 'c6' : `c${index % 8}`);

/** A bar within a table cell; the number beside it is its text. */
export function bar(value, max, colours) {
  const width = max > 0 ? Math.max(0, (100 * value) / max) : 0;
  return svg('svg', { class: `bar-of ${colours}`, viewBox: '0 0 100 4', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    svg('rect', { class: 'fill', width: width.toFixed(2), height: 4 }));
}

/** Parts of a whole side by side: [{share: 0…1, colours}]. */
export function parts(list) {
  let at = 0;
  const piece = ({ share, colours }) => {
    const x = at;
    at += share * 1000;
    return svg('rect', { class: `fill ${colours}`, x: x.toFixed(1), width: Math.max(0, share * 1000 - 3).toFixed(1), height: 6 });
  };
  return svg('svg', { class: 'share', viewBox: '0 0 1000 6', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, list.map(piece));
}

/** 1, 2 or 5 times a power of ten, not below `value`. */
function round(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((bound) => bound >= value * 0.999999);
}

/**
 * Lines over the last seconds. `lines`: [{name, colours, values, area}], values one per second, the last one newest,
 * null where there is none. `label` says in words what can be seen.
 */
export function overTime(lines, seconds, unit, label) {
  const [width, height] = [600, 100];
  const largest = Math.max(0, ...lines.flatMap(({ values }) => values));
  const max = largest > 0 ? round(largest) : 1;
  const x = (values, index) => (width - ((values.length - 1 - index) * width) / (seconds - 1)).toFixed(1);
  const y = (value) => (height - (value * (height - 4)) / max).toFixed(1);
  const path = (values) => {
    let pen = false;
    return values.map((value, index) => {
      const move = pen ? 'L' : 'M';
      pen = value !== null;
      return pen ? `${move}${x(values, index)} ${y(value)}` : '';
    }).join('');
  };
  // A point without neighbours is a line of no length with round ends.
  const points = (values) => values.map((value, index) => {
    const lonely = value !== null && (values[index - 1] ?? null) === null && (values[index + 1] ?? null) === null;
    return lonely ? `M${x(values, index)} ${y(value)}h.01` : '';
  }).join('');
  const draw = ({ name, colours, values, area }) => svg('g', { class: colours, 'data-line': name, 'data-values': JSON.stringify(values) },
    area && values.length > 1 && svg('path', { class: 'area', d: `${path(values)}L${width} ${height}L${x(values, 0)} ${height}Z` }),
    svg('path', { class: 'line', d: path(values) }), svg('path', { class: 'line point', d: points(values) }));
  return el('div', { class: 'plot' },
    svg('svg', { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': label }, lines.map(draw)),
    el('span', { class: 'top', 'aria-hidden': 'true' }, `${short(max)} ${unit}`),
    el('div', { class: 'axis', 'aria-hidden': 'true' }, el('span', {}, `${seconds} s ago`), el('span', {}, 'now')));
}

/** Powers of two that enclose all bins, so that charts beside each other can be compared. */
export function octaves(distributions) {
  const bins = distributions.flat();
  if (!bins.length) return [0, 1];
  const low = Math.floor(Math.log2(bins.reduce((least, bin) => Math.min(least, bin.from), Infinity)) + 1e-9);
  return [low, Math.max(low + 1, Math.ceil(Math.log2(bins.reduce((most, bin) => Math.max(most, bin.to), 0)) - 1e-9))];
}

/** Bins of half a power of two, each `from` ≤ value < `to`. */
export function distribution(bins, [low, high], colours, label) {
  const most = Math.max(1, ...bins.map((bin) => bin.count));
  const column = (bin) => {
    const height = bin.count ? Math.max(1, (96 * bin.count) / most) : 0;
    const x = Math.round(2 * (Math.log2(bin.from) - low));
    return svg('rect', { class: 'fill', x: x + 0.06, width: 0.88, y: (100 - height).toFixed(1), height: height.toFixed(1), 'data-count': bin.count },
      svg('title', {}, `${short(bin.from)} to ${short(bin.to)}: ${count(bin.count)}`));
  };
  const step = high - low > 9 ? 2 : 1;
  const mark = (octave) => el('span', {}, octave % step === 0 ? short(2 ** octave) : '');
  const axis = el('div', { class: 'axis octaves', 'aria-hidden': 'true' }, Array.from({ length: high - low }, (_, index) => mark(low + index)));
  axis.style.gridTemplateColumns = `repeat(${high - low}, minmax(0, 1fr))`;
  return el('div', { class: `plot small ${colours}` },
    svg('svg', { viewBox: `0 0 ${2 * (high - low)} 100`, preserveAspectRatio: 'none', role: 'img', 'aria-label': label }, bins.map(column)),
    el('span', { class: 'top', 'aria-hidden': 'true' }, bins.length ? count(most) : ''), axis);
}
