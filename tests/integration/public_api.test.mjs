// SPDX-License-Identifier: Apache-2.0
// SPEC 1, row by row, on the wire.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { Stack, request, until } from './support/stack.mjs';
import { raw, responses } from './support/raw.mjs';

const MODELS = Array.from({ length: 300 }, (_, i) => ({
  id: `vendor/m${String(i).padStart(3, '0')}`, created: 1700000000 + (i % 7), context_length: 1000 + i,
  display_name: i === 5 ? 'Ünïcödé "5"' : `Model ${i}`,
}));
let stack;
let secret;
let keyId;
const bearer = () => ({ authorization: `Bearer ${secret}` });

before(async () => {
  stack = await Stack.start({ workers: 1 });
  await stack.must('POST', '/catalog/import?format=native&mode=merge', { models: [...MODELS,
    { id: 'vendor/off', created: 1, status: 'disabled' }, { id: 'vendor/a+b', created: 2 }, { id: 'vendor/a/b/c', created: 3 }] });
  const key = await stack.must('POST', '/keys', { name: 'k', aliases: [
    { match: 'prefix', name: 'pre', target: 'vendor/m001' },
    { match: 'prefix', name: 'prefix', target: 'vendor/m002' },
    { match: 'exact', name: 'pre', target: 'vendor/m003' },
    { match: 'exact', name: 'vendor/m010', target: 'vendor/m011' },
    { match: 'exact', name: 'broken', target: 'vendor/off' },
  ] }, { prefer: 'wait=30' });
  ({ secret, id: keyId } = key);
}, { timeout: 180000 });
after(() => stack?.stop());

const REQUEST_ID = /^req_cm_[0-9a-f]{32}$/;

function common(answer) {
  assert.match(answer.headers['x-request-id'], REQUEST_ID);
  assert.equal(answer.headers['request-id'], answer.headers['x-request-id']);
  assert.equal(answer.headers['access-control-allow-origin'], '*');
  assert.match(answer.headers['access-control-expose-headers'], /request-id/i);
  assert.match(answer.headers['access-control-expose-headers'], /etag/i);
  assert.equal(answer.headers.server, undefined);
  assert.equal(answer.headers['transfer-encoding'], undefined);
}

function openaiError(answer, status, type, code, message) {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.text, JSON.stringify({ error: { message, type, param: null, code } }));
  assert.equal(answer.headers['content-type'], 'application/json');
  common(answer);
}

function anthropicError(answer, status, type, message) {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.text, JSON.stringify({
    type: 'error', error: { type, message }, request_id: answer.headers['request-id'] }));
  common(answer);
}

test('list: order, aliases first, shadowed ids stay, first_id and last_id as sent', async () => {
  const answer = await stack.get('/v1/models?limit=1&after_id=x&beta=true&&=', bearer());
  assert.equal(answer.status, 200);
  common(answer);
  const { data, has_more, first_id, last_id, object } = answer.json;
  assert.deepEqual(Object.keys(answer.json), ['object', 'data', 'has_more', 'first_id', 'last_id']);
  assert.equal(object, 'list');
  assert.equal(has_more, false);
  assert.deepEqual(data.slice(0, 4).map((m) => [m.id, m.root]), [
    ['pre', 'vendor/m001'], ['prefix', 'vendor/m002'], ['pre', 'vendor/m003'], ['vendor/m010', 'vendor/m011']]);
  const catalog = [...MODELS, { id: 'vendor/a+b', created: 2 }, { id: 'vendor/a/b/c', created: 3 }]
    .sort((a, b) => a.created - b.created || (a.id < b.id ? -1 : 1)).map((m) => m.id);
  assert.deepEqual(data.slice(4).map((m) => m.id), catalog);
  assert.equal(first_id, 'pre');
  assert.equal(last_id, catalog.at(-1));
  assert.equal(data.find((m) => m.id === 'vendor/m005').display_name, 'Ünïcödé "5"');
});

