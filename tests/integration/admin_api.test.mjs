// SPDX-License-Identifier: Apache-2.0
// SPEC 3, row by row: getting in, models, lists, and what all writes share. An
// answer that is not 2xx changed nothing.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { AdminClient, etag, fresh, pointers, sha256 } from './support/admin_client.mjs';
import { Stack, request, sleep, until } from './support/stack.mjs';

let stack;
let api;
before(async () => {
  stack = await Stack.start({ models: false });
  api = new AdminClient(stack);
}, { timeout: 240000 });
after(() => stack?.stop());

const redis = (...args) => api.redis(...args);
const head = () => api.head();
const model = (...args) => api.model(...args);
const key = (...args) => api.key(...args);
const refused = (...args) => api.refused(...args);
const unchanged = (...args) => api.unchanged(...args);

// --- getting in

test('who is asking: tokens, roles, a public key, HEAD and unknown paths', async () => {
  const { secret } = await key();
  const as = (authorization, method = 'GET', path = '/models') =>
    request(stack.adminUrl, { method, path: `/admin/v1${path}`, headers: authorization ? { authorization } : {} });
  for (const authorization of [undefined, '', 'Basic abc', 'Bearer', `Token ${stack.token}`]) {
    const answer = await as(authorization);
    assert.equal(answer.status, 401, String(authorization));
    assert.equal(answer.json.code, 'unauthenticated');
    assert.equal(answer.headers['www-authenticate'], 'Bearer');
  }
  assert.equal((await as(`Bearer ${secret}`)).status, 401);
  assert.equal((await request(stack.adminUrl, { path: '/admin/v1/models', headers: { 'x-api-key': stack.token } })).status, 401);
  assert.equal((await as(`bearer  ${stack.token}`)).status, 200);
  assert.equal((await as(undefined, 'GET', '/nothing')).status, 401);
  await refused(404, 'not_found', 'GET', '/nothing');
  await refused(404, 'not_found', 'GET', '/models/');
  await refused(404, 'not_found', 'GET', '/keys/key_x/aliases/suffix/a');
  assert.equal((await request(stack.adminUrl, { path: '/' })).status, 404);

  const viewer = { authorization: `Bearer ${stack.viewerToken}` };
  assert.equal((await stack.call('GET', '/keys', undefined, viewer)).status, 200);
  await refused(403, 'insufficient_role', 'PUT', `/models/${fresh()}`, {}, viewer);
  await refused(403, 'insufficient_role', 'POST', '/keys?dry_run=false', { name: 'x' }, viewer);
  await refused(403, 'insufficient_role', 'POST', '/keys?dry_run=perhaps', { name: 'x' }, viewer);
  assert.equal((await unchanged('POST', '/keys?dry_run=true', { name: 'x' }, viewer)).status, 200);

  const listed = await stack.call('GET', '/models');
  const bare = await stack.call('HEAD', '/models');
  assert.equal(bare.status, 200);
  assert.equal(bare.text, '');
  assert.equal(bare.headers['content-length'], listed.headers['content-length']);
  assert.equal(listed.headers['cache-control'], 'no-store');
});

test('405 says what is allowed', async () => {
  const allow = async (method, path) => (await refused(405, 'method_not_allowed', method, path)).headers.allow;
  assert.equal(await allow('POST', '/models/a/b'), 'GET, HEAD, PUT, PATCH, DELETE');
  assert.equal(await allow('DELETE', '/keys'), 'GET, HEAD, POST');
  assert.equal(await allow('GET', '/catalog/import'), 'POST');
  assert.equal(await allow('OPTIONS', '/fleet'), 'GET, HEAD');
});

