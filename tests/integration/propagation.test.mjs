// SPDX-License-Identifier: Apache-2.0
// A change that the admin API has answered is on every worker: at once with
// Prefer: wait, in milliseconds without, within a poll when every announcement
// is lost; and it says so when a worker cannot confirm it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Stack, freePort, request, sleep, until } from './support/stack.mjs';
import { RedisProxy } from './support/proxy.mjs';

const model = (id, created) => ({ id, created, context_length: 1000 });
const MODELS = Array.from({ length: 8 }, (_, i) => model(`vendor/m${i}`, 1700000000 + i));

let seed = Number(process.env.CM_TEST_SEED ?? Date.now() % 1000000);
console.log(`# seed: ${seed}`);
function random(n) { // LCG: repeatable with CM_TEST_SEED
  seed = (seed * 1103515245 + 12345) % 2147483648;
  return Math.floor(seed / 65536) % n;
}

const bearer = (secret) => ({ authorization: `Bearer ${secret}` });
const figure = (text) => console.log(`# figure: ${text}`);
const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];

let stack;
before(async () => {
  stack = await Stack.start({ workers: 2 });
  await stack.must('POST', '/catalog/import?format=native&mode=merge', { models: MODELS }, { prefer: 'wait=30' });
}, { timeout: 60000 });
after(() => stack?.stop());

// Every worker, as far as fresh connections reach it: the kernel spreads them.
async function everyWorker(secret, path, check) {
  const answers = await Promise.all(Array.from({ length: 8 }, () => stack.get(path, bearer(secret))));
  for (const answer of answers) check(answer);
}

function whole(answer) {
  assert.ok(answer.propagation, 'propagation is missing');
  assert.equal(answer.propagation.complete, true, JSON.stringify(answer.propagation));
  assert.equal(answer.propagation.applied, 2);
  assert.equal(answer.propagation.workers, 2);
  assert.deepEqual(answer.propagation.lagging, []);
}

test('200 random changes with Prefer: wait are seen by the very next read', { timeout: 400000 }, async () => {
  const wait = { prefer: 'wait=30' };
  const key = await stack.must('POST', '/keys', {
    name: 'random', aliases: [{ match: 'exact', name: 'a', target: 'vendor/m0' }] }, wait);
  whole(key);
  let { secret } = key;
  let enabled = true;
  for (let i = 0; i < 200; i++) {
    const what = random(6);
    if (what === 0) {
      enabled = !enabled;
      whole(await stack.must('PATCH', `/keys/${key.id}`, { enabled }, wait));
    } else if (what === 1) {
      const old = secret;
      const rotated = await stack.must('POST', `/keys/${key.id}/rotate`, { grace_seconds: 0 }, wait);
      whole(rotated);
      secret = rotated.secret;
      await everyWorker(old, '/v1/models/vendor/m0', (a) => assert.equal(a.status, 401));
    } else if (what === 2) {
      const doomed = await stack.must('POST', '/keys', { name: 'doomed' }, wait);
      whole(doomed);
      await everyWorker(doomed.secret, '/v1/models', (a) => assert.equal(a.status, 200));
      const gone = await stack.must('DELETE', `/keys/${doomed.id}`, undefined, wait);
      whole(gone);
      assert.equal(gone.deleted, true);
      await everyWorker(doomed.secret, '/v1/models', (a) => assert.equal(a.status, 401));
    } else {
      const target = MODELS[random(MODELS.length)].id;
      const put = await stack.must('PUT', `/keys/${key.id}/aliases/exact/a`, { target }, wait);
      whole(put);
      if (enabled)
        await everyWorker(secret, '/v1/models/a', (a) => {
          assert.equal(a.status, 200, a.text);
          assert.equal(a.json.root, target);
        });
    }
    await everyWorker(secret, '/v1/models/vendor/m1', (a) => assert.equal(a.status, enabled ? 200 : 401, a.text));
  }
});

test('without wait, a revoked key is refused everywhere in milliseconds', { timeout: 300000 }, async () => {
  const delays = [];
  for (let i = 0; i < 60; i++) {
    const { id, secret } = await stack.must('POST', '/keys', { name: `r${i}` }, { prefer: 'wait=30' });
    await everyWorker(secret, '/v1/models/vendor/m0', (a) => assert.equal(a.status, 200));
    const reader = (async () => {
      let lastGood = 0;
      for (let refused = 0; refused < 12;) {
        const sent = process.hrtime.bigint();
        const { status } = await stack.get('/v1/models/vendor/m0', bearer(secret));
        if (status === 200) {
          lastGood = sent; // accepted: it was sent before the worker knew
          refused = 0;
        } else {
          assert.equal(status, 401);
          refused++;
        }
      }
      return lastGood;
    })();
    assert.equal((await stack.call('DELETE', `/keys/${id}`)).status, 204);
    const answered = process.hrtime.bigint();
    const lastGood = await reader;
    delays.push(lastGood > answered ? Number(lastGood - answered) / 1e6 : 0);
  }
  delays.sort((a, b) => a - b);
  figure(`revocation answered to last accepted request, ms: p50 ${quantile(delays, 0.5).toFixed(2)}`
    + ` p99 ${quantile(delays, 0.99).toFixed(2)} max ${delays.at(-1).toFixed(2)} over ${delays.length}`);
  // Who did not hear it learns it by the next poll, half of 250 ms later as a rule. A stall
  // makes some late, so the median is asked.
  assert.ok(quantile(delays, 0.5) < 60, `p50 ${quantile(delays, 0.5)} ms`);
});

