// SPDX-License-Identifier: Apache-2.0
// Redis dies, stays away, and stands still, under load. The promises: known keys never
// notice, unknown keys get 500 and never 401 (not knowing is not a verdict), everybody
// catches up when it is back (within 1.5 s on a machine of its own; asserted is ten times
// that, for others may load it), and nobody storms it meanwhile.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { Stack, request, sleep, until } from '../integration/support/stack.mjs';
import { StubRedis } from './support/stub_redis.mjs';
import { Traffic, live, warmUp, workers } from './support/traffic.mjs';

const LONG = process.env.CM_TEST_LONG === '1';
const WORKERS = 2;
const CAUGHT_UP_MS = 15000;
let stack;
let secrets;

before(async () => {
  stack = await Stack.start({ workers: WORKERS });
  secrets = await warmUp(stack);
});
after(() => stack?.stop());

const lost = (states) => states.every((w) => w.state === 'away');

// A change that was made when Redis was back reaches all workers. Returns the ms since `since`.
async function caughtUp(since) {
  await until('all workers to be live', live(stack), CAUGHT_UP_MS);
  return Date.now() - since;
}

function judge(t, traffic, from, to, what) {
  const unknown = traffic.unknownBetween(from, to);
  t.diagnostic(`figure ${what}: ${traffic.warm} requests of known keys, ${traffic.failed.length} failed, ` +
    `slowest ${traffic.slowest} ms; unknown keys meanwhile ${JSON.stringify(unknown)}`);
  assert.deepEqual(traffic.failed, []);
  assert.deepEqual(Object.keys(unknown), ['500'], 'unknown keys while Redis is away');
}

function causesLogged() {
  const logged = {};
  for (const [, cause] of stack.models.text().matchAll(/"event":"request".*"status":500.*"cause":"(\w+)"/g))
    logged[cause] = (logged[cause] ?? 0) + 1;
  return logged;
}

// Who reads the log or /metrics of that time sees what was missing.
async function causes(t) {
  const counted = {};
  for (const [, cause, n] of (await request(stack.opsUrl, { path: '/metrics' })).text.matchAll(/^cm_http_failures_total\{cause="(\w+)"\} (\d+)$/gm))
    if (n !== '0') counted[cause] = Number(n);
  t.diagnostic(`figure causes of 500s: ${JSON.stringify(counted)}`);
  assert.ok(counted.store_away > 0);
  await until('the log to say the same', () => isDeepStrictEqual(causesLogged(), counted));
  assert.deepEqual(Object.keys(counted).filter((cause) => !['store_away', 'key_unsure'].includes(cause)), []);
}

async function afterwards(t, backAt, what) {
  const ms = await caughtUp(backAt);
  t.diagnostic(`figure ${what}: all workers live ${ms} ms after it was back`);
  // The admin trusts its count of workers once a bell has come back to itself.
  let n = 0;
  await until('a change to be everywhere', async () => {
    const answer = await stack.call('PUT', '/models/acme/one', { display_name: `${what} ${++n}` }, { prefer: 'wait=1' });
    return answer.json?.propagation?.complete;
  });
  assert.equal((await stack.get('/v1/models', { authorization: 'Bearer cm-nobody' })).status, 401);
}

test('kill -9 and a start right after it', { timeout: 240000 }, async (t) => {
  const traffic = new Traffic(t, stack, secrets);
  await sleep(300);
  await stack.redis.stop('SIGKILL');
  const from = Date.now();
  await until('the workers to notice', async () => lost(await workers(stack)));
  await traffic.unknownSince(Date.now());
  await sleep(100);
  const to = Date.now();
  await stack.launchRedis();
  const backAt = Date.now();
  await afterwards(t, backAt, 'kill -9');
  await traffic.stop();
  judge(t, traffic, from, to, 'kill -9');
  await causes(t);
});

test(`away for ${LONG ? 60 : 5} s: nobody storms it`, { timeout: 300000 }, async (t) => {
  const seconds = LONG ? 60 : 5;
  const traffic = new Traffic(t, stack, secrets);
  await stack.redis.stop('SIGTERM');
  const from = Date.now();
  await until('the workers to notice', async () => lost(await workers(stack)));
  const stub = await StubRedis.start(stack.redisPort);
  await sleep(seconds * 1000);
  await stub.stop();
  const to = Date.now();
  await stack.launchRedis();
  const backAt = Date.now();
  await afterwards(t, backAt, `away for ${seconds} s`);
  await traffic.stop();
  judge(t, traffic, from, to, `away for ${seconds} s`);
  const elapsed = (to - from) / 1000;
  t.diagnostic(`figure away for ${seconds} s: connects in ${elapsed.toFixed(1)} s ${JSON.stringify(stub.tries)}`);
  for (const name of ['cm-models-data', 'cm-models-bell']) {
    // One a second and link; the first three come faster.
    const most = WORKERS * (Math.ceil(elapsed) + 3);
    assert.ok(stub.tries[name] > 0 && stub.tries[name] <= most, `${name}: ${stub.tries[name]} connects, at most ${most}`);
  }
});

test('SIGSTOP for 2 s', { timeout: 240000 }, async (t) => {
  const connections = async () => Number(/total_connections_received:(\d+)/.exec(await stack.redisCli('INFO', 'stats'))[1]);
  const traffic = new Traffic(t, stack, secrets);
  await sleep(300);
  const had = await connections();
  stack.redis.kill('SIGSTOP');
  const stoppedAt = Date.now();
  await until('the workers to notice', async () => lost(await workers(stack)));
  const noticed = Date.now() - stoppedAt;
  await sleep(Math.max(100, 2000 - noticed));
  await traffic.unknownSince(stoppedAt);
  const to = Date.now();
  stack.redis.kill('SIGCONT');
  await afterwards(t, to, 'SIGSTOP');
  await traffic.stop();
  judge(t, traffic, stoppedAt + 20, to, 'SIGSTOP');
  const connects = await connections() - had - 1;
  t.diagnostic(`figure SIGSTOP: noticed after ${noticed} ms; ${connects} connects of ${WORKERS} workers and the admin`);
  // As above, of each link of theirs.
  const most = (2 * WORKERS + 2) * (Math.ceil((Date.now() - stoppedAt) / 1000) + 3);
  assert.ok(connects <= most, `${connects} connects, at most ${most}`);
});