test('resolution: exact before prefix, longest prefix, aliases before the catalog', async () => {
  const root = async (name) => (await stack.get(`/v1/models/${name}`, bearer())).json.root;
  assert.equal(await root('pre'), 'vendor/m003');
  assert.equal(await root('prex'), 'vendor/m001');
  assert.equal(await root('prefix'), 'vendor/m002');
  assert.equal(await root('prefix-1'), 'vendor/m002');
  assert.equal(await root('vendor/m010'), 'vendor/m011');
  assert.equal(await root('vendor/m012'), undefined);
});

test('an alias of a target that is not active answers 404 and comes back with it', async () => {
  const missing = await stack.get('/v1/models/broken', bearer());
  openaiError(missing, 404, 'invalid_request_error', 'model_not_found', "Model 'broken' was not found or is unavailable.");
  await stack.must('PATCH', '/models/vendor/off', { status: 'active' }, { prefer: 'wait=30' });
  assert.equal((await stack.get('/v1/models/broken', bearer())).json.root, 'vendor/off');
  await stack.must('PATCH', '/models/vendor/off', { status: 'disabled' }, { prefer: 'wait=30' });
  assert.equal((await stack.get('/v1/models/broken', bearer())).status, 404);
});

test('names are decoded exactly once and nothing is normalised', async () => {
  const status = async (path) => (await stack.get(`/v1/models/${path}`, bearer())).status;
  assert.equal(await status('vendor/a+b'), 200);
  assert.equal(await status('vendor%2Fa%2Bb'), 200);
  assert.equal(await status('vendor/a%20b'), 404);
  assert.equal(await status('vendor/a/b/c'), 200);
  assert.equal(await status('vendor%2fa%2Fb/c'), 200);
  for (const path of ['vendor%252Fm000', './vendor/m000', 'x/../vendor/m000', '/vendor/m000', 'vendor//m000',
    'vendor/m000/', 'VENDOR/m000', 'vendor/off', '', '%2e%2e/models'])
    assert.equal(await status(path), 404, path);
});

test('bad escapes, NUL and bad UTF-8 name no model; the message is always JSON', async () => {
  const message = async (path) => {
    const answer = await stack.get(`/v1/models/${path}`, bearer());
    assert.equal(answer.status, 404);
    common(answer);
    return JSON.parse(answer.bytes.toString('utf8')).error.message;
  };
  assert.match(await message('%zz'), /^Model '.*' was not found or is unavailable\.$/);
  assert.match(await message('abc%2'), /was not found/);
  assert.match(await message('a%00b'), /was not found/);
  assert.equal(await message('a%FFb'), "Model 'a\uFFFDb' was not found or is unavailable.");
  assert.equal(await message('%22%5C%0A'), "Model '\"\\\n' was not found or is unavailable.");
  const long = await message('%E2%82%AC'.repeat(100));
  assert.equal(long, `Model '${'€'.repeat(85)}' was not found or is unavailable.`);
});

test('who is asking: x-api-key decides key and dialect, empty counts as absent', async () => {
  openaiError(await stack.get('/v1/models'), 401, 'authentication_error', 'missing_api_key',
    'Missing Bearer token in Authorization header.');
  for (const authorization of ['Basic abc', 'Bearer', 'Bearer ', 'Bearer    ', ''])
    openaiError(await stack.get('/v1/models', { authorization }), 401, 'authentication_error', 'missing_api_key',
      'Missing Bearer token in Authorization header.');
  for (const scheme of ['bearer', 'BEARER', 'BeArEr'])
    assert.equal((await stack.get('/v1/models', { authorization: `${scheme} ${secret}` })).status, 200);
  assert.equal((await stack.get('/v1/models', { 'x-api-key': '', ...bearer() })).status, 200);
  openaiError(await stack.get('/v1/models', { 'x-api-key': '' }), 401, 'authentication_error', 'missing_api_key',
    'Missing Bearer token in Authorization header.');
  openaiError(await stack.get('/v1/models', { authorization: 'Bearer nobody' }), 401, 'authentication_error',
    'invalid_api_key', 'Invalid API key.');
  anthropicError(await stack.get('/v1/models', { 'x-api-key': 'nobody', ...bearer() }), 401, 'authentication_error',
    'Invalid API key.');
  assert.equal((await stack.get('/v1/models', { 'x-api-key': secret, authorization: 'Bearer nobody' })).status, 200);
  anthropicError(await stack.get('/v1/models/foo%2Fbar', { 'x-api-key': secret }), 404, 'not_found_error',
    "Model 'foo/bar' was not found or is unavailable.");
  openaiError(await stack.get('/v1/models', { authorization: `Bearer ${'x'.repeat(1025)}` }), 401,
    'authentication_error', 'invalid_api_key', 'Invalid API key.');
});

