// SPDX-License-Identifier: Apache-2.0
// Redis lost its latest writes: a cut append-only file. What the admin's journal has
// comes back by itself, denials whatever stands there meanwhile; what no journal has
// stays lost, and is never made up.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Witness } from './support/witness.mjs';
import { Stack, request, until } from '../integration/support/stack.mjs';

async function withStack(options, run) {
  const stack = await Stack.start({ workers: 2, ...options });
  try {
    // What was answered is in the file then: with everysec a sync that is slow holds it up.
    await stack.redisCli('CONFIG', 'SET', 'appendfsync', 'no');
    await run(stack);
  } catch (error) {
    for (const program of stack.programs) console.log(`--- ${program.name}\n${program.text().slice(-3000)}`);
    throw error;
  } finally {
    await stack.witness?.stop();
    await stack.stop();
  }
}

// The workers leave the admin more time than any stall of it takes, so that none has to fall.
const PATIENT = { CM_REPAIR_WAIT_MS: '30000' };

const aof = (stack) => {
  const dir = join(stack.dir, 'appendonlydir');
  return join(dir, readdirSync(dir).find((name) => name.endsWith('.incr.aof')));
};
const size = (stack) => statSync(aof(stack)).size;
const head = async (stack) => (await stack.redisCli('HMGET', '{cm}:head', 'epoch', 'rev', 'parents')).split('\n');
const status = async (stack, secret) => (await stack.get('/v1/models', { authorization: `Bearer ${secret}` })).status;
const everywhere = async (stack, secret) => Promise.all(Array.from({ length: 12 }, () => status(stack, secret)));
const states = async (stack) => (await request(stack.opsUrl, { path: '/readyz' })).json.workers.map((w) => w.state);
const falls = async (stack) => (await request(stack.opsUrl, { path: '/metrics' })).text.match(/^cm_feed_falls_total\S* \d+$/mg) ?? [];

// The file ends where it ended at `bytes`, less `cut`.
async function lose(stack, bytes) {
  await stack.redis.stop('SIGKILL');
  truncateSync(aof(stack), bytes);
  await stack.launchRedis(['--appendfsync', 'no']);
}

