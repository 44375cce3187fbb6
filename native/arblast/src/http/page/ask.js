// The playground: a query, what is recommended, and why.

import { colour, count, date, duration, el, parts, plural, short, time } from './draw.js';

const $ = (id) => document.getElementById(id);
/** Reasons that are shown at once; the others wait behind a click. */
const REASONS = 4;

export function playground() {
  let engine = { indicators: [], rankings: [] };
  const ask = { engine: (fresh) => { engine = fresh; }, similar, headers, refused };
  const form = $('query');

  /** An item; a click asks for what is similar. */
  function similar(item) {
    const look = () => {
      const key = $('key').value;
      form.reset();
      $('key').value = key;
      $('item').value = item;
      form.requestSubmit();
      $('ask').scrollIntoView();
    };
    return el('button', { type: 'button', class: 'link', title: 'What is similar?', click: look }, item);
  }

  /** Asks for a key if the server wants one. */
  function refused({ status }) {
    if (status === 401) $('key-label').hidden = false;
  }

  /** Shows the query as a command; gives it, or null if the JSON is wrong. */
  function preview() {
    let query = null;
    try {
      query = read();
      $('more-error').textContent = '';
      $('curl').textContent = command(query);
    } catch (error) {
      $('more-error').textContent = error.message;
    }
    $('more').setAttribute('aria-invalid', String(query === null));
    return query;
  }

  async function submit(event) {
    event.preventDefault();
    const query = preview();
    if (query === null) {
      $('more').focus();
      return;
    }
    $('send').disabled = true;
    $('asked').textContent = 'Asking…';
    try {
      const began = performance.now();
      const answer = await fetch('queries.json', { method: 'POST', headers: { 'Content-Type': 'application/json', ...headers() }, body: JSON.stringify(query) });
      const text = await answer.text();
      const took = performance.now() - began;
      refused(answer);
      present(answer, text, took, query);
    } catch {
      $('asked').textContent = '';
      $('answer').replaceChildren(el('p', { class: 'notice bad', role: 'alert' }, 'The server cannot be reached.'));
    }
    $('send').disabled = false;
  }

  function present(answer, text, took, query) {
    let json;
    try {
      json = JSON.parse(text);
    } catch {
      json = { message: text };
    }
    if (!answer.ok) {
      $('asked').textContent = '';
      $('answer').replaceChildren(el('p', { class: 'notice bad', role: 'alert' }, json.message ?? `status ${answer.status}`));
      return;
    }
    $('asked').textContent = `${plural(json.itemScores.length, 'item')} in ${duration(took)}`;
    $('answer').replaceChildren(...[
      json.degraded && el('p', { class: 'notice' }, 'The history could not be read: this is less personal than it should be.'),
      results(json.itemScores, query),
      basis(json.explain ?? {}),
      el('details', {}, el('summary', {}, 'Answer as JSON'), el('pre', { id: 'raw', tabindex: 0, 'data-text': text }, indented(text))),
    ].filter(Boolean));
  }

  function results(items, query) {
    if (!items.length) return el('p', { class: 'muted' }, 'Nothing is recommended.');
    const best = Math.max(...items.map(({ score }) => score));
    const place = (item, index) => [
      el('tr', { 'data-item': item.item },
        el('td', {}, count((query.from ?? 0) + index + 1)),
        el('td', {}, el('span', { class: 'item' }, similar(item.item)), properties(item)),
        el('td', {}, short(item.score))),
      el('tr', { class: 'reasons' }, el('td', { colspan: 3 }, why(item, best))),
    ];
    return el('table', { class: 'results' },
      el('caption', {}, 'Results, best first'),
      el('thead', {}, el('tr', {}, ['#', 'Item, and why'].map((name) => el('th', { scope: 'col' }, name)), el('th', { scope: 'col', class: 'number' }, 'Score'))),
      el('tbody', {}, items.flatMap(place)));
  }

  const index = (field) => engine.indicators.findIndex((indicator) => indicator.name === field);

  function properties(item) {
    const words = (value) => (Array.isArray(value) ? value.join(', ') : typeof value === 'object' ? JSON.stringify(value) : String(value));
    const list = [...Object.entries(item.properties ?? {}), ...Object.entries(item.ranks ?? {})];
    return list.length > 0 && el('div', { class: 'props' }, list.map(([name, value]) => `${name}: ${words(value)}`).join(' · '));
  }

  function why(item, best) {
    const { because = [], factors = {} } = item.explain ?? {};
    const lines = because.map((reason) => el('li', {}, el('span', { class: 'plus' }, `+${short(reason.weight)}`), el('span', {}, dot(reason.field), sentence(reason))));
    for (const [field, factor] of Object.entries(factors)) {
      lines.push(el('li', {}, el('span', { class: 'plus' }, `×${short(factor)}`), el('span', {}, dot(field), `a rule on ${field} multiplies the score`)));
    }
    if (!because.length) {
      const names = engine.rankings.map(({ name }) => name).join(', then ');
      lines.unshift(el('li', {}, el('span', { class: 'muted' }, item.score > 0 ? 'a rule lifts it' : `nothing in the query speaks for it: it is here by ranking${names && ` (${names})`}`)));
    }
    const sum = because.reduce((total, { weight }) => total + weight, 0);
    const share = (reason) => ({ share: (reason.weight / sum) * Math.min(1, item.score / best), colours: colour(index(reason.field)) });
    const list = (some) => el('ul', { class: 'why' }, some);
    // One line more takes no more room than the words that hide it.
    const shown = lines.length === REASONS + 1 ? lines.length : REASONS;
    return [
      sum > 0 && item.score > 0 && parts(because.map(share)),
      list(lines.slice(0, shown)),
      lines.length > shown && el('details', {}, el('summary', {}, plural(lines.length - shown, 'more reason')), list(lines.slice(shown))),
    ];
  }

  const dot = (field) => el('span', { class: `dot ${colour(index(field))}`, 'aria-hidden': 'true' });

  /** One match in words. */
  function sentence({ field, value, llr, from, eventTime }) {
    const strong = el('em', {}, value);
    const strength = llr === undefined ? '' : ` (LLR ${short(llr)})`;
    if (index(field) < 0) return [`${field} `, /^[<>]/.test(value) ? '' : 'is ', strong, ': a rule wants it'];
    const said = [];
    if (from.includes('history')) said.push(eventTime ? ['the user did so on ', date(eventTime)] : ['it is in the history of the query']);
    if (from.includes('itemSet')) said.push(['it is in the item set']);
    if (from.includes('item')) said.push(['the item asked about has it, too']);
    const reasons = said.flatMap((part, place) => [place > 0 ? ' and ' : '', ...part]);
    return [`${field} of `, strong, ` goes with this item${strength}`, reasons.length > 0 && ': ', reasons];
  }

  /** What the whole answer rests on. */
  function basis({ history = {}, excludedItems = [], conditions = [], filtered = [] }) {
    const used = Object.entries(history).filter(([, items]) => items.length);
    const line = (name, ...children) => el('div', {}, el('dt', {}, name), el('dd', {}, children));
    const entry = ({ item, score, by }) => el('li', {}, el('em', {}, item), el('span', { class: 'muted' }, ` would have had ${short(score)}: `), moments(by.join('; ')));
    return el('div', {},
      el('h4', {}, 'What the answer rests on'),
      el('dl', { class: 'basis' },
        used.length ? used.map(([name, items]) => line([dot(name), name], items.join(', '))) : line('History', el('span', { class: 'muted' }, 'none was used')),
        excludedItems.length > 0 && line('Never returned', excludedItems.join(', ')),
        conditions.length > 0 && line('Conditions', conditions.map((condition) => el('div', {}, moments(condition))))),
      filtered.length > 0 && el('details', {}, el('summary', {}, `${plural(filtered.length, 'item')} kept back`), el('ul', { class: 'plain' }, filtered.map(entry))));
  }

  async function copy() {
    const done = (words) => {
      $('copy').textContent = words;
      setTimeout(() => { $('copy').textContent = 'Copy'; }, 1500);
    };
    try {
      await navigator.clipboard.writeText($('curl').textContent);
      done('Copied');
    } catch {
      // Browsers allow that on this machine and over TLS only.
      getSelection().selectAllChildren($('curl'));
      done('Selected');
    }
  }

  form.addEventListener('submit', submit);
  form.addEventListener('input', preview);
  form.addEventListener('reset', () => setTimeout(preview));
  $('more').addEventListener('keydown', (event) => { if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit(); });
  $('copy').addEventListener('click', copy);
  preview();
  return ask;
}