test('other paths and methods, no key needed', async () => {
  for (const path of ['/', '/v1', '/v1/', '/v1/modelsx', '/v2/models', '/V1/models', '//v1/models', '/v1/v1/models',
    '/v1/chat/completions', '/livez', '/metrics', '/admin/v1/models']) {
    const answer = await stack.get(path);
    assert.equal(answer.status, 404, path);
    assert.equal(answer.json.error.code, 'unknown_url');
    assert.equal(answer.json.error.type, 'invalid_request_error');
    assert.ok(answer.json.error.message.includes(`GET ${path}`), answer.text);
    common(answer);
  }
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) for (const path of ['/v1/models', '/v1/models/a/b']) {
    const answer = await stack.get(path, {}, method);
    assert.equal(answer.status, 405);
    assert.equal(answer.headers.allow, 'GET, HEAD, OPTIONS');
    assert.equal(answer.json.error.code, 'method_not_allowed');
    assert.ok(answer.json.error.message.includes(method) && answer.json.error.message.includes(path));
    common(answer);
    anthropicError(await stack.get(path, { 'x-api-key': 'x' }, method), 405, 'invalid_request_error',
      answer.json.error.message);
  }
  assert.equal((await stack.get('/v1/models/', bearer())).status, 404);
});

test('preflight', async () => {
  const answer = await stack.get('/v1/models', {
    origin: 'https://app.example', 'access-control-request-method': 'GET',
    'access-control-request-headers': 'authorization, x-stainless-os, x-api-key' }, 'OPTIONS');
  assert.equal(answer.status, 204);
  assert.equal(answer.headers['access-control-allow-origin'], '*');
  assert.equal(answer.headers['access-control-allow-headers'], 'authorization, x-stainless-os, x-api-key');
  assert.match(answer.headers['access-control-allow-methods'], /GET, HEAD, OPTIONS/);
  assert.equal(answer.headers['access-control-max-age'], '86400');
  assert.equal(answer.bytes.length, 0);
  assert.match(answer.headers['x-request-id'], REQUEST_ID);
});

test('HEAD has GET\'s headers and no body, also on a kept-alive connection', async () => {
  for (const path of ['/v1/models', '/v1/models/vendor/m000', '/v1/models/none', '/nowhere']) {
    const get = await stack.get(path, bearer());
    const head = await stack.get(path, bearer(), 'HEAD');
    assert.equal(head.status, get.status);
    assert.equal(head.bytes.length, 0);
    for (const name of ['content-type', 'etag', 'vary', 'cache-control'])
      assert.equal(head.headers[name], get.headers[name], name);
    if (get.status === 200) assert.equal(head.headers['content-length'], get.headers['content-length']);
  }
  const auth = `Authorization: Bearer ${secret}\r\nHost: x\r\n`;
  const both = await raw(stack.port, `HEAD /v1/models HTTP/1.1\r\n${auth}\r\nGET /v1/models/vendor/m000 HTTP/1.1\r\n${auth}Connection: close\r\n\r\n`);
  const [head, get] = responses(both.text, [true]);
  assert.equal(head.status, 200);
  assert.equal(get.status, 200);
  assert.equal(JSON.parse(get.body).id, 'vendor/m000');
});