test('a cut append-only file: everything that was answered is back, nobody falls', { timeout: 300000 }, (t) => withStack({ modelsEnv: PATIENT }, async (stack) => {
  for (let i = 0; i < 10; i++) await stack.must('PUT', `/models/acme/m${i}`, { created: i });
  const [warm, revoked, disabled, rotated] = await Promise.all(['warm', 'revoked', 'disabled', 'rotated'].map((name) => stack.must('POST', '/keys', { name })));
  stack.witness = new Witness(stack, { warm: warm.secret, revoked: revoked.secret, models: 10 });
  await stack.witness.warmUp();
  for (const key of [disabled, rotated]) assert.ok((await everywhere(stack, key.secret)).every((s) => s === 200));
  const [epoch] = await head(stack);
  const kept = size(stack) + 40; // in the middle of the next transaction
  await stack.must('DELETE', `/keys/${revoked.id}`, undefined, { prefer: 'wait=30' });
  await stack.must('PATCH', `/keys/${disabled.id}`, { enabled: false });
  const fresh = (await stack.must('POST', `/keys/${rotated.id}/rotate`, {})).secret;
  const made = await stack.must('POST', '/keys', { name: 'made', aliases: [{ match: 'exact', name: 'x', target: 'acme/m1' }] }, { 'idempotency-key': 'made-1' });
  await stack.must('PUT', '/models/acme/m1', { created: 1, context_length: 99 });
  await stack.must('DELETE', '/models/acme/m2');
  await stack.must('PUT', '/models/acme/new', { created: 50 }, { prefer: 'wait=30' });
  const before = await stack.must('GET', '/config?include=key_hashes');
  const [, lastRevision] = await head(stack);
  stack.witness.models = 9;
  stack.witness.start();
  await lose(stack, kept);
  const up = Date.now();
  await until('the repair', async () => (await head(stack))[0] !== epoch);
  t.diagnostic(`figure writes_back_ms ${Date.now() - up} after the port opened`);
  await until('all live', async () => (await states(stack)).every((s) => s === 'live'));
  t.diagnostic(`figure all_live_ms ${Date.now() - up} after the port opened`);
  await stack.adminReady();
  const after = await stack.must('GET', '/config?include=key_hashes');
  assert.deepEqual(after.models, before.models);
  assert.deepEqual(after.keys, before.keys);
  const [, revision, parents] = await head(stack);
  assert.ok(Number(revision) > Number(lastRevision), 'no revision is given out twice');
  assert.ok(parents.split(' ').includes(epoch));
  for (const [what, secret, want] of [['revoked', revoked.secret, 401], ['disabled', disabled.secret, 401], ['rotated away', rotated.secret, 401],
    ['its successor', fresh, 200], ['made', made.secret, 200], ['warm', warm.secret, 200]])
    assert.ok((await everywhere(stack, secret)).every((s) => s === want), what);
  const tally = await stack.witness.stop();
  t.diagnostic(`figure requests ${JSON.stringify(tally)}`);
  assert.deepEqual([tally.warm_bad, tally.revoked_accepted], [0, 0], stack.witness.first);
  assert.ok((await falls(stack)).every((line) => line.endsWith(' 0')), 'no worker gave anything up');
  // The repeat of a lost request is still that request.
  const repeat = await stack.call('POST', '/keys', { name: 'made', aliases: [{ match: 'exact', name: 'x', target: 'acme/m1' }] }, { 'idempotency-key': 'made-1' });
  assert.deepEqual([repeat.status, repeat.json.id, repeat.headers['idempotency-replayed']], [201, made.id, 'true']);
  const [audit] = (await stack.must('GET', '/audit?limit=1')).data;
  assert.equal(audit.action, 'store.repair');
  assert.deepEqual(audit.restored.map((e) => e.action), ['key.revoke', 'key.patch', 'key.rotate', 'key.create', 'model.put', 'model.delete', 'model.put']);
  assert.match(stack.admin.text(), /"event":"store_repaired","lost":7,"restored":7,/);
  // And once more, with the repair itself among what is lost.
  const again = size(stack) + 40;
  await stack.must('PUT', '/models/acme/again', {});
  await lose(stack, again);
  await until('the second repair', async () => (await stack.call('GET', '/models/acme/again')).status === 200);
}));

test('the admin dies with Redis: its journal has it all the same', { timeout: 300000 }, (t) => withStack({}, async (stack) => {
  const key = await stack.must('POST', '/keys', { name: 'k' });
  assert.ok((await everywhere(stack, key.secret)).every((s) => s === 200));
  const kept = size(stack) + 40;
  await stack.must('DELETE', `/keys/${key.id}`, undefined, { prefer: 'wait=30' });
  await stack.must('PUT', '/models/acme/late', {});
  await stack.admin.stop('SIGKILL');
  await lose(stack, kept);
  const started = Date.now();
  await stack.startAdmin();
  await until('the repair', async () => (await stack.call('GET', '/models/acme/late')).status === 200);
  t.diagnostic(`figure repaired_by_a_new_admin_ms ${Date.now() - started}`);
  assert.ok((await everywhere(stack, key.secret)).every((s) => s === 401));
  assert.equal((await stack.must('GET', `/keys/${key.id}`)).status, 'revoked');
}));

test('the store lost even the history that was accepted', { timeout: 300000 }, () => withStack({}, async (stack) => {
  await stack.must('PUT', '/models/acme/a', { created: 1 });
  const kept = size(stack) + 40;
  const { found } = (await stack.must('GET', '/fleet')).store;
  await stack.must('POST', '/store/accept', found, { prefer: 'wait=30' });
  await stack.must('PUT', '/models/acme/b', { created: 2 }, { prefer: 'wait=30' });
  await lose(stack, kept);
  await until('all live', async () => (await states(stack)).every((s) => s === 'live') && (await stack.call('GET', '/models/acme/b')).status === 200);
  await stack.adminReady(); // it hears the workers again, too
  assert.equal((await stack.must('PUT', '/models/acme/c', { created: 3 }, { prefer: 'wait=30' })).propagation.complete, true);
}));

