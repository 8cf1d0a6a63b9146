// SPDX-License-Identifier: Apache-2.0
// Size instead of speed: see scale.sh. Each part starts what it needs, prints rows
// of one table, and ends it.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { root, sleep } from '../integration/support/stack.mjs';
import { aliases, catalog, model } from './support/catalog.mjs';
import { OurStack, SERVER_CPU, benchBin } from './support/contestants.mjs';
import { fill } from './support/fill.mjs';
import { run } from './support/load.mjs';
import { cpuNsAll, machine, rssMiB } from './support/process.mjs';
import { median, quantile, row } from './support/stats.mjs';

const { values: options } = parseArgs({ options: {
  keys: { type: 'string', default: '1000000' },
  workers: { type: 'string', default: '1000' },
  models: { type: 'string', default: '10000' },
  only: { type: 'string', default: 'keys,workers' },
} });
const [KEYS, WORKERS, MODELS] = [options.keys, options.workers, options.models].map(Number);
const HOT = KEYS / 10;
const CACHE_MB = 128;
const count = (n) => Math.round(n).toLocaleString('en-US');
const failures = [];

function figure(what, value, bound = '') { console.log(row([what, value, bound])); }
function check(what, good, detail) {
  if (!good) failures.push(what) && console.log(`FAILED ${what}: ${detail}`);
}

async function metrics(stack) {
  const text = await (await fetch(`${stack.opsUrl}/metrics`)).text();
  const values = {};
  for (const line of text.split('\n')) {
    const [, name, value] = /^(\S+) (\S+)$/.exec(line) ?? [];
    if (name !== undefined) values[name.replace('{slot="0"}', '')] = Number(value);
  }
  return values;
}

const TURNS = ['under_500us', 'under_1ms', 'under_2ms', 'under_10ms', 'longer'];
async function turns(stack) {
  await sleep(500); // metrics are copied five times a second
  const now = await metrics(stack);
  return TURNS.map((bound) => now[`cm_loop_turns_total{cpu="${bound}"}`]);
}
const turnsSince = (was, now) => {
  const grown = now.map((n, i) => n - was[i]);
  return `${count(grown.reduce((a, b) => a + b))}, of them 2 ms to 10 ms: ${grown[3]}, longer: ${grown[4]}`;
};

// -- the catalog and the admin API ------------------------------------------

// By wrk, which costs a tenth of what a client in here would: the rate, and the
// processor time of each program for a key.
async function createKeys(stack, models, connections, seconds) {
  const body = JSON.stringify({ name: 'bench', aliases: aliases(5, models) });
  const script = join(stack.dir, 'create.lua');
  writeFileSync(script, `wrk.method = 'POST'\nwrk.path = '/admin/v1/keys'\nwrk.body = [==[${body}]==]\n` +
    `wrk.headers['content-type'] = 'application/json'\nwrk.headers['authorization'] = 'Bearer ${stack.token}'\n`);
  const pids = [stack.admin.pid, stack.redis.pid, await stack.workerPid()];
  const before = pids.map(cpuNsAll);
  const out = await run('wrk', ['-t1', `-c${connections}`, `-d${seconds}s`, '-s', script, stack.adminUrl]);
  check('creating keys', !/Non-2xx|Socket errors/.test(out), out);
  const keys = Number(/(\d+) requests in/.exec(out)[1]);
  return { rate: Number(/Requests\/sec:\s+([\d.]+)/.exec(out)[1]), cpuMs: pids.map((pid, i) => (cpuNsAll(pid) - before[i]) / 1e6 / keys) };
}

async function changesPerSecond(stack, rate, seconds) {
  const started = Date.now();
  const under = [];
  for (let i = 0; i < rate * seconds; i++) {
    const m = model(i * 7 % MODELS);
    under.push(stack.must('PUT', `/models/${m.id}`, { ...m, display_name: `Change ${i}` }));
    await sleep(Math.max(0, started + (i + 1) * 1000 / rate - Date.now()));
  }
  await Promise.all(under);
}

const slowestCommand = async (stack) => {
  const log = await stack.redisCli('--json', 'SLOWLOG', 'GET', '1000');
  return Math.max(0, ...JSON.parse(log).map((entry) => entry[2])) / 1000;
};

