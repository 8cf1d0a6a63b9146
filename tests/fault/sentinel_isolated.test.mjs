// SPDX-License-Identifier: Apache-2.0
// The old master is shut in with a worker; the rest of the world goes on with another
// one. The old master answers as before, so only who stands behind it tells the worker
// that it may not be believed: its lease is not renewed, and a key that was revoked
// outside is refused inside in time, too.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { resolve } from 'node:path';
import { freePort, request, root, sleep, until } from '../integration/support/stack.mjs';
import { Net } from './support/net.mjs';
import { ask } from './support/redis_cli.mjs';
import { SentinelStack } from './support/sentinel_stack.mjs';
import { live } from './support/traffic.mjs';

const MAX_STALE_S = 6;
const LEASE_MS = MAX_STALE_S * 1000;
const SLACK_MS = 3000; // an old master may pass for so long
const obstacle = Net.obstacle();
const options = { timeout: 300000, ...(obstacle ? { skip: obstacle } : {}) };
const bin = resolve(root, process.env.CM_BIN_DIR ?? 'build/asan');
const bearer = (key) => ({ authorization: `Bearer ${key}` });

let net;
let stack;
let inside; // the worker that will be shut in: { url, ops, program }
let key;

// redis0 is the first master, alone on its machine; replicas, Sentinels, the admin and
// another worker are outside.
const machine = (name) => (name === 'redis0' ? 'old' : 'rest');

async function startInside() {
  const [port, opsPort] = [await freePort(), await freePort()];
  const host = net.hosts.in;
  const [first, ...rest] = [...net.prefix('in'), 'env', `CM_LISTEN=${host}:${port}`, `CM_OPS_LISTEN=${host}:${opsPort}`,
    'CM_WORKERS=1', `CM_MAX_STALE_S=${MAX_STALE_S}`, `CM_REDIS_URL=${stack.sentinelUrl()}`, resolve(bin, 'services/cm-models')];
  const program = stack.program('inside', first, rest, {});
  inside = { url: `http://${host}:${port}`, ops: `http://${host}:${opsPort}`, program };
  await until('the worker inside to be live', async () => (await insideState()).state === 'live');
}

const insideState = async () => (await request(inside.ops, { path: '/readyz' })).json.workers[0];
const insideStatus = async (secret) => (await request(inside.url, { path: '/v1/models', headers: bearer(secret) })).status;

before(async () => {
  if (obstacle) return;
  net = Net.create('old', 'rest', 'in');
  stack = await SentinelStack.start({
    workers: 1,
    env: { CM_MAX_STALE_S: String(MAX_STALE_S) },
    where: (name) => ({ host: net.hosts[machine(name)], prefix: net.prefix(machine(name)) }),
  });
  await startInside();
  key = (await stack.must('POST', '/keys', { name: 'a' }, { prefer: 'wait=5' })).secret;
  await stack.must('PUT', '/models/acme/one', {}, { prefer: 'wait=5' });
  assert.equal(await insideStatus(key), 200);
});
after(async () => {
  await stack?.stop();
  net?.remove();
});

