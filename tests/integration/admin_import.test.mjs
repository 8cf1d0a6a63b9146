// SPDX-License-Identifier: Apache-2.0
// Whole catalogs: what is made, changed, left, skipped and deleted; one revision,
// or consecutive ones when it is large.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Stack } from './support/stack.mjs';

let stack;
before(async () => { stack = await Stack.start({ models: false }); }, { timeout: 240000 });
after(() => stack?.stop());

const head = async () => Number(await stack.redisCli('HGET', '{cm}:head', 'rev'));
const post = (query, body, headers) => stack.call('POST', `/catalog/import${query}`, body, headers);
const ids = async () => (await stack.must('GET', '/models?limit=1000')).data.map((m) => m.id);
async function good(query, body) {
  const answer = await post(query, body);
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual(Object.keys(answer.json).filter((name) => name !== 'durable'), ['created', 'updated', 'unchanged', 'deleted', 'skipped', 'warnings']);
  const { created, updated, unchanged, deleted } = answer.json;
  return { counts: [created, updated, unchanged, deleted], ...answer.json };
}
async function refused(status, code, query, body) {
  const was = await stack.dump();
  const answer = await post(query, body);
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.json.code, code);
  assert.equal(await stack.dump(), was);
  return answer.json;
}

test('native: made, left, changed; every skipped entry has a reason', async () => {
  const models = [{ id: 'a/one', created: 5, capabilities: { tools: true } }, { id: 'a/two', status: 'disabled' }];
  const before = await head();
  assert.deepEqual((await good('?format=native&mode=merge', { models })).counts, [2, 0, 0, 0]);
  assert.equal(await head(), before + 1);
  assert.deepEqual((await good('', models)).counts, [0, 0, 2, 0], 'a plain array; no date keeps the date');
  assert.equal(await head(), before + 1);
  const third = await good('', { models: [{ ...models[0], created: 6 }, { id: 'a/two' }, { id: 'bad id' }, { id: 'a/three', context: 1 },
    { id: 'a/one' }, 5, { display_name: 'x' }] });
  assert.deepEqual(third.counts, [0, 2, 0, 0]);
  assert.deepEqual(third.skipped.map((s) => s.id), ['bad id', 'a/three', 'a/one', null, null]);
  assert.ok(third.skipped.every((s) => typeof s.reason === 'string' && s.reason.length > 5));
  assert.match(third.skipped[1].reason, /context/);
  assert.equal((await stack.must('GET', '/models/a/two')).status, 'active');
  await refused(422, 'validation_failed', '', { model: [] });
  await refused(422, 'validation_failed', '', { models: {} });
  await refused(422, 'validation_failed', '?format=openrouter', { models: [] });
  await refused(422, 'validation_failed', '', '5');
});

test('replace deletes what is not mentioned, within max_deletes', async () => {
  const catalog = Array.from({ length: 200 }, (_, i) => ({ id: `r/m${i}`, created: i }));
  await good('?mode=replace', { models: catalog });
  assert.deepEqual((await ids()).length, 200);
  const less = (n) => ({ models: catalog.slice(0, 200 - n) });
  const problem = await refused(409, 'too_many_deletes', '?mode=replace', less(21));
  assert.equal(problem.deletes, 21);
  assert.equal(problem.max_deletes, 20);
  await refused(409, 'too_many_deletes', '?mode=replace&max_deletes=3', less(4));
  await refused(409, 'too_many_deletes', '?mode=replace&max_deletes=0', less(1));
  // A dry run shows what it is that would be too much.
  const many = await post('?mode=replace&dry_run=true', less(21));
  assert.deepEqual([many.status, many.json.deleted, many.json.too_many_deletes, many.json.diff.length], [200, 21, true, 21]);
  assert.deepEqual(many.json.warnings, [{ id: null, reason: 'It would delete 21 of 200 models; max_deletes is 20.' }]);
  assert.deepEqual((await good('?mode=merge', less(50))).counts, [0, 0, 150, 0]);
  const was = await stack.dump();
  const dry = await post('?mode=replace&dry_run=true', less(20));
  assert.equal(dry.json.deleted, 20);
  assert.equal(dry.json.diff.length, 20);
  assert.equal(dry.json.diff[0].path, '/models/r~1m180');
  assert.equal(await stack.dump(), was);
  await stack.must('POST', '/keys', { name: 'k', aliases: [{ match: 'exact', name: 'x', target: 'r/m199' }] });
  const done = await good('?mode=replace', less(20));
  assert.deepEqual(done.counts, [0, 0, 180, 20]);
  assert.deepEqual(done.warnings.map((w) => w.id), ['r/m199']);
  // What is mentioned but cannot be used is not deleted.
  const kept = await good('?mode=replace', { models: [...catalog.slice(0, 179), { id: 'r/m179', nonsense: 1 }] });
  assert.deepEqual(kept.counts, [0, 0, 179, 0]);
  assert.equal((await ids()).length, 180);
  assert.deepEqual((await good('?mode=replace&max_deletes=1000', { models: [] })).counts, [0, 0, 0, 180]);
  assert.deepEqual(await ids(), []);
});