test('ETag: strong, one per representation, 304 by weak comparison, lists and *', async () => {
  for (const path of ['/v1/models', '/v1/models/vendor/m000', '/v1/models/prefix-2']) {
    const plain = await stack.get(path, bearer());
    const { etag } = plain.headers;
    assert.match(etag, /^"[^"]+"$/);
    assert.equal(plain.headers['cache-control'], 'private, no-cache');
    assert.match(plain.headers.vary, /Authorization, X-Api-Key, Accept-Encoding/);
    assert.equal((await stack.get(path, bearer())).headers.etag, etag);
    for (const value of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      const same = await stack.get(path, { ...bearer(), 'if-none-match': value });
      assert.equal(same.status, 304, value);
      assert.equal(same.bytes.length, 0);
      assert.equal(same.headers.etag, etag);
      assert.match(same.headers['x-request-id'], REQUEST_ID);
    }
    assert.equal((await stack.get(path, { ...bearer(), 'if-none-match': '"x"' })).status, 200);
    assert.equal((await stack.get(path, { 'if-none-match': '*' })).status, 401);
  }
  const plain = await stack.get('/v1/models', bearer());
  const zipped = await stack.get('/v1/models', { ...bearer(), 'accept-encoding': 'gzip' });
  assert.notEqual(zipped.headers.etag, plain.headers.etag);
  const alias = await stack.get('/v1/models/vendor/m010', bearer());
  const { secret: other } = await stack.must('POST', '/keys', { name: 'plain' }, { prefer: 'wait=30' });
  const own = await stack.get('/v1/models/vendor/m010', { authorization: `Bearer ${other}` });
  assert.notEqual(own.headers.etag, alias.headers.etag);
  const otherList = await stack.get('/v1/models', { authorization: `Bearer ${other}` });
  assert.notEqual(otherList.headers.etag, plain.headers.etag);
  await stack.must('PATCH', '/models/vendor/m299', { context_length: 77 }, { prefer: 'wait=30' });
  assert.notEqual((await stack.get('/v1/models', bearer())).headers.etag, plain.headers.etag);
});

test('gzip: same bytes, q-values respected', async () => {
  const plain = await stack.get('/v1/models', bearer());
  assert.equal(plain.headers['content-encoding'], undefined);
  const yes = ['gzip', 'br, gzip;q=0.5', '*', 'gzip;q=0.001, identity;q=0', 'GZIP'];
  const no = ['identity', 'br', 'gzip;q=0', 'identity;q=1, gzip;q=0.5', '*;q=0, identity', 'gzip;q=0, *'];
  for (const encoding of yes) {
    const answer = await stack.get('/v1/models', { ...bearer(), 'accept-encoding': encoding });
    assert.equal(answer.headers['content-encoding'], 'gzip', encoding);
    assert.equal(Number(answer.headers['content-length']), answer.bytes.length);
    assert.deepEqual(gunzipSync(answer.bytes), plain.bytes);
  }
  for (const encoding of no)
    assert.equal((await stack.get('/v1/models', { ...bearer(), 'accept-encoding': encoding })).headers['content-encoding'],
      undefined, encoding);
});

test('expiry is checked at every use; disable and enable', async () => {
  const key = await stack.must('POST', '/keys', { name: 'brief', expires_at: '2100-01-01T00:00:00Z' }, { prefer: 'wait=30' });
  const auth = { authorization: `Bearer ${key.secret}` };
  assert.equal((await stack.get('/v1/models', auth)).status, 200);
  const expires = new Date(Date.now() + 2500).toISOString().replace(/\.\d+/, '');
  await stack.must('PATCH', `/keys/${key.id}`, { expires_at: expires }, { prefer: 'wait=30' });
  await until('expiry', async () => (await stack.get('/v1/models', auth)).status === 401);
  assert.ok(Date.now() >= Date.parse(expires));
  await stack.must('PATCH', `/keys/${key.id}`, { expires_at: null }, { prefer: 'wait=30' });
  assert.equal((await stack.get('/v1/models', auth)).status, 200);
  await stack.must('PATCH', `/keys/${key.id}`, { enabled: false }, { prefer: 'wait=30' });
  assert.equal((await stack.get('/v1/models', auth)).status, 401);
  await stack.must('PATCH', `/keys/${key.id}`, { enabled: true }, { prefer: 'wait=30' });
  assert.equal((await stack.get('/v1/models', auth)).status, 200);
});

test('an unknown key that is imported works at once, in spite of the negative memory', async () => {
  const { createHash, randomBytes } = await import('node:crypto');
  for (let i = 0; i < 20; i++) {
    const mine = `legacy ${randomBytes(9).toString('base64')}`.replace(' ', '-');
    const auth = { authorization: `Bearer ${mine}` };
    assert.equal((await stack.get('/v1/models', auth)).status, 401);
    await stack.must('POST', '/keys', { name: 'legacy',
      secret_sha256: createHash('sha256').update(mine).digest('hex') }, { prefer: 'wait=30' });
    assert.equal((await stack.get('/v1/models', auth)).status, 200);
  }
});

