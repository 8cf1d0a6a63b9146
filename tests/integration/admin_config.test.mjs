// SPDX-License-Identifier: Apache-2.0
// The configuration as one document: out, compared, in again; what it refuses; a
// large one in consecutive revisions.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { AdminClient, etag, pointers, sha256 } from './support/admin_client.mjs';
import { Stack } from './support/stack.mjs';

let stack, admin;
before(async () => {
  stack = await Stack.start({ models: false });
  admin = new AdminClient(stack);
});
after(() => stack?.stop());

const config = async (query = '') => (await stack.must('GET', `/config${query}`));
const wipe = () => stack.must('POST', '/config/apply?mode=sync&max_deletes=100000', { models: [], keys: [] });
const viewer = () => ({ authorization: `Bearer ${stack.viewerToken}` });
let number = 0;
const keyId = () => `key_01ARZ3NDEKTSV4RRFF${String(++number).padStart(8, '0')}`;
const keyOf = (over = {}) => ({ id: keyId(), name: 'k', secret_sha256: sha256(`cm-${++number}`), ...over });

async function fill() {
  await wipe();
  await admin.model({ context_length: 100, status: 'disabled' }, 'acme/off');
  await admin.model({ created: 5 }, 'acme/on');
  const key = await admin.key({ name: 'first', tags: ['a'], aliases: [{ match: 'exact', name: 'x', target: 'acme/on' }] });
  await stack.must('POST', `/keys/${key.id}/rotate`, { grace_seconds: 600 });
  const gone = await admin.key({ name: 'gone' });
  await stack.must('DELETE', `/keys/${gone.id}`);
  return { key, gone };
}

test('the export: stable, sorted, without secrets; hashes for editors alone; ETag = revision', async () => {
  const { key } = await fill();
  const answer = await stack.call('GET', '/config');
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.etag, etag(await admin.head()));
  assert.deepEqual(answer.json.models.map((m) => m.id), ['acme/off', 'acme/on']);
  assert.equal(answer.json.models[0].status, 'disabled');
  assert.deepEqual(answer.json.keys.map((k) => k.id), [key.id]);
  assert.doesNotMatch(answer.text, /sha256|grace/);
  assert.equal((await stack.call('GET', '/config')).text, answer.text);
  assert.equal((await stack.call('GET', '/config', undefined, { 'if-none-match': answer.headers.etag })).status, 304);
  assert.equal((await stack.call('GET', '/config?include=key_hashes', undefined, viewer())).status, 403);
  assert.equal((await stack.call('GET', '/config', undefined, viewer())).status, 200);
  const [full] = (await config('?include=key_hashes')).keys;
  assert.match(full.secret_sha256, /^[0-9a-f]{64}$/);
  assert.equal(full.grace[0].secret_sha256, sha256(key.secret));
  // A change of something else does not move the lines of what stayed.
  await admin.model({}, 'acme/zz');
  assert.deepEqual((await config()).models.slice(0, 2), answer.json.models);
});

test('the export applied to where it came from changes nothing, in both modes', async () => {
  await fill();
  const whole = await config('?include=key_hashes');
  for (const mode of ['merge', 'sync']) {
    const answer = await admin.unchanged('POST', `/config/apply?mode=${mode}`, whole);
    assert.deepEqual(answer.json, { revision: whole.revision, models: { created: 0, updated: 0, unchanged: 2, deleted: 0 },
      keys: { created: 0, updated: 0, unchanged: 1, revoked: 0 }, skipped: [], warnings: [] });
    assert.equal((await admin.unchanged('POST', `/config/diff?mode=${mode}`, whole, viewer())).json.diff.length, 0);
  }
});