/** The query of the form; throws what is wrong with it. */
function read() {
  const query = {};
  if ($('user').value) query.user = $('user').value;
  if ($('item').value) query.item = $('item').value;
  if ($('num').value) query.num = Number($('num').value);
  const text = $('more').value.trim();
  let more = {};
  if (text) {
    try {
      more = JSON.parse(text);
    } catch (error) {
      throw new Error(`This is no JSON: ${error.message}`);
    }
    if (typeof more !== 'object' || more === null || Array.isArray(more)) throw new Error('This must be a JSON object: {"name": value, …}');
  }
  return { ...more, ...query, explain: true };
}

function headers() {
  const key = $('key').value;
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** What one types into a shell. The key is left out: it does not belong into a history of commands. */
function command(query) {
  const url = new URL('queries.json', location.href);
  const quoted = JSON.stringify(query).replaceAll("'", "'\\''");
  return `curl -H 'Content-Type: application/json' -d '${quoted}' ${url.origin}${url.pathname}`;
}

/** Times in milliseconds since 1970 are not for people. */
function moments(text) {
  return text.split(/\b(\d{13})\b/).map((part, place) => (place % 2 ? time(new Date(Number(part)).toISOString()) : part));
}

/** A JSON text with line breaks; every number and string stays as it was sent. */
function indented(text) {
  let [out, depth, quoted] = ['', 0, false];
  const line = () => `\n${'  '.repeat(depth)}`;
  for (let at = 0; at < text.length; at += 1) {
    const [c, next] = [text[at], text[at + 1]];
    if (quoted) {
      out += c;
      if (c === '\\') { out += next; at += 1; } else if (c === '"') quoted = false;
    } else if (c === '"') { out += c; quoted = true; } else if ('{['.includes(c)) {
      if ('}]'.includes(next)) { out += c + next; at += 1; } else { depth += 1; out += c + line(); }
    } else if ('}]'.includes(c)) { depth -= 1; out += line() + c; } else if (c === ',') out += c + line(); else out += c === ':' ? ': ' : c;
  }
  return out;
}