test('bodies: JSON with line and column, duplicates, media types, size', async () => {
  const broken = await refused(400, 'malformed_json', 'PUT', '/models/a/b', '{\n  "x": 1,\n  y\n}');
  assert.equal(broken.json.line, 3);
  assert.ok(broken.json.column >= 1);
  await refused(400, 'malformed_json', 'PUT', '/models/a/b', '{"status":"active","status":"active"}');
  await refused(400, 'malformed_json', 'PUT', '/models/a/b', '');
  await refused(400, 'malformed_json', 'PUT', '/models/a/b', '{} {}');
  await refused(400, 'malformed_json', 'PUT', '/models/a/b', Buffer.from([0x22, 0xff, 0x22]));
  await refused(415, 'unsupported_media_type', 'PUT', '/models/a/b', '{}', { 'content-type': 'text/plain' });
  await refused(415, 'unsupported_media_type', 'PUT', '/models/a/b', '{}', { 'content-type': 'application/merge-patch+json' });
  const { id } = await model();
  const patch = (type) => stack.call('PATCH', `/models/${id}`, '{}', { 'content-type': type });
  assert.equal((await patch('application/merge-patch+json')).status, 200);
  assert.equal((await patch('application/JSON; charset=utf-8')).status, 200);
  for (const body of ['[]', '1', 'null', '"x"'])
    await refused(422, 'validation_failed', 'PUT', '/models/a/b', body);
});

test('parameters are strict', async () => {
  await refused(400, 'unknown_parameter', 'GET', '/models?offset=1');
  await refused(400, 'unknown_parameter', 'PUT', '/models/a/b?dryrun=true', {});
  await refused(400, 'unknown_parameter', 'GET', '/models?dry_run=true');
  await refused(400, 'invalid_parameter', 'PUT', '/models/a/b?dry_run=1', {});
  await refused(400, 'invalid_parameter', 'PUT', '/models/a/b?dry_run=true&dry_run=true', {});
  for (const query of ['limit=0', 'limit=1001', 'limit=x', 'limit=', 'status=open', 'after_id=', 'after_id=a&before_id=b', 'q=%zz'])
    await refused(400, 'invalid_parameter', 'GET', `/models?${query}`);
  await refused(400, 'invalid_parameter', 'GET', '/keys?after_id=nokey');
  await refused(400, 'invalid_parameter', 'GET', '/keys?status=gone');
  await refused(400, 'invalid_parameter', 'DELETE', '/models/a/b?force=yes');
  await refused(400, 'invalid_parameter', 'POST', '/catalog/import?format=litellm2', { models: [] });
  await refused(400, 'invalid_parameter', 'POST', '/catalog/import?max_deletes=-1', { models: [] });
});

// --- models

test('a model: created, read, replaced, patched, deleted', async () => {
  const id = fresh();
  const created = await stack.call('PUT', `/models/${id}`, { display_name: 'M', created: 1716239400, context_length: 65536.0 });
  assert.equal(created.status, 201);
  const revision = await head();
  assert.equal(created.headers.etag, etag(revision));
  assert.equal(created.headers.location, `/admin/v1/models/${id}`);
  assert.deepEqual(created.json, {
    durable: 'local', id, object: 'model', type: 'model', display_name: 'M', created: 1716239400,
    created_at: '2024-05-20T21:10:00+00:00', owned_by: 'acme', context_length: 65536,
    architecture: { input_modalities: ['text'], output_modalities: ['text'] }, status: 'active', revision });
  const read = await stack.call('GET', `/models/${id}`);
  assert.deepEqual({ ...read.json, durable: 'local' }, created.json);
  assert.equal(read.headers.etag, created.headers.etag);
  assert.equal((await stack.call('GET', `/models/${id.replace('/', '%2f')}`)).text, read.text);
  assert.equal((await stack.call('GET', `/models/${id}`, undefined, { 'if-none-match': read.headers.etag })).status, 304);

  // GET, edit, PUT works; the same again is no revision.
  const same = await unchanged('PUT', `/models/${id}`, read.json);
  assert.equal(same.status, 200);
  assert.deepEqual(same.json, read.json);
  const put = await stack.must('PUT', `/models/${id}`, { ...read.json, context_length: null, capabilities: { tools: true, x: false } });
  assert.equal(put.context_length, undefined);
  assert.deepEqual(put.capabilities, { tools: true });
  assert.equal(put.revision, revision + 1);

  const patched = await stack.must('PATCH', `/models/${id}`, { display_name: null, status: 'disabled' });
  assert.equal(patched.display_name, id);
  assert.equal(patched.status, 'disabled');
  assert.deepEqual(patched.capabilities, { tools: true });
  await unchanged('PATCH', `/models/${id}`, { status: 'disabled' });
  await unchanged('PATCH', `/models/${id}`, {});

  assert.equal((await stack.call('DELETE', `/models/${id}`)).status, 204);
  await refused(404, 'not_found', 'GET', `/models/${id}`);
  await refused(404, 'not_found', 'DELETE', `/models/${id}`);
  await refused(404, 'not_found', 'PATCH', `/models/${id}`, {});
});

