// SPDX-License-Identifier: Apache-2.0
// The official SDKs against the real service: what an application developer sees.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { Stack, request, root } from '../integration/support/stack.mjs';

const sample = JSON.parse(readFileSync(`${root}/deploy/sample/catalog.json`, 'utf8'));
let stack;
let key;
let openai;
let anthropicBearer;
let anthropicApiKey;

before(async () => {
  stack = await Stack.start();
  await stack.must('POST', '/catalog/import?format=native&mode=merge', sample);
  const made = await stack.must('POST', '/keys', {
    name: 'sdk',
    aliases: [
      { match: 'exact', name: 'cross-model-basic', target: 'deepseek/deepseek-v4-pro' },
      { match: 'prefix', name: 'claude-opus', target: 'anthropic/claude-opus-4-8' },
    ],
  }, { prefer: 'wait=30' });
  key = made.secret;
  openai = new OpenAI({ apiKey: key, baseURL: `${stack.url}/v1`, maxRetries: 0 });
  anthropicBearer = new Anthropic({ authToken: key, apiKey: null, baseURL: stack.url, maxRetries: 0 });
  anthropicApiKey = new Anthropic({ apiKey: key, authToken: null, baseURL: stack.url, maxRetries: 0,
    defaultHeaders: { 'x-api-key': key, authorization: null } });
}, { timeout: 240000 });

after(() => stack?.stop());

const ids = () => ['cross-model-basic', 'claude-opus',
  ...sample.models.filter((m) => m.status !== 'disabled')
    .sort((a, b) => a.created - b.created || (a.id < b.id ? -1 : 1)).map((m) => m.id)];

async function collect(pages) {
  const seen = [];
  for await (const model of pages) {
    seen.push(model.id);
    assert.ok(seen.length <= 1000, 'paging does not end');
  }
  return seen;
}

test('openai: list pages to its end, aliases first, catalog in order', async () => {
  assert.deepEqual(await collect(await openai.models.list()), ids());
});

for (const [name, client] of [['Bearer', () => anthropicBearer], ['x-api-key', () => anthropicApiKey]]) {
  test(`anthropic (${name}): list pages to its end, with and without limit and after_id`, async () => {
    assert.deepEqual(await collect(client().models.list()), ids());
    assert.deepEqual(await collect(client().models.list({ limit: 2 })), ids());
    assert.deepEqual(await collect(client().models.list({ limit: 1, after_id: 'nothing' })), ids());
    assert.deepEqual(await collect(client().beta.models.list()), ids());
  });

  test(`anthropic (${name}): retrieve`, async () => {
    const model = await client().models.retrieve('anthropic/claude-sonnet-4.6');
    assert.equal(model.id, 'anthropic/claude-sonnet-4.6');
    assert.equal(model.type, 'model');
    assert.equal(model.display_name, 'Claude Sonnet 4.6');
    assert.equal(model.created_at, '2024-05-20T21:10:01+00:00');
    assert.equal((await client().beta.models.retrieve('claude-opus-4-9')).id, 'claude-opus-4-9');
  });
}

test('openai: retrieve gives the page\'s object, fields in the table\'s order', async () => {
  const model = await openai.models.retrieve('deepseek/deepseek-v4-pro');
  assert.equal(JSON.stringify(model), JSON.stringify({
    id: 'deepseek/deepseek-v4-pro',
    object: 'model',
    type: 'model',
    display_name: 'DeepSeek V4 Pro',
    created: 1716239400,
    created_at: '2024-05-20T21:10:00+00:00',
    owned_by: 'deepseek',
    context_length: 65536,
    max_completion_tokens: 8192,
    architecture: { input_modalities: ['text'], output_modalities: ['text'] },
    capabilities: { tools: true },
  }));
});

test('both slash forms, in either case, are one request', async () => {
  const wanted = await stack.get('/v1/models/deepseek%2Fdeepseek-v4-pro', { authorization: `Bearer ${key}` });
  assert.equal(wanted.status, 200);
  for (const path of ['deepseek/deepseek-v4-pro', 'deepseek%2fdeepseek-v4-pro', '%64eepseek/deepseek-v4-pro?x=1'])
    assert.equal((await stack.get(`/v1/models/${path}`, { authorization: `Bearer ${key}` })).text, wanted.text);
});

