// SPDX-License-Identifier: Apache-2.0
// Our worker against bare libh2o and nginx: the same requests, answers of the
// same bytes, in turns on the same processor. Prints a table; fails only when an
// answer is not what it must be. See run.sh.
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { join } from 'node:path';
import { aliases, catalog, publicList, publicObject } from './support/catalog.mjs';
import { constantHeaders, differences, getH1, getH2 } from './support/check.mjs';
import { NGINX_BODY_MAX, OurStack, benchBin, startBare, startNginx } from './support/contestants.mjs';
import { h1, h2, wrk } from './support/load.mjs';
import { cpuNs, machine, rssMiB } from './support/process.mjs';
import { median, ratio, row } from './support/stats.mjs';

const { values: options } = parseArgs({ options: {
  rounds: { type: 'string', short: 'r', default: '5' },
  seconds: { type: 'string', short: 's', default: '1' },
  case: { type: 'string', short: 'c', default: '' },
  proto: { type: 'string', short: 'p', default: 'h1,h2' },
} });
const rounds = Number(options.rounds);
const seconds = Number(options.seconds);

// -- cases ------------------------------------------------------------------

// Each: what is asked, of a catalog of how many models, for a key with how many
// aliases, and what must come back, found without asking any server.
const MODELS = 336;
const list = (count) => (models, keyAliases) => JSON.stringify(publicList(models, keyAliases.slice(0, count)));
const one = (models) => JSON.stringify(publicObject(models[1]));
const aliased = (models, keyAliases) =>
  JSON.stringify(publicObject(models.find((m) => m.id === keyAliases[0].target), keyAliases[0].name));
const refusal = () => JSON.stringify({ error: {
  message: 'Invalid API key.', type: 'authentication_error', param: null, code: 'invalid_api_key' } });

const onePath = (models) => `/v1/models/${encodeURIComponent(models[1].id)}`;
const cases = [
  { name: 'retrieve', title: 'one model of 336', path: onePath, body: one },
  { name: 'retrieve-304', title: 'one model, 304', path: onePath, revalidate: true },
  { name: 'retrieve-alias', title: 'one alias', path: () => '/v1/models/team-alias-0', aliases: 5, body: aliased },
  { name: 'refused', title: '401', path: onePath, status: 401, body: refusal },
  { name: 'retrieve-10', title: 'one model of 10', models: 10, path: onePath, body: one },
  { name: 'retrieve-10000', title: 'one model of 10,000', models: 10000, path: onePath, body: one },
  { name: 'list-2', title: 'list, 2 models', models: 2, body: list(0) },
  { name: 'list', title: 'list, 336 models', body: list(0) },
  { name: 'list-gzip', title: 'list, 336 models, gzip', gzip: true, body: list(0) },
  { name: 'list-304', title: 'list, 336 models, 304', revalidate: true },
  { name: 'list-5', title: 'list, 336 models, 5 aliases', aliases: 5, body: list(5) },
  { name: 'list-100', title: 'list, 336 models, 100 aliases', aliases: 100, body: list(100) },
  { name: 'list-100-gzip', title: 'list, 336 models, 100 aliases, gzip', aliases: 100, gzip: true, body: list(100) },
].map((c) => ({ models: MODELS, aliases: 0, status: c.revalidate ? 304 : 200, path: () => '/v1/models', ...c }));

const failures = [];
const fail = (text) => { failures.push(text); console.log(`FAILED ${text}`); };

// -- preparing --------------------------------------------------------------

async function prepare(stack, state, c) {
  if (state.models?.length !== c.models) {
    state.models = catalog(c.models);
    await stack.load(state.models);
    state.keys = {};
  }
  const keyAliases = aliases(c.aliases, state.models);
  state.keys[c.aliases] ??= await stack.key(keyAliases);
  const key = c.status === 401 ? 'cm-no-such-key' : state.keys[c.aliases];
  const wanted = { path: c.path(state.models), status: c.status,
    headers: { authorization: `Bearer ${key}`, ...(c.gzip ? { 'accept-encoding': 'gzip' } : {}) } };
  if (c.revalidate) wanted.headers['if-none-match'] = await etagOf(stack, wanted);
  return { wanted, body: c.body === undefined ? '' : c.body(state.models, keyAliases) };
}

async function etagOf(stack, wanted) {
  const { headers } = await getH1(stack.url, wanted);
  return headers.find(([name]) => name === 'etag')[1];
}

// Our own answer, judged by what was worked out beforehand, becomes the constant
// of the other two.
async function standard(stack, c, { wanted, body }) {
  const answer = await getH1(stack.url, wanted);
  const packed = answer.headers.some(([name, value]) => name === 'content-encoding' && value === 'gzip');
  const text = packed ? gunzipSync(answer.body).toString() : answer.body.toString();
  if (answer.status !== c.status || packed !== Boolean(c.gzip) || text !== body)
    fail(`${c.name}: our answer is ${answer.status} with other bytes than expected:\n${text.slice(0, 400)}`);
  return { status: answer.status, reason: answer.reason, headers: constantHeaders(answer), body: answer.body };
}