async function catalogPart(stack, models) {
  await stack.redisCli('CONFIG', 'SET', 'slowlog-log-slower-than', '5000', 'slowlog-max-len', '1000');
  let was = await turns(stack);
  const started = Date.now();
  await stack.must('POST', '/catalog/import?mode=merge', { models });
  figure(`import of ${count(models.length)} models in one call`, `${Date.now() - started} ms`, '2,000 ms');
  await sleep(1000);
  let now = await turns(stack);
  figure('turns of the worker\'s loop (processor time) during it', turnsSince(was, now), 'none over 2 ms');
  was = now;
  await stack.must('POST', '/catalog/import?mode=merge',
    { models: models.map((m) => ({ ...m, display_name: `${m.display_name ?? m.id} again` })) });
  await sleep(1000);
  now = await turns(stack);
  figure('turns while all of them change in one call', turnsSince(was, now), 'none over 2 ms');
  figure('longest turn of both imports', `${((await metrics(stack)).cm_loop_turn_longest_microseconds / 1000).toFixed(1)} ms`, '2 ms');
  was = now;
  await changesPerSecond(stack, 100, 5);
  figure('turns during 100 changes a second for 5 s', turnsSince(was, await turns(stack)), 'none over 2 ms');
  await stack.get('/v1/models', { authorization: `Bearer ${await stack.key()}`, 'accept-encoding': 'gzip' });
  await sleep(1500);
  figure(`resident memory of a worker with ${count(models.length)} models, gzip form included`,
    `${rssMiB(await stack.workerPid()).toFixed(1)} MiB`);
  await createKeys(stack, models, 8, 1); // the first make the indexes
  const created = await createKeys(stack, models, 8, 4);
  figure('keys with 5 aliases created over 8 kept-alive connections', `${count(created.rate)}/s`, '2,000/s');
  figure('processor time for each of them, of the admin, Redis, a worker', `${created.cpuMs.map((ms) => ms.toFixed(2)).join(', ')} ms`);
  figure('longest command of Redis meanwhile', `${(await slowestCommand(stack)).toFixed(0)} ms`, '250 ms');
}

// -- a million keys ---------------------------------------------------------

// One pass of wrk over so many keys; returns what it says and its rate.
async function ask(stack, path, first, keys, { connections = 32, seconds, pause = 0 }) {
  const out = await run('wrk', ['-t1', `-c${connections}`, `-d${Math.ceil(seconds)}s`, '--latency', '-s',
    join(root, 'tests/bench/keys.lua'), stack.url, '--', path, String(first), String(keys), String(pause)]);
  check('requests of known keys', !/Non-2xx|Socket errors/.test(out), out);
  const [, p99, unit] = /99%\s+([\d.]+)(us|ms|s)/.exec(out);
  return { rate: Number(/Requests\/sec:\s+([\d.]+)/.exec(out)[1]), p99Ms: Number(p99) * { us: 1e-3, ms: 1, s: 1e3 }[unit] };
}

const usedMemory = async (stack) => Number(/used_memory:(\d+)/.exec(await stack.redisCli('INFO', 'memory'))[1]);

async function keysPart(stack, models) {
  await stack.redisCli('CONFIG', 'SET', 'appendonly', 'no');
  const [before, started] = [await usedMemory(stack), Date.now()];
  await fill(stack.redisPort, KEYS, models);
  const perKey = (await usedMemory(stack) - before) / KEYS;
  figure(`${count(KEYS)} keys with 5 aliases in Redis`, `${count(perKey)} bytes a key (filled in ${Math.round((Date.now() - started) / 1000)} s)`);

  const path = `/v1/models/${encodeURIComponent(models[1].id)}`;
  const missesBefore = (await metrics(stack)).cm_key_cache_misses_total;
  const cold = await ask(stack, path, 0, KEYS, { connections: 8, seconds: 5, pause: 8 });
  await sleep(500);
  const misses = (await metrics(stack)).cm_key_cache_misses_total - missesBefore;
  figure(`a cold key, ${count(misses / 5)} misses a second`, `p99 ${cold.p99Ms.toFixed(2)} ms`, '2 ms');

  await ask(stack, path, 0, HOT, { seconds: Math.max(2, HOT / 4000) });
  await sleep(500);
  const full = await metrics(stack);
  const bytes = full.cm_key_cache_bytes;
  figure(`${count(full.cm_key_cache_entries)} keys in a worker's cache`,
    `${count(bytes / full.cm_key_cache_entries)} bytes a key, its table included`, '1,024');
  const hot = await ask(stack, path, 0, HOT, { seconds: 3 });
  figure('a hot key (wrk, 32 connections, a key a request)', `${count(hot.rate)}/s, p99 ${hot.p99Ms.toFixed(2)} ms`);

  const pid = await stack.workerPid();
  const rate = (await ask(stack, path, HOT, KEYS - HOT, { seconds: 3 })).rate;
  const all = await ask(stack, path, HOT, KEYS - HOT, { seconds: KEYS / rate * 1.2 });
  figure(`${count(KEYS)} keys seen, ${count(all.rate)} misses a second`, `resident ${rssMiB(pid).toFixed(1)} MiB`,
    `${CACHE_MB + 48} MiB (CM_KEY_CACHE_MB ${CACHE_MB} + 48)`);
  await ask(stack, '/v1/models', 0, 2000, { seconds: 3 });
  figure('after lists of 2,000 of them', `resident ${rssMiB(pid).toFixed(1)} MiB`, `${CACHE_MB + 48} MiB`);
}

