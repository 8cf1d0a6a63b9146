// SPDX-License-Identifier: Apache-2.0
// Keys that nobody has made, at full speed: those that are in use do not notice, those
// that are good but not in memory still get in, and memory stays where it is bounded.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { request, sleep } from '../integration/support/stack.mjs';
import { LONG } from './support/attacks.mjs';
import { Edge } from './support/edge.mjs';

const COUNT = LONG ? 1000000 : 100000, CONNECTIONS = 400, USED = 200, UNUSED = 200, CACHE_MB = 8, BEYOND_CACHE_MB = 48;
const PATH = '/v1/models/vendor%2Fmodel-1';
let edge, used, unused;

before(async () => {
  edge = await Edge.start({ env: { CM_KEY_CACHE_MB: String(CACHE_MB) }, honest: false });
  const make = async (n) => {
    const out = [];
    while (out.length < n)
      out.push(...await Promise.all(Array.from({ length: 20 }, async () => (await edge.stack.must('POST', '/keys', { name: 'k' })).secret)));
    return out;
  };
  used = await make(USED);
  unused = await make(UNUSED);
}, { timeout: 300000 });
after(() => edge?.stop());

async function metric(name) {
  const { text } = await request(edge.stack.opsUrl, { path: '/metrics' });
  return text.split('\n').filter((line) => line.startsWith(name) && (line[name.length] === ' ' || line[name.length] === '{'))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

function ask(agent, secret) {
  const start = performance.now();
  return new Promise((done, fail) => {
    const req = http.get({ host: '127.0.0.1', port: edge.stack.port, agent, path: PATH, headers: { authorization: `Bearer ${secret}` } }, (res) => {
      res.resume();
      res.on('error', fail);
      res.on('end', () => done({ status: res.statusCode, retryAfter: res.headers['retry-after'], ms: performance.now() - start }));
    });
    req.on('error', fail);
  });
}

// Eight clients that use the same keys over and over, on connections that they keep.
function customers() {
  const seen = { times: [], bad: [], count: 0 };
  let going = true;
  const all = Array.from({ length: 8 }, async (_, i) => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    for (let n = i; going; n++) {
      const { status, ms } = await ask(agent, used[n % USED]);
      seen.count++;
      if (status !== 200) seen.bad.push(status);
      seen.times.push(ms);
      await sleep(2);
    }
    agent.destroy();
  });
  seen.stop = async () => {
    going = false;
    await Promise.all(all);
    seen.times.sort((a, b) => a - b);
    seen.p = (share) => seen.times[Math.floor((seen.times.length - 1) * share)].toFixed(1);
  };
  return seen;
}

test(`${COUNT} unknown keys at full speed`, { timeout: LONG ? 900000 : 300000 }, async (t) => {
  // Every worker has read the keys in use; then a while of peace to compare with.
  for (let round = 0; round < 4; round++) {
    await Promise.all(Array.from({ length: 8 }, async () => {
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      for (const secret of used) assert.equal((await ask(agent, secret)).status, 200);
      agent.destroy();
    }));
  }
  const peace = customers();
  await sleep(2000);
  await peace.stop();

  await sleep(500); // counters are stored five times a second
  const { hits, misses } = { hits: await metric('cm_key_cache_hits_total'), misses: await metric('cm_key_cache_misses_total') };
  const war = customers();
  const newcomers = [];
  let flooding = true;
  const flood = fork(new URL('./support/flood.mjs', import.meta.url), [JSON.stringify({
    port: edge.stack.port, count: COUNT, connections: CONNECTIONS, run: `r${process.pid}` })], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const start = performance.now();
  const result = once(flood, 'message').then(([message]) => { flooding = false; return message; });
  const arriving = (async () => {
    await sleep(500);
    for (const secret of unused) {
      if (!flooding && newcomers.length > 10) break; // it may be over before we get to it
      newcomers.push(await ask(false, secret));
      await sleep(10);
    }
  })();
  const memory = await edge.survive(t, `${COUNT} unknown keys`, async () => ({ flood: await result, took: performance.now() - start }), { most: CACHE_MB + BEYOND_CACHE_MB });
  await arriving;
  await war.stop();
  // Counters are stored five times a second: until all is counted, or they rise no more.
  const counted = async () => (await metric('cm_key_cache_hits_total')) - hits;
  let hit = await counted();
  for (let i = 0; i < 100 && hit < war.count; i++) {
    await sleep(100);
    hit = await counted();
  }
  const { flood: { statuses }, took } = memory;
  newcomers.sort((a, b) => a.ms - b.ms);
  t.diagnostic(`figure unknown keys: ${Math.round(COUNT / took * 1000)} a second, answers ${JSON.stringify(statuses)}, misses ${
    (await metric('cm_key_cache_misses_total')) - misses}, evictions ${await metric('cm_key_cache_evictions_total')}`);
  t.diagnostic(`figure keys in use: ${war.count} requests, hit ratio >= ${(100 * Math.min(1, hit / war.count)).toFixed(2)} %, p50 ${war.p(0.5)}, p99 ${war.p(0.99)} ms; in peace p50 ${peace.p(0.5)}, p99 ${peace.p(0.99)} ms`);
  t.diagnostic(`figure good keys not in memory: ${newcomers.length}, refused ${newcomers.filter((n) => n.status !== 200).length}, p50 ${
    newcomers[newcomers.length >> 1]?.ms.toFixed(1)}, max ${newcomers.at(-1)?.ms.toFixed(1)} ms`);
  assert.deepEqual(war.bad, [], 'keys in use were refused');
  assert.ok(hit / war.count >= 0.99, `hit ratio ${hit / war.count}`);
  assert.ok(newcomers.length > 10);
  assert.deepEqual(newcomers.filter((n) => n.status !== 200), [], 'good keys did not get in');
  assert.deepEqual(Object.keys(statuses).filter((s) => s !== '401' && s !== '500'), [], JSON.stringify(statuses));
});
