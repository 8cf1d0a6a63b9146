// SPDX-License-Identifier: Apache-2.0
// The clients that people have, over cleartext HTTP/2 by prior knowledge: the same
// answers as over HTTP/1, with windows of any size.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import http2 from 'node:http2';
import { after, before, test } from 'node:test';
import { Stack } from './support/stack.mjs';

const MODELS = Array.from({ length: 600 }, (_, i) => ({
  id: `vendor/m${String(i).padStart(3, '0')}`, created: 1700000000 + (i % 7), context_length: 1000 + i }));
let stack;
let secret;
let list; // as HTTP/1 answers it
let url;

before(async () => {
  stack = await Stack.start({ workers: 1, env: { CM_DRAIN_TIMEOUT_S: '10' } });
  await stack.must('POST', '/catalog/import?format=native&mode=merge', { models: MODELS });
  ({ secret } = await stack.must('POST', '/keys', { name: 'k', aliases: [
    { match: 'exact', name: 'fast', target: 'vendor/m001' }] }, { prefer: 'wait=30' }));
  list = await stack.get('/v1/models', { authorization: `Bearer ${secret}` });
  assert.equal(list.status, 200);
  assert.ok(list.text.length > 150000, `${list.text.length} bytes`);
  url = `http://127.0.0.1:${stack.port}`;
}, { timeout: 180000 });
after(() => stack?.stop());

const auth = () => ({ authorization: `Bearer ${secret}` });

async function connect(options = {}) {
  const session = http2.connect(url, options);
  await new Promise((done, failed) => session.once('connect', done).once('error', failed));
  return session;
}

function ask(session, headers, body) {
  return new Promise((done, failed) => {
    const stream = session.request(headers, { endStream: body === undefined });
    const chunks = [];
    let head;
    stream.on('response', (h) => { head = h; });
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.on('error', failed);
    stream.on('close', () => done({ status: head?.[':status'], headers: head, code: stream.rstCode,
      text: Buffer.concat(chunks).toString() }));
    if (body !== undefined) stream.end(body);
  });
}

const get = (session, path, headers = auth()) => ask(session, { ':path': path, ...headers });

test('every kind of answer', async () => {
  const session = await connect();
  const all = await get(session, '/v1/models');
  assert.equal(all.status, 200);
  assert.equal(all.text, list.text);
  assert.equal(all.headers.etag, list.headers.etag);
  assert.equal(all.headers.connection, undefined);
  assert.equal((await get(session, '/v1/models/fast')).status, 200);
  assert.equal((await get(session, '/v1/models/vendor%2Fm001')).status, 200);
  const head = await ask(session, { ':method': 'HEAD', ':path': '/v1/models', ...auth() });
  assert.deepEqual([head.status, head.text, Number(head.headers['content-length'])], [200, '', list.text.length]);
  const unchanged = await get(session, '/v1/models', { ...auth(), 'if-none-match': list.headers.etag });
  assert.deepEqual([unchanged.status, unchanged.text], [304, '']);
  assert.equal((await get(session, '/v1/models', {})).status, 401);
  assert.equal(JSON.parse((await get(session, '/v1/models', { 'x-api-key': 'cm-no' })).text).error.type, 'authentication_error');
  assert.equal(JSON.parse((await get(session, '/nowhere')).text).error.code, 'unknown_url');
  const preflight = await ask(session, { ':method': 'OPTIONS', ':path': '/v1/models', origin: 'https://a.example' });
  assert.equal(preflight.status, 204);
  const post = await ask(session, { ':method': 'POST', ':path': '/v1/models', ...auth() }, '{}');
  assert.equal(post.status, 405);
  session.close();
});