// -- a thousand workers -----------------------------------------------------

async function startWorkers(stack) {
  const child = spawn('taskset', ['-c', SERVER_CPU, benchBin('sim_workers'), `redis://127.0.0.1:${stack.redisPort}`,
    String(WORKERS), '250'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => (await lines.next()).value;
  check('simulated workers', await next() === 'live', 'they did not start');
  return { next, stop: () => { child.stdin.end('x'); } };
}

async function cpuShare(pid, seconds) {
  const before = cpuNsAll(pid);
  await sleep(seconds * 1000);
  return (cpuNsAll(pid) - before) / 1e9 / seconds;
}

async function revoke(stack, workers, id) {
  const started = (performance.timeOrigin + performance.now()) * 1000;
  await stack.must('DELETE', `/keys/${id}`);
  const [, , , ...at] = (await workers.next()).split(' ').map(Number);
  return at.map((us) => (us - started) / 1000);
}

async function workersPart(stack) {
  await stack.load(catalog(10));
  const workers = await startWorkers(stack);
  await sleep(2000);
  const idle = await cpuShare(stack.redis.pid, 6);
  figure(`Redis with ${count(WORKERS)} idle workers (poll 250 ms, ack 1 s)`,
    `${(idle * 100).toFixed(0)} % of a core, ${(idle / WORKERS * 1e6).toFixed(0)} µs a worker and second`, '50 %');
  const ids = [];
  for (let i = 0; i < 60; i++) ids.push((await stack.must('POST', '/keys', { name: `r${i}` })).id);
  await sleep(500);
  const before = cpuNsAll(stack.redis.pid);
  const from = Date.now();
  const times = [];
  for (const id of ids) {
    times.push(await revoke(stack, workers, id));
    await sleep(200); // one by one: what the last one set off is over
  }
  const cpu = (cpuNsAll(stack.redis.pid) - before) / 1e9 - idle * (Date.now() - from) / 1000;
  figure(`a revocation, from its request to the 99th of 100 workers (${ids.length} revocations)`,
    `median ${median(times.map(([p99]) => p99)).toFixed(0)} ms, p99 ${quantile(times.map(([p99]) => p99), 0.99).toFixed(0)} ms`, '100 ms');
  figure('to the last worker', `median ${median(times.map(([, last]) => last)).toFixed(0)} ms, ` +
    `max ${Math.max(...times.map(([, last]) => last)).toFixed(0)} ms`);
  figure('Redis, for one change to all of them', `${(cpu / ids.length * 1000).toFixed(1)} ms of processor time, ` +
    `${(cpu / ids.length / WORKERS * 1e6).toFixed(1)} µs a worker`);
  workers.stop();
}

// -- all of it --------------------------------------------------------------

async function part(stackOptions, body) {
  const stack = await OurStack.start(stackOptions);
  try { await body(stack); } finally { await stack.stop(); }
}

console.log(`machine: ${machine()}\n`);
console.log(`${row(['what', 'measured', 'bound'])}\n${row(['---', '---', '---'])}`);
const models = catalog(MODELS);
const wanted = options.only.split(',');
if (wanted.includes('keys')) {
  await part({ modelsEnv: { CM_KEY_CACHE_MB: String(CACHE_MB) } }, async (stack) => {
    await catalogPart(stack, models);
    await keysPart(stack, models);
  });
}
if (wanted.includes('workers')) await part({ models: false }, workersPart);
process.exit(failures.length > 0 ? 1 : 0);