test('a PUT without a date keeps the date: twice is no change', async () => {
  const { id, created } = await model({ display_name: 'x' });
  assert.ok(Math.abs(created - Date.now() / 1000) < 60);
  await sleep(1100);
  await unchanged('PUT', `/models/${id}`, { display_name: 'x' });
});

test('models that are not valid', async () => {
  const bad = async (body, ...expected) => assert.deepEqual(
    pointers(await refused(422, 'validation_failed', 'PUT', '/models/acme/bad', body)), expected.sort());
  const first = await refused(422, 'validation_failed', 'PUT', '/models/acme/bad', { contxt_length: 5, status: 'on' });
  assert.ok(pointers(first).includes('#/contxt_length unknown_field'));
  assert.match(first.json.errors.find((e) => e.code === 'unknown_field').detail, /context_length/);
  assert.equal(first.json.errors.length, 2);
  for (const body of [{ id: 'acme/other' }, { created: -1 }, { created: 'now' }, { context_length: 0 }, { context_length: 1.5 },
    { display_name: 5 }, { architecture: [] }, { architecture: { input_modalities: 'text' } }, { capabilities: { tools: 1 } },
    { status: 'gone' }, { owned_by: '' }])
    await refused(422, 'validation_failed', 'PUT', '/models/acme/bad', body);
  await bad({ id: 5 }, '#/id invalid').catch(() => refused(422, 'validation_failed', 'PUT', '/models/acme/bad', { id: 5 }));
  for (const path of ['noslash', 'Upper/x', 'a/b%20c', 'a/b%22', 'a/', `a/${'x'.repeat(191)}`, '%2Fx'])
    await refused(422, 'validation_failed', 'PUT', `/models/${path}`, {});
  await refused(404, 'not_found', 'PUT', '/models/a%2', {});
  await refused(404, 'not_found', 'PUT', '/models/a%00/b', {});
  const long = `a/${'x'.repeat(190)}`;
  assert.equal((await stack.must('PUT', `/models/${long}`, {})).id, long);
  const deep = 'a/b/c:d@e+f';
  assert.equal((await stack.must('PUT', `/models/${deep}`, {})).id, deep);
  assert.equal((await stack.must('GET', `/models/a%2Fb%2fc:d@e+f`)).id, deep);
});