test('a body that is too large is answered, and the connection goes on', async () => {
  const session = await connect();
  const body = Buffer.alloc(300000, 'x');
  for (const [headers, type] of [[auth(), 'openai'], [{ 'x-api-key': secret }, 'anthropic'],
    [{ ...auth(), 'content-length': body.length }, 'openai']]) {
    const answer = await ask(session, { ':method': 'POST', ':path': '/v1/models', ...headers }, body);
    assert.equal(answer.status, 413);
    assert.equal(answer.code, http2.constants.NGHTTP2_NO_ERROR);
    assert.equal(answer.headers['content-type'], 'application/json');
    assert.equal(JSON.parse(answer.text).type, type === 'anthropic' ? 'error' : undefined);
  }
  assert.equal((await get(session, '/v1/models')).text, list.text);
  session.close();
});

for (const settings of [{ initialWindowSize: 100 }, { initialWindowSize: 16384 }, { initialWindowSize: 1 << 20 },
  { headerTableSize: 0 }, { headerTableSize: 100 }, { headerTableSize: 65536 }, { maxFrameSize: 1 << 20 }]) {
  test(`node with ${JSON.stringify(settings)}`, async () => {
    const session = await connect({ settings });
    const answers = await Promise.all(Array.from({ length: settings.initialWindowSize === 100 ? 2 : 20 },
      (_, i) => get(session, i % 2 === 0 ? '/v1/models' : '/v1/models/fast')));
    for (const [i, answer] of answers.entries()) {
      assert.equal(answer.status, 200);
      if (i % 2 === 0) assert.equal(answer.text, list.text);
    }
    session.close();
  });
}

test('the table of the encoder shrinks in the middle of a connection', async () => {
  const session = await connect();
  for (const headerTableSize of [4096, 0, 64, 4096]) {
    await new Promise((done) => session.settings({ headerTableSize }, done));
    for (let i = 0; i < 3; i++) assert.equal((await get(session, '/v1/models/fast')).status, 200);
  }
  session.close();
});

test('curl', () => {
  const curl = (...args) => spawnSync('curl', ['-s', '-m', '60', '--http2-prior-knowledge', '-w', '%{http_version} %{http_code}',
    ...args], { encoding: 'utf8', maxBuffer: 1 << 24 });
  const key = ['-H', `Authorization: Bearer ${secret}`];
  const all = curl(...key, `${url}/v1/models`);
  assert.equal(all.stdout, `${list.text}2 200`);
  assert.match(curl(...key, '--compressed', `${url}/v1/models`).stdout, /2 200$/);
  assert.match(curl(...key, '-X', 'POST', '--data-binary', 'x'.repeat(100000), `${url}/v1/models`).stdout, /"error".*2 413$/);
  const upgrade = spawnSync('curl', ['-s', '-m', '60', '--http2', '-w', '%{http_version} %{http_code}', ...key, `${url}/v1/models/fast`],
    { encoding: 'utf8' });
  assert.match(upgrade.stdout, /1\.1 200$/);
});

test('h2load and nghttp', (t) => {
  const load = (...args) => {
    const run = spawnSync('h2load', ['-n', '2000', '-c', '8', '-m', '40', '-H', `authorization: Bearer ${secret}`, ...args],
      { encoding: 'utf8', timeout: 180000 });
    assert.match(run.stdout, /requests: (\d+) total, \1 started, \1 done, \1 succeeded, 0 failed, 0 errored, 0 timeout/, run.stdout);
    t.diagnostic(`figure h2load ${args.join(' ').replace(/http:\S+?\d(?=\/)/, '')}: ${/finished in.*/.exec(run.stdout)[0]}`);
  };
  load(`${url}/v1/models/fast`);
  load('-n', '20000', '-c', '100', '-m', '100', `${url}/v1/models/fast`); // more at once than may wait
  load('-w', '10', '-W', '12', `${url}/v1/models/fast`);
  load('-n', '300', '-w', '14', `${url}/v1/models`);
  load('-n', '300', '-w', '30', '-W', '30', `${url}/v1/models`);
  load('-n', '300', '--header-table-size=0', `${url}/v1/models/fast`);
  const get = spawnSync('nghttp', ['-w', '8', '-H', `authorization: Bearer ${secret}`, `${url}/v1/models`], { encoding: 'utf8', maxBuffer: 1 << 24 });
  assert.equal(get.stdout, list.text);
});