test('diff says what apply does, is bound to its revision, and changes nothing', async () => {
  const { key } = await fill();
  const wanted = await config();
  wanted.models[1].context_length = 7;
  wanted.models.push({ id: 'acme/new' });
  wanted.keys[0].name = 'renamed';
  wanted.keys[0].aliases.push({ match: 'prefix', name: 'ne', target: 'acme/new' });
  const diff = (await admin.unchanged('POST', '/config/diff?mode=sync', wanted, viewer())).json;
  assert.deepEqual(diff.diff.map((d) => `${d.op} ${d.path}`).sort(),
    ['add /models/acme~1new', 'add /models/acme~1on/context_length', `replace /keys/${key.id}/aliases`, `replace /keys/${key.id}/name`]);
  await admin.model({}, 'acme/between');
  const stale = await admin.refused(409, 'plan_stale', 'POST', `/config/apply?mode=sync&revision=${diff.revision}`, wanted);
  assert.match(stale.json.detail, /revision/);
  await admin.refused(412, 'precondition_failed', 'POST', '/config/apply', wanted, { 'if-match': etag(diff.revision) });
  const again = (await stack.must('POST', '/config/diff?mode=sync', wanted));
  assert.deepEqual([again.models.deleted, again.keys.revoked], [1, 0]);
  const before = await admin.head();
  const done = await stack.call('POST', `/config/apply?mode=sync&revision=${again.revision}`, wanted, { 'if-match': etag(again.revision) });
  assert.equal(done.status, 200, done.text);
  assert.equal(done.json.revision, before + 1);
  assert.equal(done.headers.etag, etag(before + 1));
  assert.deepEqual(done.json.models, { created: 1, updated: 1, unchanged: 1, deleted: 1 });
  const now = await config();
  assert.deepEqual(now.models.map((m) => m.id), ['acme/new', 'acme/off', 'acme/on']);
  assert.deepEqual(now.keys[0].aliases, wanted.keys[0].aliases);
  const [audit] = (await stack.must('GET', '/audit?limit=1')).data;
  assert.deepEqual([audit.action, audit.resource], ['config.apply', '/config']);
});

test('merge leaves alone what the document does not name; sync only touches the parts it has', async () => {
  const { key } = await fill();
  await stack.must('POST', '/config/apply', { models: [{ id: 'acme/more' }] });
  assert.equal((await config()).models.length, 3);
  await stack.must('POST', '/config/apply?mode=sync', { models: [{ id: 'acme/on', created: 5 }, { id: 'acme/more' }] });
  const now = await config();
  assert.deepEqual([now.models.map((m) => m.id), now.keys.map((k) => k.id)], [['acme/more', 'acme/on'], [key.id]]);
  // A key that is left out by a document with keys is revoked.
  const answer = await stack.must('POST', '/config/apply?mode=sync', { keys: [] });
  assert.equal(answer.keys.revoked, 1);
  assert.equal((await stack.must('GET', `/keys/${key.id}`)).status, 'revoked');
});

test('deletes and revocations beyond max_deletes are refused', async () => {
  await wipe();
  const keys = Array.from({ length: 12 }, () => keyOf());
  await stack.must('POST', '/config/apply', { models: Array.from({ length: 12 }, (_, i) => ({ id: `acme/d${i}` })), keys });
  const models = await admin.refused(409, 'too_many_deletes', 'POST', '/config/apply?mode=sync', { models: [] });
  assert.deepEqual([models.json.deletes, models.json.max_deletes], [12, 10]);
  // The dry run of the same shows which ones, and does nothing.
  for (const path of ['/config/diff?mode=sync', '/config/apply?mode=sync&dry_run=true']) {
    const dry = await admin.unchanged('POST', path, { models: [], keys: [] });
    assert.equal(dry.json.too_many_deletes, true);
    assert.deepEqual([dry.json.models.deleted, dry.json.keys.revoked], [12, 12]);
    assert.deepEqual(dry.json.warnings.filter((w) => w.id === null).map((w) => w.reason.replace(/;.*/, '')).sort(),
      ['It would delete 12 of 12 models', 'It would revoke 12 of 12 keys']);
    assert.equal(dry.json.diff.filter((d) => d.path.startsWith('/models/acme~1d')).length, 12);
  }
  assert.equal('too_many_deletes' in (await stack.must('POST', '/config/diff?mode=sync&max_deletes=12', { models: [], keys: [] })), false);
  const revokes = await admin.refused(409, 'too_many_deletes', 'POST', '/config/apply?mode=sync&max_deletes=11', { keys: [] });
  assert.deepEqual([revokes.json.revokes, revokes.json.max_deletes], [12, 11]);
  assert.equal((await stack.must('POST', '/config/apply?mode=sync&max_deletes=12', { keys: [] })).keys.revoked, 12);
});

test('keys: restored by hash, matched by id, never unrevoked, their secret kept', async () => {
  const { key, gone } = await fill();
  const whole = await config('?include=key_hashes');
  const revokedHash = sha256(gone.secret);
  const restored = keyOf({ name: 'restored', expires_at: '2130-01-01T00:00:00Z', created_at: '2020-01-01T00:00:00Z',
    grace: [{ secret_sha256: sha256('cm-old'), until: '2129-01-01T00:00:00Z' }] });
  const answer = await stack.must('POST', '/config/apply', { keys: [restored, { ...gone, secret: undefined, secret_sha256: revokedHash },
    keyOf({ secret_sha256: revokedHash }), keyOf({ secret_sha256: whole.keys[0].secret_sha256 })] });
  assert.deepEqual([answer.keys.created, answer.skipped.length], [1, 3]);
  assert.deepEqual(answer.skipped.map((s) => s.reason), ['it was revoked, and stays so', 'its secret was revoked, and stays so',
    'its secret belongs to another key']);
  const back = (await config('?include=key_hashes')).keys.find((k) => k.id === restored.id);
  assert.deepEqual(back, { ...restored, enabled: true, tags: [], aliases: [] });
  // A stale secret in the document is not brought back.
  const stale = await stack.must('POST', '/config/apply', { keys: [{ ...whole.keys[0], grace: null, secret_sha256: sha256('cm-stale') }] });
  assert.deepEqual([stale.keys.unchanged, stale.warnings.length], [1, 1]);
  assert.equal((await config('?include=key_hashes')).keys.find((k) => k.id === key.id).secret_sha256, whole.keys.find((k) => k.id === key.id).secret_sha256);
});