test('a worker shut in with an old master', options, async (t) => {
  const { data } = await stack.must('GET', '/keys');
  net.cut('old', 'rest');
  net.cut('old', 'here');
  net.cut('in', 'rest');
  const cutAt = Date.now();
  await until('the worker inside to doubt', async () => (await insideState()).reason === 'unconfirmed');
  const doubted = Date.now() - cutAt;
  const within = await insideStatus(key);
  if (Date.now() - cutAt < LEASE_MS / 2) assert.equal(within, 200, 'within the lease'); // a busy machine may be late
  // It is linked to a master that answers, and yet:
  assert.match(await ask(stack.nodes[0], 'ROLE'), /^master/);
  assert.equal(await insideStatus('cm-nobody'), 500, 'an unknown key');

  await until('another master', async () => (await stack.master()) === stack.nodes[1]);
  const promotedAt = Date.now();
  await until('the admin to write there', async () => (await stack.call('DELETE', `/keys/${data[0].id}`)).status === 204);
  const revokedAt = Date.now();
  assert.equal(await ask(stack.nodes[1], 'HGET', '{cm}:keys', data[0].id), '');
  assert.notEqual(await ask(stack.nodes[0], 'HGET', '{cm}:keys', data[0].id), '', 'the old master knows nothing');
  await until('the worker outside to refuse it', async () => (await stack.get('/v1/models', bearer(key))).status === 401);
  let passedAt = revokedAt; // when the last request was sent that was let through inside: a stall cannot make that later
  await until('the key to be refused inside', async () => {
    const sentAt = Date.now();
    if ((await insideStatus(key)) !== 200) return true;
    passedAt = sentAt;
    return false;
  });
  t.diagnostic(`figure old master isolated: doubted after ${doubted} ms, another master after ${promotedAt - cutAt} ms, revoked ` +
    `there after ${revokedAt - cutAt} ms, let through inside until ${passedAt - revokedAt} ms after that (CM_MAX_STALE_S ${MAX_STALE_S})`);
  assert.equal(await insideStatus(key), 500, 'not known is not a verdict');
  assert.ok(passedAt - cutAt <= LEASE_MS + SLACK_MS + 1000, 'the lease was renewed inside');

  const healedAt = Date.now();
  net.heal('old', 'rest');
  net.heal('old', 'here');
  net.heal('in', 'rest');
  await until('the worker inside to be live', async () => (await insideState()).state === 'live');
  t.diagnostic(`figure old master isolated: live ${Date.now() - healedAt} ms after the way was free`);
  assert.equal(await insideStatus(key), 401);
  assert.equal(await insideStatus('cm-nobody'), 401);
  await sleep(100);
  assert.equal(await insideStatus(key), 401);
});

test('writes that a failover lost are back', options, async (t) => {
  await stack.settled();
  const [old, next] = [await stack.master(), stack.nodes.find((n) => n.host === net.hosts.old)];
  assert.equal(next.name, 'redis0', 'the one on the far machine is the replica now');
  const doomed = (await stack.must('POST', '/keys', { name: 'doomed' }, { prefer: 'wait=5' }));
  assert.equal((await stack.get('/v1/models', bearer(doomed.secret))).status, 200);
  // A write says what it knows after 100 ms; on a busy machine the replica may need longer.
  let created = 0;
  await until('a write that is on the replica, too', async () =>
    (await stack.call('PUT', '/models/acme/kept', { created: ++created })).json.durable === 'all');

  net.cut('old', 'rest'); // the replica hears nothing from now on
  const levels = {};
  const write = async (method, path, body) => {
    const answer = await stack.call(method, path, body, { prefer: 'wait=5' });
    assert.ok(answer.status === 200 || answer.status === 201, answer.text);
    levels[answer.json.durable] = (levels[answer.json.durable] ?? 0) + 1;
    return answer.json;
  };
  for (let i = 0; i < 8; i++) await write('PUT', `/models/acme/lost-${i}`, {});
  const { secret } = await write('POST', '/keys', { name: 'lost' });
  await write('DELETE', `/keys/${doomed.id}`);
  assert.deepEqual(Object.keys(levels), ['local'], 'what the answers promised');

  await old.program.stop('SIGKILL');
  net.heal('old', 'rest');
  await until('the replica to be the master', async () => (await stack.master()) === next);
  const promotedAt = Date.now();
  const has = async (i) => (await ask(next, 'HEXISTS', '{cm}:models', `acme/lost-${i}`)) === '1';
  await until('the writes to be back', async () =>
    (await Promise.all(Array.from({ length: 8 }, (_, i) => has(i)))).every(Boolean) &&
    (await ask(next, 'HEXISTS', '{cm}:keys', doomed.id)) === '0');
  const back = Date.now() - promotedAt;
  t.diagnostic(`figure lost by a failover: 10 writes, acknowledged as ${JSON.stringify(levels)}, back ${back} ms after the promotion`);
  await until('the workers to be live', async () => live(stack)());
  assert.equal((await stack.get('/v1/models', bearer(doomed.secret))).status, 401, 'a revoked key');
  assert.equal((await stack.get('/v1/models', bearer(secret))).status, 200, 'a key that was made meanwhile');
  assert.equal((await stack.get('/v1/models/acme/lost-7', bearer(secret))).status, 200);
});