test('a stopped worker makes complete false and is named', { timeout: 200000 }, async () => {
  const detail = (await request(stack.opsUrl, { path: '/readyz' })).json;
  const victim = detail.workers[0];
  process.kill(victim.pid, 'SIGSTOP');
  try {
    let put;
    for (let i = 0; i < 4 && put?.propagation.applied !== 1; i++) { // the other one may need more than a second
      put = await stack.must('PATCH', '/models/vendor/m0', { context_length: 2000 + i }, { prefer: 'wait=1' });
      assert.equal(put.propagation.complete, false);
      assert.equal(put.propagation.workers, 2);
    }
    assert.equal(put.propagation.applied, 1);
    assert.equal(put.propagation.lagging.length, 1);
    assert.ok(put.propagation.refused_everywhere_by);
    const fleet = await stack.must('GET', '/fleet');
    const lagging = fleet.data.find((w) => w.id === put.propagation.lagging[0]);
    assert.equal(lagging.slot, victim.slot);
  } finally {
    process.kill(victim.pid, 'SIGCONT');
  }
  await until('the worker to catch up', async () => {
    const again = await stack.must('PATCH', '/models/vendor/m0', { context_length: 2000 + random(1000) },
      { prefer: 'wait=1' });
    return again.propagation.complete;
  });
});

test('in steady state 10,000 requests cost Redis nothing but the poll', { timeout: 200000 }, async () => {
  const { secret } = await stack.must('POST', '/keys', { name: 'steady' }, { prefer: 'wait=30' });
  await everyWorker(secret, '/v1/models', (a) => assert.equal(a.status, 200));
  const { Agent } = await import('node:http');
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  await stack.redisCli('CONFIG', 'RESETSTAT');
  const start = Date.now();
  for (let i = 0; i < 10000; i += 50)
    await Promise.all(Array.from({ length: 50 }, async (_, j) => {
      const answer = await request(stack.url, {
        path: j % 2 ? '/v1/models' : '/v1/models/vendor%2Fm3', headers: bearer(secret), agent });
      assert.equal(answer.status, 200);
    }));
  const seconds = (Date.now() - start) / 1000;
  agent.destroy();
  const stats = Object.fromEntries((await stack.redisCli('INFO', 'commandstats')).split(/\r?\n/)
    .map((line) => /^cmdstat_([^:]+):calls=(\d+)/.exec(line)).filter(Boolean).map((m) => [m[1], Number(m[2])]));
  figure(`Redis commands during 10,000 requests in ${seconds.toFixed(1)} s: ${JSON.stringify(stats)}`);
  assert.equal(stats.get ?? 0, 0);
  const allowed = new Set(['hmget', 'publish', 'ping', 'role', 'info', 'config|resetstat', 'time', 'hset', 'hgetall', 'hlen']);
  for (const name of Object.keys(stats)) assert.ok(allowed.has(name), `unexpected ${name}`);
  // Two workers ask for head and replication every 250 ms and ack every second, each of
  // five links is pinged, the admin looks five times a second: 40 a second, of 10,000
  // requests none.
  const bound = Math.ceil(seconds + 1) * 40 + 100;
  const total = Object.values(stats).reduce((a, b) => a + b, 0);
  assert.ok(total <= bound, `${total} commands, at most ${bound} are the poll's`);
});

test('with every announcement lost, a change shows within 1.1 polls', { timeout: 300000 }, async () => {
  const poll = 250;
  const proxy = await RedisProxy.start(stack.redisPort);
  const port = await freePort();
  const opsPort = await freePort();
  const muted = stack.program('cm-models-muted', stack.models.child.spawnfile, [], {
    CM_LISTEN: `127.0.0.1:${port}`, CM_OPS_LISTEN: `127.0.0.1:${opsPort}`, CM_WORKERS: '2',
    CM_POLL_MS: String(poll), CM_REDIS_URL: `redis://127.0.0.1:${proxy.port}` });
  try {
    await stack.ready(muted, opsPort);
    proxy.muted = true;
    const url = `http://127.0.0.1:${port}`;
    const delays = [];
    const { secret } = await stack.must('POST', '/keys', { name: 'muted' });
    for (let i = 0; i < 30; i++) {
      await stack.must('PATCH', '/models/vendor/m2', { context_length: 5000 + i });
      const answered = Date.now();
      let fresh = 0;
      let last = answered;
      while (fresh < 12) {
        const sent = Date.now();
        const answer = await request(url, { path: '/v1/models/vendor/m2', headers: bearer(secret) });
        assert.equal(answer.status, 200);
        if (answer.json.context_length === 5000 + i) fresh++;
        else { fresh = 0; last = sent; }
        await sleep(2);
      }
      delays.push(last - answered);
      await sleep(random(poll));
    }
    delays.sort((a, b) => a - b);
    figure(`announcements lost (${proxy.dropped}): change to last stale read, ms: p50 ${quantile(delays, 0.5)}`
      + ` max ${delays.at(-1)} with CM_POLL_MS=${poll}`);
    assert.ok(proxy.dropped > 0, 'nothing was lost: the test proves nothing');
    // 1.1 polls are the most on a machine that does not stall: asked of three quarters.
    assert.ok(quantile(delays, 0.75) <= poll * 1.2, `p75 ${quantile(delays, 0.75)} ms`);
  } finally {
    await muted.stop();
    await proxy.stop();
  }
});
