// SPDX-License-Identifier: Apache-2.0
// SPEC 3, row by row: keys, rotation, revocation, aliases.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { AdminClient, etag, pointers, sha256 } from './support/admin_client.mjs';
import { Stack, sleep } from './support/stack.mjs';

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

test('a key: the secret is shown once, and only its hash is kept', async () => {
  const answer = await stack.call('POST', '/keys', { name: 'checkout', tags: ['a', 'b'], expires_at: '2100-01-01T01:00:00+01:00' });
  assert.equal(answer.status, 201);
  const k = answer.json;
  assert.deepEqual(Object.keys(k), ['id', 'name', 'status', 'enabled', 'hint', 'tags', 'aliases', 'created_at', 'expires_at', 'revision', 'secret', 'durable']);
  assert.match(k.id, /^key_[0-9A-HJKMNP-TV-Za-z]{26}$/);
  assert.match(k.secret, /^cm-[0-9A-Za-z]{49}$/);
  assert.equal(k.hint, `${k.secret.slice(0, 6)}...${k.secret.slice(-4)}`);
  assert.equal(k.expires_at, '2100-01-01T00:00:00Z');
  assert.match(k.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.equal(answer.headers.location, `/admin/v1/keys/${k.id}`);
  assert.equal(answer.headers.etag, etag(k.revision));
  const { secret, durable, ...rest } = k;
  assert.equal(durable, 'local');
  assert.deepEqual(await stack.must('GET', `/keys/${k.id}`), rest);
  assert.equal(await redis('EXISTS', `{cm}:key:${sha256(secret)}`), '1');
  // Neither the secret nor its hash is in the audit log, the secret is nowhere.
  const audit = await redis('XRANGE', '{cm}:audit', '-', '+');
  assert.ok(!audit.includes(sha256(secret)) && !audit.includes(secret));
  assert.ok(!stack.admin.text().includes(secret));
  const names = (await redis('KEYS', '*')).split('\n');
  for (const name of names) {
    const dump = await redis('--no-raw', 'DUMP', name);
    assert.ok(!dump.includes(secret), name);
  }
});

test('keys that are not valid', async () => {
  const bad = async (body, ...expected) => assert.deepEqual(
    pointers(await refused(422, 'validation_failed', 'POST', '/keys', body)), expected.sort());
  await bad({}, '#/name required');
  await bad({ name: '' }, '#/name invalid');
  await bad({ name: 'x', tags: 'y', enabled: 1, expires_at: 'tomorrow' }, '#/tags invalid', '#/enabled invalid', '#/expires_at invalid');
  await bad({ name: 'x', tags: ['a', 'a', ''] }, '#/tags/1 repeated', '#/tags/2 invalid');
  await bad({ name: 'x', nam: 1 }, '#/nam unknown_field');
  await bad({ name: 'x', secret: 'cm-1' }, '#/secret unknown_field');
  await bad({ name: 'x', secret_sha256: 'abc' }, '#/secret_sha256 invalid');
  const aliases = (list) => refused(422, 'validation_failed', 'POST', '/keys', { name: 'x', aliases: list });
  await aliases({});
  await aliases([{ match: 'exact', name: 'a b', target: 'a/b' }]);
  await aliases([{ match: 'suffix', name: 'a', target: 'a/b' }]);
  await aliases([{ match: 'prefix', name: 'a', target: 'a/b' }]);
  await aliases([{ match: 'exact', name: 'a', target: 'nomodel' }]);
  await aliases([{ match: 'exact', name: 'a', target: 'a/b', x: 1 }]);
  const { id } = await model();
  await aliases([{ match: 'exact', name: 'a', target: id }, { match: 'exact', name: 'a', target: id }]);
  await aliases(Array.from({ length: 257 }, (_, i) => ({ match: 'exact', name: `n${i}`, target: id })));
  const missing = await refused(422, 'alias_target_missing', 'POST', '/keys', { name: 'x', aliases: [
    { match: 'exact', name: 'a', target: id }, { match: 'exact', name: 'b', target: 'no/such' }] });
  assert.deepEqual(pointers(missing), ['#/aliases/1/target alias_target_missing']);
  const allowed = await stack.must('POST', '/keys?allow_missing_target=true', { name: 'x', aliases: [{ match: 'exact', name: 'b', target: 'no/such' }] });
  assert.equal(allowed.aliases.length, 1);
  const most = await key({ aliases: Array.from({ length: 256 }, (_, i) => ({ match: 'exact', name: `n${i}`, target: id })) });
  assert.equal(most.aliases.length, 256);
  await refused(422, 'validation_failed', 'PUT', `/keys/${most.id}/aliases/exact/more`, { target: id });
  assert.equal((await stack.call('PUT', `/keys/${most.id}/aliases/exact/n7`, { target: (await model()).id })).status, 200);
});

test('PATCH of a key; status and aliases have other ways', async () => {
  const k = await key({ tags: ['t'] });
  const { secret, ...plain } = k;
  await unchanged('PATCH', `/keys/${k.id}`, plain);
  await unchanged('PATCH', `/keys/${k.id}`, {});
  const changed = await stack.must('PATCH', `/keys/${k.id}`, { name: 'new', tags: null, expires_at: '2001-01-01T00:00:00Z' });
  assert.equal(changed.name, 'new');
  assert.deepEqual(changed.tags, []);
  assert.equal(changed.status, 'expired');
  const off = await stack.must('PATCH', `/keys/${k.id}`, { enabled: false });
  assert.equal(off.status, 'disabled');
  const bad = async (body, ...expected) => assert.deepEqual(
    pointers(await refused(422, 'validation_failed', 'PATCH', `/keys/${k.id}`, body)), expected);
  await bad({ status: 'active' }, '#/status read_only');
  await bad({ aliases: [{ match: 'exact', name: 'a', target: 'a/b' }] }, '#/aliases read_only');
  await bad({ id: 'key_other' }, '#/id invalid');
  await bad({ name: null }, '#/name required');
  await bad({ nmae: 'x' }, '#/nmae unknown_field');
  await refused(404, 'not_found', 'PATCH', '/keys/key_00000000000000000000000000', { name: 'x' });
  await refused(404, 'not_found', 'PATCH', '/keys/nonsense', { name: 'x' });
  assert.equal(JSON.parse(await redis('GET', `{cm}:key:${sha256(secret)}`)).state, 'disabled');
});

test('a revoked key: refused writes, readable, listed only on demand', async () => {
  const target = (await model()).id;
  const k = await key({ name: 'doomed', aliases: [{ match: 'exact', name: 'a', target }] });
  const gone = await stack.call('DELETE', `/keys/${k.id}`);
  assert.equal(gone.status, 204);
  assert.equal(gone.text, '');
  const path = `/keys/${k.id}`;
  for (const [method, at, body] of [['DELETE', path], ['PATCH', path, { name: 'x' }], ['POST', `${path}/rotate`, {}],
    ['PUT', `${path}/aliases`, { aliases: [] }], ['PUT', `${path}/aliases/exact/a`, { target }], ['DELETE', `${path}/aliases/exact/a`]])
    await refused(409, 'key_revoked', method, at, body);
  const read = await stack.must('GET', path);
  assert.equal(read.status, 'revoked');
  assert.equal(read.name, 'doomed');
  assert.equal((await stack.must('GET', `${path}/aliases`)).aliases.length, 1);
  const listed = async (query) => (await stack.must('GET', `/keys?q=doomed${query}`)).data.map((d) => d.id);
  assert.deepEqual(await listed(''), []);
  assert.deepEqual(await listed('&status=active'), []);
  assert.deepEqual(await listed('&status=revoked'), [k.id]);
  const record = JSON.parse(await redis('GET', `{cm}:key:${sha256(k.secret)}`));
  assert.equal(record.state, 'revoked');
  const ttl = Number(await redis('TTL', `{cm}:key:${sha256(k.secret)}`));
  assert.ok(ttl > 29 * 86400 && ttl <= 30 * 86400);
  assert.ok(Number(await redis('TTL', `{cm}:gone:${k.id}`)) > 29 * 86400);
  await refused(409, 'already_exists', 'POST', '/keys', { name: 'again', secret_sha256: sha256(k.secret) });
  assert.equal((await stack.call('DELETE', `/models/${target}`)).status, 204, 'its aliases refer to nothing any more');
});

test('import of an existing secret by its hash', async () => {
  const hash = sha256('my-own-old-secret');
  const k = await key({ secret_sha256: hash.toUpperCase() });
  assert.equal(k.secret, null);
  assert.equal(k.hint, null);
  assert.equal(JSON.parse(await redis('GET', `{cm}:key:${hash}`)).id, k.id);
  await refused(409, 'already_exists', 'POST', '/keys', { name: 'k', secret_sha256: hash });
});

const logOf = async (revision) => {
  const raw = await redis('XRANGE', '{cm}:log', `${revision}-0`, `${revision}-0`);
  return raw.split('\n').filter((line) => /^[KDMX] /.test(line));
};

test('rotation: grace, two records, and what the log says', async () => {
  const k = await key();
  const first = sha256(k.secret);
  const rotated = await stack.call('POST', `/keys/${k.id}/rotate`, { grace_seconds: 60 });
  assert.equal(rotated.status, 200);
  const second = sha256(rotated.json.secret);
  assert.notEqual(first, second);
  assert.equal(rotated.json.id, k.id);
  const old = JSON.parse(await redis('GET', `{cm}:key:${first}`));
  assert.equal(old.state, 'active');
  assert.ok(Math.abs(old.expires_at - Date.now() / 1000 - 60) < 30);
  assert.ok(Number(await redis('TTL', `{cm}:key:${first}`)) > 60);
  assert.equal(await redis('TTL', `{cm}:key:${second}`), '-1');
  assert.deepEqual((await logOf(rotated.json.revision)).sort(), [`K ${first}`, `K ${second}`].sort());

  // Disabling stops both, enabling brings both back.
  const off = await stack.must('PATCH', `/keys/${k.id}`, { enabled: false });
  assert.deepEqual((await logOf(off.revision)).sort(), [`D ${first}`, `D ${second}`].sort());
  assert.equal(JSON.parse(await redis('GET', `{cm}:key:${first}`)).state, 'disabled');
  const on = await stack.must('PATCH', `/keys/${k.id}`, { enabled: true });
  assert.deepEqual((await logOf(on.revision)).sort(), [`K ${first}`, `K ${second}`].sort());

  // Grace 0 ends all earlier ones at once.
  const third = await stack.must('POST', `/keys/${k.id}/rotate`);
  const log = await logOf(third.revision);
  assert.deepEqual(log.sort(), [`D ${first}`, `D ${second}`, `K ${sha256(third.secret)}`].sort());
  assert.equal(JSON.parse(await redis('GET', `{cm}:key:${second}`)).state, 'revoked');
  const revoked = await stack.call('DELETE', `/keys/${k.id}`, undefined, { prefer: 'wait=1' });
  assert.deepEqual(await logOf(revoked.json.propagation.revision), [`D ${sha256(third.secret)}`]);

  for (const grace_seconds of [-1, 1.5, 'x', 40000000])
    await refused(422, 'validation_failed', 'POST', `/keys/${(await key()).id}/rotate`, { grace_seconds });
  await refused(422, 'validation_failed', 'POST', `/keys/${k.id}/rotate`, { grace: 1 });
  await refused(404, 'not_found', 'POST', '/keys/key_00000000000000000000000000/rotate', {});
});

test('a secret whose grace is over is dropped at the next write', async () => {
  const k = await key();
  await stack.must('POST', `/keys/${k.id}/rotate`, { grace_seconds: 1 });
  await sleep(2100);
  const next = await stack.must('PATCH', `/keys/${k.id}`, { name: 'later' });
  assert.equal((await logOf(next.revision)).length, 1);
  assert.equal(JSON.parse(await redis('HGET', '{cm}:keys', k.id)).secrets.length, 1);
});

test('aliases: the set in order, one by one, and what refers to a model', async () => {
  const [a, b] = [(await model()).id, (await model()).id];
  const k = await key();
  const path = `/keys/${k.id}/aliases`;
  const set = [{ match: 'prefix', name: 'claude-', target: a }, { match: 'exact', name: 'x/y:z', target: b }];
  const put = await stack.call('PUT', path, { aliases: set });
  assert.equal(put.status, 200);
  assert.deepEqual(put.json, { aliases: set, durable: 'local' });
  const read = await stack.call('GET', path);
  assert.deepEqual(read.json, { aliases: set });
  assert.equal(read.headers.etag, put.headers.etag);
  await unchanged('PUT', path, read.json);
  const one = await stack.call('GET', `${path}/exact/x%2Fy:z`);
  assert.deepEqual(one.json, set[1]);
  assert.equal(one.headers.etag, read.headers.etag);
  assert.deepEqual((await stack.call('GET', `${path}/exact/x/y:z`)).json, set[1]);
  await refused(404, 'not_found', 'GET', `${path}/prefix/x/y:z`);
  await refused(404, 'not_found', 'DELETE', `${path}/exact/nothing`);

  // Re-pointing keeps the place, a new one goes to the end.
  assert.equal((await stack.call('PUT', `${path}/prefix/claude-`, { target: b })).status, 200);
  const added = await stack.call('PUT', `${path}/exact/new`, { match: 'exact', name: 'new', target: a });
  assert.equal(added.status, 201);
  assert.deepEqual(added.json, { match: 'exact', name: 'new', target: a, durable: 'local' });
  assert.deepEqual((await stack.must('GET', path)).aliases.map((x) => `${x.name} ${x.target}`),
    [`claude- ${b}`, `x/y:z ${b}`, `new ${a}`]);
  await unchanged('PUT', `${path}/exact/new`, { target: a });
  assert.equal(await redis('SMEMBERS', `{cm}:refs:${a}`), k.id);
  assert.equal((await stack.call('DELETE', `${path}/exact/new`)).status, 204);
  assert.equal(await redis('EXISTS', `{cm}:refs:${a}`), '0');
  assert.equal(await redis('SMEMBERS', `{cm}:refs:${b}`), k.id);

  await refused(422, 'validation_failed', 'PUT', `${path}/exact/new`, {});
  await refused(422, 'validation_failed', 'PUT', `${path}/exact/new`, { target: 'nomodel' });
  await refused(422, 'validation_failed', 'PUT', `${path}/exact/new`, { target: a, name: 'other' });
  await refused(422, 'validation_failed', 'PUT', `${path}/exact/a%20b`, { target: a });
  await refused(422, 'validation_failed', 'PUT', `${path}/prefix/p`, { target: a });
  const missing = await refused(422, 'alias_target_missing', 'PUT', `${path}/exact/new`, { target: 'no/such' });
  assert.deepEqual(pointers(missing), ['#/target alias_target_missing']);
  await refused(422, 'validation_failed', 'PUT', path, { aliases: set, more: 1 });
  await refused(422, 'validation_failed', 'PUT', path, {});
  await refused(422, 'validation_failed', 'PUT', path, [...set]);
  await refused(404, 'not_found', 'GET', '/keys/key_00000000000000000000000000/aliases');

  const flat = await stack.must('GET', `/aliases?target=${b}`);
  assert.deepEqual(flat.data, [{ key_id: k.id, match: 'prefix', name: 'claude-', target: b }, { key_id: k.id, ...set[1] }]);
  const first = await stack.must('GET', `/aliases?target=${b}&limit=1`);
  assert.equal(first.has_more, true);
  const second = await stack.must('GET', `/aliases?target=${b}&limit=1&after_id=${encodeURIComponent(first.last_id)}`);
  assert.equal(second.data[0].name, 'x/y:z');
  assert.equal(second.has_more, false);
  const back = await stack.must('GET', `/aliases?target=${b}&limit=1&before_id=${encodeURIComponent(second.last_id)}`);
  assert.equal(back.data[0].name, 'claude-');
  const broken = async () => (await stack.must('GET', '/aliases?broken=true&limit=1000')).data.filter((x) => x.key_id === k.id).length;
  assert.equal(await broken(), 0);
  await stack.must('PATCH', `/models/${b}`, { status: 'disabled' });
  assert.equal(await broken(), 2);
});

test('all aliases, page by page, over many keys', async () => {
  const { id } = await model();
  for (let i = 0; i < 6; i++)
    await key({ aliases: Array.from({ length: i % 3 }, (_, n) => ({ match: 'exact', name: `all${i}-${n}`, target: id })) });
  const whole = (await stack.must('GET', '/aliases?limit=1000')).data;
  for (const limit of [1, 4]) {
    const forward = [];
    for (let after = ''; ;) {
      const page = await stack.must('GET', `/aliases?limit=${limit}${after}`);
      forward.push(...page.data);
      if (!page.has_more) break;
      after = `&after_id=${encodeURIComponent(page.last_id)}`;
    }
    assert.deepEqual(forward, whole);
  }
  const backward = [];
  for (let before = `&before_id=${encodeURIComponent('key_zzzzzzzzzzzzzzzzzzzzzzzzzz/exact/z')}`; ;) {
    const page = await stack.must('GET', `/aliases?limit=7${before}`);
    backward.unshift(...page.data);
    if (!page.has_more) break;
    before = `&before_id=${encodeURIComponent(page.first_id)}`;
  }
  assert.deepEqual(backward, whole);
});