test('If-Match and If-None-Match', async () => {
  const { id, revision } = await model();
  const path = `/models/${id}`;
  for (const match of ['"999999"', 'W/"' + revision + '"', String(revision)]) {
    await refused(412, 'precondition_failed', 'PATCH', path, { status: 'disabled' }, { 'if-match': match });
    await refused(412, 'precondition_failed', 'DELETE', path, undefined, { 'if-match': match });
  }
  await refused(412, 'precondition_failed', 'PUT', path, {}, { 'if-none-match': '*' });
  await refused(412, 'precondition_failed', 'PUT', `/models/${fresh()}`, {}, { 'if-match': '*' });
  const next = await stack.call('PATCH', path, { status: 'disabled' }, { 'if-match': `"1", ${etag(revision)}` });
  assert.equal(next.status, 200);
  await refused(412, 'precondition_failed', 'PATCH', path, { status: 'active' }, { 'if-match': etag(revision) });
  assert.equal((await stack.call('PUT', `/models/${fresh()}`, {}, { 'if-none-match': '*' })).status, 201);
  const k = await key();
  await refused(412, 'precondition_failed', 'POST', `/keys/${k.id}/rotate`, {}, { 'if-match': '"1"' });
  await refused(412, 'precondition_failed', 'PATCH', `/keys/${k.id}`, { name: 'z' }, { 'if-match': '"1"' });
  await refused(412, 'precondition_failed', 'PUT', `/keys/${k.id}/aliases`, { aliases: [] }, { 'if-match': '"1"' });
  await refused(412, 'precondition_failed', 'PUT', `/keys/${k.id}/aliases/exact/a`, { target: id }, { 'if-match': '"1"' });
  assert.equal((await stack.call('PUT', `/keys/${k.id}/aliases/exact/a`, { target: id },
    { 'if-match': etag(k.revision), 'if-none-match': '*' })).status, 201);
  await refused(412, 'precondition_failed', 'PUT', `/keys/${k.id}/aliases/exact/a`, { target: id }, { 'if-none-match': '*' });
});

test('a model in use is deleted only with force; its aliases stay', async () => {
  const { id } = await model();
  const k = await key({ aliases: [{ match: 'prefix', name: 'pp', target: id }, { match: 'exact', name: 'x', target: (await model()).id }] });
  const answer = await refused(409, 'in_use', 'DELETE', `/models/${id}`);
  assert.deepEqual(answer.json.aliases, [{ key_id: k.id, match: 'prefix', name: 'pp' }]);
  await refused(409, 'in_use', 'DELETE', `/models/${id}?dry_run=true`);
  assert.equal((await stack.call('DELETE', `/models/${id}?force=true`)).status, 204);
  assert.equal((await stack.must('GET', `/keys/${k.id}/aliases`)).aliases.length, 2);
  // What points nowhere already may stay when the set is written again.
  const set = await stack.must('GET', `/keys/${k.id}/aliases`);
  await unchanged('PUT', `/keys/${k.id}/aliases`, set);
  await stack.must('PUT', `/models/${id}`, {});
  await refused(409, 'in_use', 'DELETE', `/models/${id}`);
  await stack.must('DELETE', `/keys/${k.id}/aliases/prefix/pp`, undefined, { prefer: 'wait=1' });
  assert.equal((await stack.call('DELETE', `/models/${id}`)).status, 204);
});

test('lists are paged by id in both directions', async () => {
  for (let i = 0; i < 7; i++) await stack.must('PUT', `/models/page/m${i}`, { owned_by: 'pager', display_name: `Nr ${i}`, status: i % 2 ? 'active' : 'disabled' });
  const page = async (query) => {
    const { object, data, has_more, first_id, last_id } = await stack.must('GET', `/models?owned_by=pager&${query}`);
    assert.equal(object, 'list');
    assert.equal(first_id, data[0]?.id ?? null);
    assert.equal(last_id, data.at(-1)?.id ?? null);
    return [data.map((m) => m.id.at(-1)).join(''), has_more];
  };
  assert.deepEqual(await page(''), ['0123456', false]);
  assert.deepEqual(await page('limit=3'), ['012', true]);
  assert.deepEqual(await page('limit=3&after_id=page/m2'), ['345', true]);
  assert.deepEqual(await page('limit=3&after_id=page%2Fm5'), ['6', false]);
  assert.deepEqual(await page('limit=3&before_id=page/m6'), ['345', true]);
  assert.deepEqual(await page('limit=3&before_id=page/m2'), ['01', false]);
  assert.deepEqual(await page('after_id=page/m6'), ['', false]);
  assert.deepEqual(await page('q=nR%202'), ['2', false]);
  assert.deepEqual(await page('status=active'), ['135', false]);

  const ids = [];
  for (let i = 0; i < 5; i++) ids.push((await key({ name: `paged ${i}`, tags: ['paged'] })).id);
  ids.sort();
  const keys = async (query) => {
    const { data, has_more } = await stack.must('GET', `/keys?tag=paged&${query}`);
    return [data.map((k) => ids.indexOf(k.id)).join(''), has_more];
  };
  assert.deepEqual(await keys(''), ['01234', false]);
  assert.deepEqual(await keys('limit=2'), ['01', true]);
  assert.deepEqual(await keys(`limit=2&after_id=${ids[1]}`), ['23', true]);
  assert.deepEqual(await keys(`limit=2&before_id=${ids[4]}`), ['23', true]);
  assert.deepEqual(await keys(`limit=2&before_id=${ids[1]}`), ['0', false]);
  assert.deepEqual((await keys('q=PAGED%203'))[0].length, 1);
});

