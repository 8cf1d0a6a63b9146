// SPDX-License-Identifier: Apache-2.0
// Redis loses our data, or holds somebody else's, under client load: what clients
// see, how fast it is noticed, and what an operator's accept brings back.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Witness } from './support/witness.mjs';
import { Stack, request, sleep, until } from '../integration/support/stack.mjs';

const POLL_MS = 250;
const MODELS = 20;
const sha256 = (text) => createHash('sha256').update(text).digest('hex');

// A stack and its load, ended whatever happens; their logs with a failure.
async function withStack(options, run) {
  const stack = await Stack.start({ workers: 2, modelsEnv: { CM_POLL_MS: String(POLL_MS) }, ...options });
  try {
    await run(stack);
  } catch (error) {
    for (const program of stack.programs) console.log(`--- ${program.name}\n${program.text().slice(-3000)}`);
    throw error;
  } finally {
    await stack.load?.stop();
    await stack.stop();
  }
}

async function build(stack) {
  for (let i = 0; i < MODELS; i++) await stack.must('PUT', `/models/acme/m${i}`, { created: i });
  const warm = await stack.must('POST', '/keys', { name: 'warm', aliases: [{ match: 'exact', name: 'mine', target: 'acme/m1' }] });
  const cold = await stack.must('POST', '/keys', { name: 'cold' });
  const revoked = await stack.must('POST', '/keys', { name: 'revoked' });
  const load = stack.load = new Witness(stack, { warm: warm.secret, revoked: revoked.secret, models: MODELS + 1 });
  await load.warmUp();
  await stack.must('DELETE', `/keys/${revoked.id}`, undefined, { prefer: 'wait=30' });
  return { load, warm, cold, revoked };
}

const readyz = async (stack) => (await request(stack.opsUrl, { path: '/readyz' })).json;
const states = async (stack) => (await readyz(stack)).workers.map((w) => `${w.state} ${w.reason ?? ''}`.trim());
const store = async (stack) => (await stack.call('GET', '/fleet')).json?.store;

const faults = {
  FLUSHALL: ['empty', (stack) => stack.redisCli('FLUSHALL')],
  'DEL {cm}:head': ['empty', (stack) => stack.redisCli('DEL', '{cm}:head')],
  'a restart without its data': ['empty', async (stack) => {
    await stack.redis.stop('SIGKILL');
    rmSync(join(stack.dir, 'appendonlydir'), { recursive: true });
    await stack.launchRedis();
  }],
  'another history under our prefix': ['foreign', async (stack) => {
    await stack.redisCli('EVAL', `
      redis.call('FLUSHALL')
      redis.call('HSET', '{cm}:head', 'format', '1', 'epoch', '00000000000000bb', 'parents', '', 'rev', '7', 'change',
        '00000000000000cc', 'digest', '${'0'.repeat(32)}', 'models', '0', 'logbytes', '0')
      redis.call('SET', '{cm}:key:${sha256('cm-stranger')}', '{"rev":1,"id":"key_01ARZ3NDEKTSV4RRFFQ69G5FAV","state":"active"}')`, '0');
  }],
  'other data where ours should be': ['foreign', async (stack) => {
    await stack.redisCli('EVAL', `
      redis.call('FLUSHALL')
      redis.call('SET', '{cm}:head', 'x') redis.call('SET', '{cm}:models', 'x') redis.call('SADD', '{cm}:log', 'x')
      redis.call('SET', '{cm}:audit', 'x') redis.call('LPUSH', '{cm}:keys', 'x')`, '0');
  }],
};