test('openrouter: mapped, and what the operator decided is kept', async () => {
  const entry = { id: '~acme/latest', name: 'Acme: Latest', created: 1700000000, context_length: 1000, description: 'x',
    architecture: { modality: 'text->text', input_modalities: ['text', 'image'], output_modalities: ['text'] },
    top_provider: { max_completion_tokens: 500 }, supported_parameters: ['tools', 'reasoning', 'temperature', 'structured_outputs'],
    pricing: { prompt: '0' } };
  await good('?format=openrouter', { data: [entry] });
  const { revision, ...made } = await stack.must('GET', '/models/~acme/latest');
  assert.deepEqual(made, { id: '~acme/latest', object: 'model', type: 'model', display_name: 'Acme: Latest', created: 1700000000,
    created_at: '2023-11-14T22:13:20+00:00', owned_by: 'acme', context_length: 1000, max_completion_tokens: 500,
    architecture: { input_modalities: ['text', 'image'], output_modalities: ['text'] },
    capabilities: { tools: true, reasoning: true, structured_outputs: true, vision: true }, status: 'active' });
  assert.ok(revision > 0);
  await stack.must('PATCH', '/models/~acme/latest', { status: 'disabled' });
  assert.deepEqual((await good('?format=openrouter', { data: [entry] })).counts, [0, 0, 1, 0]);
  assert.deepEqual((await good('?format=openrouter', { data: [{ ...entry, context_length: 0, top_provider: { max_completion_tokens: null } }] })).counts, [0, 1, 0, 0]);
  const changed = await stack.must('GET', '/models/~acme/latest');
  assert.equal(changed.status, 'disabled');
  assert.equal(changed.context_length, undefined);
  assert.equal(changed.max_completion_tokens, undefined);
  assert.deepEqual((await good('?format=openrouter', { data: [{ id: 'noslash' }, {}, 7] })).counts, [0, 0, 0, 0]);
});

// OpenRouter's GET /api/v1/models, saved to a file that CM_TEST_OPENROUTER names.
const published = process.env.CM_TEST_OPENROUTER;
test('openrouter: a whole published catalog', { skip: !published && 'CM_TEST_OPENROUTER names no file' }, async () => {
  const text = readFileSync(published, 'utf8');
  const total = JSON.parse(text).data.length;
  const { counts, skipped } = await good('?format=openrouter', text);
  assert.equal(counts[0] + skipped.length, total);
  assert.ok(skipped.every((s) => s.reason));
  console.log(`# figure: ${counts[0]} of ${total} published models created, ${skipped.length} skipped`);
  assert.deepEqual((await good('?format=openrouter', text)).counts, [0, 0, counts[0], 0]);
});

test('a large import goes in consecutive revisions, each whole', { timeout: 240000 }, async () => {
  const models = Array.from({ length: 25000 }, (_, i) => ({ id: `big/m${i}`, created: i }));
  const before = await head();
  const have = (await ids()).length;
  const started = Date.now();
  const first = await good('?mode=merge', { models });
  console.log(`# figure: 25000 models imported in ${Date.now() - started} ms`);
  assert.deepEqual(first.counts, [25000, 0, 0, 0]);
  assert.equal(await head(), before + 3);
  assert.equal(Number(await stack.redisCli('HGET', '{cm}:head', 'models')), 25000 + have);
  assert.equal(Number(await stack.redisCli('HLEN', '{cm}:models')), 25000 + have);
  assert.deepEqual((await good('?mode=merge', { models })).counts, [0, 0, 25000, 0]);
  assert.equal(await head(), before + 3);
  const gone = await good('?mode=replace&max_deletes=100000', { models: models.slice(0, 10) });
  assert.deepEqual(gone.counts, [0, 0, 10, 24990 + have]);
  assert.equal(Number(await stack.redisCli('HLEN', '{cm}:models')), 10);
});