// --- what all writes share

test('dry runs answer 200 with the would-be result and the diff, and change nothing', async () => {
  const id = fresh();
  const dry = await unchanged('PUT', `/models/${id}?dry_run=true`, { context_length: 5 });
  assert.equal(dry.status, 200);
  assert.equal(dry.json.context_length, 5);
  assert.ok(dry.json.diff.some((d) => d.op === 'add' && d.path === '/context_length' && d.value === 5));
  assert.equal(dry.headers.etag, undefined);
  await model({ context_length: 5 }, id);
  const patch = await unchanged('PATCH', `/models/${id}?dry_run=true`, { context_length: 6 }, { prefer: 'wait=1' });
  assert.deepEqual(patch.json.diff, [{ op: 'replace', path: '/context_length', old: 5, value: 6 }]);
  assert.equal(patch.json.propagation, undefined);
  const gone = await unchanged('DELETE', `/models/${id}?dry_run=true`);
  assert.equal(gone.status, 200);
  assert.equal(gone.json.id, id);
  assert.equal(gone.json.deleted, true);
  assert.ok(gone.json.diff.every((d) => d.op === 'remove'));
  const made = await unchanged('POST', '/keys?dry_run=true', { name: 'dry' }, { 'idempotency-key': 'dry' });
  assert.equal(made.status, 200);
  assert.equal(made.json.secret, null);
  const k = await key();
  assert.equal((await unchanged('POST', `/keys/${k.id}/rotate?dry_run=true`, {})).json.secret, null);
  await unchanged('DELETE', `/keys/${k.id}?dry_run=true`);
  await unchanged('PUT', `/keys/${k.id}/aliases?dry_run=true`, { aliases: [{ match: 'exact', name: 'n', target: id }] });
  await unchanged('PUT', `/keys/${k.id}/aliases/exact/n?dry_run=true`, { target: id });
  await unchanged('POST', '/catalog/import?dry_run=true', { models: [{ id: fresh() }] });
  await refused(422, 'validation_failed', 'PUT', `/models/${id}?dry_run=true`, { context_length: -1 });
  await refused(412, 'precondition_failed', 'PUT', `/models/${id}?dry_run=true`, {}, { 'if-match': '"1"' });
});