test('without a journal nothing is made up, and revisions go on', { timeout: 300000 }, () => withStack({ adminEnv: { CM_STATE_DIR: undefined, CM_REPAIR_WAIT_MS: '1000' }, modelsEnv: { CM_REPAIR_WAIT_MS: '1000' } }, async (stack) => {
  const key = await stack.must('POST', '/keys', { name: 'k' });
  assert.ok((await everywhere(stack, key.secret)).every((s) => s === 200));
  const kept = size(stack) + 40;
  await stack.must('PATCH', `/keys/${key.id}`, { enabled: false }, { prefer: 'wait=30' });
  const last = await stack.must('PUT', '/models/acme/lost', {});
  await lose(stack, kept);
  await until('the admin to hold it', () => /"event":"store_not_ready".*"went_back"/.test(stack.admin.text()));
  await until('the admin to go on', async () => (await stack.call('GET', '/models')).status === 200);
  await stack.adminReady();
  assert.equal((await stack.call('GET', '/models/acme/lost')).status, 404);
  const next = await stack.must('PUT', '/models/acme/next', {}, { prefer: 'wait=30' });
  assert.ok(next.revision > last.revision + 1);
  assert.equal(next.propagation.complete, true);
  // The denial that the workers saw stays in force all the same.
  assert.ok((await everywhere(stack, key.secret)).every((s) => s === 401));
}));

test('two admins: each brings back its own, newer writes stand, denials win', { timeout: 300000 }, (t) => withStack({}, async (stack) => {
  const second = Object.create(stack);
  Object.assign(second, { adminPort: undefined, adminOpsPort: undefined, admin: undefined });
  second.startAdmin = Stack.prototype.startAdmin;
  const state = join(stack.dir, 'admin-state-2');
  mkdirSync(state);
  second.options = { ...stack.options, adminEnv: { CM_STATE_DIR: state } };
  await second.startAdmin();
  for (let i = 0; i < 6; i++) await stack.must('PUT', `/models/acme/m${i}`, { created: i });
  const one = await stack.must('POST', '/keys', { name: 'one' });
  const two = await second.must('POST', '/keys', { name: 'two' });
  for (const key of [one, two]) assert.ok((await everywhere(stack, key.secret)).every((s) => s === 200));
  const kept = size(stack) + 40;
  await stack.must('DELETE', `/keys/${one.id}`);
  await second.must('PUT', '/models/acme/m1', { created: 1, context_length: 11 });
  await stack.must('PUT', '/models/acme/m2', { created: 2, context_length: 22 });
  await second.must('DELETE', `/keys/${two.id}`);
  await stack.must('PUT', '/models/acme/m1', { created: 1, context_length: 33 }, { prefer: 'wait=30' });
  const before = await stack.must('GET', '/config');
  await lose(stack, kept);
  const up = Date.now();
  await until('both repairs', async () => {
    const [a, b] = await Promise.all([stack, second].map((s) => s.call('GET', '/config')));
    return a.status === 200 && b.status === 200 && JSON.stringify(a.json.models) === JSON.stringify(before.models) && a.json.keys.length === 0;
  });
  t.diagnostic(`figure two_admins_repaired_ms ${Date.now() - up}`);
  await until('all live', async () => (await states(stack)).every((s) => s === 'live'));
  for (const key of [one, two]) assert.ok((await everywhere(stack, key.secret)).every((s) => s === 401));
  for (const s of [stack, second]) await s.adminReady();
  for (const s of [stack, second])
    assert.equal((await s.must('PUT', `/models/acme/go-on-${s === stack}`, {}, { prefer: 'wait=30' })).propagation.complete, true);
}));
