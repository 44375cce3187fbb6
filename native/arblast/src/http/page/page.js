// What the server says of itself, read again every other second. A part is drawn anew only when it has changed, so that
// one can select and read in peace.

import { bar, bytes, colour, count, distribution, duration, el, octaves, overTime, plural, short, span, time } from './draw.js';
import { playground } from './ask.js';

const EVERY_MS = 2000;
const PATIENCE_MS = 10000;

const $ = (id) => document.getElementById(id);
const drawn = new Map();
const ask = playground();

/** Calls `draw` if `facts` differ from those of the last call under this name. */
function once(name, facts, draw) {
  const text = JSON.stringify(facts);
  if (drawn.get(name) === text) return;
  drawn.set(name, text);
  draw();
}

/** Shows `children` in the element of this id, with its attention kept where the reader has it. */
function show(id, ...children) {
  const open = Array.from($(id).querySelectorAll('details'), (details) => details.open);
  $(id).replaceChildren(...children.flat());
  $(id).querySelectorAll('details').forEach((details, index) => { details.open = open[index] ?? false; });
}

async function poll() {
  if (!document.hidden) {
    try {
      const answer = await fetch('status.json', { cache: 'no-store', headers: ask.headers(), signal: AbortSignal.timeout(PATIENCE_MS) });
      ask.refused(answer);
      const status = await answer.json();
      if (!answer.ok) throw new Error(status.message ?? `status ${answer.status}`);
      if (status.model) {
        update(status);
        state('good', 'Serving');
      } else {
        name(status.engine);
        warn(status.engine ? 'The engine has no model yet: queries are answered after its first train.' : 'No engine is deployed; the kept engines answer at /engines/<id>/queries.');
        state('bad', 'No model yet');
      }
    } catch (error) {
      state('bad', error instanceof TypeError || error.name === 'TimeoutError' ? 'Not reachable' : error.message);
    }
  }
  setTimeout(poll, EVERY_MS);
}

function state(kind, words) {
  once('state', [kind, words], () => {
    $('state').className = `state ${kind}`;
    $('state').textContent = words;
  });
}

function update(status) {
  const { server, requests, feedback, engine, model, contents, history } = status;
  const run = history.runs.find(({ engineInstanceId }) => engineInstanceId === model.engineInstanceId);
  ask.engine(engine);
  name(engine);
  warn([model.warning, history.error].filter(Boolean).join('; '));
  once('tiles', [requests, model, server.uptimeSeconds], () => tiles(server, requests, model));
  once('live', requests.lastMinute, () => live(requests.lastMinute));
  once('feedback', feedback, () => { $('feedback').textContent = `Feedback: ${posts(feedback.predictions)}. Log of failures: ${posts(feedback.failures)}.`; });
  once('model', [model.generation, model.digest, run?.report, contents?.indicators], () => {
    $('model-about').textContent = `generation ${model.generation}, ${bytes(model.bytes)}`;
    indicators(engine, run?.report, contents?.indicators);
    if (contents) strength(engine, contents.indicators, model.items);
  });
  if (contents) once('rankings', [engine.rankings, contents.rankings], () => rankings(engine, contents.rankings));
  once('history', [model.generation, history, contents?.generations], () => runs(model, history, contents?.generations ?? []));
  once('engine', engine, () => configuration(engine));
  once('about', [server.version, server.build], () => { $('about').textContent = `Arblast ${server.version} (${server.build})`; });
}

function name(engine) {
  if (!engine) return;
  once('name', [engine.app, engine.variant], () => {
    const name = engine.app === engine.variant ? engine.app : `${engine.app} · ${engine.variant}`;
    $('name').textContent = name;
    document.title = `${name} – Arblast`;
  });
}

function warn(warnings) {
  once('warning', warnings, () => {
    $('warning').hidden = !warnings;
    $('warning').textContent = warnings;
  });
}

// --- overview and live ----------------------------------------------------------------------------------------------

function tiles(server, requests, model) {
  const { lastMinute } = requests;
  const tile = (name, value, about) => el('div', {}, el('dt', {}, name), el('dd', {}, value, el('small', {}, about)));
  show('tiles',
    tile('Queries per second', short(lastMinute.answeredPerSecond), `${short(lastMinute.failedPerSecond)} failed`),
    tile('Latency, median', duration(lastMinute.p50Ms), `99 %: ${duration(lastMinute.p99Ms)}`),
    tile('Queries answered', count(requests.requestCount), [`${count(requests.failedCount)} failed, up for `, span(server.uptimeSeconds)]),
    tile('Model generation', count(model.generation), `published ${span(model.ageSeconds)} ago`),
    tile('Items', count(model.items), `${plural(model.users, 'user')} counted`),
    tile('Correlators', count(model.correlators), `${short(model.correlators / Math.max(1, model.items))} per item`));
}