test('Idempotency-Key: the first outcome again, bound to token, route and body', async () => {
  const headers = { 'idempotency-key': 'order-1' };
  const first = await stack.call('POST', '/keys', { name: 'once' }, headers);
  assert.equal(first.status, 201);
  const again = await unchanged('POST', '/keys', { name: 'once' }, headers);
  assert.equal(again.status, 201);
  assert.deepEqual(again.json, { ...first.json, secret: null });
  assert.equal(again.headers.etag, first.headers.etag);
  assert.equal(again.headers.location, first.headers.location);
  const waited = await unchanged('POST', '/keys', { name: 'once' }, { ...headers, prefer: 'wait=1' });
  assert.equal(waited.json.propagation.revision, first.json.revision);
  await refused(422, 'idempotency_key_reused', 'POST', '/keys', { name: 'twice' }, headers);
  await refused(422, 'idempotency_key_reused', 'POST', '/keys?allow_missing_target=true', { name: 'once' }, headers);
  await refused(422, 'idempotency_key_reused', 'POST', `/keys/${first.json.id}/rotate`, {}, headers);
  await refused(400, 'invalid_parameter', 'POST', '/keys', { name: 'x' }, { 'idempotency-key': '' });
  await refused(400, 'invalid_parameter', 'POST', '/keys', { name: 'x' }, { 'idempotency-key': 'x'.repeat(256) });
  // What failed is not an outcome.
  await refused(422, 'validation_failed', 'POST', '/keys', { name: '' }, { 'idempotency-key': 'order-2' });
  assert.equal((await stack.call('POST', '/keys', { name: 'good' }, { 'idempotency-key': 'order-2' })).status, 201);
  // The same at once: one is made, all get it.
  const before = await head();
  const many = await Promise.all(Array.from({ length: 8 }, () => stack.call('POST', '/keys', { name: 'race' }, { 'idempotency-key': 'order-3' })));
  assert.equal(new Set(many.map((a) => a.json.id)).size, 1);
  assert.equal(many.filter((a) => a.json.secret !== null).length, 1);
  assert.equal(await head(), before + 1);
  const ttl = Number(await redis('TTL', `{cm}:idem:${sha256('order-1')}`));
  assert.ok(ttl > 86000 && ttl <= 86400);
  // An import that changes nothing has an outcome too.
  const id = fresh();
  const body = { models: [{ id, created: 5 }] };
  await stack.must('POST', '/catalog/import', body);
  const quiet = await stack.must('POST', '/catalog/import', body, { 'idempotency-key': 'order-4' });
  assert.equal(quiet.unchanged, 1);
  await stack.must('PATCH', `/models/${id}`, { created: 6 });
  assert.deepEqual(await stack.must('POST', '/catalog/import', body, { 'idempotency-key': 'order-4' }), quiet);
  assert.equal((await stack.must('GET', `/models/${id}`)).created, 6);
});

test('Prefer: wait with no worker answers at once', async () => {
  const started = Date.now();
  const answer = await stack.call('PUT', `/models/${fresh()}`, {}, { prefer: 'wait=30' });
  assert.equal(answer.status, 201);
  assert.ok(Date.now() - started < 15000);
  assert.equal(answer.headers['preference-applied'], 'wait=30');
  const { propagation } = answer.json;
  assert.deepEqual(Object.keys(propagation), ['revision', 'workers', 'applied', 'complete', 'elapsed_ms', 'lagging', 'refused_everywhere_by']);
  assert.equal(propagation.revision, answer.json.revision);
  assert.equal(propagation.workers, 0);
  assert.equal(propagation.complete, false);
  const by = (Date.parse(propagation.refused_everywhere_by) - Date.now()) / 1000;
  assert.ok(by > 3540 && by <= 3601, String(by));
  const gone = await stack.call('DELETE', `/models/${answer.json.id}`, undefined, { prefer: 'wait=1' });
  assert.equal(gone.status, 200);
  assert.equal(gone.json.deleted, true);
  assert.equal(gone.json.id, answer.json.id);
  assert.equal((await stack.call('PUT', `/models/${fresh()}`, {}, { prefer: 'wait=0' })).json.propagation, undefined);
});