test('aliases: exact by its name, prefix by a concrete name, root named', async () => {
  const exact = await openai.models.retrieve('cross-model-basic');
  assert.equal(exact.id, 'cross-model-basic');
  assert.equal(exact.root, 'deepseek/deepseek-v4-pro');
  assert.equal(Object.keys(exact).at(-1), 'root');
  const prefix = await openai.models.retrieve('claude-opus-4-9');
  assert.equal(prefix.id, 'claude-opus-4-9');
  assert.equal(prefix.object, 'model');
  assert.equal(prefix.root, 'anthropic/claude-opus-4-8');
  assert.equal(prefix.context_length, 1000000);
  assert.equal(prefix.max_completion_tokens, 128000);
});

test('openai: typed errors with request ids', async () => {
  const stranger = new OpenAI({ apiKey: 'cm-nobody', baseURL: `${stack.url}/v1`, maxRetries: 0 });
  await assert.rejects(stranger.models.list(), (error) => {
    assert.ok(error instanceof OpenAI.AuthenticationError);
    assert.equal(error.status, 401);
    assert.equal(error.code, 'invalid_api_key');
    assert.equal(error.type, 'authentication_error');
    assert.match(error.requestID, /^req_cm_[0-9a-f]{32}$/);
    return true;
  });
  await assert.rejects(openai.models.retrieve('foo/bar'), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError);
    assert.equal(error.code, 'model_not_found');
    assert.equal(error.type, 'invalid_request_error');
    assert.equal(error.param, null);
    assert.match(error.message, /Model 'foo\/bar' was not found or is unavailable\./);
    assert.match(error.requestID, /^req_cm_[0-9a-f]{32}$/);
    return true;
  });
});

test('anthropic: typed errors, the request id in the header and in the body', async () => {
  for (const client of [anthropicBearer, anthropicApiKey]) {
    await assert.rejects(client.models.retrieve('foo/bar'), (error) => {
      assert.ok(error instanceof Anthropic.NotFoundError);
      assert.match(error.requestID, /^req_cm_[0-9a-f]{32}$/);
      if (client === anthropicApiKey) {
        assert.equal(error.error.request_id, error.requestID);
        assert.deepEqual(error.error.error, {
          type: 'not_found_error', message: "Model 'foo/bar' was not found or is unavailable." });
      } else {
        assert.equal(error.error.error.code, 'model_not_found');
      }
      return true;
    });
  }
  const stranger = new Anthropic({ apiKey: 'cm-nobody', authToken: null, baseURL: stack.url, maxRetries: 0,
    defaultHeaders: { 'x-api-key': 'cm-nobody', authorization: null } });
  await assert.rejects(stranger.models.list(), (error) => error instanceof Anthropic.AuthenticationError);
});

test('the page\'s examples, sent with curl\'s bytes, answer as printed there', async () => {
  const bare = await Stack.start({ workers: 1 });
  try {
    const two = sample.models.filter((m) =>
      ['deepseek/deepseek-v4-pro', 'anthropic/claude-sonnet-4.6'].includes(m.id));
    await bare.must('POST', '/catalog/import?format=native&mode=merge', { models: two });
    const { secret } = await bare.must('POST', '/keys', { name: 'page' }, { prefer: 'wait=30' });
    const page = readFileSync(new URL('./page_list.json', import.meta.url), 'utf8').trim();
    const wanted = JSON.stringify(JSON.parse(page));
    for (const headers of [{ authorization: `Bearer ${secret}` },
      { 'x-api-key': secret, 'anthropic-version': '2023-06-01' }]) {
      const list = await request(bare.url, { path: '/v1/models', headers });
      assert.equal(list.status, 200);
      assert.equal(list.text, wanted);
      assert.equal(list.headers['content-type'], 'application/json');
      const zipped = await request(bare.url, { path: '/v1/models', headers: { ...headers, 'accept-encoding': 'gzip' } });
      assert.equal((zipped.headers['content-encoding'] === 'gzip' ? gunzipSync(zipped.bytes) : zipped.bytes).toString(), wanted);
    }
    const missing = await request(bare.url, { path: '/v1/models/foo%2Fbar', headers: { authorization: `Bearer ${secret}` } });
    assert.equal(missing.text, '{"error":{"message":"Model \'foo/bar\' was not found or is unavailable.","type":"invalid_request_error","param":null,"code":"model_not_found"}}');
  } finally {
    await bare.stop();
  }
});