test('a document with mistakes is refused whole, each mistake named', async () => {
  await fill();
  const bad = await admin.refused(422, 'validation_failed', 'POST', '/config/apply', {
    models: [{ id: 'acme/ok' }, { id: 'acme/on', created: -1 }, {}, { id: 'acme/ok' }, { id: 'nope' }],
    keys: [{ id: 'x', name: 'n' }, keyOf({ name: '', secret_sha256: 'zz' }), keyOf({ aliases: [{ match: 'exact', name: 'a', target: 'bad' }] })],
    other: 1 });
  const where = pointers(bad);
  for (const want of ['#/models/1/created out_of_range', '#/models/2/id required', '#/models/3/id invalid', '#/keys/0/id invalid',
    '#/keys/1/name invalid', '#/keys/1/secret_sha256 invalid', '#/other unknown_field'])
    assert.ok(where.includes(want), `${want} in ${where}`);
  const missing = await admin.refused(422, 'alias_target_missing', 'POST', '/config/apply',
    { keys: [keyOf({ aliases: [{ match: 'exact', name: 'a', target: 'no/such' }] })] });
  assert.deepEqual(pointers(missing), ['#/keys/0/aliases/0/target alias_target_missing']);
  const bare = keyOf();
  delete bare.secret_sha256;
  assert.deepEqual(pointers(await admin.refused(422, 'validation_failed', 'POST', '/config/apply', { keys: [bare] })), ['#/keys/0/secret_sha256 required']);
  await admin.refused(422, 'validation_failed', 'POST', '/config/apply', []);
  await admin.refused(403, 'insufficient_role', 'POST', '/config/apply', { models: [] }, viewer());
  await admin.refused(400, 'unknown_parameter', 'POST', '/config/apply?moed=sync', {});
  const forced = await stack.must('POST', '/config/apply?allow_missing_target=true', { keys: [keyOf({ aliases: [{ match: 'exact', name: 'a', target: 'no/such' }] })] });
  assert.equal(forced.warnings.length, 1);
});

test('a repeat with the same Idempotency-Key is the first outcome; Prefer: wait adds propagation', async () => {
  await fill();
  const headers = { 'idempotency-key': 'config-1', prefer: 'wait=1' };
  const body = { models: [{ id: 'acme/once', created: 1 }] };
  const one = await stack.call('POST', '/config/apply', body, headers);
  assert.equal(one.json.propagation.revision, one.json.revision);
  const two = await stack.call('POST', '/config/apply', body, headers);
  assert.equal(two.headers['idempotency-replayed'], 'true');
  assert.equal(two.json.revision, one.json.revision);
  assert.equal(await admin.head(), one.json.revision);
});

test('more than 10,000 records go in consecutive revisions, each whole, and may be sent again', { timeout: 400000 }, async (t) => {
  await wipe();
  const models = Array.from({ length: 6000 }, (_, i) => ({ id: `bulk/m${i}`, created: 1 }));
  const keys = Array.from({ length: 6000 }, () => keyOf({ aliases: [{ match: 'exact', name: 'a', target: 'bulk/m1' }] }));
  const was = await admin.head();
  const started = Date.now();
  const answer = await stack.must('POST', '/config/apply?mode=sync', { models, keys });
  t.diagnostic(`figure config_apply_12000_records_ms ${Date.now() - started}`);
  assert.deepEqual([answer.models.created, answer.keys.created], [6000, 6000]);
  assert.equal(answer.revision, was + 2);
  assert.equal(await admin.head(), was + 2);
  const read = Date.now();
  const whole = await config('?include=key_hashes');
  t.diagnostic(`figure config_export_12000_records_ms ${Date.now() - read}`);
  assert.deepEqual([whole.models.length, whole.keys.length], [6000, 6000]);
  const again = await admin.unchanged('POST', '/config/apply?mode=sync', { models, keys });
  assert.deepEqual([again.json.models.unchanged, again.json.keys.unchanged], [6000, 6000]);
  await wipe();
});