test('the fleet: heard, lagging, silent, forgotten', async () => {
  const epoch = await redis('HGET', '{cm}:head', 'epoch');
  const say = (kind, over) => redis('PUBLISH', '{cm}:0:ack', JSON.stringify({
    kind, id: '', replaces: '', host: 'here', slot: 0, epoch, revision: 0, state: 'live', reason: '',
    confirmed_ms: Date.now(), sent_ms: Date.now(), max_stale_s: 3600, rejected: 0,
    poisoned: 0, from_disk: false, saved_ms: 0, save_errors: 0, ...over }));
  await say('hello', { id: 'w-0-1', reason: 'went_back', from_disk: true, saved_ms: 1700000000999, save_errors: 3, rejected: 2, poisoned: 1 });
  const fleet = await until('the worker', async () => {
    const list = await stack.must('GET', '/fleet');
    return list.data.length > 0 && list;
  });
  assert.equal(fleet.head_revision, await head());
  const { last_seen_at: seen, lag_ms: lag, ...shown } = fleet.data[0];
  assert.deepEqual(shown, { id: 'w-0-1', host: 'here', slot: 0, state: 'live', reason: 'went_back', revision: 0,
    from_disk: true, saved_at: '2023-11-14T22:13:20Z', save_errors: 3, invalid: 2, poisoned: 1 });
  assert.ok(Date.parse(seen) <= Date.now() && lag >= 0);
  // Whoever may publish acks may publish nonsense.
  for (const saved of [0, -1, Number.MAX_SAFE_INTEGER]) {
    await say('state', { id: 'w-0-1', saved_ms: saved, save_errors: 4 + saved % 2 });
    await until('the news', async () => {
      const now = (await stack.must('GET', '/fleet')).data[0];
      return now.save_errors === 4 + saved % 2 && now.saved_at === null && now.from_disk === false;
    });
  }
  const waited = await stack.must('PUT', `/models/${fresh()}`, {}, { prefer: 'wait=1' });
  assert.equal(waited.propagation.complete, false);
  assert.deepEqual(waited.propagation.lagging, ['w-0-1']);
  const { store, ...rev } = await stack.must('GET', `/revisions/${waited.revision}`);
  assert.equal(store.state, 'good');
  assert.deepEqual(rev, { revision: waited.revision, workers: 1, applied: 0, complete: false, lagging: ['w-0-1'], head_revision: waited.revision });
  // Told at once when the last one has applied it.
  const [started, before] = [Date.now(), await head()];
  const pending = stack.must('PUT', `/models/${fresh()}`, {}, { prefer: 'wait=30' });
  await until('the write', async () => (await head()) > before);
  await say('state', { id: 'w-0-1', revision: await head() });
  const done = await pending;
  assert.equal(done.propagation.complete, true, JSON.stringify(done.propagation));
  assert.ok(Date.now() - started < 15000);
  assert.equal((await stack.must('GET', `/revisions/${done.revision}`)).complete, true);
  await refused(404, 'not_found', 'GET', '/revisions/999999999');
  await refused(404, 'not_found', 'GET', '/revisions/x');
  // A successor takes its place; a bye and an operator take it off.
  await say('hello', { id: 'w-0-2', replaces: 'w-0-1' });
  await until('the successor', async () => (await stack.must('GET', '/fleet')).data.map((w) => w.id).join() === 'w-0-2');
  await say('hello', { id: 'w-1-1' });
  await until('two', async () => (await stack.must('GET', '/fleet')).data.length === 2);
  await say('bye', { id: 'w-1-1' });
  await until('one', async () => (await stack.must('GET', '/fleet')).data.length === 1);
  await until('the mirror', async () => (await redis('HKEYS', '{cm}:fleet')) === 'w-0-2');
  await refused(404, 'not_found', 'DELETE', '/fleet/w-9-9');
  await unchanged('DELETE', '/fleet/w-0-2?dry_run=true');
  assert.equal((await stack.call('DELETE', '/fleet/w-0-2')).status, 204);
  assert.deepEqual((await stack.must('GET', '/fleet')).data, []);
  await until('the empty mirror', async () => (await redis('EXISTS', '{cm}:fleet')) === '0');
}, { timeout: 240000 });