for (const [name, [reason, strike]] of Object.entries(faults)) {
  test(`${name}: held, noticed, accepted with a whole configuration`, { timeout: 300000 }, (t) => withStack({}, async (stack) => {
      const { load, warm, cold, revoked } = await build(stack);
      const backup = await stack.must('GET', '/config?include=key_hashes');
      const before = (await stack.get('/v1/models', { authorization: `Bearer ${warm.secret}` })).text;
      load.start();
      const struck = Date.now();
      await strike(stack);
      const up = Date.now();
      await until('both workers to suspect it', async () => (await states(stack)).every((s) => s === `suspect ${reason}`));
      t.diagnostic(`figure detected_by_workers_ms ${Date.now() - up} after ${name}`);
      await until('the admin to suspect it', async () => (await store(stack))?.state === 'suspect');
      t.diagnostic(`figure detected_by_admin_ms ${Date.now() - up} after ${name}`);
      assert.equal((await store(stack)).reason, reason);
      const ops = (path) => request(`http://127.0.0.1:${stack.adminOpsPort}`, { path });
      assert.equal((await ops('/readyz')).json.store.reason, reason);
      const suspected = (await ops('/metrics')).text.match(/^cm_admin_store_suspect\{.* 1$/gm);
      assert.deepEqual(suspected, [`cm_admin_store_suspect{reason="${reason}"} 1`]);
      for (const [method, path, body] of [['PUT', '/models/a/b', {}], ['GET', '/models'], ['GET', '/config'], ['GET', '/audit'], ['POST', '/config/apply', {}]]) {
        const refused = await stack.call(method, path, body);
        assert.deepEqual([refused.status, refused.json.code, refused.json.reason], [503, 'store_suspect', reason], `${method} ${path}`);
        assert.ok(refused.headers['retry-after']);
      }
      // Unknown keys are not judged; the catalog is what it was.
      const unknown = await stack.get('/v1/models', { authorization: `Bearer ${cold.secret}` });
      assert.equal(unknown.status, 500);
      assert.equal((await stack.get('/v1/models', { authorization: `Bearer ${warm.secret}` })).text, before);

      const found = (await store(stack)).found;
      const wrong = await stack.call('POST', '/store/accept', { epoch: '00000000000000dd', revision: 1, config: backup });
      assert.deepEqual([wrong.status, wrong.json.code], [412, 'precondition_failed']);
      const started = Date.now();
      const accepted = await stack.call('POST', '/store/accept',
        { epoch: found?.epoch ?? null, revision: found?.revision ?? null, config: backup }, { prefer: 'wait=30' });
      assert.equal(accepted.status, 200, accepted.text);
      await until('both workers to live', async () => (await states(stack)).every((s) => s === 'live'));
      const took = Date.now() - started;
      t.diagnostic(`figure live_after_accept_ms ${took} after ${name}`);
      assert.equal(accepted.json.propagation.complete, true);
      assert.deepEqual([accepted.json.models.created, accepted.json.keys.created], [MODELS, 2]);
      assert.ok(accepted.json.revision > backup.revision);
      await sleep(300);
      const tally = await load.stop();
      t.diagnostic(`figure requests ${JSON.stringify(tally)} through ${name} (${Date.now() - struck} ms)`);
      assert.equal(tally.warm_bad, 0, `the warm key was refused or a list was short: ${load.first}`);
      assert.equal(tally.revoked_accepted, 0);
      assert.equal((await stack.get('/v1/models', { authorization: `Bearer ${cold.secret}` })).status, 200);
      assert.equal((await stack.get('/v1/models', { authorization: `Bearer ${revoked.secret}` })).status, 401);
      assert.equal((await stack.get('/v1/models', { authorization: 'Bearer cm-stranger' })).status, 401);
      assert.deepEqual((await stack.must('GET', '/config?include=key_hashes')).keys, backup.keys);
      // It goes on as ever, and a document that still has the revoked key does not bring it back.
      const stale = { ...backup, keys: [...backup.keys, { id: revoked.id, name: 'revoked', secret_sha256: sha256(revoked.secret) }] };
      const now = (await store(stack)).found;
      const again = await stack.must('POST', '/store/accept', { ...now, config: stale }, { prefer: 'wait=30' });
      assert.deepEqual(again.skipped.map((s) => s.id), [revoked.id]);
      assert.equal((await stack.must('PUT', '/models/acme/after', {}, { prefer: 'wait=30' })).propagation.complete, true);
      assert.equal((await stack.get('/v1/models', { authorization: `Bearer ${revoked.secret}` })).status, 401);
  }));
}

// An export that is older than some denials, and the journal that knows them.
for (const whole of [true, false]) {
  const how = whole ? 'with an old document' : 'as the empty store that it is';
  test(`accepted ${how}, and the document applied after that: what was denied stays denied`, { timeout: 300000 }, () => withStack({}, async (stack) => {
    await stack.must('PUT', '/models/acme/m', {});
    const make = (name) => stack.must('POST', '/keys', { name });
    const [kept, revoked, rotated, disabled] = [await make('kept'), await make('revoked'), await make('rotated'), await make('disabled')];
    const old = await stack.must('GET', '/config?include=key_hashes');
    await stack.must('DELETE', `/keys/${revoked.id}`);
    const { secret: current } = await stack.must('POST', `/keys/${rotated.id}/rotate`, { grace_seconds: 0 });
    await stack.must('PATCH', `/keys/${disabled.id}`, { enabled: false }, { prefer: 'wait=30' });
    await stack.redisCli('FLUSHALL');
    await until('suspicion', async () => (await store(stack))?.reason === 'empty' && (await states(stack)).every((s) => s === 'suspect empty'));
    const accepted = await stack.must('POST', '/store/accept', { epoch: null, revision: null, ...(whole ? { config: old } : {}) }, { prefer: 'wait=30' });
    assert.equal(accepted.propagation.complete, true);
    const status = async (secret) => (await stack.get('/v1/models', { authorization: `Bearer ${secret}` })).status;
    const denied = async (when) => {
      for (const [name, secret] of Object.entries({ revoked: revoked.secret, rotated: rotated.secret }))
        assert.equal(await status(secret), 401, `${name}, ${when}`);
    };
    await denied('after the accept');
    assert.equal((await stack.must('GET', `/keys/${revoked.id}`)).status, 'revoked');
    if (whole) {
      assert.deepEqual(accepted.skipped.map((s) => s.id), [revoked.id]);
      assert.deepEqual(accepted.warnings.map((w) => w.id).sort(), [rotated.id, disabled.id].sort());
      assert.deepEqual([await status(kept.secret), await status(current), await status(disabled.secret)], [200, 200, 401]);
    }
    for (const mode of ['merge', 'sync']) {
      const applied = await stack.must('POST', `/config/apply?mode=${mode}`, old, { prefer: 'wait=30' });
      assert.ok(applied.skipped.some((s) => s.id === revoked.id), applied);
      await denied(`after ${mode}`);
    }
    assert.equal(await status(kept.secret), 200);
    const anew = await stack.call('POST', '/keys', { name: 'again', secret_sha256: sha256(revoked.secret) });
    assert.deepEqual([anew.status, anew.json.code], [409, 'already_exists']);
    const { data } = await stack.must('GET', '/keys?status=revoked');
    assert.deepEqual(data.map((k) => k.id), [revoked.id]);
  }));
}

test('accepted as it is: a catalog whose head was deleted, and one that somebody edited by hand', { timeout: 300000 }, () => withStack({}, async (stack) => {
    const { load, warm, revoked } = await build(stack);
    load.start();
    await stack.redisCli('DEL', '{cm}:head');
    await until('suspicion', async () => (await states(stack)).every((s) => s === 'suspect empty'));
    const accepted = await stack.must('POST', '/store/accept', { epoch: null, revision: null }, { prefer: 'wait=30' });
    assert.equal(accepted.propagation.complete, true);
    await until('both live', async () => (await states(stack)).every((s) => s === 'live'));
    // A record that was written past the admin: the digest does not fit any more.
    await stack.redisCli('EVAL', `local r = redis.call('HGET', '{cm}:models', 'acme/m2')
      redis.call('HSET', '{cm}:models', 'acme/m2', (string.gsub(r, '"acme/m2","created"', '"by hand","created"')))
      redis.call('HSET', '{cm}:head', 'digest', '${'1'.repeat(32)}')`, '0');
    await until('corrupt', async () => (await states(stack)).every((s) => s === 'suspect corrupt'));
    const found = (await store(stack)).found;
    await stack.must('POST', '/store/accept', found, { prefer: 'wait=30' });
    await until('both live', async () => (await states(stack)).every((s) => s === 'live'));
    const tally = await load.stop();
    assert.deepEqual([tally.warm_bad, tally.revoked_accepted], [0, 0], load.first);
    assert.equal((await stack.get('/v1/models', { authorization: `Bearer ${warm.secret}` })).status, 200);
    assert.equal((await stack.get('/v1/models', { authorization: `Bearer ${revoked.secret}` })).status, 401);
}));