test('malformed requests: h2o\'s own 400 and a close, or JSON; never HTML, never a crash', async () => {
  const bad = ['GET\r\n\r\n', 'GET /v1/models HTTP/9.9.9\r\n\r\n', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'GET /v1/models HTTP/1.1\r\nHost : x\r\n\r\n', `GET /v1/models HTTP/1.1\r\nHost: x\r\n${'a: b\r\n'.repeat(200)}\r\n`];
  for (const text of bad) {
    const answer = await raw(stack.port, text);
    if (answer.text.length > 0) assert.match(answer.text, /^HTTP\/1\.[01] (400|404|401|405) /);
    assert.ok(!/<html/i.test(answer.text));
  }
  for (const path of ['*', 'http://x', 'v1/models']) {
    const answer = await raw(stack.port, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    assert.match(answer.text, /^HTTP\/1\.1 (404|400) /);
  }
  // RFC 9112, 3.2.2: a server takes the whole URL too.
  const whole = await raw(stack.port, `GET http://x/v1/models/vendor/m000 HTTP/1.1\r\nHost: x\r\n`
    + `Authorization: Bearer ${secret}\r\nConnection: close\r\n\r\n`);
  assert.match(whole.text, /^HTTP\/1\.1 200 /);
  const large = await raw(stack.port, `POST /v1/models HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n`);
  const [refused] = responses(large.text);
  assert.equal(refused.status, 413);
  assert.equal(refused.headers['content-type'], 'application/json');
  assert.match(refused.headers['x-request-id'], REQUEST_ID);
  assert.ok(JSON.parse(refused.body).error.message);
  assert.equal((await stack.get('/v1/models', bearer())).status, 200);
});

test('no history and no last good state: 500 and not ready, then it serves', async () => {
  const lonely = await Stack.start({ admin: false, workers: 1, awaitReady: false });
  try {
    await until('the ops listener', async () => (await request(lonely.opsUrl, { path: '/livez' })).status === 200);
    assert.equal((await request(lonely.opsUrl, { path: '/readyz' })).status, 503);
    const answer = await lonely.get('/v1/models', { authorization: 'Bearer x' });
    assert.equal(answer.headers['retry-after'], '1');
    openaiError(answer, 500, 'api_error', 'internal_error', 'Internal error.');
    anthropicError(await lonely.get('/v1/models', { 'x-api-key': 'x' }), 500, 'api_error', 'Internal error.');
    await until('both causes', () => lonely.models.text().match(/"status":500.*"cause":"no_catalog"/g)?.length === 2);
    assert.match((await request(lonely.opsUrl, { path: '/metrics' })).text, /^cm_http_failures_total\{cause="no_catalog"\} 2$/m);
  } finally {
    await lonely.stop();
  }
});

test('revision 0: an empty list, 200', async () => {
  const empty = await Stack.start({ workers: 1 });
  try {
    const key = await empty.must('POST', '/keys', { name: 'first' }, { prefer: 'wait=30' });
    const answer = await empty.get('/v1/models', { authorization: `Bearer ${key.secret}` });
    assert.equal(answer.text, '{"object":"list","data":[],"has_more":false,"first_id":null,"last_id":null}');
    const zipped = await empty.get('/v1/models', { authorization: `Bearer ${key.secret}`, 'accept-encoding': 'gzip' });
    assert.equal((zipped.headers['content-encoding'] ? gunzipSync(zipped.bytes) : zipped.bytes).toString(), answer.text);
  } finally {
    await empty.stop();
  }
});

test('no log line, no file of the store holds a secret', async () => {
  for (const program of stack.programs) assert.ok(!program.text().includes(secret), program.name);
  assert.equal((await stack.redisCli('EVAL', `
    for _, name in ipairs(redis.call('KEYS', '*')) do
      if string.find(redis.call('DUMP', name), ARGV[1], 1, true) then return name end
    end
    return ''`, '0', secret)), '');
  assert.ok(keyId.startsWith('key_'));
});