function live({ seconds, secondsMax, series, ...sums }) {
  const key = (name, colours, value) => el('span', { class: `key ${colours}` }, el('span', {}, `${name} `, el('b', {}, value)));
  const failing = series.failed.some((failed) => failed > 0);
  const within = `in the last ${plural(seconds, 'second')}`;
  const rates = [{ name: 'answered', colours: 'c0', values: series.answered, area: true }];
  if (failing) rates.push({ name: 'failed', colours: 'cbad', values: series.failed });
  const total = series.answered.reduce((sum, value) => sum + value, 0);
  show('rate',
    el('figcaption', {}, el('b', {}, 'Queries per second'), key('answered', 'c0', short(sums.answeredPerSecond)),
      failing && key('failed', 'cbad', short(sums.failedPerSecond))),
    overTime(rates, secondsMax, '/s', `${plural(total, 'query', 'queries')} answered ${within}, at most ${count(Math.max(0, ...series.answered))} in one second`));
  const latencies = [
    { name: 'p99', colours: 'c1', values: series.p99Ms },
    { name: 'p50', colours: 'c0', values: series.p50Ms },
  ];
  show('latency',
    el('figcaption', {}, el('b', {}, 'Latency'), key('median', 'c0', duration(sums.p50Ms)), key('99 %', 'c1', duration(sums.p99Ms))),
    overTime(latencies, secondsMax, 'ms', `Latency ${within}: median ${duration(sums.p50Ms)}, 99 percent within ${duration(sums.p99Ms)}`));
}

const posts = ({ on, sent, failed, dropped }) => (on ? `${count(sent)} sent, ${count(failed)} failed, ${count(dropped)} dropped` : 'off');

// --- model ----------------------------------------------------------------------------------------------------------

const index = (engine, name) => engine.indicators.findIndex((indicator) => indicator.name === name);

function indicators(engine, report, counted) {
  const reported = report?.indicators ?? [];
  const names = [...new Set([...reported, ...(counted ?? [])].map(({ name }) => name))];
  const rows = names.map((name) => ({
    name,
    ...reported.find((indicator) => indicator.name === name),
    ...(counted ?? []).find((indicator) => indicator.name === name),
  }));
  const most = (member) => Math.max(1, ...rows.map((row) => row[member] ?? 0));
  const number = (value, more, kind = '') => el('td', { class: `number ${kind}` }, value === undefined ? '–' : count(value), more);
  const row = (row) => el('tr', { 'data-indicator': row.name },
    el('th', { scope: 'row' }, row.name, index(engine, row.name) === 0 && [' ', el('span', { class: 'badge' }, 'primary')]),
    number(row.events, bar(row.events ?? 0, most('events'), colour(index(engine, row.name)))),
    number(row.users, '', 'extra'), number(row.things, '', 'extra'),
    number(row.correlators, bar(row.correlators ?? 0, most('correlators'), colour(index(engine, row.name)))),
    number(row.itemsWithCorrelators));
  const heading = (name, title, kind = '') => el('th', { scope: 'col', class: `number ${kind}`, title }, name);
  show('indicators', el('table', {},
    el('caption', {}, report ? `${plural(report.events, 'event')} read, ${plural(report.users, 'user')} counted` : 'The record of its training run is not there.'),
    el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'Event type'), heading('Events'), heading('Users', null, 'extra'), heading('Things', 'What the event was done to', 'extra'),
      heading('Correlators'), heading('Items', 'Items with at least one correlator'))),
    el('tbody', {}, rows.map(row))));
}

function strength(engine, counted, items) {
  const scale = octaves(counted.map(({ llr }) => llr));
  show('strength', counted.map((indicator) => {
    const { name, correlators, itemsWithCorrelators, llr, strongest } = indicator;
    const mode = llr.reduce((best, bin) => (bin.count > best.count ? bin : best), { count: 0 });
    const label = correlators
      ? `LLR of ${plural(correlators, 'correlator')} of ${name}, from ${short(llr[0].from)} to ${short(llr[llr.length - 1].to)}; most, ${count(mode.count)}, are between ${short(mode.from)} and ${short(mode.to)}`
      : `${name} has no correlators`;
    const pair = ({ item, thing, llr: value }) => el('li', {}, ask.similar(item), ' ← ', thing, ' ', el('span', { class: 'muted' }, short(value)));
    return el('figure', { class: 'card', 'data-strength': name },
      el('h4', { class: 'key-title' }, name),
      el('p', { class: 'figures' }, `${plural(correlators, 'correlator')}, on ${count(itemsWithCorrelators)} of ${plural(items, 'item')}`),
      distribution(llr, scale, colour(index(engine, name)), label),
      strongest.length > 0 && el('details', {}, el('summary', {}, 'Strongest'), el('ol', { class: 'plain' }, strongest.map(pair))));
  }));
}