async function check(c, contestant, wanted, constant, protocols) {
  const ids = contestant.name !== 'ours';
  for (const [protocol, get, url] of [['h1', getH1, contestant.url], ['h2', getH2, contestant.h2Url]]) {
    if (!protocols.some((p) => p.protocol === protocol)) continue;
    for (const line of differences(constant, await get(url, wanted), { ids }))
      fail(`${c.name}: ${contestant.name} over ${protocol}: ${line}`);
  }
}

// -- measuring --------------------------------------------------------------

const allProtocols = [
  { name: 'HTTP/1.1 wrk', protocol: 'h1', load: wrk, url: (s) => s.url },
  { name: 'HTTP/1.1 h2load', protocol: 'h1', load: h1, url: (s) => s.url, extra: true },
  { name: 'HTTP/2 h2load', protocol: 'h2', load: h2, url: (s) => s.h2Url },
];

async function measureOnce(contestant, how, wanted, log) {
  const before = cpuNs(contestant.pid);
  const run = await how.load(how.url(contestant), wanted, seconds, log);
  return { ...run, cpu: (cpuNs(contestant.pid) - before) / 1000 / run.count };
}

// Every round asks each once, beginning with another one.
async function measure(c, how, contestants, wanted, log) {
  const results = new Map(contestants.map((s) => [s.name, []]));
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < contestants.length; turn++) {
      const contestant = contestants[(round + turn) % contestants.length];
      const run = await measureOnce(contestant, how, wanted, log);
      if (run.wrong > 0) fail(`${c.name}: ${contestant.name}, ${how.name}: ${run.wrong} wrong answers`);
      results.get(contestant.name).push(run);
    }
  }
  return results;
}

// -- printing ---------------------------------------------------------------

const of = (runs, field) => runs.map((run) => run[field]);
const count = (n) => Math.round(n).toLocaleString('en-US');
const HEAD = ['request', 'by', 'CPU µs ours', 'bare', 'nginx', 'ours/bare', 'ours/nginx',
  'req/s ours', 'bare', 'nginx', 'p50/p99 ms ours', 'bare'];

function print(c, how, results) {
  const [ours, bare, nginx] = ['ours', 'bare', 'nginx'].map((name) => results.get(name));
  const cpu = (runs) => (runs ? median(of(runs, 'cpu')).toFixed(2) : '-');
  const rate = (runs) => (runs ? count(median(of(runs, 'rate'))) : '-');
  const times = (runs) => ['p50', 'p99'].map((p) => (median(of(runs, p)) / 1000).toFixed(2)).join(' / ');
  const against = (runs) => (runs ? ratio(of(ours, 'cpu'), of(runs, 'cpu')).toFixed(3) : '-');
  console.log(row([c.title, how.name, cpu(ours), cpu(bare), cpu(nginx), against(bare), against(nginx),
    rate(ours), rate(bare), rate(nginx), times(ours), times(bare)]));
}

// -- all of it --------------------------------------------------------------

async function runCase(stack, state, c, protocols) {
  const { wanted, body } = await prepare(stack, state, c);
  const constant = await standard(stack, c, { wanted, body });
  const ours = { name: 'ours', url: stack.url, h2Url: stack.url, pid: await stack.workerPid() };
  const others = [await startBare(stack.dir, benchBin('constant_h2o'), constant)];
  try {
    if (constant.body.length <= NGINX_BODY_MAX) others.push(await startNginx(stack.dir, constant));
    for (const contestant of [ours, ...others]) await check(c, contestant, wanted, constant, protocols);
    for (const how of protocols.filter((p) => !p.extra || c.name === 'retrieve'))
      print(c, how, await measure(c, how, [ours, ...others], wanted, join(stack.dir, 'h2load.log')));
    state.rss = { ours: rssMiB(ours.pid), ...Object.fromEntries(others.map((o) => [o.name, rssMiB(o.pid)])) };
  } finally {
    for (const other of others) await other.stop();
  }
}

const protocols = allProtocols.filter((p) => options.proto.split(',').includes(p.protocol));
const chosen = cases.filter((c) => options.case === '' || options.case.split(',').includes(c.name));
if (chosen.length === 0 || protocols.length === 0 || !(rounds > 0) || !(seconds > 0)) {
  console.error(`cases: ${cases.map((c) => c.name).join(', ')}; protocols: h1, h2`);
  process.exit(2);
}
console.log(`machine: ${machine()}; ${rounds} rounds of ${seconds} s\n`);
const stack = await OurStack.start();
try {
  console.log(`${row(HEAD)}\n${row(HEAD.map(() => '---'))}`);
  const state = {};
  for (const c of chosen) await runCase(stack, state, c, protocols);
  console.log(`\nresident at the end: ${Object.entries(state.rss).map(([n, m]) => `${n} ${m.toFixed(1)} MiB`).join(', ')}`);
} finally {
  await stack.stop();
}
process.exit(failures.length > 0 ? 1 : 0);