test('the audit log: who, what, from where, and the diff', async () => {
  const { id } = await model({ context_length: 1 });
  const patched = await stack.call('PATCH', `/models/${id}`, { context_length: 2 });
  const entry = (await stack.must('GET', '/audit?limit=1')).data[0];
  assert.equal(entry.revision, patched.json.revision);
  assert.equal(entry.id, String(patched.json.revision));
  assert.equal(entry.actor, 'ci');
  assert.equal(entry.action, 'model.patch');
  assert.equal(entry.resource, `/models/${id}`);
  assert.equal(entry.address, '127.0.0.1');
  assert.equal(entry.request_id, patched.headers['x-request-id']);
  assert.ok(Math.abs(Date.parse(entry.at) - Date.now()) < 60000);
  assert.deepEqual(entry.diff, [{ op: 'replace', path: '/context_length', old: 1, value: 2 }]);
  const of = async (query) => (await stack.must('GET', `/audit?${query}`)).data;
  assert.deepEqual((await of(`resource=/models/${id}`)).map((e) => e.action), ['model.patch', 'model.put']);
  assert.ok((await of('action=key.rotate')).every((e) => e.action === 'key.rotate'));
  assert.deepEqual(await of('actor=nobody'), []);
  const whole = (await of('limit=1000')).map((e) => e.id);
  assert.equal(whole.length, Number(await redis('XLEN', '{cm}:audit')));
  const paged = [];
  for (let after = ''; ;) {
    const page = await stack.must('GET', `/audit?limit=50${after}`);
    paged.push(...page.data.map((e) => e.id));
    if (!page.has_more) break;
    after = `&after_id=${page.last_id}`;
  }
  assert.deepEqual(paged, whole);
  const back = await stack.must('GET', `/audit?limit=3&before_id=${whole[10]}`);
  assert.deepEqual(back.data.map((e) => e.id), whole.slice(7, 10));
  await refused(400, 'invalid_parameter', 'GET', '/audit?after_id=x');
});

test('version', async () => {
  assert.match((await stack.must('GET', '/version')).version, /^\d+\.\d+\.\d+/);
});

test('writes of many clients at once are all made, each in a revision of its own', async () => {
  const before = await head();
  const answers = await Promise.all(Array.from({ length: 50 }, () => stack.call('PUT', `/models/${fresh()}`, {})));
  assert.ok(answers.every((a) => a.status === 201));
  assert.equal(new Set(answers.map((a) => a.json.revision)).size, 50);
  assert.equal(await head(), before + 50);
});

test('a worker that is silent for its max_stale_s is taken off', async () => {
  const hello = () => redis('PUBLISH', '{cm}:0:ack', JSON.stringify({ kind: 'hello', id: 'short-0-1', replaces: '', host: 'h', slot: 0, epoch: '',
    revision: 0, state: 'empty', reason: '', confirmed_ms: 0, sent_ms: Date.now(), max_stale_s: 1, rejected: 0,
    poisoned: 0, from_disk: false, saved_ms: 0, save_errors: 0 }));
  const seen = await until('the worker', async () => { // a look may come too late
    await hello();
    return (await stack.must('GET', '/fleet')).data[0];
  });
  assert.equal(seen.lag_ms, null);
  await until('its end', async () => (await stack.must('GET', '/fleet')).data.length === 0);
});

// --- last: it locks nobody out, but it makes wrong tokens 429 for a minute

test('ten wrong tokens a minute; a right one always passes, a missing one never counts; SIGHUP', async () => {
  const as = async (token) => (await request(stack.adminUrl, { path: '/admin/v1/version',
    headers: token ? { authorization: `Bearer ${token}` } : {} }));
  const statuses = [];
  for (let i = 0; i < 14; i++) {
    statuses.push((await as('wrong')).status);
    assert.equal((await as()).status, 401);
    assert.equal((await as(stack.token)).status, 200);
  }
  assert.equal(statuses.at(-1), 429);
  assert.ok(statuses.filter((s) => s === 401).length <= 10);
  const limited = await as('wrong');
  assert.equal(limited.json.code, 'too_many_attempts');
  assert.ok(Number(limited.headers['retry-after']) > 0);

  const hash = sha256('second-token');
  writeFileSync(stack.tokensFile, `# new\n\nops viewer sha256:${hash}\n`);
  stack.admin.kill('SIGHUP');
  await until('the new token', async () => (await as('second-token')).status === 200);
  assert.notEqual((await as(stack.token)).status, 200);
  writeFileSync(stack.tokensFile, 'broken line\n');
  stack.admin.kill('SIGHUP');
  await until('the log line', () => stack.admin.text().includes('tokens_not_reloaded'));
  assert.equal((await as('second-token')).status, 200);
});