function rankings(engine, heads) {
  const head = ({ name, items, top }) => {
    const config = engine.rankings.find((ranking) => ranking.name === name);
    const about = config && [config.type, config.eventNames.length > 0 && `: ${config.eventNames.join(', ')}`,
      config.eventNames.length > 0 && ` in ${span(config.durationSeconds)}`];
    const most = Math.max(0, ...top.map(({ value }) => value));
    const place = ({ item, value }, number) => el('li', {}, el('span', {}, number + 1), ask.similar(item), el('span', {}, short(value)), bar(value, most, 'caccent'));
    return el('div', { class: 'card head', 'data-ranking': name },
      el('h4', {}, name), el('p', { class: 'figures' }, about ?? '', el('br'), `${plural(items, 'item')} ${items === 1 ? 'has' : 'have'} a value`),
      top.length ? el('ol', {}, top.map(place)) : el('p', { class: 'muted' }, 'No item has a value.'));
  };
  show('heads', heads.length ? heads.map(head) : el('p', { class: 'muted' }, 'The model has no rankings.'));
}

// --- history and engine ---------------------------------------------------------------------------------------------

function runs(model, history, generations) {
  const columns = ['Generation', 'Started', 'Took', 'Events', 'Items', 'Correlators', 'Size', 'Digest'];
  const cell = (label, ...children) => el('td', { role: 'cell', 'data-label': label }, children);
  const rows = history.runs.map((run) => {
    const { report } = run;
    const kept = generations.find(({ engineInstanceId }) => engineInstanceId === run.engineInstanceId);
    const serving = run.engineInstanceId === model.engineInstanceId;
    const correlators = (report?.indicators ?? []).reduce((sum, indicator) => sum + indicator.correlators, 0);
    const types = (report?.indicators ?? []).map(({ name, events }) => `${name} ${count(events)}`).join(' · ');
    const known = (value, words = count) => (value === undefined || value === null ? '–' : words(value));
    const completed = () => (kept ? (kept.status === 'ready' ? 'kept' : kept.status) : generations.length ? 'removed' : 'completed');
    const words = serving ? 'serving' : run.status === 'completed' ? completed() : run.status;
    const mood = serving ? ' good' : ['failed', 'corrupt', 'version'].includes(words) ? ' bad' : '';
    return [
      el('tr', { role: 'row', 'data-run': run.engineInstanceId },
        el('th', { scope: 'row', role: 'rowheader', 'data-label': 'Generation' }, el('span', {}, run.generation === null ? '– ' : `${run.generation} `, el('span', { class: `badge${mood}` }, words))),
        cell('Started', time(run.started)), cell('Took', duration(run.durationMs)), cell('Events', known(report?.events)),
        cell('Items', known(report?.items)), cell('Correlators', report ? count(correlators) : '–'),
        cell('Size', known(kept?.bytes, bytes)), cell('Digest', el('code', { title: kept?.digest }, known(kept?.digest, (digest) => digest.slice(0, 12))))),
      el('tr', { role: 'row', class: 'more' }, el('td', { role: 'cell', colspan: columns.length },
        run.reason && el('span', { class: 'reason' }, run.reason), types, run.batch && ` · batch ${run.batch}`)),
    ];
  });
  const total = history.runsTotal;
  $('history-about').textContent = total > rows.length ? `the newest ${rows.length} of ${plural(total, 'training run')}` : plural(total, 'training run');
  show('runs', el('table', { class: 'runs', role: 'table' },
    el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, columns.map((name) => el('th', { scope: 'col', role: 'columnheader' }, name)))),
    el('tbody', { role: 'rowgroup' }, rows.flat())));
}

function configuration(engine) {
  const names = (indicator) => [indicator.name, indicator.aliases.length > 0 && el('span', { class: 'muted' }, ` and ${indicator.aliases.join(', ')}`)];
  const heading = (name, title) => el('th', { scope: 'col', class: 'number', title }, name);
  show('evidence', el('table', {},
    el('caption', {}, 'What counts as evidence'),
    el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'Event type'), heading('LLR from', 'Weaker correlators are dropped'),
      heading('Per item', 'Correlators kept per item, at most'), heading('Per query', 'Events of a history that a query uses, at most'))),
    el('tbody', {}, engine.indicators.map((indicator) => el('tr', {}, el('th', { scope: 'row' }, names(indicator)),
      el('td', { class: 'number' }, indicator.minLLR === null ? 'any' : short(indicator.minLLR)), el('td', { class: 'number' }, count(indicator.maxCorrelatorsPerItem)),
      el('td', { class: 'number' }, count(indicator.maxQueryEvents)))))));
  const words = (value) => (value === null ? '–' : Array.isArray(value) ? value.join(', ') || '–' : String(value));
  const facts = Object.entries(engine.parameters).flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, words(value))]);
  show('parameters', el('dl', { class: 'facts' }, facts));
}

document.addEventListener('visibilitychange', () => { if (document.hidden) drawn.delete('state'); });
poll();
